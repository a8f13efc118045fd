//! The HTTP interface: routers by area, the extractors that protect routes, and errors.

mod admin;
mod api;
mod audit;
mod body;
mod caller;
mod client_ip;
mod clients;
mod cookies;
mod current_user;
#[cfg(feature = "openapi")]
mod docs;
mod ended;
mod error;
mod error_code;
#[cfg(feature = "openapi")]
pub mod fastapi;
mod form;
mod health;
mod minted;
mod minted_id;
mod oauth;
#[cfg(feature = "openapi")]
mod openapi;
mod query;
mod refresh_cookie;
mod request;
mod require;
mod revocations;
mod route_metrics;
mod routers;
mod sent_from;
mod sessions;
mod style;
mod subject;
mod tickets;
mod times;
mod token;
mod users;
mod verify;
mod well_known;

pub use api::Routes;
pub use current_user::{CurrentUser, KnownUser};
#[cfg(feature = "openapi")]
pub use docs::docs_router;
pub use ended::{CLOSE_FORBIDDEN, CLOSE_TRY_AGAIN_LATER, CLOSE_UNAUTHORIZED, Ended};
pub use error::{ApiError, ErrorCode, FieldProblem};
pub use form::{PasswordRequestForm, StrictPasswordRequestForm};
pub use require::{RequireLayer, Required};
pub use routers::app;
pub use style::{ErrorStyle, error_style, on_error};
pub use subject::Subject;
