//! Accepting connections, and stopping without cutting anybody off.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tower::ServiceExt;

use crate::commands::Failure;
use crate::config::{Listen, reason};

/// A client that takes longer for the head of a request is cut off, as is a connection that idles as long.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Rest after a failure to accept that is not one connection's own, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// Takes the address.
///
/// # Errors
/// A sentence that says what to do.
pub(crate) async fn bind(listen: &Listen) -> Result<TcpListener, Failure> {
    TcpListener::bind((listen.host.as_str(), listen.port)).await.map_err(|error| {
        let advice = match error.kind() {
            ErrorKind::AddrInUse => {
                "is in use by another program: stop that, or choose another with --listen or PORT".to_owned()
            }
            ErrorKind::PermissionDenied => {
                "is not allowed to this user: choose a port above 1023 with --listen or PORT".to_owned()
            }
            ErrorKind::AddrNotAvailable => "is not an address of this machine: choose another with --listen".to_owned(),
            _ => format!("cannot be listened on ({}): choose another with --listen", reason(&error)),
        };
        Failure::command(format!("{listen} {advice}."))
    })
}

/// The signals that stop the server.
pub(crate) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// From now on the signals no longer end the process by themselves.
    ///
    /// # Errors
    /// A sentence, if the system refuses.
    pub(crate) fn catch() -> Result<Self, Failure> {
        let catch = |kind| {
            signal(kind).map_err(|error| Failure::command(format!("Signals cannot be caught: {}.", reason(&error))))
        };
        Ok(Self { terminate: catch(SignalKind::terminate())?, interrupt: catch(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Serves until a signal; then running requests have `grace` to finish, and new connections are refused. A second
/// signal ends the wait.
pub(crate) async fn serve(listener: TcpListener, app: Router, grace: Duration, mut stop: StopSignals) {
    let connections = GracefulShutdown::new();
    loop {
        tokio::select! {
            () = stop.next() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => spawn(stream, peer, &app, &connections),
                Err(error) if is_of_one_connection(error.kind()) => {}
                Err(error) => {
                    tracing::error!(%error, "no connection can be accepted; trying again");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    tracing::info!(connections = connections.count(), "stopping: running requests finish, new ones are refused");
    tokio::select! {
        () = connections.shutdown() => {}
        () = tokio::time::sleep(grace) => tracing::warn!("requests that did not finish in time were cut off"),
        () = stop.next() => tracing::warn!("told twice to stop: requests that were running are cut off"),
    }
}

fn spawn(stream: TcpStream, peer: SocketAddr, app: &Router, connections: &GracefulShutdown) {
    // Small answers must not wait for more to come; a socket that refuses this works without.
    let _ = stream.set_nodelay(true);
    let service = app.clone().map_request(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        request
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(HEAD_TIMEOUT);
    let connection =
        builder.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service)).into_owned();
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error, "a connection ended early");
        }
    });
}

fn is_of_one_connection(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
}
