//! Traces for an OpenTelemetry collector, by OTLP over HTTP.
//!
//! The library's spans for traces have a target of their own, [`TRACES`], and no other span or log line becomes part of
//! a trace: what a log line may say of a request is decided for those who read the logs.

mod exporter;
mod parent;

use std::time::Duration;

use mapae::TRACES;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanLimits};
use tokio::runtime::Runtime;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;
use url::Url;

use crate::commands::Failure;
use crate::config::reason;
use exporter::Exporter;
pub(crate) use parent::ParentLayer;

/// Where a collector takes traces, below its address.
const PATH: &str = "v1/traces";
/// For one batch of spans, and for the last one before the process ends.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Sends spans to a collector until it is stopped.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    /// Apart from that of the server, which may be busy, and ends before the last spans are sent.
    runtime: Runtime,
}

impl Traces {
    /// Sends spans to the collector at this address. What else there is to say comes from the standard variables, such
    /// as `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER` and `OTEL_EXPORTER_OTLP_HEADERS`.
    ///
    /// # Errors
    /// A sentence, if those cannot be used or the system gives no thread.
    pub(crate) fn start(collector: &Url) -> Result<Self, Failure> {
        let fails = |what: String| Failure::command(format!("Traces cannot be sent: {what}."));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("mapae-traces")
            .enable_all()
            .build()
            .map_err(|error| fails(reason(&error)))?;
        let client = reqwest::Client::builder().timeout(TIMEOUT).build().map_err(|error| fails(error.to_string()))?;
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(endpoint(collector))
            .with_timeout(TIMEOUT)
            .build()
            .map_err(|error| fails(error.to_string()))?;
        let mut resource = Resource::builder();
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("mapae");
        }
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(Exporter::new(exporter, runtime.handle().clone()))
            .with_resource(resource.build())
            .with_span_limits(SpanLimits { max_events_per_span: 0, ..SpanLimits::default() })
            .build();
        Ok(Self { provider, runtime })
    }

    /// What makes spans of the library's, and nothing else's, spans of a trace.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("mapae"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target(TRACES, LevelFilter::TRACE))
    }

    /// Sends what is left.
    pub(crate) fn stop(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(TIMEOUT) {
            tracing::warn!(%error, "the last traces could not be sent");
        }
        self.runtime.shutdown_background();
    }
}

/// Where this collector takes traces.
fn endpoint(collector: &Url) -> String {
    format!("{}/{PATH}", collector.as_str().trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_added_to_the_address() {
        for address in ["http://127.0.0.1:4318", "http://127.0.0.1:4318/"] {
            assert_eq!(endpoint(&address.parse().unwrap()), "http://127.0.0.1:4318/v1/traces");
        }
        assert_eq!(endpoint(&"https://x.example/otlp".parse().unwrap()), "https://x.example/otlp/v1/traces");
    }
}
