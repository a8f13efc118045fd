//! Routes and their documentation in one registration. Without the feature `openapi` only the routes are left of it.

#[cfg(feature = "openapi")]
#[path = "documented.rs"]
mod imp;
#[cfg(not(feature = "openapi"))]
#[path = "plain.rs"]
mod imp;

use axum::Router;

pub(super) use imp::{ApiRouter, Operation, answers_as, delete_with, get_with, patch_with, post_with};

/// Some routes of this service, to be merged into the application's router, whether it is axum's or aide's:
///
/// ```
/// # fn app(mapae: mapae::Mapae) -> axum::Router {
/// axum::Router::new().merge(mapae.token_router()).nest("/auth", mapae.users_router().into())
/// # }
/// ```
#[must_use = "routes do nothing until they are merged into a router"]
pub struct Routes<S = ()>(pub(super) ApiRouter<S>);

impl<S: Clone + Send + Sync + 'static> From<Routes<S>> for Router<S> {
    fn from(routes: Routes<S>) -> Self {
        routes.0.into()
    }
}

#[cfg(feature = "openapi")]
impl<S: Clone + Send + Sync + 'static> From<Routes<S>> for ApiRouter<S> {
    fn from(routes: Routes<S>) -> Self {
        routes.0
    }
}

impl<S> std::fmt::Debug for Routes<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Routes")
    }
}
