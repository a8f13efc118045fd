//! Mapae: JWT authentication for APIs. Sign up, sign in, get a token, protect a route by naming its scope in the
//! handler's signature.
//!
//! [`Mapae::builder`] makes the service from plain settings; its routers mount one by one into an axum or aide router
//! ([`Mapae::token_router`] and its siblings), and [`CurrentUser`] protects any route beside them. On a user table of the
//! application's own ([`UserStore`]) it works with sessions, or without any table of ours ([`Mapae::stateless`]).
//!
//! # Features
//!
//! | feature | on by default | |
//! |-|-|-|
//! | `openapi` | yes | routes documented by their signatures, with aide; `/docs` and `/redoc`; FastAPI's exact answers |
//! | `pages` | yes | HTML for people |
//! | `sqlite` | yes | the database in a file |
//!
//! The layers, each of which only knows those below it: `http` and `pages` → [`service`] → [`store`] → [`domain`].

#[cfg(doctest)]
mod book;
pub mod domain;
pub mod http;
#[cfg(feature = "pages")]
mod pages;
pub mod service;
pub mod settings;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;

pub use domain::{AnyOf, DeclaredScope, ScopeSet};
pub use http::{CurrentUser, KnownUser, Subject};
pub use service::user_store::{Grant, StoredUser, SubjectClaims, TokenClaims, UserStore, UserTable};
pub use service::{Mapae, Service};
pub use settings::Settings;

/// The version of this library and of the server made from it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The target of the spans that make a trace of a request: the request itself, its passwords and its transactions, all at
/// level `trace`. A program that sends traces filters for it; nothing secret or personal is in them.
pub const TRACES: &str = "mapae_traces";
