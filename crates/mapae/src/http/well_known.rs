//! `/.well-known`: the public keys.

use aide::axum::{ApiRouter, IntoApiResponse};
use aide::axum::routing::get_with;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};

use crate::Mapae;

pub(super) fn router() -> ApiRouter<Mapae> {
    ApiRouter::new().api_route(
        "/.well-known/jwks.json",
        get_with(jwks, |op| {
            op.id("jwks").tag("keys").summary("Public keys that verify this service's tokens (RFC 7517)")
        }),
    )
}

async fn jwks(State(mapae): State<Mapae>) -> impl IntoApiResponse {
    // RFC 7517 §8.5.2; the age matches the time for which retiring keys stay.
    ([(CONTENT_TYPE, "application/jwk-set+json"), (CACHE_CONTROL, "public, max-age=300")], mapae.jwks().to_string())
}
