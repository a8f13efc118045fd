//! The HTTP interface: routers by area, the extractors that protect routes, and errors.

mod admin;
mod body;
mod current_user;
mod docs;
mod error;
mod error_code;
pub mod fastapi;
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
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use request::Around;
use tower::ServiceBuilder;
use tower::util::option_layer;
use tower_http::catch_panic::CatchPanicLayer;

pub use current_user::{CurrentUser, KnownUser};
pub use error::{ApiError, ErrorCode};
pub use form::PasswordRequestForm;
pub use style::ErrorStyle;

use crate::Service;
use crate::pages;

/// The whole stand-alone service.
pub fn app(service: impl Into<Service>) -> Router {
    let service = service.into();
    let http = &service.settings().http;
    let mut document = openapi::document(&service);
    let api = ApiRouter::new()
        .merge(token::signin_router())
        .merge(style::detail(token::form_router()))
        .merge(users::router())
        .merge(admin::router())
        .merge(well_known::router())
        .merge(health::router());
    let mut router = api.finish_api(&mut document);
    if http.docs {
        router = router.merge(docs::router(&document));
    }
    router
        .merge(pages::router())
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(
            // One layer of four parts: each layer of a router costs every request an allocation of its own.
            ServiceBuilder::new()
                .layer(from_fn_with_state(Around::new(service.clone()), request::around))
                .map_response(IntoResponse::into_response)
                .layer(option_layer(request::cors(&service)))
                .layer(CatchPanicLayer::custom(error::panicked))
                .layer(DefaultBodyLimit::max(http.body_limit)),
        )
        .with_state(service)
}
