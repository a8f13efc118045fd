//! The refresh token of a page in a browser, in a cookie that no script can read.
//!
//! `POST /users/signin` sets it where that was asked for, `POST /users/refresh` alone reads it, and signing out clears
//! it. Access tokens travel in the `Authorization` header as ever, so no other route has to care about other sites.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::header::{COOKIE, ORIGIN, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use axum::response::AppendHeaders;
use cookie::{Cookie, SameSite, time::Duration};
use mapae_verify::Scopes;

use super::api::{ApiRouter, post_with};
use super::device::Caller;
use super::error::{ApiError, ErrorCode};
use super::token::TokenBody;
use crate::Service;
use crate::domain::SecretText;
use crate::domain::session::FIRST_PARTY_CLIENT_ID;
use crate::service::{ClientAuth, GrantRequest, IssueError, TokenError, TokenRequest};

/// `__Host-`: browsers take it only over HTTPS (or from localhost), for this host alone, and from no subdomain.
const NAME: &str = "__Host-mapae-refresh";

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A response with a cookie.
pub(super) type WithCookie<T> = (AppendHeaders<[(HeaderName, String); 1]>, T);

/// Sets the cookie beside `body`, until the session would be idle for too long.
pub(super) fn set<T>(service: &Service, token: &SecretText, body: T) -> WithCookie<T> {
    let cookie = bare(token.expose().to_owned()).max_age(Duration::seconds(i64::from(service.settings().session_idle)));
    (AppendHeaders([(SET_COOKIE, cookie.to_string())]), body)
}

/// Clears the cookie, if there is one.
pub(super) fn clear<T>(headers: &HeaderMap, body: T) -> (AppendHeaders<Option<(HeaderName, String)>>, T) {
    let cookie = || bare(String::new()).max_age(Duration::ZERO).to_string();
    (AppendHeaders(read(headers).map(|_| (SET_COOKIE, cookie()))), body)
}

fn bare(value: String) -> cookie::CookieBuilder<'static> {
    Cookie::build((NAME, value)).path("/").secure(true).http_only(true).same_site(SameSite::Lax)
}

fn read(headers: &HeaderMap) -> Option<SecretText> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut found = lines.flat_map(|line| Cookie::split_parse(line).flatten()).filter(|cookie| cookie.name() == NAME);
    found.next().map(|cookie| SecretText::new(cookie.value().to_owned()))
}

/// A request that a page of this service's own origin sent. Browsers always say by `Origin` where a POST comes from, and
/// newer ones by `Sec-Fetch-Site` too; pages can change neither.
pub(super) struct SameOrigin;

impl SameOrigin {
    pub(super) fn check(headers: &HeaderMap, service: &Service) -> Result<Self, ApiError> {
        let own = service.settings().base_url.origin();
        let one = |name: &HeaderName| {
            let mut values = headers.get_all(name).iter();
            let first = values.next();
            if values.next().is_none() { first } else { None }
        };
        let origin = one(&ORIGIN).is_some_and(|origin| origin.as_bytes() == own.as_bytes());
        let site = !headers.contains_key(&SEC_FETCH_SITE)
            || one(&SEC_FETCH_SITE).is_some_and(|site| site.as_bytes() == b"same-origin");
        if origin && site {
            Ok(Self)
        } else {
            let detail = format!("Only pages of {own} may use the refresh cookie.");
            Err(ApiError::new(ErrorCode::CrossSite, detail))
        }
    }
}

/// The refresh token in the cookie of a request that a page of this service's own origin sent.
pub(super) struct RefreshCookie(SecretText);

impl FromRequestParts<Service> for RefreshCookie {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, ApiError> {
        SameOrigin::check(&parts.headers, service)?;
        read(&parts.headers).map(Self).ok_or_else(ApiError::not_authenticated)
    }
}

pub(super) fn router() -> ApiRouter<Service> {
    ApiRouter::new().api_route(
        "/users/refresh",
        post_with(refresh, |op| {
            op.id("refresh")
                .tag("token")
                .summary("Another access token, by the refresh cookie")
                .description("For pages of this server's own origin that signed in with `refresh_cookie`.")
                .response::<200, Json<TokenBody>>()
        }),
    )
}

async fn refresh(
    State(service): State<Service>,
    caller: Caller,
    RefreshCookie(token): RefreshCookie,
) -> Result<WithCookie<Json<TokenBody>>, ApiError> {
    let client = ClientAuth { id: FIRST_PARTY_CLIENT_ID.to_owned(), secrets: Vec::new() };
    let grant = GrantRequest::RefreshToken(token);
    let request = TokenRequest { client, grant, scope: Scopes::default(), device: caller.called(None) };
    let mut tokens = service.grant_tokens(request).await?;
    let refresh = tokens.refresh_token.take().unwrap_or_else(|| SecretText::new(String::new()));
    Ok(set(&service, &refresh, Json(tokens.into())))
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Busy(_) => Self::too_busy(),
            TokenError::Issue(IssueError::Store(error)) => error.into(),
            TokenError::Issue(error @ (IssueError::NoSuchUser | IssueError::Sign(_))) => Self::internal(&error),
            TokenError::InvalidGrant(_)
            | TokenError::InvalidScope(_)
            | TokenError::InvalidClient
            | TokenError::UnauthorizedClient => Self::invalid_token(error.to_string(), String::new()),
        }
    }
}
