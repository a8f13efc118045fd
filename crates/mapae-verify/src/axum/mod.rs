//! Routes of axum protected by their handler's signature (feature `axum`).
//!
//! [`Bearer<S>`](Bearer) in a handler's arguments asks for a token with the scopes `S`. The state of the router holds
//! the [`TokenVerifier`] that checks it.
//!
//! ```
//! use axum::{Router, routing::get};
//! use mapae_verify::axum::{Bearer, TokenVerifier};
//! use mapae_verify::{DeclaredScope, Verifier};
//!
//! struct Items;
//! impl DeclaredScope for Items {
//!     const NAME: &'static str = "items";
//!     const DESCRIPTION: &'static str = "Read items.";
//! }
//!
//! // Without a token: 401. Without the scope: 403. Misspell the scope, and it does not compile.
//! async fn items(caller: Bearer<Items>) -> String {
//!     format!("items of {}", caller.sub)
//! }
//!
//! // Strangers are welcome; whoever sends a token must send a good one.
//! async fn hello(caller: Option<Bearer>) -> String {
//!     caller.map_or("hello, stranger".to_owned(), |caller| format!("hello, {}", caller.sub))
//! }
//!
//! fn routes(verifier: Verifier) -> Router {
//!     Router::new()
//!         .route("/items", get(items))
//!         .route("/hello", get(hello))
//!         .with_state(TokenVerifier::from(verifier))
//! }
//! ```
//!
//! A `Bearer` is whoever has a good token: a user, a client, or a thing of the application's own. [`Subject<K, S>`](Subject)
//! takes tokens of one kind of subject alone.
//!
//! [`require`] protects a whole sub-tree, with its fallbacks and files. [`Bearer::ended`] and [`Bearer::until_end`]
//! close WebSockets and streams of events when their token ends.
//!
//! Errors are RFC 9457 problems with a stable `code` unless a router says otherwise: [`error_style`] renders them as
//! FastAPI does, [`on_error`] as the application wants.

mod bearer;
mod ended;
mod error;
#[cfg(any(feature = "openapi", feature = "utoipa"))]
mod flow;
#[cfg(feature = "openapi")]
mod openapi;
mod require;
mod style;
mod subject;
#[cfg(feature = "utoipa")]
mod utoipa;
mod verifier;

pub use bearer::{Bearer, bearer_token};
pub use ended::{CLOSE_TRY_AGAIN_LATER, CLOSE_UNAUTHORIZED, Ended, until_refused};
pub use error::{BearerError, RETRY_SECONDS};
#[cfg(any(feature = "openapi", feature = "utoipa"))]
pub use flow::PasswordFlow;
#[cfg(feature = "openapi")]
pub use openapi::{document_required, finish_openapi, protect};
pub use require::{Require, RequireLayer, require};
pub use style::{ErrorStyle, error_style, on_error};
pub use subject::Subject;
#[cfg(feature = "utoipa")]
pub use utoipa::BearerSecurity;
pub use verifier::{ScopedClaims, TokenVerifier};

/// The name of the security scheme in OpenAPI documents, as in FastAPI's tutorial.
pub const SECURITY_SCHEME: &str = "OAuth2PasswordBearer";
