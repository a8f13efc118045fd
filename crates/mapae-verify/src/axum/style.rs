//! How a router renders its errors.

use axum_core::response::Response;
use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use tower::util::MapResponseLayer;

use super::BearerError;

/// The shape of error bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorStyle {
    /// `application/problem+json` (RFC 9457) with a stable `code`; `detail` is a string.
    Problem,
    /// Exactly FastAPI's `{"detail": …}`, for clients of its tutorial; a missing scope is 401 there.
    Detail,
}

/// A layer that renders the [`BearerError`]s of a router in this style. Routers nested in it that have a layer of
/// their own keep theirs.
pub fn error_style(style: ErrorStyle) -> MapResponseLayer<impl Fn(Response) -> Response + Clone> {
    on_error(move |error| error.render(style))
}

/// A layer that renders the [`BearerError`]s of a router by a function, as the application's own envelope. Headers
/// that other layers have put onto the answer stay. A 401 without a challenge gets the error's own.
///
/// ```
/// use axum::response::IntoResponse;
/// use mapae_verify::axum::{ErrorStyle, on_error};
///
/// let envelope = on_error(|error| {
///     let body = format!(r#"{{"ok":false,"error":"{}"}}"#, error.code());
///     (error.status(ErrorStyle::Problem), body).into_response()
/// });
/// let router: axum::Router = axum::Router::new().layer(envelope);
/// ```
pub fn on_error<F>(render: F) -> MapResponseLayer<impl Fn(Response) -> Response + Clone>
where
    F: Fn(&BearerError) -> Response + Clone,
{
    MapResponseLayer::new(move |response: Response| {
        let extensions = response.extensions();
        match extensions.get::<BearerError>().filter(|_| extensions.get::<Rendered>().is_none()).cloned() {
            Some(error) => replace(response, render(&error), error),
            None => response,
        }
    })
}

/// Marks an answer whose router has chosen its form.
#[derive(Clone, Copy)]
struct Rendered;

/// Headers that belong to the body and error of one rendering.
const OWN: [HeaderName; 5] = [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, WWW_AUTHENTICATE, RETRY_AFTER];

fn replace(old: Response, mut new: Response, error: BearerError) -> Response {
    let (mut old, _) = old.into_parts();
    for name in OWN {
        old.headers.remove(name);
    }
    old.headers.extend(std::mem::take(new.headers_mut()));
    if new.status() == StatusCode::UNAUTHORIZED
        && !old.headers.contains_key(WWW_AUTHENTICATE)
        && let Some(challenge) = error.challenge(ErrorStyle::Problem)
    {
        old.headers.insert(WWW_AUTHENTICATE, challenge);
    }
    *new.headers_mut() = old.headers;
    old.extensions.extend(std::mem::take(new.extensions_mut()));
    old.extensions.insert(error);
    old.extensions.insert(Rendered);
    *new.extensions_mut() = old.extensions;
    new
}
