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
/// For so long, at most, those are let in at the end who had connected already: where new ones come all the time, that has
/// no end. As long has the last of them to send a request.
const LAST: Duration = Duration::from_millis(50);
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

/// What is left of the connections that are allowed.
pub(super) type Room = Arc<Semaphore>;

impl Limits {
    /// What the file descriptors of this process allow.
    pub(super) fn of_this_process() -> Self {
        Self { head_timeout: HEAD_TIMEOUT, connections: connections(getrlimit(Resource::Nofile).current) }
    }

    pub(super) fn room(self) -> Room {
        Arc::new(Semaphore::new(self.connections))
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
    (limits, room): (Limits, &Room),
    watched: &GracefulShutdown,
) -> Infallible {
    let (mut full, mut failing) = (Seldom::default(), Seldom::default());
    loop {
        if room.available_permits() == 0 && full.is_due(Instant::now()) {
            tracing::warn!(connections = limits.connections, "as many connections as allowed are open; others wait");
        }
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(room).acquire_owned().await else { continue };
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

/// Lets in who has connected already, and nobody after that. Whoever was let in has a moment to send a request: a
/// connection on which nothing has come is closed with those that idle.
pub(super) async fn accept_last(
    listener: TcpListener,
    app: &Router,
    limits: (Limits, &Room),
    watched: &GracefulShutdown,
) {
    accept_waiting(&listener, app, limits, watched).await;
    drop(listener);
    tokio::time::sleep(LAST).await;
}

/// Accepts the connections that wait in the system's queue, as far as there is room, and serves them.
async fn accept_waiting(
    listener: &TcpListener,
    app: &Router,
    (limits, room): (Limits, &Room),
    watched: &GracefulShutdown,
) {
    let until = Instant::now() + LAST;
    while Instant::now() < until
        && let Ok(permit) = Arc::clone(room).try_acquire_owned()
        && let Ok(accepted) = tokio::time::timeout(Duration::ZERO, listener.accept()).await
    {
        match accepted {
            Ok((stream, peer)) => spawn(stream, peer, app, limits.head_timeout, watched, permit),
            Err(error) if is_of_one_connection(error.kind()) => {}
            Err(_) => return,
        }
    }
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
