//! Signing in: the tutorials' `/token`, and `/users/signin` with JSON.

use axum::Json;
use axum::extract::State;
use axum::handler::HandlerWithoutStateExt;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use mapae_verify::Scopes;
use schemars::JsonSchema;
use serde::Serialize;

use super::api::{ApiRouter, post_with};
use super::body::{Fields, FromFields, JsonBody};
use super::cookies::{InCookies, SameOrigin};
use super::error::{self, ApiError, FieldProblem};
use super::form::PasswordRequestForm;
use super::sent_from::SentFrom;
use crate::domain::SecretText;
use crate::service::TokenResponse;
use crate::service::account::Account;
use crate::{Mapae, Service};

/// A token (RFC 6749 §5.1).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Token")]
pub(super) struct TokenBody {
    /// Send it as `Authorization: Bearer …`. Absent where it is in a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    /// Always `bearer`.
    token_type: &'static str,
    /// How long it is good, in seconds.
    expires_in: u32,
    /// The scopes that it carries, separated by spaces.
    scope: String,
    /// What gives the next access token, at `/oauth2/token`. Each is used once. Absent where it is in a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    /// Send it with the next sign-in as `Mapae-Device-Token: …`: failed attempts of others do not slow it down then. It
    /// lets nobody in. Absent where it is in a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    device_token: Option<String>,
    /// What was issued, in answer to a token exchange (RFC 8693 §2.2.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
}

impl From<TokenResponse> for TokenBody {
    fn from(response: TokenResponse) -> Self {
        Self::new(response, InCookies::default())
    }
}

impl TokenBody {
    /// The body beside tokens that are in cookies.
    pub(super) fn new(response: TokenResponse, places: InCookies) -> Self {
        Self {
            access_token: (!places.access).then(|| response.access_token.expose().to_owned()),
            token_type: "bearer",
            expires_in: response.expires_in,
            scope: response.scope.to_string(),
            refresh_token: response.refresh_token.map(|token| token.expose().to_owned()),
            device_token: response.device_token.map(|token| token.expose().to_owned()),
            issued_token_type: None,
        }
    }

    /// With the type of what was issued.
    pub(super) fn issued_as(self, token_type: &'static str) -> Self {
        Self { issued_token_type: Some(token_type), ..self }
    }
}

/// An error in FastAPI's shape.
#[derive(Serialize, JsonSchema)]
struct Detail {
    detail: String,
}

/// Who signs in. One of `email` and `username` is needed.
#[derive(JsonSchema)]
#[schemars(rename = "SignIn", deny_unknown_fields)]
struct SignInBody {
    email: Option<String>,
    username: Option<String>,
    #[schemars(with = "String", extend("format" = "password"))]
    password: SecretText,
    /// The scopes asked for, separated by spaces; none means all but explicit ones.
    #[schemars(with = "Option<String>")]
    scope: Scopes,
    /// What the session is called in the list of sessions, instead of the `User-Agent`.
    device_name: Option<String>,
    /// For pages of this server's own origin: the refresh token comes in a cookie, and not in the answer.
    refresh_cookie: Option<bool>,
    /// For pages of this server's own origin: the access token comes in a cookie too, which every route reads.
    access_cookie: Option<bool>,
}

impl FromFields for SignInBody {
    fn read(fields: &mut Fields) -> Self {
        Self {
            email: fields.optional_string("email"),
            username: fields.optional_string("username"),
            password: fields.secret("password"),
            scope: fields.scopes("scope"),
            device_name: fields.optional_string("device_name"),
            refresh_cookie: fields.optional_bool("refresh_cookie"),
            access_cookie: fields.optional_bool("access_cookie"),
        }
    }
}

/// `/token`, whose errors are in FastAPI's shape.
pub(super) fn form_router<U: Account>() -> ApiRouter<Mapae<U>> {
    ApiRouter::new().api_route(
        "/token",
        post_with(token::<U>, |op| {
            op.id("login_for_access_token")
                .tag("token")
                .summary("Sign in with the OAuth2 password form")
                .description("`username` takes a user name or an e-mail address.")
                .response::<200, Json<TokenBody>>()
                .response_with::<401, Json<Detail>, _>(|response| {
                    response.description("Incorrect username or password.")
                })
                .response_with::<429, Json<Detail>, _>(|response| {
                    response.description("Too many failed attempts; `Retry-After` says when to try again.")
                })
        })
        // Here, so that its errors pass through the style of this router.
        .fallback_service(error::method_not_allowed.into_service()),
    )
}

/// `/users/signin`, whose errors are problems.
pub(super) fn signin_router() -> ApiRouter<Service> {
    ApiRouter::new().api_route(
        "/users/signin",
        post_with(sign_in, |op| {
            op.id("sign_in").tag("token").summary("Sign in with JSON").response::<200, Json<TokenBody>>()
        }),
    )
}

async fn token<U: Account>(
    State(mapae): State<Mapae<U>>,
    sent_from: SentFrom,
    form: PasswordRequestForm,
) -> Result<Json<TokenBody>, ApiError> {
    Ok(Json(U::sign_in(&mapae.0, &form.username, &form.password, &form.scope, &sent_from.called(None)).await?.into()))
}

async fn sign_in(
    State(service): State<Service>,
    sent_from: SentFrom,
    headers: HeaderMap,
    JsonBody(body): JsonBody<SignInBody>,
) -> Result<Response, ApiError> {
    let login = match (&body.email, &body.username) {
        (Some(login), None) | (None, Some(login)) => login,
        (None, None) => return Err(ApiError::validation(vec![FieldProblem::missing("email")])),
        (Some(_), Some(_)) => {
            let problem = FieldProblem::body("username", "one_of", "Give an e-mail address or a user name, not both.");
            return Err(ApiError::validation(vec![problem]));
        }
    };
    let places = InCookies { refresh: body.refresh_cookie == Some(true), access: body.access_cookie == Some(true) };
    if places.any() {
        SameOrigin::check(&headers, &service)?;
    }
    let sender = sent_from.called(body.device_name);
    let mut tokens = service.sign_in_from(login, &body.password, &body.scope, &sender).await?;
    Ok((places.take(&service, &mut tokens), Json(TokenBody::new(tokens, places))).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::body::testing::assert_documented;

    #[test]
    fn bodies_are_read_as_documented() {
        assert_documented::<SignInBody>();
    }
}
