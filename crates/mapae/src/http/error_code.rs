//! The catalogue of errors: a stable code for each, with its status and title.

use axum::http::StatusCode;

macro_rules! catalogue {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:ident, $title:literal;)*) => {
        /// Every error that this interface answers, by its stable code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ErrorCode { $($(#[$doc])* $name,)* }

        impl ErrorCode {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable word, `code` of a problem.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The status that it is answered with.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// The short text that is the same for every occurrence, `title` of a problem.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

catalogue! {
    /// A route that needs a token was called without one.
    NotAuthenticated = "not_authenticated", UNAUTHORIZED, "Not authenticated";
    /// The token is malformed, expired, altered, or its session or account has ended.
    InvalidToken = "invalid_token", UNAUTHORIZED, "The token is not valid";
    /// The ticket is unknown, was used, or has expired.
    InvalidTicket = "invalid_ticket", UNAUTHORIZED, "The ticket is not valid";
    /// The token lacks a scope that the route asks for.
    InsufficientScope = "insufficient_scope", FORBIDDEN, "The token lacks a scope";
    /// The token speaks for another kind of subject than the route takes.
    WrongSubject = "wrong_subject", FORBIDDEN, "The token speaks for another subject";
    /// The token was minted from another one, and the route wants one of a sign-in.
    DelegatedToken = "delegated_token", FORBIDDEN, "Not with a token that was minted from another";
    /// The application does not let this account speak for that thing.
    SubjectRefused = "subject_refused", FORBIDDEN, "You may not speak for that";
    /// Unknown name, wrong password or disabled account.
    IncorrectCredentials = "incorrect_credentials", UNAUTHORIZED, "Incorrect username or password";
    /// The token's account is disabled.
    InactiveUser = "inactive_user", FORBIDDEN, "The account is disabled";
    /// A page of another site used the refresh cookie.
    CrossSite = "cross_site", FORBIDDEN, "The request comes from another site";
    /// The password that a signed-in person repeats is wrong.
    WrongPassword = "wrong_password", FORBIDDEN, "The password is wrong";
    /// Accounts are not made over HTTP here.
    SignupClosed = "signup_closed", FORBIDDEN, "Sign-up is closed";
    /// More than one Authorization header.
    InvalidRequest = "invalid_request", BAD_REQUEST, "The request is malformed";
    /// The body is not JSON, or not of the form that it says.
    MalformedBody = "malformed_body", BAD_REQUEST, "The body cannot be read";
    /// The body is of another media type than the route takes.
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "Unsupported media type";
    /// The body is larger than allowed.
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, "The body is too large";
    /// Accounts are in another application's table, which alone can change this.
    NotChangedHere = "not_changed_here", CONFLICT, "Accounts are kept by another application";
    /// Somebody else changed the same thing at the same moment.
    Changed = "changed", CONFLICT, "Somebody else changed it meanwhile";
    /// Fields are missing, unknown, or break a rule; `errors` names each.
    ValidationFailed = "validation_failed", UNPROCESSABLE_ENTITY, "Some fields cannot be taken";
    /// Another account has this user name.
    UsernameTaken = "username_taken", CONFLICT, "The user name is taken";
    /// Another account has this e-mail address.
    EmailTaken = "email_taken", CONFLICT, "The e-mail address is taken";
    /// Another OAuth client has this id.
    ClientTaken = "client_taken", CONFLICT, "The client id is taken";
    /// What is to be made is there already.
    Conflict = "conflict", CONFLICT, "Conflict";
    /// An administrator would lock himself out.
    OwnAccount = "own_account", CONFLICT, "Not on your own account";
    /// There is no such account.
    UserNotFound = "user_not_found", NOT_FOUND, "No such account";
    /// There is no such session, or it has ended.
    SessionNotFound = "session_not_found", NOT_FOUND, "No such session";
    /// There is no such minted token, or it has ended.
    TokenNotFound = "token_not_found", NOT_FOUND, "No such token";
    /// The account has too many minted tokens that are still good.
    TooManyTokens = "too_many_tokens", CONFLICT, "Too many tokens";
    /// There is no such OAuth client.
    ClientNotFound = "client_not_found", NOT_FOUND, "No such client";
    /// There is no such route.
    NotFound = "not_found", NOT_FOUND, "Not Found";
    /// The route exists, but not with this method.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "Method Not Allowed";
    /// There were too many failed attempts; `Retry-After` says when the next one is looked at.
    TooManyAttempts = "too_many_attempts", TOO_MANY_REQUESTS, "Too many failed attempts";
    /// Too many sign-ins are waiting.
    TooBusy = "too_busy", SERVICE_UNAVAILABLE, "Too busy";
    /// The request took too long.
    TimedOut = "timed_out", SERVICE_UNAVAILABLE, "The request took too long";
    /// The database does not answer.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "Temporarily unavailable";
    /// A bug in this service.
    Internal = "internal_error", INTERNAL_SERVER_ERROR, "Internal Server Error";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_words() {
        let mut seen = std::collections::BTreeSet::new();
        for code in ErrorCode::ALL {
            assert!(seen.insert(code.as_str()), "{code:?}");
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            assert!(!code.status().is_success());
        }
    }
}
