//! `/.well-known`: the public keys.

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::api::{ApiRouter, answers_as, get_with};
use crate::Service;

/// RFC 7517 §8.5.2.
const MEDIA_TYPE: &str = "application/jwk-set+json";

/// A JWK Set (RFC 7517 §5).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "JwkSet")]
struct PublicKeys {
    /// Public keys, each with its `kid`.
    keys: Vec<Map<String, Value>>,
}

pub(super) fn router() -> ApiRouter<Service> {
    ApiRouter::new().api_route(
        "/.well-known/jwks.json",
        get_with(jwks, |op| {
            let op = op.id("jwks").tag("keys").summary("Public keys that verify this service's tokens (RFC 7517)");
            answers_as::<200, PublicKeys>(op, MEDIA_TYPE)
        }),
    )
}

async fn jwks(State(service): State<Service>) -> Response {
    // The age matches the time for which retiring keys stay.
    ([(CONTENT_TYPE, MEDIA_TYPE), (CACHE_CONTROL, "public, max-age=300")], service.jwks().to_string()).into_response()
}
