//! How each extractor and each answer documents itself.

use aide::generate::GenContext;
use aide::openapi::{MediaType, Operation, Response, SchemaObject, StatusCode};
use aide::{OperationInput, OperationOutput};
use axum::extract::{Path, Query};
use axum::{Form, Json};
use indexmap::IndexMap;
use mapae_verify::axum::{Bearer, Subject as BearerSubject};
use schemars::JsonSchema;
use serde_json::json;

use super::error_response;
use crate::domain::{ScopeSet, SubjectSet};
use crate::http::admin::{AccountId, UserPath};
use crate::http::body::JsonBody;
use crate::http::current_user::{CurrentUser, KnownUser, Passes, SignedIn};
use crate::http::error::{ApiError, ErrorCode, FieldProblem};
use crate::http::form::{self, PasswordRequestForm, StrictPasswordRequestForm};
use crate::http::query::Params;
use crate::http::subject::Subject;
use crate::service::account::Account;

pub(super) type Responses = Vec<(Option<StatusCode>, Response)>;

/// What protects a route is documented in one way, whatever else the extractor looks up.
macro_rules! protects {
    ($([$($generics:tt)*] $extractor:ty;)*) => {
        $(impl<$($generics)*> OperationInput for $extractor {
            fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
                Bearer::<S>::operation_input(ctx, operation);
            }

            fn inferred_early_responses(ctx: &mut GenContext, operation: &mut Operation) -> Responses {
                Bearer::<S>::inferred_early_responses(ctx, operation)
            }
        })*
    };
}

protects! {
    [S: ScopeSet, U: Account] CurrentUser<S, U>;
    [S: ScopeSet, U: Account] KnownUser<S, U>;
}

impl<S: ScopeSet, D: Passes> OperationInput for SignedIn<S, D> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        Bearer::<S>::operation_input(ctx, operation);
    }

    fn inferred_early_responses(ctx: &mut GenContext, operation: &mut Operation) -> Responses {
        let mut responses = Bearer::<S>::inferred_early_responses(ctx, operation);
        let scopes = S::names();
        if !D::DELEGATED && scopes.is_empty() {
            let description = "The token was minted from another one.";
            responses.push(error_response(ctx, ErrorCode::DelegatedToken, description));
        }
        responses
    }
}

impl<K: SubjectSet, S: ScopeSet, U: Account> OperationInput for Subject<K, S, U> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        BearerSubject::<K, S>::operation_input(ctx, operation);
    }

    fn inferred_early_responses(ctx: &mut GenContext, operation: &mut Operation) -> Responses {
        BearerSubject::<K, S>::inferred_early_responses(ctx, operation)
    }
}

impl<T: JsonSchema> OperationInput for JsonBody<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        <Json<T> as OperationInput>::operation_input(ctx, operation);
    }

    fn inferred_early_responses(ctx: &mut GenContext, _: &mut Operation) -> Responses {
        vec![
            error_response(ctx, ErrorCode::MalformedBody, "The body is not a JSON object."),
            error_response(ctx, ErrorCode::BodyTooLarge, "The body is larger than this service takes."),
            error_response(ctx, ErrorCode::UnsupportedMediaType, "Send JSON, with Content-Type: application/json."),
            error_response(ctx, ErrorCode::ValidationFailed, "Fields that cannot be taken; `errors` names each."),
        ]
    }
}

impl<Q: JsonSchema> OperationInput for Params<Q> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        <Query<Q> as OperationInput>::operation_input(ctx, operation);
    }

    fn inferred_early_responses(ctx: &mut GenContext, _: &mut Operation) -> Responses {
        vec![error_response(ctx, ErrorCode::ValidationFailed, "Parameters that cannot be taken.")]
    }
}

impl OperationInput for AccountId {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        <Path<UserPath> as OperationInput>::operation_input(ctx, operation);
    }

    fn inferred_early_responses(ctx: &mut GenContext, _: &mut Operation) -> Responses {
        vec![error_response(ctx, ErrorCode::UserNotFound, "There is no such account.")]
    }
}

impl OperationInput for PasswordRequestForm {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        <Form<form::Documented> as OperationInput>::operation_input(ctx, operation);
    }

    fn inferred_early_responses(ctx: &mut GenContext, _: &mut Operation) -> Responses {
        vec![missing_fields(ctx, &["username", "password"])]
    }
}

impl OperationInput for StrictPasswordRequestForm {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        <Form<form::StrictlyDocumented> as OperationInput>::operation_input(ctx, operation);
    }

    fn inferred_early_responses(ctx: &mut GenContext, _: &mut Operation) -> Responses {
        vec![missing_fields(ctx, &["grant_type", "username", "password"])]
    }
}

/// A 422 in FastAPI's shape, as the tutorials have it.
fn missing_fields(ctx: &mut GenContext, names: &[&str]) -> (Option<StatusCode>, Response) {
    let missing: Vec<_> = names.iter().map(|name| FieldProblem::missing(name)).collect();
    let media_type = MediaType {
        schema: Some(SchemaObject {
            json_schema: ctx.schema.subschema_for::<form::ValidationProblem>(),
            example: None,
            external_docs: None,
        }),
        example: Some(json!({ "detail": missing })),
        ..MediaType::default()
    };
    let response = Response {
        description: "Fields that are missing or cannot be taken.".to_owned(),
        content: IndexMap::from_iter([("application/json".to_owned(), media_type)]),
        ..Response::default()
    };
    (Some(StatusCode::Code(ErrorCode::ValidationFailed.status().as_u16())), response)
}

impl OperationOutput for ApiError {
    type Inner = Self;
}
