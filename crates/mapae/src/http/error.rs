//! Errors: one catalogue of codes, rendered as RFC 9457 problems or in FastAPI's shape.

use std::any::Any;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use mapae_password::HashError;
use mapae_verify::VerifyError;
use mapae_verify::axum::BearerError;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

pub use super::error_code::ErrorCode;
use super::style::ErrorStyle;
use crate::domain::ticket::TicketRefused;
use crate::service::StoreError;
use crate::service::accounts::{AccountError, FieldError};
use crate::service::{AuthenticateError, IssueError, NewPasswordError, SignInError};

/// Seconds after which a busy service is worth asking again.
pub(super) const RETRY_SECONDS: u32 = 2;

/// One field that cannot be taken, in FastAPI's form.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct FieldProblem {
    /// The rule that was broken.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where the field is, such as `["body", "email"]`.
    pub loc: Vec<String>,
    /// A sentence for people.
    pub msg: String,
    /// What was given, where it may be repeated: never a secret.
    pub input: Value,
    /// Details of the rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ctx: Option<Value>,
}

impl FieldProblem {
    /// A field of the body that breaks the rule `kind`.
    pub fn body(field: &str, kind: &str, msg: impl Into<String>) -> Self {
        Self::at("body", field, kind, msg)
    }

    /// A parameter of the query that breaks the rule `kind`.
    pub fn query(field: &str, kind: &str, msg: impl Into<String>) -> Self {
        Self::at("query", field, kind, msg)
    }

    /// A field of the body that is missing.
    pub fn missing(field: &str) -> Self {
        Self::body(field, "missing", "Field required")
    }

    fn at(place: &str, field: &str, kind: &str, msg: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            loc: vec![place.to_owned(), field.to_owned()],
            msg: msg.into(),
            input: Value::Null,
            ctx: None,
        }
    }
}

/// An RFC 9457 problem, for the OpenAPI document.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Problem<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldProblem],
}

