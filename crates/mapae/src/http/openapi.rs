//! The OpenAPI document: what is not written by the routes themselves.

use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{
    Components, Info, MediaType, OAuth2Flow, OAuth2Flows, OpenApi, Operation, ReferenceOr, Response, SchemaObject,
    SecurityScheme, StatusCode,
};
use indexmap::IndexMap;
use mapae_verify::axum::SECURITY_SCHEME;
use serde_json::json;

use super::error::{ApiError, ErrorCode, Problem};
use crate::domain::ScopeSet;
use crate::{Service, VERSION};

/// The stand-alone service's document before any route is added.
pub(super) fn document(service: &Service) -> OpenApi {
    let scopes: Vec<_> = service.settings().scopes.iter().collect();
    OpenApi {
        info: Info { title: "Mapae".to_owned(), version: VERSION.to_owned(), ..Info::default() },
        ..with_password_flow("Mapae", "token", &scopes)
    }
}

/// A document with the password flow and these scopes. `token_url` is relative, so that it survives a proxy's path
/// prefix.
pub(super) fn with_password_flow(title: &str, token_url: &str, scopes: &[(&str, &str)]) -> OpenApi {
    let scopes = scopes.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let flow = OAuth2Flow::Password { token_url: token_url.to_owned(), refresh_url: None, scopes };
    let scheme = SecurityScheme::OAuth2 {
        flows: OAuth2Flows { password: Some(flow), ..OAuth2Flows::default() },
        description: Some("Sign in with a user name or e-mail address and a password.".to_owned()),
        extensions: IndexMap::default(),
    };
    OpenApi {
        info: Info { title: title.to_owned(), version: "0.1.0".to_owned(), ..Info::default() },
        components: Some(Components {
            security_schemes: IndexMap::from_iter([(SECURITY_SCHEME.to_owned(), ReferenceOr::Item(scheme))]),
            ..Components::default()
        }),
        ..OpenApi::default()
    }
}

/// Writes into an operation that it needs a token with the scopes `S`.
pub(super) fn require<S: ScopeSet>(operation: &mut Operation) {
    for alternative in S::alternatives() {
        let scopes = alternative.into_iter().map(str::to_owned).collect();
        operation.security.push(IndexMap::from_iter([(SECURITY_SCHEME.to_owned(), scopes)]));
    }
}

/// The answers of a protected route to those who may not pass.
pub(super) fn protected_responses<S: ScopeSet>(
    ctx: &mut GenContext,
    _: &mut Operation,
) -> Vec<(Option<StatusCode>, Response)> {
    let mut responses = vec![error_response(ctx, ErrorCode::InvalidToken, "No token, or one that is not valid.")];
    let names = S::names();
    if !names.is_empty() {
        let description = format!("The token lacks a scope: {names}.");
        responses.push(error_response(ctx, ErrorCode::InsufficientScope, &description));
    }
    responses
}

/// A documented error with an example.
pub(super) fn error_response(
    ctx: &mut GenContext,
    code: ErrorCode,
    description: &str,
) -> (Option<StatusCode>, Response) {
    let example = json!({
        "type": "about:blank",
        "title": code.title(),
        "status": code.status().as_u16(),
        "detail": description,
        "code": code.as_str(),
    });
    let media_type = MediaType {
        schema: Some(SchemaObject {
            json_schema: ctx.schema.subschema_for::<Problem<'static>>(),
            example: None,
            external_docs: None,
        }),
        example: Some(example),
        ..MediaType::default()
    };
    let response = Response {
        description: description.to_owned(),
        content: IndexMap::from_iter([("application/problem+json".to_owned(), media_type)]),
        ..Response::default()
    };
    (Some(StatusCode::Code(code.status().as_u16())), response)
}

impl OperationOutput for ApiError {
    type Inner = Self;
}
