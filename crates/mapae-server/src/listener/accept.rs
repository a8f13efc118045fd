//! From a listening socket to connections, as many as this process can bear and none that only takes up room.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, getrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tower::ServiceExt;

use super::head_timer::HeadTimer;

/// A client that takes longer for the head of a request is cut off, as is a connection that idles as long.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections at once where the system allows more file descriptors than that.
const MOST_CONNECTIONS: u64 = 16_384;
/// File descriptors for everything else: the database, the log, the runtime.
const OTHER_DESCRIPTORS: u64 = 128;
/// Connections at once in any case.
const LEAST_CONNECTIONS: u64 = 16;
/// Rest after a failure to accept that is not one connection's own, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);
/// At the end, connections that have sent no request are closed after this time.
const LAST_REQUESTS: Duration = Duration::from_millis(50);
/// Between two log lines about the same trouble.
const LOG_PAUSE: Duration = Duration::from_secs(10);

/// How much connections may take up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// For the head of a request, from the first moment of the connection or the end of the request before.
    head_timeout: Duration,
    /// Connections at once; others wait in the system's queue.
    connections: usize,
}

impl Limits {
    /// What the file descriptors of this process allow.
    pub(super) fn of_this_process() -> Self {
        Self { head_timeout: HEAD_TIMEOUT, connections: connections(getrlimit(Resource::Nofile).current) }
    }
}

/// Connections at once for a limit of file descriptors; `None` is no limit.
fn connections(descriptors: Option<u64>) -> usize {
    let connections = descriptors.unwrap_or(u64::MAX).saturating_sub(OTHER_DESCRIPTORS);
    connections.clamp(LEAST_CONNECTIONS, MOST_CONNECTIONS) as usize
}

/// Accepts connections and serves HTTP/1.1 on them, each in a task of its own.
pub(super) async fn accept(
    listener: &TcpListener,
    app: &Router,
    limits: Limits,
    watched: &GracefulShutdown,
) -> Infallible {
    let room = Arc::new(Semaphore::new(limits.connections));
    let (mut full, mut failing) = (Seldom::default(), Seldom::default());
    loop {
        if room.available_permits() == 0 && full.is_due(Instant::now()) {
            tracing::warn!(connections = limits.connections, "as many connections as allowed are open; others wait");
        }
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { continue };
        match listener.accept().await {
            Ok((stream, peer)) => spawn(stream, peer, app, limits.head_timeout, watched, permit),
            Err(error) if is_of_one_connection(error.kind()) => {}
            Err(error) => {
                if failing.is_due(Instant::now()) {
                    tracing::error!(%error, "no connection can be accepted; trying again");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Lets nobody in any more. Whoever the system has let in already is served: he has sent a request, or is about to.
pub(super) async fn close(listener: TcpListener, app: &Router, limits: Limits, watched: &GracefulShutdown) {
    let room = Arc::new(Semaphore::new(limits.connections));
    while let Ok(permit) = Arc::clone(&room).try_acquire_owned()
        && let Ok(Ok((stream, peer))) = tokio::time::timeout(Duration::ZERO, listener.accept()).await
    {
        spawn(stream, peer, app, limits.head_timeout, watched, permit);
    }
    drop(listener);
    tokio::time::sleep(LAST_REQUESTS).await;
}

fn spawn(
    stream: TcpStream,
    peer: SocketAddr,
    app: &Router,
    head_timeout: Duration,
    watched: &GracefulShutdown,
    permit: OwnedSemaphorePermit,
) {
    // Small answers must not wait for more to come; a socket that refuses this works without.
    let _ = stream.set_nodelay(true);
    let service = app.clone().map_request(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        request
    });
    // HTTP/1 alone: what tells the two versions apart by the first bytes waits for them without any limit.
    let timer = HeadTimer::new();
    let connection = Builder::new()
        .timer(timer.clone())
        .header_read_timeout(head_timeout)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let connection = watched.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = timer.watch(connection, head_timeout).await {
            tracing::debug!(%error, "a connection ended early");
        }
        drop(permit);
    });
}

/// Something that is worth a log line, but not each time.
#[derive(Default)]
struct Seldom(Option<Instant>);

impl Seldom {
    fn is_due(&mut self, now: Instant) -> bool {
        let due = self.0.is_none_or(|last| now.duration_since(last) >= LOG_PAUSE);
        if due {
            self.0 = Some(now);
        }
        due
    }
}

fn is_of_one_connection(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
}

#[cfg(test)]
#[path = "accept_tests.rs"]
mod tests;
