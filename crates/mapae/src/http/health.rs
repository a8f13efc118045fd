//! `/health` and `/version`: for those who operate the service.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::api::{ApiRouter, get_with};
use super::error::RETRY_SECONDS;
use crate::{Service, VERSION};

/// A dependency that does not answer within this time is not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// The process runs.
#[derive(Serialize, JsonSchema)]
struct Live {
    status: &'static str,
}

/// Whether requests can be served, and what is missing.
#[derive(Serialize, JsonSchema)]
struct Ready {
    /// `ready` or `unavailable`.
    status: &'static str,
    /// `ok`, `unavailable`, or `read-only`: it answers but takes no writes, as a stand-by, and nobody can sign in.
    database: &'static str,
}

/// What runs here.
#[derive(Serialize, JsonSchema)]
struct Version {
    name: &'static str,
    version: &'static str,
}

pub(super) fn router() -> ApiRouter<Service> {
    ApiRouter::new()
        .api_route("/health/live", get_with(live, |op| op.id("live").tag("operate").summary("The process runs")))
        .api_route(
            "/health/ready",
            get_with(ready, |op| {
                op.id("ready")
                    .tag("operate")
                    .summary("Requests can be served")
                    .response_with::<200, Json<Ready>, _>(|response| response.description("Nothing is missing."))
                    .response_with::<503, Json<Ready>, _>(|response| response.description("A dependency is missing."))
            }),
        )
        .api_route("/version", get_with(version, |op| op.id("version").tag("operate").summary("What runs here")))
}

async fn live() -> Json<Live> {
    Json(Live { status: "ok" })
}

async fn ready(State(service): State<Service>) -> Response {
    let database = match tokio::time::timeout(PATIENCE, service.store().takes_writes()).await {
        Ok(Ok(true)) => return Json(Ready { status: "ready", database: "ok" }).into_response(),
        Ok(Ok(false)) => "read-only",
        Ok(Err(_)) | Err(_) => "unavailable",
    };
    let body = Json(Ready { status: "unavailable", database });
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, RETRY_SECONDS.to_string())], body).into_response()
}

async fn version() -> Json<Version> {
    Json(Version { name: "mapae", version: VERSION })
}
