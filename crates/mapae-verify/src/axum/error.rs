//! Why a request may not pass, and how that is answered.

use axum_core::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::ErrorStyle;
use crate::{ScopeSet, Subject, SubjectKind, SubjectSet, TokenError, VerifyError};

/// Seconds after which a service without keys is worth asking again.
pub const RETRY_SECONDS: u32 = 2;

/// Why a request may not pass. Its text is for people and never repeats the token.
///
/// As a response it is a problem (RFC 9457) unless the router renders it otherwise, and a copy of it is among the
/// response's extensions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BearerError {
    /// No `Authorization` header, or one of another scheme.
    #[error("Send an access token: Authorization: Bearer …")]
    NotAuthenticated,
    /// More than one `Authorization` header.
    #[error("Send one Authorization header, not several.")]
    InvalidRequest,
    /// The token is not to be believed.
    #[error("{reason}")]
    InvalidToken {
        /// Why.
        reason: VerifyError,
        /// Those that the route asks for, space separated.
        scopes: String,
    },
    /// The token lacks a scope.
    #[error("This needs a token with scope: {scopes}")]
    InsufficientScope {
        /// Those that the route asks for, space separated.
        scopes: String,
    },
    /// The token speaks for another kind of subject than the route takes.
    #[error("This takes a token for: {wanted}. The one sent speaks for a {shown}.")]
    WrongSubject {
        /// The kinds that the route takes.
        wanted: String,
        /// The kind that the token speaks for.
        shown: String,
    },
    /// There is nothing to check tokens with: no keys, or no revocations.
    #[error("The service cannot answer right now. Try again in a moment.")]
    Unavailable,
}

/// An RFC 9457 problem.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(super) struct Problem<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
    pub(super) title: &'a str,
    pub(super) status: u16,
    pub(super) detail: &'a str,
    pub(super) code: &'a str,
}

#[derive(Serialize)]
struct Detail<'a> {
    detail: &'a str,
}

impl BearerError {
    /// Why a token was refused on a route that asks for the scopes `S`.
    pub(super) fn refused<S: ScopeSet>(error: TokenError) -> Self {
        match error {
            TokenError::Refused(reason) => Self::InvalidToken { reason, scopes: S::names() },
            TokenError::Unavailable => Self::Unavailable,
        }
    }

    /// Refuses a token for `shown` on a route that takes those for `K`.
    pub(super) fn wrong_subject<K: SubjectSet>(shown: &Subject) -> Self {
        let shown = match shown.kind() {
            SubjectKind::User(_) => "user",
            SubjectKind::Client(_) => "client",
            SubjectKind::Other { kind, .. } => kind,
        };
        Self::WrongSubject { wanted: K::names(), shown: shown.to_owned() }
    }

    /// The stable word for programs, `code` of a problem.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotAuthenticated => "not_authenticated",
            Self::InvalidRequest => "invalid_request",
            Self::InvalidToken { .. } => "invalid_token",
            Self::InsufficientScope { .. } => "insufficient_scope",
            Self::WrongSubject { .. } => "wrong_subject",
            Self::Unavailable => "unavailable",
        }
    }

    /// The short text that is the same for every occurrence, `title` of a problem.
    #[must_use]
    pub const fn title(&self) -> &'static str {
        match self {
            Self::NotAuthenticated => "Not authenticated",
            Self::InvalidRequest => "The request is malformed",
            Self::InvalidToken { .. } => "The token is not valid",
            Self::InsufficientScope { .. } => "The token lacks a scope",
            Self::WrongSubject { .. } => "The token speaks for another subject",
            Self::Unavailable => "Temporarily unavailable",
        }
    }

    /// The status that it is answered with.
    #[must_use]
    pub const fn status(&self, style: ErrorStyle) -> StatusCode {
        match (self, style) {
            (Self::NotAuthenticated | Self::InvalidToken { .. }, _) => StatusCode::UNAUTHORIZED,
            (Self::InvalidRequest, _) => StatusCode::BAD_REQUEST,
            (Self::InsufficientScope { .. }, ErrorStyle::Problem) | (Self::WrongSubject { .. }, _) => {
                StatusCode::FORBIDDEN
            }
            // As in FastAPI's tutorial.
            (Self::InsufficientScope { .. }, ErrorStyle::Detail) => StatusCode::UNAUTHORIZED,
            (Self::Unavailable, _) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// `WWW-Authenticate` (RFC 6750 §3): plain where no token was sent, with the error where one was.
    #[must_use]
    pub fn challenge(&self, style: ErrorStyle) -> Option<HeaderValue> {
        let text = match (self, style) {
            (Self::NotAuthenticated, _) => "Bearer".to_owned(),
            (Self::InvalidRequest, ErrorStyle::Problem) => "Bearer error=\"invalid_request\"".to_owned(),
            (Self::InvalidRequest, ErrorStyle::Detail) | (Self::Unavailable | Self::WrongSubject { .. }, _) => {
                return None;
            }
            (Self::InvalidToken { scopes, .. } | Self::InsufficientScope { scopes }, ErrorStyle::Detail) => {
                if scopes.is_empty() { "Bearer".to_owned() } else { format!("Bearer scope=\"{scopes}\"") }
            }
            (Self::InvalidToken { scopes, .. } | Self::InsufficientScope { scopes }, ErrorStyle::Problem) => {
                let description = self.to_string().replace(['"', '\\'], "'");
                let scope = if scopes.is_empty() { String::new() } else { format!(", scope=\"{scopes}\"") };
                format!("Bearer error=\"{}\", error_description=\"{description}\"{scope}", self.code())
            }
        };
        HeaderValue::try_from(text).ok()
    }

    /// The response in this style.
    #[must_use]
    pub fn render(&self, style: ErrorStyle) -> Response {
        let status = self.status(style);
        let detail = self.to_string();
        let (media_type, body) = match style {
            ErrorStyle::Problem => {
                let (title, code) = (self.title(), self.code());
                let problem = Problem { kind: "about:blank", title, status: status.as_u16(), detail: &detail, code };
                ("application/problem+json", serde_json::to_string(&problem))
            }
            ErrorStyle::Detail => {
                let detail = self.fastapi_detail().unwrap_or(&detail);
                ("application/json", serde_json::to_string(&Detail { detail }))
            }
        };
        let body = body.expect("texts and numbers can be written as JSON");
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        if let Some(challenge) = self.challenge(style) {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if *self == Self::Unavailable {
            headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_SECONDS));
        }
        response.extensions_mut().insert(self.clone());
        response
    }

    /// What FastAPI says in this place, where it has a text of its own.
    const fn fastapi_detail(&self) -> Option<&'static str> {
        match self {
            Self::NotAuthenticated => Some("Not authenticated"),
            Self::InvalidToken { .. } => Some("Could not validate credentials"),
            Self::InsufficientScope { .. } => Some("Not enough permissions"),
            Self::InvalidRequest | Self::WrongSubject { .. } | Self::Unavailable => None,
        }
    }
}

impl IntoResponse for BearerError {
    fn into_response(self) -> Response {
        self.render(ErrorStyle::Problem)
    }
}
