//! Mapae: JWT authentication for APIs. Sign up, sign in, get a token, protect a route by naming its scope in the
//! handler's signature.
//!
//! The layers, each of which only knows those below it: `http` and `pages` → [`service`] → [`store`] → [`domain`].

#[cfg(doctest)]
mod book;
pub mod domain;
pub mod http;
mod pages;
pub mod service;
pub mod settings;
pub mod store;

pub use domain::{AnyOf, DeclaredScope, ScopeSet};
pub use http::{CurrentUser, KnownUser};
pub use service::user_store::{Grant, StoredUser, SubjectClaims, TokenClaims, UserStore, UserTable};
pub use service::{Mapae, Service};
pub use settings::Settings;

/// The version of this library and of the server made from it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
