//! How a router renders its errors.

use axum::http::StatusCode;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::Response;
use mapae_verify::axum::BearerError;
pub use mapae_verify::axum::ErrorStyle;
use tower::util::MapResponseLayer;

use super::error::ApiError;

/// Marks an answer whose router has chosen its form.
#[derive(Clone, Copy)]
struct Rendered;

/// A layer that renders the errors of a router in this style, those of [`Bearer`](mapae_verify::axum::Bearer) included.
/// Routers nested in it that have a layer of their own keep theirs.
pub fn error_style(style: ErrorStyle) -> MapResponseLayer<impl Fn(Response) -> Response + Clone> {
    on_error(move |error| error.render(style))
}

/// A layer that renders the errors of a router by a function, as the application's own envelope. Headers that other
/// layers have put onto the answer, such as `Allow`, stay. A 401 without a challenge gets the error's own.
///
/// ```
/// use axum::response::IntoResponse;
///
/// let envelope = mapae::http::on_error(|error| {
///     let body = format!(r#"{{"ok":false,"error":"{}"}}"#, error.code().as_str());
///     (error.code().status(), body).into_response()
/// });
/// let router: axum::Router = axum::Router::new().layer(envelope);
/// ```
pub fn on_error<F>(render: F) -> MapResponseLayer<impl Fn(Response) -> Response + Clone>
where
    F: Fn(&ApiError) -> Response + Clone,
{
    MapResponseLayer::new(move |response: Response| {
        let extensions = response.extensions();
        if extensions.get::<Rendered>().is_some() {
            return response;
        }
        let bearer = || extensions.get::<BearerError>().cloned().map(ApiError::from);
        match extensions.get::<ApiError>().cloned().or_else(bearer) {
            Some(error) => replace(response, render(&error), error),
            None => response,
        }
    })
}

/// Headers that belong to the body and error of one rendering.
const OWN: [HeaderName; 5] = [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, WWW_AUTHENTICATE, RETRY_AFTER];

fn replace(mut old: Response, mut new: Response, error: ApiError) -> Response {
    let mut headers = std::mem::take(old.headers_mut());
    for name in OWN {
        headers.remove(name);
    }
    headers.extend(std::mem::take(new.headers_mut()));
    *new.headers_mut() = headers;
    if new.status() == StatusCode::UNAUTHORIZED
        && !new.headers().contains_key(WWW_AUTHENTICATE)
        && let Some(challenge) = error.challenge_header(ErrorStyle::Problem)
    {
        new.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    new.extensions_mut().insert(error);
    new.extensions_mut().insert(Rendered);
    new
}
