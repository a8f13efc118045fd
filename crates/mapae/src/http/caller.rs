//! Who sent a request: found out once, by a token (in the header or a cookie) or a ticket, and kept with the request from then on.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::header::{ACCEPT, AUTHORIZATION, UPGRADE};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName, Method};
use mapae_verify::axum::bearer_token;
use url::form_urlencoded;

use super::cookies::{self, SameOrigin};
use super::error::ApiError;
use super::sent_from;
use crate::domain::{ScopeSet, SecretText, User};
use crate::service::account::Account;
use crate::service::{Service, TicketError};

/// The parameter of the query that holds a ticket.
const TICKET: &str = "ticket";

/// An account that a good token or ticket speaks for, and who says so.
pub(super) struct Caller<U: Account = User> {
    pub(super) authority: U::Authority,
    pub(super) identity: U::Identity,
}

impl<U: Account> Clone for Caller<U> {
    fn clone(&self) -> Self {
        Self { authority: self.authority.clone(), identity: self.identity.clone() }
    }
}

/// An access token as a request has it.
pub(super) enum Presented<'p> {
    Header(&'p str),
    Cookie(SecretText),
}

impl Presented<'_> {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Header(token) => token,
            Self::Cookie(token) => token.expose(),
        }
    }
}

/// Whether a disabled account, of the application's own table, passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disabled {
    Passes,
    Refused,
}

impl<U: Account> Caller<U> {
    /// Whoever sends this request, by what it was let pass with, by its token, or by its ticket.
    pub(super) async fn of<S: ScopeSet>(parts: &mut Parts, authority: &U::Authority) -> Result<Self, ApiError> {
        if let Some(caller) = Self::kept(&parts.extensions, authority) {
            return Ok(caller);
        }
        let Some((service, ticket)) = Self::ticket(parts, authority) else {
            return Self::by_token::<S>(parts, authority).await;
        };
        let refused = |error: TicketError| match error {
            TicketError::Refused(reason) => ApiError::invalid_ticket(reason, S::names()),
            TicketError::Throttled { retry_after } => ApiError::throttled(retry_after),
            TicketError::Authenticate(error) => ApiError::from_authenticate(error, S::names()),
        };
        let source = sent_from::of_any_route(parts, service);
        let principal = service.redeem_ticket(&ticket, source).await.map_err(refused)?;
        let identity = U::identity(principal).map_err(|error| refused(error.into()))?;
        let caller = Self { authority: authority.clone(), identity };
        // It is used up: whoever asks next finds this.
        caller.keep(&mut parts.extensions);
        Ok(caller)
    }

    /// Whoever sends this request, by what it was let pass with, or by its token.
    pub(super) async fn without_ticket<S: ScopeSet>(parts: &Parts, authority: &U::Authority) -> Result<Self, ApiError> {
        match Self::kept(&parts.extensions, authority) {
            Some(caller) => Ok(caller),
            None => Self::by_token::<S>(parts, authority).await,
        }
    }

    async fn by_token<S: ScopeSet>(parts: &Parts, authority: &U::Authority) -> Result<Self, ApiError> {
        let found = U::identify(authority, Self::token(parts, authority)?.as_str()).await;
        let identity = found.map_err(|error| ApiError::from_authenticate(error, S::names()))?;
        Ok(Self { authority: authority.clone(), identity })
    }

