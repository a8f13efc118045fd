//! The tokens of a page in a browser, in cookies that no script can read.
//!
//! `POST /users/signin` sets them where that was asked for, `POST /users/refresh` alone reads the refresh token, the
//! extractors read the access token where there is no `Authorization` header, and signing out clears both. A third one
//! stays: it says that this browser has signed somebody in before.

use axum::http::header::{COOKIE, ORIGIN, SET_COOKIE, UPGRADE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method};
use axum::response::AppendHeaders;
use cookie::{Cookie, SameSite, time::Duration};

use super::error::{ApiError, ErrorCode};
use crate::Service;
use crate::domain::SecretText;
use crate::domain::device_token::KNOWN_DAYS;
use crate::service::TokenResponse;

/// `__Host-`: browsers take them only over HTTPS (or from localhost), for this host alone, and from no subdomain.
const REFRESH: &str = "__Host-mapae-refresh";
const ACCESS: &str = "__Host-mapae-access";
const DEVICE: &str = "__Host-mapae-device";

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Headers that set cookies.
pub(super) type SetCookies = AppendHeaders<Vec<(HeaderName, String)>>;

/// Which tokens travel in cookies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct InCookies {
    pub(super) refresh: bool,
    pub(super) access: bool,
}

impl InCookies {
    pub(super) fn any(self) -> bool {
        self.refresh || self.access
    }

    /// Moves tokens from an answer into cookies. Both stay in the browser until the session would be idle for too long:
    /// an access token that has expired in its cookie says that the page wants the next one there too.
    pub(super) fn take(self, service: &Service, tokens: &mut TokenResponse) -> SetCookies {
        let age = Duration::seconds(i64::from(service.settings().session_idle));
        let set =
            |name, token: SecretText, age| (SET_COOKIE, bare(name, token.expose().to_owned()).max_age(age).to_string());
        let refresh = tokens.refresh_token.take_if(|_| self.refresh).map(|token| set(REFRESH, token, age));
        let access = self.access.then(|| set(ACCESS, tokens.access_token.clone(), age));
        let device = tokens.device_token.take_if(|_| self.any());
        let device = device.map(|token| set(DEVICE, token, Duration::days(KNOWN_DAYS.into())));
        AppendHeaders(refresh.into_iter().chain(access).chain(device).collect())
    }
}

/// Clears the cookies that there are.
pub(super) fn clear(headers: &HeaderMap) -> SetCookies {
    let there = [REFRESH, ACCESS].into_iter().filter(|name| read(headers, name).is_some());
    let cleared = |name| (SET_COOKIE, bare(name, String::new()).max_age(Duration::ZERO).to_string());
    AppendHeaders(there.map(cleared).collect())
}

/// The refresh token in its cookie.
pub(super) fn refresh_token(headers: &HeaderMap) -> Option<SecretText> {
    read(headers, REFRESH)
}

/// The access token in its cookie.
pub(super) fn access_token(headers: &HeaderMap) -> Option<SecretText> {
    read(headers, ACCESS)
}

/// What says that this browser has signed somebody in before.
pub(super) fn device_token(headers: &HeaderMap) -> Option<SecretText> {
    read(headers, DEVICE)
}

fn bare(name: &'static str, value: String) -> cookie::CookieBuilder<'static> {
    Cookie::build((name, value)).path("/").secure(true).http_only(true).same_site(SameSite::Lax)
}

fn read(headers: &HeaderMap, name: &str) -> Option<SecretText> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut found = lines.flat_map(|line| Cookie::split_parse(line).flatten()).filter(|cookie| cookie.name() == name);
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
            let detail = format!("Only pages of {own} may use the cookies of a sign-in.");
            Err(ApiError::new(ErrorCode::CrossSite, detail))
        }
    }

    /// A cookie goes along with whatever request a browser sends. So one that may change something, or opens a
    /// WebSocket, which no other rule of browsers keeps from other sites, must come from a page of the own origin.
    pub(super) fn check_if_unsafe(parts: &Parts, service: &Service) -> Result<(), ApiError> {
        let is_safe = [Method::GET, Method::HEAD].contains(&parts.method) && !parts.headers.contains_key(UPGRADE);
        if is_safe { Ok(()) } else { Self::check(&parts.headers, service).map(|_| ()) }
    }
}
