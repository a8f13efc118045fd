//! The HTTP interface: routers by area, the extractors that protect routes, and errors.

mod admin;
mod body;
mod current_user;
mod docs;
mod error;
mod form;
mod health;
mod openapi;
mod request;
mod style;
mod token;
mod users;
mod well_known;

use aide::axum::ApiRouter;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use tower::util::option_layer;
use tower_http::catch_panic::CatchPanicLayer;

pub use current_user::CurrentUser;
pub use error::{ApiError, ErrorCode};
pub use form::PasswordRequestForm;
pub use style::ErrorStyle;

use crate::Mapae;
use crate::pages;

/// The whole stand-alone service.
pub fn app(mapae: Mapae) -> Router {
    let http = &mapae.settings().http;
    let mut document = openapi::document(&mapae);
    let accounts = ApiRouter::new()
        .merge(token::signin_router())
        .merge(style::detail(token::form_router()))
        .merge(users::router())
        .merge(admin::router());
    // The style renders errors anew, so what goes onto every answer comes after it.
    let api = request::no_store(accounts).merge(well_known::router()).merge(health::router());
    let mut router = api.finish_api(&mut document);
    if http.docs {
        router = router.merge(docs::router(&document));
    }
    router
        .merge(pages::router())
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(DefaultBodyLimit::max(http.body_limit))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(option_layer(request::cors(&mapae)))
        .layer(axum::middleware::from_fn_with_state(mapae.clone(), request::around))
        .with_state(mapae)
}
