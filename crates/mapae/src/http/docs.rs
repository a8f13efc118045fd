//! `/docs`, `/redoc`, `/openapi.json`: from the binary, reaching for nothing outside.

use std::sync::Arc;

use aide::openapi::OpenApi;
use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{Html, IntoResponse};
use axum::routing::{MethodRouter, get};
use serde::Serialize;

use super::openapi;

/// Scripts only from this service; both tools put styles and images into the page, and ReDoc searches in a worker.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'";

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";

const SWAGGER_UI: &str = r#"<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Mapae API</title><link rel="icon" href="data:,"><link rel="stylesheet" href="docs/swagger-ui.css"></head>
<body><div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script><script src="docs/init.js"></script></body>
</html>
"#;

const REDOC: &str = r#"<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Mapae API</title><link rel="icon" href="data:,"></head>
<body><div id="redoc"></div>
<script src="redoc/redoc.standalone.js"></script><script src="redoc/init.js"></script></body>
</html>
"#;

/// `/docs` (Swagger UI), `/redoc` (ReDoc) and `/openapi.json` for a document that every route of the application has
/// written itself into. Completes the document: scopes that routes ask for get their description.
///
/// ```
/// use aide::axum::{ApiRouter, routing::get};
/// use mapae::{CurrentUser, Mapae};
///
/// async fn hello(user: CurrentUser) -> String {
///     format!("hello, {}", user.username.as_deref().unwrap_or("somebody"))
/// }
///
/// fn app(mapae: Mapae) -> axum::Router {
///     let mut document = mapae.openapi("My API", "1.0.0");
///     ApiRouter::new()
///         .merge(mapae.token_router())
///         .merge(mapae.users_router())
///         .api_route("/hello", get(hello))
///         .finish_api(&mut document)
///         .merge(mapae::http::docs_router(document))
///         .with_state(mapae)
/// }
/// ```
pub fn docs_router<S: Clone + Send + Sync + 'static>(mut document: OpenApi) -> Router<S> {
    openapi::finish(&mut document);
    router(&document)
}

pub(super) fn router<S: Clone + Send + Sync + 'static>(document: &impl Serialize) -> Router<S> {
    let document: Arc<str> = serde_json::to_string(document).unwrap_or_default().into();
    Router::new()
        .route(
            "/openapi.json",
            get(move || async move { ([(CONTENT_TYPE, "application/json")], document.to_string()) }),
        )
        .route("/docs", page(SWAGGER_UI))
        .route("/docs/swagger-ui.css", file(CSS, include_str!("../../assets/swagger-ui/swagger-ui.css")))
        .route(
            "/docs/swagger-ui-bundle.js",
            file(JAVASCRIPT, include_str!("../../assets/swagger-ui/swagger-ui-bundle.js")),
        )
        .route("/docs/init.js", file(JAVASCRIPT, include_str!("../../assets/swagger-ui/init.js")))
        .route("/redoc", page(REDOC))
        .route("/redoc/redoc.standalone.js", file(JAVASCRIPT, include_str!("../../assets/redoc/redoc.standalone.js")))
        .route("/redoc/init.js", file(JAVASCRIPT, include_str!("../../assets/redoc/init.js")))
}

fn page<S: Clone + Send + Sync + 'static>(html: &'static str) -> MethodRouter<S> {
    get(move || async move { ([(CONTENT_SECURITY_POLICY, POLICY)], Html(html)) })
}

fn file<S: Clone + Send + Sync + 'static>(media_type: &'static str, content: &'static str) -> MethodRouter<S> {
    get(move || async move {
        ([(CONTENT_TYPE, media_type), (CACHE_CONTROL, "public, max-age=3600")], content).into_response()
    })
}