    /// The access token, in the header or in a cookie.
    pub(super) fn token<'p>(parts: &'p Parts, authority: &U::Authority) -> Result<Presented<'p>, ApiError> {
        match bearer_token(&parts.headers) {
            Ok(token) => Ok(Presented::Header(token)),
            Err(error) => Self::in_cookie(parts, authority)?.map(Presented::Cookie).ok_or_else(|| error.into()),
        }
    }

    /// The access token in a cookie. The header, which no page of another site can send, goes before it.
    fn in_cookie(parts: &Parts, authority: &U::Authority) -> Result<Option<SecretText>, ApiError> {
        let Some((service, token)) = Self::cookie(parts, authority) else { return Ok(None) };
        SameOrigin::check_if_unsafe(parts, service)?;
        Ok(Some(token))
    }

    fn cookie<'a>(parts: &Parts, authority: &'a U::Authority) -> Option<(&'a Service, SecretText)> {
        if parts.headers.contains_key(AUTHORIZATION) {
            return None;
        }
        // Without sessions nothing sets it.
        Some((U::service(authority)?, cookies::access_token(&parts.headers)?))
    }

    /// Whether a request says nothing about who sends it.
    pub(super) fn is_stranger(parts: &Parts, authority: &U::Authority) -> bool {
        !parts.headers.contains_key(AUTHORIZATION)
            && Self::cookie(parts, authority).is_none()
            && Self::kept(&parts.extensions, authority).is_none()
            && Self::ticket(parts, authority).is_none()
    }

    /// Lets extractors and layers of the same service find the caller. No client can put anything there.
    pub(super) fn keep(&self, extensions: &mut Extensions) {
        extensions.insert(self.clone());
    }

    /// The caller that this very service has let pass already.
    fn kept(extensions: &Extensions, authority: &U::Authority) -> Option<Self> {
        let caller = extensions.get::<Self>()?;
        U::is_same(&caller.authority, authority).then(|| caller.clone())
    }

    /// The ticket that a request shows, if it may: one without a token that opens a stream.
    fn ticket<'a>(parts: &'a Parts, authority: &'a U::Authority) -> Option<(&'a Service, Cow<'a, str>)> {
        if parts.headers.contains_key(AUTHORIZATION) || !opens_stream(parts) {
            return None;
        }
        let query = parts.uri.query()?.as_bytes();
        let mut shown = form_urlencoded::parse(query).filter(|(name, _)| name == TICKET).map(|(_, ticket)| ticket);
        let ticket = shown.next()?;
        // Without sessions there are no tickets.
        let service = U::service(authority)?;
        // Several are none that was ever given out.
        Some((service, if shown.next().is_none() { ticket } else { Cow::Borrowed("") }))
    }

    /// Whether the caller may go where the scopes `S` are asked for.
    pub(super) fn check<S: ScopeSet>(&self, disabled: Disabled) -> Result<(), ApiError> {
        if !U::allows::<S>(&self.identity) {
            return Err(ApiError::insufficient_scope(S::names()));
        }
        if disabled == Disabled::Refused && !U::is_active(&self.identity) {
            return Err(ApiError::inactive_user());
        }
        Ok(())
    }

    /// Whether a new request would be let pass now; how long it is until its token expires.
    pub(super) async fn check_again<S: ScopeSet>(&self, disabled: Disabled) -> Result<Duration, ApiError> {
        let again = U::identify_again(&self.authority, &self.identity).await;
        let (identity, left) = again.map_err(|error| ApiError::from_authenticate(error, S::names()))?;
        Self { authority: self.authority.clone(), identity }.check::<S>(disabled)?;
        Ok(left)
    }
}

/// Whether a request begins a WebSocket (RFC 6455 §4.1) or asks for server-sent events: what browsers cannot add a
/// header to.
fn opens_stream(parts: &Parts) -> bool {
    parts.method == Method::GET
        && (lists(&parts.headers, &UPGRADE, "websocket") || lists(&parts.headers, &ACCEPT, "text/event-stream"))
}

/// Whether a header that is a list holds this value, whatever its parameters.
fn lists(headers: &HeaderMap, name: &HeaderName, value: &str) -> bool {
    let texts = headers.get_all(name).iter().filter_map(|text| text.to_str().ok());
    let mut items = texts.flat_map(|text| text.split(','));
    items.any(|item| item.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(value))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn opens(method: &str, headers: &[(&str, &str)]) -> bool {
        let request = headers
            .iter()
            .fold(Request::builder().method(method), |request, (name, value)| request.header(*name, *value));
        opens_stream(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn only_what_opens_a_stream_may_show_a_ticket() {
        for headers in [
            [("connection", "Upgrade"), ("upgrade", "websocket")],
            [("upgrade", "WebSocket"), ("accept", "*/*")],
            [("accept", "text/event-stream"), ("x", "y")],
            [("accept", "text/html"), ("accept", "application/json, Text/Event-Stream;q=0.5")],
        ] {
            assert!(opens("GET", &headers), "{headers:?}");
            assert!(!opens("POST", &headers) && !opens("HEAD", &headers), "{headers:?}");
        }
        for headers in [
            [("accept", "*/*"), ("connection", "Upgrade")],
            [("accept", "text/*"), ("upgrade", "h2c")],
            [("accept", "text/event-stream-2"), ("upgrade", "websocket2")],
            [("content-type", "text/event-stream"), ("sec-websocket-version", "13")],
        ] {
            assert!(!opens("GET", &headers), "{headers:?}");
        }
    }
}
