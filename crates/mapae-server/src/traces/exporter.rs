//! Sending spans without being in anybody's way.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tokio::runtime::Handle;
use tokio::time::Instant;

/// Between two log lines about a collector that does not answer.
const LOG_PAUSE: Duration = Duration::from_secs(60);

/// Sends batches from a runtime of tokio, which the thread that gathers them has not, and says in the log now and then if
/// that fails: what could not be sent is lost.
pub(super) struct Exporter {
    inner: Arc<opentelemetry_otlp::SpanExporter>,
    runtime: Handle,
    logged: Mutex<Option<Instant>>,
}

impl Exporter {
    pub(super) fn new(inner: opentelemetry_otlp::SpanExporter, runtime: Handle) -> Self {
        Self { inner: Arc::new(inner), runtime, logged: Mutex::new(None) }
    }

    fn note_failure(&self, error: &OTelSdkError) {
        let (mut logged, now) = (self.logged.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        if logged.is_none_or(|last| now.duration_since(last) >= LOG_PAUSE) {
            *logged = Some(now);
            tracing::warn!(%error, "traces could not be sent; they are dropped until the collector answers");
        }
    }
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let inner = Arc::clone(&self.inner);
        let sent = self.runtime.spawn(async move { inner.export(batch).await }).await;
        let sent = sent.unwrap_or_else(|error| Err(OTelSdkError::InternalFailure(error.to_string())));
        sent.inspect_err(|error| self.note_failure(error))
    }

    fn set_resource(&mut self, resource: &Resource) {
        // Before the first batch, so nobody else holds it.
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.set_resource(resource);
        }
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exporter")
    }
}
