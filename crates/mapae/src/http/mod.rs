//! The HTTP interface: routers by area, the extractors that protect routes, and errors.

mod admin;
mod api;
mod body;
mod clients;
mod cookies;
mod current_user;
mod device;
#[cfg(feature = "openapi")]
mod docs;
mod error;
mod error_code;
#[cfg(feature = "openapi")]
pub mod fastapi;
mod form;
mod health;
mod oauth;
#[cfg(feature = "openapi")]
mod openapi;
mod refresh_cookie;
mod request;
mod revocations;
mod routers;
mod sessions;
mod style;
mod token;
mod users;
mod verify;
mod well_known;

pub use api::Routes;
pub use current_user::{CurrentUser, KnownUser};
#[cfg(feature = "openapi")]
pub use docs::docs_router;
pub use error::{ApiError, ErrorCode, FieldProblem};
pub use form::{PasswordRequestForm, StrictPasswordRequestForm};
pub use routers::app;
pub use style::{ErrorStyle, error_style, on_error};