/// An answer other than success. Becomes a response in the style of its router.
#[derive(Clone, Debug)]
pub struct ApiError(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    code: ErrorCode,
    detail: String,
    /// What FastAPI's tutorial says in this place, where it differs.
    fastapi_detail: Option<String>,
    fields: Vec<FieldProblem>,
    /// Scopes that the route asks for, for the challenge.
    scopes: String,
    retry_after: Option<u32>,
    token_error: Option<VerifyError>,
    /// Status and `detail` of the application's own choice, in FastAPI's style.
    text: Option<(StatusCode, &'static str)>,
}

impl ApiError {
    /// An error of the catalogue with a sentence about this occurrence.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            code,
            detail: detail.into(),
            fastapi_detail: None,
            fields: Vec::new(),
            scopes: String::new(),
            retry_after: None,
            token_error: None,
            text: None,
        }))
    }

    fn edit(mut self, edit: impl FnOnce(&mut Inner)) -> Self {
        edit(Arc::make_mut(&mut self.0));
        self
    }

    fn fastapi(self, detail: &str) -> Self {
        self.edit(|inner| inner.fastapi_detail = Some(detail.to_owned()))
    }

    /// Answers in FastAPI's style with this status and `detail`; `None` changes nothing.
    #[must_use]
    pub fn with_text(self, text: Option<(StatusCode, &'static str)>) -> Self {
        if text.is_none() { self } else { self.edit(|inner| inner.text = text) }
    }

    /// The error's code.
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// The sentence about this occurrence.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The fields that cannot be taken, if that is what the error is about.
    pub fn fields(&self) -> &[FieldProblem] {
        &self.0.fields
    }

    /// No bearer token was sent.
    pub fn not_authenticated() -> Self {
        Self::new(ErrorCode::NotAuthenticated, "Send an access token: Authorization: Bearer …")
            .fastapi("Not authenticated")
    }

    /// The token does not count, and why. `scopes` are those that the route asks for.
    pub fn invalid_token(why: impl Into<String>, scopes: String) -> Self {
        Self::new(ErrorCode::InvalidToken, why)
            .fastapi("Could not validate credentials")
            .edit(|inner| inner.scopes = scopes)
    }

    /// The token is not to be believed, and why.
    pub fn refused_token(error: VerifyError, scopes: String) -> Self {
        Self::invalid_token(error.to_string(), scopes).edit(|inner| inner.token_error = Some(error))
    }

    /// The ticket does not count, and why. `scopes` are those that the route asks for.
    pub fn invalid_ticket(reason: TicketRefused, scopes: String) -> Self {
        Self::new(ErrorCode::InvalidTicket, format!("{reason}: ask for another one"))
            .fastapi("Could not validate credentials")
            .edit(|inner| inner.scopes = scopes)
    }

    /// Why the token is not to be believed, if that is what the error is about.
    pub fn token_error(&self) -> Option<&VerifyError> {
        self.0.token_error.as_ref()
    }

    /// The token's account is disabled.
    pub fn inactive_user() -> Self {
        Self::new(ErrorCode::InactiveUser, "This account is disabled.").fastapi("Inactive user")
    }

    /// The token lacks scopes that the route asks for.
    pub fn insufficient_scope(scopes: String) -> Self {
        Self::new(ErrorCode::InsufficientScope, format!("This needs a token with scope: {scopes}"))
            .fastapi("Not enough permissions")
            .edit(|inner| inner.scopes = scopes)
    }

    /// The token speaks for a subject of the kind `shown`, and the route takes those of `wanted`.
    pub fn wrong_subject(wanted: &str, shown: &str) -> Self {
        let detail = format!("This takes a token for: {wanted}. The one sent speaks for a {shown}.");
        Self::new(ErrorCode::WrongSubject, detail)
    }

    /// The token was minted from another one, and the route wants one of a sign-in.
    pub fn delegated_token() -> Self {
        let detail =
            "This needs a token of your own sign-in. The one sent was minted from another one, to be handed on.";
        Self::new(ErrorCode::DelegatedToken, detail)
    }

    /// Fields that cannot be taken.
    pub fn validation(fields: Vec<FieldProblem>) -> Self {
        let name = |field: &FieldProblem| field.loc.last().cloned().unwrap_or_default();
        let detail = fields.iter().map(|field| format!("{}: {}", name(field), field.msg)).collect::<Vec<_>>().join(" ");
        Self::new(ErrorCode::ValidationFailed, detail).edit(|inner| inner.fields = fields)
    }

    /// There were too many failed attempts.
    pub fn throttled(retry_after: u32) -> Self {
        let detail = "Too many failed attempts. Try again later.";
        Self::new(ErrorCode::TooManyAttempts, detail).edit(|inner| inner.retry_after = Some(retry_after))
    }

    /// The hashing queue is full.
    pub fn too_busy() -> Self {
        Self::new(ErrorCode::TooBusy, "Too many sign-ins are waiting. Try again in a moment.")
            .edit(|inner| inner.retry_after = Some(RETRY_SECONDS))
    }

    /// The request took longer than allowed.
    pub fn timed_out() -> Self {
        Self::new(ErrorCode::TimedOut, "The request took too long. Try again in a moment.")
            .edit(|inner| inner.retry_after = Some(RETRY_SECONDS))
    }

    /// The database does not answer. The cause is logged, never shown.
    pub fn unavailable(cause: &dyn std::error::Error) -> Self {
        tracing::error!(error = %cause, "a request failed for want of the database");
        Self::new(ErrorCode::Unavailable, "The service cannot answer right now. Try again in a moment.")
            .edit(|inner| inner.retry_after = Some(RETRY_SECONDS))
    }

    /// A failure that is nobody's but ours. The cause is logged, never shown.
    pub fn internal(cause: &dyn std::error::Error) -> Self {
        tracing::error!(error = %cause, "internal error");
        Self::new(ErrorCode::Internal, "Something went wrong on the server.")
    }

    /// The response in this style.
    pub(super) fn render(&self, style: ErrorStyle) -> Response {
        let inner = &*self.0;
        let status = self.status(style);
        let (media_type, body) = match style {
            ErrorStyle::Problem => (
                "application/problem+json",
                json!(Problem {
                    kind: "about:blank",
                    title: inner.code.title(),
                    status: status.as_u16(),
                    detail: &inner.detail,
                    code: inner.code.as_str(),
                    errors: &inner.fields,
                }),
            ),
            ErrorStyle::Detail if !inner.fields.is_empty() => ("application/json", json!({ "detail": inner.fields })),
            ErrorStyle::Detail => {
                let usual = inner.fastapi_detail.as_ref().unwrap_or(&inner.detail);
                let detail = inner.text.map_or(usual.as_str(), |(_, detail)| detail);
                ("application/json", json!({ "detail": detail }))
            }
        };
        let mut response = (status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        // With a 400 of the application's own choice the client is not asked to authenticate.
        let asks = inner.text.is_none() || status == StatusCode::UNAUTHORIZED;
        if let Some(challenge) = self.challenge_header(style).filter(|_| asks) {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = inner.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self.clone());
        response
    }

    /// `WWW-Authenticate`, if the answer has one.
    pub(super) fn challenge_header(&self, style: ErrorStyle) -> Option<HeaderValue> {
        HeaderValue::try_from(self.challenge(style)?).ok()
    }

    fn status(&self, style: ErrorStyle) -> StatusCode {
        match (style, self.0.code, self.0.text) {
            (ErrorStyle::Detail, _, Some((status, _))) => status,
            // The tutorials answer a missing scope with 401.
            (ErrorStyle::Detail, ErrorCode::InsufficientScope, None) => StatusCode::UNAUTHORIZED,
            (ErrorStyle::Detail, ErrorCode::InactiveUser, None) => StatusCode::BAD_REQUEST,
            (_, code, _) => code.status(),
        }
    }

    /// `WWW-Authenticate` (RFC 6750 §3): plain where no token was sent, with the error where one was.
    fn challenge(&self, style: ErrorStyle) -> Option<String> {
        let inner = &*self.0;
        let scope = if inner.scopes.is_empty() { String::new() } else { format!("scope=\"{}\"", inner.scopes) };
        match (style, inner.code) {
            (_, ErrorCode::NotAuthenticated | ErrorCode::IncorrectCredentials) => Some("Bearer".to_owned()),
            (ErrorStyle::Detail, ErrorCode::InvalidToken | ErrorCode::InvalidTicket | ErrorCode::InsufficientScope) => {
                Some(format!("Bearer {scope}").trim_end().to_owned())
            }
            (
                ErrorStyle::Problem,
                code @ (ErrorCode::InvalidToken | ErrorCode::InvalidTicket | ErrorCode::InsufficientScope),
            ) => {
                // RFC 6750 knows no tickets.
                let code = if code == ErrorCode::InvalidTicket { ErrorCode::InvalidToken } else { code };
                let separator = if scope.is_empty() { "" } else { ", " };
                let description = inner.detail.replace(['"', '\\'], "'");
                Some(format!(
                    "Bearer error=\"{}\", error_description=\"{description}\"{separator}{scope}",
                    code.as_str()
                ))
            }
            (ErrorStyle::Problem, ErrorCode::InvalidRequest) => Some("Bearer error=\"invalid_request\"".to_owned()),
            _ => None,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.render(ErrorStyle::Problem)
    }
}

impl From<BearerError> for ApiError {
    fn from(error: BearerError) -> Self {
        match error {
            BearerError::NotAuthenticated => Self::not_authenticated(),
            BearerError::InvalidRequest => Self::new(ErrorCode::InvalidRequest, error.to_string()),
            BearerError::InvalidToken { reason, scopes } => Self::refused_token(reason, scopes),
            BearerError::InsufficientScope { scopes } => Self::insufficient_scope(scopes),
            BearerError::WrongSubject { wanted, shown } => Self::wrong_subject(&wanted, &shown),
            BearerError::Unavailable => Self::unavailable(&error),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Database(_) | StoreError::Conflict(_) | StoreError::UserTable(_) => Self::unavailable(&error),
            StoreError::Corrupt { .. } => Self::internal(&error),
            StoreError::UsernameTaken => Self::new(ErrorCode::UsernameTaken, "This user name is taken."),
            StoreError::EmailTaken => Self::new(ErrorCode::EmailTaken, "This e-mail address is taken."),
        }
    }
}

impl From<AccountError> for ApiError {
    fn from(error: AccountError) -> Self {
        let detail = error.to_string();
        match error {
            AccountError::Invalid(fields) => {
                let problem = |FieldError { field, code, message }| FieldProblem::body(field, code, message);
                Self::validation(fields.into_iter().map(problem).collect())
            }
            AccountError::UsernameTaken => Self::new(ErrorCode::UsernameTaken, detail),
            AccountError::EmailTaken => Self::new(ErrorCode::EmailTaken, detail),
            AccountError::SignupClosed => Self::new(ErrorCode::SignupClosed, detail),
            AccountError::WrongPassword => Self::new(ErrorCode::WrongPassword, detail),
            AccountError::NotFound => Self::new(ErrorCode::UserNotFound, detail),
            AccountError::NotHere => Self::new(ErrorCode::NotChangedHere, detail),
            AccountError::Changed => Self::new(ErrorCode::Changed, detail),
            AccountError::OwnAccount => Self::new(ErrorCode::OwnAccount, detail),
            AccountError::Scope(_) => Self::validation(vec![FieldProblem::body("grant", "unknown_scope", detail)]),
            AccountError::Throttled { retry_after } => Self::throttled(retry_after),
            AccountError::Busy(_) => Self::too_busy(),
            AccountError::BreachedList(_) => Self::internal(&error),
            AccountError::Hash(error) => Self::internal(&error),
            AccountError::Store(error) => error.into(),
        }
    }
}

impl From<SignInError> for ApiError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Refused => Self::new(ErrorCode::IncorrectCredentials, "Incorrect username or password"),
            SignInError::Throttled { retry_after } => Self::throttled(retry_after),
            SignInError::Busy(_) => Self::too_busy(),
            SignInError::Issue(IssueError::Store(error)) => error.into(),
            SignInError::Issue(error @ (IssueError::NoSuchUser | IssueError::NoKey | IssueError::Sign(_))) => {
                Self::internal(&error)
            }
        }
    }
}

