//! Errors of RFC 6749 §5.2.

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::delegation::NarrowError;
use crate::http::error::{ApiError, ErrorCode, RETRY_SECONDS};
use crate::service::{IssueError, MintError, RevokeError, StoreError, TokenError};

/// What the document says of a 429.
pub(super) const THROTTLED: &str = "Too many failed attempts; `Retry-After` says when to try again.";

/// An error of the standards' endpoints.
#[derive(Clone, Debug)]
pub(in crate::http) struct OAuthError {
    /// The word of the standard.
    pub(in crate::http) code: &'static str,
    status: StatusCode,
    description: String,
    /// The client used HTTP Basic, so it is told to do so again, rightly.
    basic: bool,
    retry_after: Option<u32>,
}

/// The body of an error (RFC 6749 §5.2).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OAuthError")]
pub(super) struct ErrorBody {
    /// `invalid_request`, `invalid_client`, `invalid_grant`, `unauthorized_client`, `unsupported_grant_type`,
    /// `invalid_scope`, `invalid_target`, `temporarily_unavailable` (with 429: too many failed attempts) or `server_error`.
    error: &'static str,
    /// A sentence for people.
    error_description: String,
}

impl OAuthError {
    fn new(status: StatusCode, code: &'static str, description: impl Into<String>) -> Self {
        Self { code, status, description: description.into(), basic: false, retry_after: None }
    }

    /// The request itself is not in order.
    pub(super) fn invalid_request(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    /// Another error that is the request's.
    pub(super) fn bad_request(code: &'static str, description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, description)
    }

    /// The client is unknown or did not prove to be it.
    pub(super) fn invalid_client(description: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_client", description)
    }

    /// With a challenge if it is about the client and that used HTTP Basic: others take one for a reason to skip the
    /// body.
    pub(super) fn basic(self, used: bool) -> Self {
        let basic = used && self.status == StatusCode::UNAUTHORIZED;
        Self { basic, ..self }
    }

    /// The request took longer than allowed.
    pub(in crate::http) fn timed_out() -> Self {
        Self::unavailable("The request took too long. Try again in a moment.")
    }

    fn unavailable(description: &str) -> Self {
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", description);
        Self { retry_after: Some(RETRY_SECONDS), ..error }
    }

    /// There were too many failed attempts. RFC 6749 has no word for that; the status tells it from a failure of ours.
    fn throttled(description: String, retry_after: u32) -> Self {
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable", description);
        Self { retry_after: Some(retry_after), ..error }
    }

    fn internal(cause: &dyn std::error::Error) -> Self {
        tracing::error!(error = %cause, "internal error");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "Something went wrong on the server.")
    }
}

impl From<ApiError> for OAuthError {
    /// Of reading a body.
    fn from(error: ApiError) -> Self {
        let code = error.code();
        let description = match code {
            ErrorCode::BodyTooLarge => "The body is larger than this service takes.",
            _ => "The body cannot be read.",
        };
        Self::new(code.status(), "invalid_request", description)
    }
}

impl From<StoreError> for OAuthError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Database(_) | StoreError::Conflict(_) | StoreError::UserTable(_) => {
                tracing::error!(%error, "a request failed for want of the database");
                Self::unavailable("The service cannot answer right now. Try again in a moment.")
            }
            StoreError::Corrupt { .. } | StoreError::UsernameTaken | StoreError::EmailTaken => Self::internal(&error),
        }
    }
}

impl From<TokenError> for OAuthError {
    fn from(error: TokenError) -> Self {
        let description = error.to_string();
        match error {
            TokenError::InvalidClient => Self::invalid_client(description),
            TokenError::UnauthorizedClient => Self::bad_request("unauthorized_client", description),
            TokenError::InvalidGrant(_) => Self::bad_request("invalid_grant", description),
            TokenError::InvalidScope(_) => Self::bad_request("invalid_scope", description),
            TokenError::Throttled { retry_after } => Self::throttled(description, retry_after),
            TokenError::Mint(error) => error.into(),
            TokenError::Busy(_) => Self::unavailable("Too many sign-ins are waiting. Try again in a moment."),
            TokenError::Issue(IssueError::Store(error)) => error.into(),
            TokenError::Issue(error @ (IssueError::NoSuchUser | IssueError::NoKey | IssueError::Sign(_))) => {
                Self::internal(&error)
            }
        }
    }
}

/// RFC 8693 §2.2.2: whatever is wrong with the tokens themselves is `invalid_request`.
impl From<MintError> for OAuthError {
    fn from(error: MintError) -> Self {
        let code = match &error {
            MintError::Narrow(NarrowError::Scope) => "invalid_scope",
            MintError::Narrow(NarrowError::Audience) => "invalid_target",
            MintError::Narrow(
                NarrowError::ChainTooLong | NarrowError::Over | NarrowError::NewSubject | NarrowError::Subject,
            )
            | MintError::Token(_)
            | MintError::ClientToken
            | MintError::Delegated
            | MintError::MayNotSpeak(_)
            | MintError::TooMany(_)
            | MintError::Change(_)
            | MintError::TooLong(_) => "invalid_request",
            MintError::Issue(_) => return TokenError::from(error).into(),
        };
        Self::bad_request(code, error.to_string())
    }
}

impl From<RevokeError> for OAuthError {
    fn from(error: RevokeError) -> Self {
        match error {
            RevokeError::Client(error) => error.into(),
            RevokeError::NotYours => Self::bad_request("invalid_grant", error.to_string()),
        }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let body = ErrorBody { error: self.code, error_description: self.description.clone() };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        if self.basic {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"mapae\", charset=\"UTF-8\""));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}
