//! `/metrics` for Prometheus, on a listener of its own.

use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use mapae::Mapae;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::commands::{Failure, sentence};

/// The upper bounds of every histogram, in seconds: from a token out of memory to a hash that waited long.
const BUCKETS: &[f64] =
    &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// How often what was recorded is summed up where nobody asks.
const UPKEEP: Duration = Duration::from_secs(5);
/// Prometheus' text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Records metrics from now on, in this whole process.
///
/// # Errors
/// A sentence, if something records them already.
pub(crate) fn install() -> Result<PrometheusHandle, Failure> {
    PrometheusBuilder::new().set_buckets(BUCKETS).and_then(PrometheusBuilder::install_recorder).map_err(sentence)
}

/// Serves the metrics until the task is aborted.
pub(crate) fn serve(listener: TcpListener, handle: PrometheusHandle, mapae: Mapae) -> JoinHandle<()> {
    let upkeep = handle.clone();
    let app = Router::new().route(
        "/metrics",
        get(async move || {
            mapae.observe();
            ([(CONTENT_TYPE, TEXT)], handle.render())
        }),
    );
    tokio::spawn(async move {
        let upkeep = async {
            loop {
                tokio::time::sleep(UPKEEP).await;
                upkeep.run_upkeep();
            }
        };
        tokio::select! {
            ended = axum::serve(listener, app) => {
                if let Err(error) = ended {
                    tracing::error!(%error, "the metrics are not served any more");
                }
            }
            () = upkeep => {}
        }
    })
}
