//! What happens around every request: an id, a time limit, a log line, and who may call from a browser.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use metrics::counter;
use tokio::time::Instant;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tracing::{Instrument, Level};

use super::client_ip::ClientIp;
use super::error::ApiError;
use super::oauth::OAuthError;
use super::route_metrics::RouteMetrics;
use super::sent_from::DEVICE_TOKEN;
use crate::Service;
use crate::domain::{RequestId, Source};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const NO_SNIFF: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));

/// What [`around`] needs.
#[derive(Clone)]
pub(super) struct Around {
    service: Service,
    /// Tells this process's requests from those of others.
    process: u32,
    count: Arc<AtomicU32>,
    metrics: Arc<RouteMetrics>,
}

impl Around {
    pub(super) fn new(service: Service) -> Self {
        let process = u32::from_be_bytes(service.ids().random());
        Self { service, process, count: Arc::default(), metrics: Arc::default() }
    }

    /// Unique, not secret.
    fn next_id(&self) -> RequestId {
        RequestId { process: self.process, number: self.count.fetch_add(1, Ordering::Relaxed) }
    }
}

/// Below this, errors are those of RFC 6749.
const STANDARDS: &str = "/oauth2/";
/// The most of an origin that is logged.
const MAX_LOGGED_CHARS: usize = 200;

/// Gives the request an id that is in its log lines and in its response, bounds its time, and lets nobody keep the
/// answer unless its route says otherwise: most hold tokens or personal data (RFC 6749 §5.1).
pub(super) async fn around(State(around): State<Around>, mut request: Request, next: Next) -> Response {
    let id = around.next_id();
    let service = &around.service;
    let trusted = &service.settings().http.trusted_proxies;
    let client = ClientIp::of(request.headers(), request.extensions(), trusted);
    request.extensions_mut().insert(Source { address: client.map(|ClientIp(address)| address), request_id: Some(id) });
    let method = request.method().clone();
    // The route, not the address: an address may hold what does not belong into logs.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let limit = service.settings().http.request_timeout;
    let began = Instant::now();

    let span = tracing::info_span!("request", request_id = %id);
    span.in_scope(|| note_blocked_origin(service, request.headers()));
    let answered = tokio::time::timeout(limit, next.run(request)).instrument(span.clone()).await;
    let route = route.as_ref().map_or("-", MatchedPath::as_str);
    let mut response = answered.unwrap_or_else(|_| timed_out(route));

    let took = began.elapsed();
    around.metrics.record(&method, route, response.status(), took);
    span.in_scope(|| log(&method, route, &response, took));
    if let Ok(value) = HeaderValue::try_from(id.to_string()) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    response.headers_mut().insert(NO_SNIFF.0, NO_SNIFF.1);
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The answer to a request that took too long, in the form of its route.
fn timed_out(route: &str) -> Response {
    if route.starts_with(STANDARDS) {
        OAuthError::timed_out().into_response()
    } else {
        ApiError::timed_out().into_response()
    }
}

/// One line for each request: refusals and changes at `info`, failures at `error`, mere reads at `debug`.
fn log(method: &Method, route: &str, response: &Response, took: Duration) {
    let status = response.status();
    let oauth = || response.extensions().get::<OAuthError>().map_or("", |error| error.code);
    let code = response.extensions().get::<ApiError>().map_or_else(oauth, |error| error.code().as_str());
    if !code.is_empty() {
        counter!("mapae_refusals_total", "code" => code).increment(1);
    }
    let milliseconds = took.as_secs_f64() * 1000.0;
    macro_rules! line {
        ($level:expr) => {
            tracing::event!($level, %method, route, status = status.as_u16(), code, milliseconds, "answered")
        };
    }
    if status.is_server_error() {
        line!(Level::ERROR);
    } else if status.is_client_error() || !method.is_safe() {
        line!(Level::INFO);
    } else {
        line!(Level::DEBUG);
    }
}

/// Pages of the configured origins may call with a token. Without any, no CORS header is ever sent.
pub(super) fn cors(service: &Service) -> Option<CorsLayer> {
    let origins = &service.settings().http.cors_origins;
    let origins: Vec<_> = origins.iter().filter_map(|origin| HeaderValue::try_from(origin).ok()).collect();
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins.clone()))
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE, DEVICE_TOKEN])
        .expose_headers([WWW_AUTHENTICATE, RETRY_AFTER, X_REQUEST_ID])
        .max_age(Duration::from_secs(600));
    (!origins.is_empty()).then_some(layer)
}

/// Browsers keep the reason why a page may not call to themselves, so the log says it.
fn note_blocked_origin(service: &Service, headers: &HeaderMap) {
    let Some(origin) = headers.get(ORIGIN) else { return };
    let settings = service.settings();
    let allowed = settings.http.cors_origins.iter().any(|one| one.as_bytes() == origin.as_bytes());
    if allowed || is_same_origin(origin, settings.base_url.origin(), headers) {
        return;
    }
    // Anybody can send any text as an origin: the log takes little of each, each once, and not many.
    let origin: String = String::from_utf8_lossy(origin.as_bytes()).chars().take(MAX_LOGGED_CHARS).collect();
    if service.blocked_origins().is_new(&origin) {
        tracing::warn!(
            ?origin,
            "a page of this origin may not call: if it should, add it to MAPAE_CORS_ORIGINS (cors_origins)"
        );
    }
}

/// Browsers send `Origin` with their own site's POSTs too.
fn is_same_origin(origin: &HeaderValue, own: &str, headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).map(HeaderValue::as_bytes).unwrap_or_default();
    origin.as_bytes() == own.as_bytes()
        || [&b"http://"[..], b"https://"].iter().any(|scheme| origin.as_bytes().strip_prefix(*scheme) == Some(host))
}
