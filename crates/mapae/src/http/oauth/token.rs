//! `/oauth2/token` (RFC 6749 §3.2).

use axum::Json;
use axum::extract::{FromRequest, Request, State};

use super::error::{ErrorBody, OAuthError, THROTTLED};
use super::exchange::{self, ACCESS_TOKEN};
use super::form::OAuthForm;
use crate::Service;
use crate::domain::GrantType;
use crate::http::api::{ApiRouter, post_with};
use crate::http::sent_from::SentFrom;
use crate::http::token::TokenBody;
use crate::service::{GrantRequest, TokenRequest};

/// A token request. The client says who it is in the form or by HTTP Basic.
#[cfg(feature = "openapi")]
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "TokenRequest")]
#[expect(dead_code, reason = "it only stands for the form in the OpenAPI document")]
pub(in crate::http) struct Documented {
    /// `password`, `refresh_token`, `client_credentials` or `urn:ietf:params:oauth:grant-type:token-exchange`.
    grant_type: String,
    /// With `password`: a user name or an e-mail address.
    username: Option<String>,
    /// With `password`.
    #[schemars(extend("format" = "password"))]
    password: Option<String>,
    /// With `refresh_token`.
    #[schemars(extend("format" = "password"))]
    refresh_token: Option<String>,
    /// With a token exchange (RFC 8693): an access token, or a personal one.
    #[schemars(extend("format" = "password"))]
    subject_token: Option<String>,
    /// With a token exchange: `urn:ietf:params:oauth:token-type:access_token`.
    subject_token_type: Option<String>,
    /// With a token exchange: who acts, if somebody else than the client.
    #[schemars(extend("format" = "password"))]
    actor_token: Option<String>,
    /// With `actor_token`: the same type.
    actor_token_type: Option<String>,
    /// With a token exchange: the one audience that the new token is meant for.
    audience: Option<String>,
    /// The same, by another name.
    resource: Option<String>,
    /// With a token exchange: the one type that there is.
    requested_token_type: Option<String>,
    /// With a token exchange: the thing that the new token speaks for, such as `car:42`.
    requested_subject: Option<String>,
    /// With a token exchange: how long the new token is good at most, in seconds.
    requested_expires_in: Option<u32>,
    /// Scopes, separated by spaces.
    scope: Option<String>,
    /// `mapae` is this service's own client.
    client_id: Option<String>,
    /// Of a confidential client.
    #[schemars(extend("format" = "password"))]
    client_secret: Option<String>,
    /// What the session is called in the list of sessions, instead of the `User-Agent`.
    device_name: Option<String>,
}

/// A form with what was asked for.
pub(in crate::http) struct TokenForm(TokenRequest, bool);

impl<S: Send + Sync> FromRequest<S> for TokenForm {
    type Rejection = OAuthError;

    async fn from_request(request: Request, state: &S) -> Result<Self, OAuthError> {
        let sender = SentFrom::of(request.headers(), request.extensions());
        let mut form = OAuthForm::from_request(request, state).await?;
        let grant_type = form.required("grant_type")?;
        let scope = form.scope()?;
        let grant = match grant_type.parse() {
            Ok(GrantType::Password) => {
                GrantRequest::Password { username: form.required("username")?, password: form.secret("password")? }
            }
            Ok(GrantType::RefreshToken) => GrantRequest::RefreshToken(form.secret("refresh_token")?),
            Ok(GrantType::ClientCredentials) => GrantRequest::ClientCredentials,
            Ok(GrantType::TokenExchange) => GrantRequest::TokenExchange(Box::new(exchange::read(&mut form, &scope)?)),
            Err(()) => {
                return Err(OAuthError::bad_request("unsupported_grant_type", "There is no such grant_type here."));
            }
        };
        let sender = sender.called(form.take("device_name"));
        let request = TokenRequest { client: form.client()?, grant, scope, sender };
        Ok(Self(request, form.is_basic()))
    }
}

pub(super) fn router() -> ApiRouter<Service> {
    ApiRouter::new().api_route(
        "/oauth2/token",
        post_with(token, |op| {
            op.id("oauth2_token")
                .tag("oauth2")
                .summary("Tokens for a client (RFC 6749)")
                .response::<200, Json<TokenBody>>()
                .response_with::<400, Json<ErrorBody>, _>(|response| {
                    response.description("What was shown is not good.")
                })
                .response_with::<401, Json<ErrorBody>, _>(|response| response.description("The client is not known."))
                .response_with::<429, Json<ErrorBody>, _>(|response| response.description(THROTTLED))
        }),
    )
}

async fn token(
    State(service): State<Service>,
    TokenForm(request, basic): TokenForm,
) -> Result<Json<TokenBody>, OAuthError> {
    let is_exchange = matches!(request.grant, GrantRequest::TokenExchange(_));
    let answered = service.grant_tokens(request).await;
    let tokens = answered.map_err(|error| OAuthError::from(error).basic(basic))?;
    let body = TokenBody::from(tokens);
    Ok(Json(if is_exchange { body.issued_as(ACCESS_TOKEN) } else { body }))
}
