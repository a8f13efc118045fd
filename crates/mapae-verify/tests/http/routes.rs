//! The routes that tests call.

use axum::Router;
use axum::routing::get;
use mapae_verify::AnyOf;
use mapae_verify::axum::{Bearer, TokenVerifier};

use crate::support::{Admin, Items, Me, verifier};

async fn any(caller: Bearer) -> String {
    format!("{} may {}", caller.sub, caller.claims().scope)
}

async fn me(_: Bearer<Me>) -> &'static str {
    "me"
}

async fn both(_: Bearer<(Items, Me)>) -> &'static str {
    "both"
}

async fn one_of(_: Bearer<AnyOf<(Items, Admin)>>) -> &'static str {
    "one of"
}

async fn nested(_: Bearer<(Me, AnyOf<(Items, Admin)>)>) -> &'static str {
    "nested"
}

async fn optional(caller: Option<Bearer>) -> String {
    caller.map_or("stranger".to_owned(), |caller| caller.sub.to_string())
}

async fn optional_me(caller: Option<Bearer<Me>>) -> &'static str {
    if caller.is_some() { "me" } else { "stranger" }
}

pub(crate) fn routes(verifier: impl Into<TokenVerifier>) -> Router {
    Router::new()
        .route("/any", get(any))
        .route("/me", get(me))
        .route("/both", get(both))
        .route("/one-of", get(one_of))
        .route("/nested", get(nested))
        .route("/optional", get(optional))
        .route("/optional-me", get(optional_me))
        .route("/open", get(async || "open"))
        .with_state(verifier.into())
}

pub(crate) fn app() -> Router {
    routes(verifier())
}