impl From<NewPasswordError> for ApiError {
    fn from(error: NewPasswordError) -> Self {
        match error {
            NewPasswordError::Refused(violations) => Self::validation(
                violations
                    .iter()
                    .map(|broken| FieldProblem::body("password", broken.code(), broken.to_string()))
                    .collect(),
            ),
            NewPasswordError::Unreadable(_) => Self::internal(&error),
            NewPasswordError::Busy(_) => Self::too_busy(),
            NewPasswordError::Hash(error @ (HashError::PasswordTooLong { .. } | HashError::PasswordHasNul)) => {
                Self::validation(vec![FieldProblem::body("password", "value_error", error.to_string())])
            }
            NewPasswordError::Hash(error) => Self::internal(&error),
        }
    }
}

impl ApiError {
    /// Why a token does not count on a route that asks for `scopes`.
    pub(super) fn from_authenticate(error: AuthenticateError, scopes: String) -> Self {
        match error {
            AuthenticateError::Store(error) => error.into(),
            AuthenticateError::Token(error) => Self::refused_token(error, scopes),
            AuthenticateError::NotAUser { kind } => Self::wrong_subject("user", &kind),
            AuthenticateError::PersonalToken | AuthenticateError::Ended | AuthenticateError::NoSuchUser => {
                Self::invalid_token(error.to_string(), scopes)
            }
        }
    }
}

