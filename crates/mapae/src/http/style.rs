//! How a router renders its errors.

use aide::axum::ApiRouter;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::middleware::map_response;
use axum::response::Response;

pub use mapae_verify::axum::ErrorStyle;

use super::error::ApiError;
use crate::Service;

/// Renders the errors of this router as FastAPI does.
pub(super) fn detail(router: ApiRouter<Service>) -> ApiRouter<Service> {
    router.layer(map_response(|response: Response| async { again(response, |_| None) }))
}

/// Renders an error's response anew, as FastAPI does, with what `texts` says instead. Headers that others put onto it,
/// such as `Allow`, stay.
pub(super) fn again(response: Response, texts: ErrorTexts) -> Response {
    let Some(error) = response.extensions().get::<ApiError>().cloned() else { return response };
    let text = texts(&error);
    let mut rendered = error.with_text(text).render(ErrorStyle::Detail);
    let own = [CONTENT_TYPE, CONTENT_LENGTH, WWW_AUTHENTICATE];
    for (name, value) in response.headers().iter().filter(|(name, _)| !own.contains(name)) {
        rendered.headers_mut().entry(name).or_insert(value.clone());
    }
    rendered
}

/// What an application answers instead of the usual status and `detail`.
pub type ErrorTexts = fn(&ApiError) -> Option<(StatusCode, &'static str)>;
