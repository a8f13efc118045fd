//! The forms of the standards' endpoints, and how a client says in them who it is (RFC 6749 §2.3, §3.2).

use std::collections::BTreeMap;

use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64_simd::STANDARD;
use mapae_verify::Scopes;

use super::error::OAuthError;
use crate::domain::SecretText;
use crate::http::body::{media_type, read_bytes};
use crate::service::ClientAuth;

/// A form, each parameter at most once. What is empty counts as absent.
pub(super) struct OAuthForm {
    fields: BTreeMap<String, String>,
    /// What the `Authorization` header says.
    basic: Option<ClientAuth>,
}

impl<S: Send + Sync> FromRequest<S> for OAuthForm {
    type Rejection = OAuthError;

    async fn from_request(request: Request, state: &S) -> Result<Self, OAuthError> {
        if media_type(request.headers()).as_deref() != Some("application/x-www-form-urlencoded") {
            return Err(OAuthError::invalid_request("Send a form: application/x-www-form-urlencoded."));
        }
        let basic = basic(request.headers())?;
        let body = read_bytes(request, state).await?;
        let mut fields = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(&body).into_owned() {
            if fields.insert(name, value).is_some() {
                return Err(OAuthError::invalid_request("A parameter comes twice."));
            }
        }
        fields.retain(|_, value| !value.is_empty());
        Ok(Self { fields, basic })
    }
}

impl OAuthForm {
    /// A parameter, if it was sent.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.fields.remove(name)
    }

    /// A parameter that must be there.
    pub(super) fn required(&mut self, name: &str) -> Result<String, OAuthError> {
        self.take(name).ok_or_else(|| OAuthError::invalid_request(format!("The parameter {name} is missing.")))
    }

    /// A secret that must be there.
    pub(super) fn secret(&mut self, name: &str) -> Result<SecretText, OAuthError> {
        self.required(name).map(SecretText::new)
    }

    /// `scope`; absent means none.
    pub(super) fn scope(&mut self) -> Result<Scopes, OAuthError> {
        let text = self.take("scope").unwrap_or_default();
        Scopes::parse(&text).map_err(|error| OAuthError::bad_request("invalid_scope", format!("{error}.")))
    }

    /// Whether the client used HTTP Basic.
    pub(super) fn is_basic(&self) -> bool {
        self.basic.is_some()
    }

    /// Who the client says it is: by HTTP Basic or in the form, never both ways.
    pub(super) fn client(&mut self) -> Result<ClientAuth, OAuthError> {
        let (id, secret) = (self.take("client_id"), self.take("client_secret").map(SecretText::new));
        match (&self.basic, id, secret) {
            (Some(_), _, Some(_)) => Err(OAuthError::invalid_request(
                "The client authenticates in the Authorization header and in the form: one is enough.",
            )),
            (Some(basic), Some(id), None) if id != basic.id => {
                Err(OAuthError::invalid_request("client_id is not the one of the Authorization header."))
            }
            (Some(basic), _, None) => Ok(basic.clone()),
            (None, Some(id), secret) => Ok(ClientAuth { id, secrets: secret.into_iter().collect() }),
            (None, None, _) => Err(OAuthError::invalid_client("Say which client asks: client_id is missing.")),
        }
    }
}

/// HTTP Basic (RFC 6749 §2.3.1): id and secret are form-encoded, though many clients send them as they are.
fn basic(headers: &HeaderMap) -> Result<Option<ClientAuth>, OAuthError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(OAuthError::invalid_request("There is more than one Authorization header."));
    }
    let unreadable = || OAuthError::invalid_client("The Authorization header is not HTTP Basic.").basic(true);
    let (scheme, credentials) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(unreadable)?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return Err(unreadable());
    }
    let decoded = STANDARD.decode_to_vec(credentials.trim()).map_err(|_| unreadable())?;
    let decoded = zeroize::Zeroizing::new(String::from_utf8(decoded).map_err(|_| unreadable())?);
    let (id, secret) = decoded.split_once(':').ok_or_else(unreadable)?;
    // Ids hold nothing that is ever encoded by choice, so one reading of the id is enough.
    let id = form_decoded(id).unwrap_or_else(|| id.to_owned());
    let mut secrets = Vec::new();
    secrets.extend(form_decoded(secret).map(SecretText::new));
    let raw = SecretText::new(secret.to_owned());
    if !secret.is_empty() && !secrets.contains(&raw) {
        secrets.push(raw);
    }
    Ok(Some(ClientAuth { id, secrets }))
}

/// A text in the encoding of forms, decoded; `None` if it is empty.
fn form_decoded(text: &str) -> Option<String> {
    // `&` and `=` would be read as the form's own.
    let escaped = text.replace('&', "%26").replace('=', "%3D");
    let (decoded, _) = url::form_urlencoded::parse(escaped.as_bytes()).next()?;
    (!decoded.is_empty()).then(|| decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn read(id_and_secret: &str) -> Option<(String, Vec<String>)> {
        let value = format!("basic {}", STANDARD.encode_to_string(id_and_secret));
        let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::try_from(value).unwrap())]);
        let auth = basic(&headers).ok()??;
        Some((auth.id, auth.secrets.iter().map(|secret| secret.expose().to_owned()).collect()))
    }

    #[test]
    fn basic_is_read_encoded_and_raw() {
        let both =
            |id: &str, secrets: &[&str]| Some((id.to_owned(), secrets.iter().map(|s| (*s).to_owned()).collect()));
        assert_eq!(read("web:plain-secret_1"), both("web", &["plain-secret_1"]));
        assert_eq!(read("web:a%3Ab+c"), both("web", &["a:b c", "a%3Ab+c"]));
        assert_eq!(read("web:a:b&c=d%"), both("web", &["a:b&c=d%"]));
        assert_eq!(read("my%2Dweb:x"), both("my-web", &["x"]));
        assert_eq!(read("web:"), both("web", &[]));
        assert_eq!(read("no colon"), None);
    }
}
