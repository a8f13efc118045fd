//! What happens around every request: an id, a time limit, a log line, and who may call from a browser.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::HttpBody;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use metrics::counter;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};
use tower::Layer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tracing::field::Empty;
use tracing::instrument::Instrumented;
use tracing::{Instrument, Level, Span};

use super::client_ip::ClientIp;
use super::error::ApiError;
use super::oauth::OAuthError;
use super::route_metrics::{RouteMetrics, known_method};
use super::sent_from::DEVICE_TOKEN;
use crate::domain::{RequestId, Source};
use crate::{Service, TRACES};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const NO_SNIFF: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));

/// Gives each request an id that is in its log lines and in its response, bounds its time and its body, and lets nobody
/// keep the answer unless its route says otherwise: most hold tokens or personal data (RFC 6749 §5.1).
#[derive(Clone)]
pub(super) struct AroundLayer(Arc<Shared>);

/// What all routes share.
struct Shared {
    service: Service,
    /// Tells this process's requests from those of others.
    process: u32,
    count: AtomicU32,
    metrics: RouteMetrics,
}

impl AroundLayer {
    pub(super) fn new(service: Service) -> Self {
        let process = u32::from_be_bytes(service.ids().random());
        Self(Arc::new(Shared { service, process, count: AtomicU32::new(0), metrics: RouteMetrics::default() }))
    }
}

impl<I> Layer<I> for AroundLayer {
    type Service = Around<I>;

    fn layer(&self, inner: I) -> Around<I> {
        Around { shared: Arc::clone(&self.0), inner }
    }
}

/// Made by [`AroundLayer`]. A service rather than axum's `from_fn`, which costs every request several allocations.
#[derive(Clone)]
pub(super) struct Around<I> {
    shared: Arc<Shared>,
    inner: I,
}

impl Shared {
    /// Unique, not secret.
    fn next_id(&self) -> RequestId {
        RequestId { process: self.process, number: self.count.fetch_add(1, Ordering::Relaxed) }
    }
}

impl<I> tower::Service<Request> for Around<I>
where
    I: tower::Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Surrounded<I::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let id = self.shared.next_id();
        let text = id.text();
        let service = &self.shared.service;
        let settings = &service.settings().http;
        let client = ClientIp::of(request.headers(), request.extensions(), &settings.trusted_proxies);
        let source = Source { address: client.map(|ClientIp(address)| address), request_id: Some(id) };
        request.extensions_mut().insert(source);
        // Most requests have no body to bound.
        if !request.body().is_end_stream() {
            DefaultBodyLimit::max(settings.body_limit).apply(&mut request);
        }
        let span = tracing::info_span!("request", request_id = str::from_utf8(&text).unwrap_or_default());
        note_blocked_origin(service, request.headers(), &span);
        let method = request.method().clone();
        let route = request.extensions().get::<MatchedPath>().cloned();
        let trace = trace(&method, route.as_ref(), &text);
        let answer = self.inner.call(request).instrument(span).instrument(trace);
        let exchange = Exchange { id: text, method, route, began: Instant::now(), shared: Arc::clone(&self.shared) };
        Surrounded { answer, limit: None, exchange }
    }
}

/// What is known of a request while it is answered.
struct Exchange {
    /// The request's id, as text.
    id: [u8; 16],
    method: Method,
    /// The route, not the address: an address may hold what does not belong into logs.
    route: Option<MatchedPath>,
    began: Instant,
    shared: Arc<Shared>,
}

pin_project! {
    /// The answer of a route, until it is there or the time is up.
    pub(super) struct Surrounded<F> {
        #[pin]
        answer: Instrumented<Instrumented<F>>,
        #[pin]
        limit: Option<Sleep>,
        exchange: Exchange,
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for Surrounded<F> {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let response = match this.answer.as_mut().poll(context) {
            Poll::Ready(Ok(response)) => response,
            Poll::Ready(Err(never)) => match never {},
            Poll::Pending => {
                // What is answered at once never costs a timer.
                if this.limit.is_none() {
                    this.limit.set(Some(tokio::time::sleep_until(this.exchange.end())));
                }
                let Some(limit) = this.limit.as_pin_mut() else { return Poll::Pending };
                ready!(limit.poll(context));
                timed_out(this.exchange.route())
            }
        };
        let (trace, span) = (this.answer.span(), this.answer.inner().span());
        Poll::Ready(Ok(this.exchange.finish(response, span, trace)))
    }
}

impl Exchange {
    /// When the time is up.
    fn end(&self) -> Instant {
        self.began + self.shared.service.settings().http.request_timeout
    }

    fn route(&self) -> &str {
        self.route.as_ref().map_or("-", MatchedPath::as_str)
    }

    fn finish(&self, mut response: Response, span: &Span, trace: &Span) -> Response {
        let took = self.began.elapsed();
        let route = self.route();
        self.shared.metrics.record(&self.method, route, response.status(), took);
        log(&self.method, route, &response, took, span);
        trace.record("http.response.status_code", response.status().as_u16());
        if response.status().is_server_error() {
            trace.record("otel.status_code", "ERROR");
        }
        let headers = response.headers_mut();
        if let Ok(value) = HeaderValue::from_bytes(&self.id) {
            headers.insert(X_REQUEST_ID, value);
        }
        headers.insert(NO_SNIFF.0, NO_SNIFF.1);
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        response
    }
}

/// The request in a trace, under OpenTelemetry's names for it. Like the log it tells the route, and nothing that a client
/// has made up.
fn trace(method: &Method, route: Option<&MatchedPath>, id: &[u8; 16]) -> Span {
    let method = known_method(method);
    let route = route.map_or("-", MatchedPath::as_str);
    tracing::trace_span!(
        target: TRACES,
        "request",
        otel.name = %format_args!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        request_id = str::from_utf8(id).unwrap_or_default(),
    )
}

/// Below this, wherever the application has put it, errors are those of RFC 6749.
const STANDARDS: &str = "/oauth2/";
/// But here, which is a resource (RFC 6750).
const USERINFO: &str = "/oauth2/userinfo";

/// The answer to a request that took too long, in the form of its route.
fn timed_out(route: &str) -> Response {
    if route.contains(STANDARDS) && !route.ends_with(USERINFO) {
        OAuthError::timed_out().into_response()
    } else {
        ApiError::timed_out().into_response()
    }
}

/// The most of an origin that is logged.
const MAX_LOGGED_CHARS: usize = 200;

/// One line for each request: refusals and changes at `info`, failures at `error`, mere reads at `debug`.
fn log(method: &Method, route: &str, response: &Response, took: Duration, span: &Span) {
    let status = response.status();
    let oauth = || response.extensions().get::<OAuthError>().map_or("", |error| error.code);
    let code = response.extensions().get::<ApiError>().map_or_else(oauth, |error| error.code().as_str());
    if !code.is_empty() {
        counter!("mapae_refusals_total", "code" => code).increment(1);
    }
    let milliseconds = took.as_secs_f64() * 1000.0;
    macro_rules! line {
        ($level:expr) => {
            tracing::event!(
                parent: span, $level, %method, route, status = status.as_u16(), code, milliseconds, "answered"
            )
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
fn note_blocked_origin(service: &Service, headers: &HeaderMap, span: &Span) {
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
            parent: span,
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
