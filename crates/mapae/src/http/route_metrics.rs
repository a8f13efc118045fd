//! How long the routes take.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use metrics::{Histogram, histogram};

/// The methods that are told apart; clients may make up others.
const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// The method's name, if it is one of those; OpenTelemetry's word for the others.
pub(super) fn known_method(method: &Method) -> &str {
    METHODS.iter().find(|known| *known == method).map_or("_OTHER", Method::as_str)
}

/// A histogram for each route, method and status. Finding one by its labels costs more than recording does, so each is
/// found once.
#[derive(Default)]
pub(super) struct RouteMetrics(RwLock<HashMap<Box<str>, Vec<Answered>>>);

/// The answers of one route with one method and status.
struct Answered {
    method: Method,
    status: StatusCode,
    took: Histogram,
}

impl RouteMetrics {
    /// Records an answer. `route` is the pattern, of which there are few.
    pub(super) fn record(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        if !self.record_known(method, route, status, took) {
            let histogram = histogram!(
                "mapae_http_request_duration_seconds",
                "method" => known_method(method).to_owned(), "route" => route.to_owned(), "status" => status.as_str().to_owned()
            );
            histogram.record(took);
            if METHODS.contains(method) {
                let answered = Answered { method: method.clone(), status, took: histogram };
                self.0.write().unwrap_or_else(PoisonError::into_inner).entry(route.into()).or_default().push(answered);
            }
        }
    }

    fn record_known(&self, method: &Method, route: &str, status: StatusCode, took: Duration) -> bool {
        let routes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let known = routes.get(route).and_then(|answers| {
            answers.iter().find(|answered| answered.method == *method && answered.status == status)
        });
        if let Some(answered) = known {
            answered.took.record(took);
        }
        known.is_some()
    }
}
