//! `/verify`: forward authentication, for a proxy that asks about each request before it passes it on (nginx's
//! `auth_request`, Traefik's `forwardAuth`, Envoy's `ext_authz`).

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::routing::any;
use mapae_verify::Scopes;
use mapae_verify::axum::bearer_token;

use super::api::{ApiRouter, get_with};
use super::error::{ApiError, ErrorCode, FieldProblem};
use crate::Service;

const SUBJECT: HeaderName = HeaderName::from_static("x-auth-subject");
const SCOPE: HeaderName = HeaderName::from_static("x-auth-scope");
const ACTOR: HeaderName = HeaderName::from_static("x-auth-actor");

/// What the proxy asks for.
#[cfg(feature = "openapi")]
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[expect(dead_code, reason = "it only stands for the query in the OpenAPI document")]
pub(super) struct Documented {
    /// Scopes that the token must have, all of them, separated by spaces.
    scope: Option<String>,
}

/// The scopes of every `scope` in the query.
pub(super) struct Required(Scopes);

impl<S: Send + Sync> FromRequestParts<S> for Required {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let bad = |message: String| ApiError::validation(vec![FieldProblem::query("scope", "invalid_scope", message)]);
        let pairs = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Query(pairs) = pairs.map_err(|error: QueryRejection| bad(error.body_text()))?;
        // A misspelled parameter must not pass for "nothing required".
        if let Some((name, _)) = pairs.iter().find(|(name, _)| name != "scope") {
            return Err(bad(format!("There is no parameter {:?}", name.chars().take(64).collect::<String>())));
        }
        // Read at once: anybody can ask, so the bounds of one list hold for all of them together.
        let all: Vec<&str> = pairs.iter().map(|(_, value)| value.as_str()).collect();
        Scopes::parse(&all.join(" ")).map(Self).map_err(|error| bad(error.to_string()))
    }
}

type Answer = (StatusCode, [(HeaderName, HeaderValue); 3]);

pub(super) fn router() -> ApiRouter<Service> {
    ApiRouter::new()
        .api_route(
            "/verify",
            get_with(verify, |op| {
                op.id("verify")
                    .tag("verify")
                    .summary("May this request pass? For proxies")
                    .description(
                        "Takes the bearer token of a person, a client, or a thing of the application's. The answer has \
                         `X-Auth-Subject`, `X-Auth-Scope`, and `X-Auth-Actor`: who acts, which is the subject itself \
                         unless the token was handed on.",
                    )
                    .response_with::<200, (), _>(|response| response.description("It may."))
            }),
        )
        // Envoy asks with the method and the path of the request itself, behind this one. The query is then the
        // visitor's, who must not decide what is required.
        .route("/verify/", any(verify_any))
        .route("/verify/{*path}", any(verify_any))
}

async fn verify(
    State(service): State<Service>,
    Required(scopes): Required,
    headers: HeaderMap,
) -> Result<Answer, ApiError> {
    answer(&service, &headers, &scopes).await
}

async fn verify_any(State(service): State<Service>, headers: HeaderMap) -> Result<Answer, ApiError> {
    answer(&service, &headers, &Scopes::default()).await
}

async fn answer(service: &Service, headers: &HeaderMap, required: &Scopes) -> Result<Answer, ApiError> {
    let token = bearer_token(headers)?;
    let bearer = service.authenticate_bearer(token).await;
    let bearer = bearer.map_err(|error| ApiError::from_authenticate(error, required.to_string()))?;
    let scope = bearer.scope();
    if !scope.contains_all(required) {
        return Err(ApiError::insufficient_scope(required.to_string()));
    }
    // Blanks at the ends of a value are not part of it (RFC 9110 §5.5): with them `ann ` would be taken for `ann`.
    let value = |text: &str| {
        let fits = HeaderValue::try_from(text).ok().filter(|_| text.trim() == text);
        fits.ok_or_else(|| ApiError::new(ErrorCode::InvalidToken, "The subject does not fit into a header."))
    };
    let subject = value(bearer.claims().sub.as_str())?;
    // Always there, so that a proxy always replaces what a visitor sends under this name.
    let actor = bearer.claims().act.as_ref().map_or(bearer.claims().sub.as_str(), |actor| &actor.sub);
    Ok((StatusCode::OK, [(SUBJECT, subject), (SCOPE, value(scope.as_str())?), (ACTOR, value(actor)?)]))
}
