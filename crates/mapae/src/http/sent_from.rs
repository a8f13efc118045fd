//! From where a request comes.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName};
use ipnet::IpNet;

use super::client_ip::ClientIp;
use super::cookies;
use crate::Service;
use crate::domain::{SecretText, Sender, Source};

/// What a client that keeps no cookies shows to be known again.
pub(super) const DEVICE_TOKEN: HeaderName = HeaderName::from_static("mapae-device-token");

/// The longest name that is kept, in characters.
const MAX_NAME_CHARS: usize = 200;

/// The program that sent the request, by its `User-Agent`, and from where.
pub(super) struct SentFrom(Sender);

impl SentFrom {
    pub(super) fn of(headers: &HeaderMap, extensions: &Extensions) -> Self {
        let agent = headers.get(USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let header = headers.get(&DEVICE_TOKEN).and_then(|value| value.to_str().ok());
        let device_token =
            header.map(|token| SecretText::new(token.to_owned())).or_else(|| cookies::device_token(headers));
        Self(Sender { name: agent.as_deref().and_then(tidy), source: source(extensions), device_token })
    }

    /// Under the name that the request gives, if it gives one.
    pub(super) fn called(self, name: Option<String>) -> Sender {
        Sender { name: name.as_deref().and_then(tidy).or(self.0.name), ..self.0 }
    }
}

/// From where a request comes, which every route of this service is told.
pub(super) fn source(extensions: &Extensions) -> Source {
    extensions.get().copied().unwrap_or_default()
}

/// From where a request comes to a route that may be the application's own, where nobody has told it yet.
pub(super) fn of_any_route(parts: &Parts, service: &Service) -> Source {
    let told: Option<Source> = parts.extensions.get().copied();
    told.unwrap_or_else(|| peer(parts, &service.settings().http.trusted_proxies))
}

/// Who signs in on a route that may be the application's own; a service without tables trusts no proxy.
#[cfg(feature = "openapi")]
pub(super) fn sender_on_any_route(parts: &Parts, service: Option<&Service>) -> Sender {
    let trusted = service.map_or(&[][..], |service| &service.settings().http.trusted_proxies);
    let source = parts.extensions.get().copied().unwrap_or_else(|| peer(parts, trusted));
    Sender { source, ..SentFrom::of(&parts.headers, &parts.extensions).0 }
}

fn peer(parts: &Parts, trusted: &[IpNet]) -> Source {
    let client = ClientIp::of(&parts.headers, &parts.extensions, trusted);
    Source { address: client.map(|ClientIp(address)| address), request_id: None }
}

/// [`Source`] as a handler's argument.
pub(super) struct Asker(pub(super) Source);

impl<S: Send + Sync> FromRequestParts<S> for Asker {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(source(&parts.extensions)))
    }
}

/// Short, and without what would confuse a terminal or a page.
pub(super) fn tidy(name: &str) -> Option<String> {
    let name: String = name.trim().chars().filter(|c| !c.is_control()).take(MAX_NAME_CHARS).collect();
    (!name.is_empty()).then_some(name)
}

impl<S: Send + Sync> FromRequestParts<S> for SentFrom {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers, &parts.extensions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        assert_eq!(tidy("  Ann's phone\u{1b}[31m\n ").as_deref(), Some("Ann's phone[31m"));
        assert_eq!(tidy(&"é".repeat(500)).map(|name| name.chars().count()), Some(200));
        assert_eq!(tidy(" \t\n"), None);
    }
}