pub(super) async fn not_found() -> ApiError {
    ApiError::new(ErrorCode::NotFound, "There is nothing at this address. See /docs.").fastapi("Not Found")
}

pub(super) async fn method_not_allowed() -> ApiError {
    ApiError::new(ErrorCode::MethodNotAllowed, "This address does not take this method; see the Allow header.")
        .fastapi("Method Not Allowed")
}

/// The answer of a route, also where that panics. tower-http's layer does the same, but boxes the body of every answer
/// twice.
pub(super) fn catch_panics<F>(answer: F) -> impl Future<Output = Result<Response, Infallible>>
where
    F: Future<Output = Result<Response, Infallible>>,
{
    AssertUnwindSafe(answer).catch_unwind().map(|answered| answered.unwrap_or_else(|panic| Ok(panicked(panic))))
}

/// A panic is a bug: it is logged by the panic hook, and the request still gets an answer.
pub(super) fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    ApiError::new(ErrorCode::Internal, "Something went wrong on the server.").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_401_carries_a_challenge_in_both_styles() {
        for code in ErrorCode::ALL {
            for style in [ErrorStyle::Problem, ErrorStyle::Detail] {
                let response = ApiError::new(*code, "why \"quoted\" \\").render(style);
                if response.status() == StatusCode::UNAUTHORIZED {
                    let challenge = response.headers()[WWW_AUTHENTICATE].to_str().unwrap();
                    assert!(challenge.starts_with("Bearer"), "{code:?}: {challenge}");
                }
            }
        }
    }
}
