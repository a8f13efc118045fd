//! How a router renders its errors.

use aide::axum::ApiRouter;
use axum::middleware::map_response;
use axum::response::Response;

use super::error::ApiError;
use crate::Mapae;

/// The shape of error bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorStyle {
    /// `application/problem+json` (RFC 9457) with a stable `code`; `detail` is a string.
    Problem,
    /// Exactly FastAPI's `{"detail": …}`, for clients of the tutorials.
    Detail,
}

/// Renders the errors of this router as FastAPI does.
pub(super) fn detail(router: ApiRouter<Mapae>) -> ApiRouter<Mapae> {
    router.layer(map_response(|response: Response| async {
        match response.extensions().get::<ApiError>().cloned() {
            Some(error) => error.render(ErrorStyle::Detail),
            None => response,
        }
    }))
}
