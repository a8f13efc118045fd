//! `/oauth2/introspect` (RFC 7662) and `/oauth2/revoke` (RFC 7009).

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use mapae_verify::Actor;
use schemars::JsonSchema;
use serde::Serialize;

use super::error::{ErrorBody, OAuthError, THROTTLED};
use super::form::OAuthForm;
use crate::Service;
use crate::domain::{SecretText, Source};
use crate::http::api::{ApiRouter, post_with};
use crate::http::sent_from;
use crate::service::{ClientAuth, Introspection};

/// Which token. The client says who it is in the form or by HTTP Basic.
#[cfg(feature = "openapi")]
#[derive(serde::Deserialize, JsonSchema)]
#[schemars(rename = "TokenQuestion")]
#[expect(dead_code, reason = "it only stands for the form in the OpenAPI document")]
pub(in crate::http) struct Documented {
    /// An access token, a refresh token or a personal access token.
    #[schemars(extend("format" = "password"))]
    token: String,
    /// Taken and ignored: a token shows what it is.
    token_type_hint: Option<String>,
    client_id: Option<String>,
    #[schemars(extend("format" = "password"))]
    client_secret: Option<String>,
}

/// What is known about a token (RFC 7662 §2.2).
#[derive(Default, Serialize, JsonSchema)]
#[schemars(rename = "Introspection")]
struct IntrospectionBody {
    /// Whether the token is good, and the client's business.
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// `Bearer` for an access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// When it ends, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    /// Who acts with a token that was minted from another (RFC 8693 §4.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    act: Option<Actor>,
}

impl IntrospectionBody {
    fn active(found: Introspection, issuer: &str) -> Self {
        Self {
            active: true,
            scope: Some(found.scope.to_string()),
            client_id: Some(found.client_id),
            token_type: found.aud.is_some().then_some("Bearer"),
            exp: Some(found.exp),
            iat: Some(found.iat),
            sub: Some(found.sub),
            aud: found.aud,
            iss: Some(issuer.to_owned()),
            jti: found.jti,
            sid: found.sid,
            act: found.act,
        }
    }
}

/// A token, and the client that asks about it.
pub(in crate::http) struct Question {
    token: SecretText,
    client: ClientAuth,
    basic: bool,
    source: Source,
}

impl<S: Send + Sync> FromRequest<S> for Question {
    type Rejection = OAuthError;

    async fn from_request(request: Request, state: &S) -> Result<Self, OAuthError> {
        let source = sent_from::source(request.extensions());
        let mut form = OAuthForm::from_request(request, state).await?;
        Ok(Self { token: form.secret("token")?, client: form.client()?, basic: form.is_basic(), source })
    }
}

pub(super) fn router() -> ApiRouter<Service> {
    ApiRouter::new()
        .api_route(
            "/oauth2/introspect",
            post_with(introspect, |op| {
                op.id("oauth2_introspect")
                    .tag("oauth2")
                    .summary("Is a token good? (RFC 7662)")
                    .description("For confidential clients, about tokens that are theirs or meant for them.")
                    .response::<200, Json<IntrospectionBody>>()
                    .response_with::<401, Json<ErrorBody>, _>(|response| {
                        response.description("The client is not known, or public.")
                    })
                    .response_with::<429, Json<ErrorBody>, _>(|response| response.description(THROTTLED))
            }),
        )
        .api_route(
            "/oauth2/revoke",
            post_with(revoke, |op| {
                op.id("oauth2_revoke")
                    .tag("oauth2")
                    .summary("Give a token up (RFC 7009)")
                    .description(
                        "A refresh token ends its session, an access token only itself; one that was minted from another, and \
                         a personal one, with all that was minted from it.",
                    )
                    .response_with::<200, (), _>(|response| response.description("It is good for nothing now."))
                    .response_with::<400, Json<ErrorBody>, _>(|response| {
                        response.description("It is another client's.")
                    })
                    .response_with::<429, Json<ErrorBody>, _>(|response| response.description(THROTTLED))
            }),
        )
}

async fn introspect(
    State(service): State<Service>,
    Question { token, client, basic, source }: Question,
) -> Result<Json<IntrospectionBody>, OAuthError> {
    let found = service.introspect(&client, &token, source).await;
    let found = found.map_err(|error| OAuthError::from(error).basic(basic))?;
    let issuer = service.settings().base_url.as_str();
    Ok(Json(found.map_or_else(IntrospectionBody::default, |found| IntrospectionBody::active(found, issuer))))
}

async fn revoke(
    State(service): State<Service>,
    Question { token, client, basic, source }: Question,
) -> Result<StatusCode, OAuthError> {
    let revoked = service.revoke(&client, &token, source).await;
    revoked.map_err(|error| OAuthError::from(error).basic(basic))?;
    Ok(StatusCode::OK)
}
