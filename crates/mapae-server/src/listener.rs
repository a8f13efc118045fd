//! Accepting connections, and stopping without cutting anybody off.

mod accept;
mod head_timer;

use std::io::ErrorKind;
use std::time::Duration;

use axum::Router;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::commands::Failure;
use crate::config::{Listen, reason};
use accept::{Limits, accept, accept_last};

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

    /// Waits for one of them.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Serves until a signal; then running requests have `grace` to finish, and new connections are refused. A second
/// signal ends the wait.
pub(crate) async fn serve(listener: TcpListener, app: Router, grace: Duration, mut stop: StopSignals) {
    let (connections, limits) = (GracefulShutdown::new(), Limits::of_this_process());
    let room = limits.room();
    tokio::select! {
        () = stop.next() => {}
        never = accept(&listener, &app, (limits, &room), &connections) => match never {},
    }
    let finish = async {
        // Whoever the system let in already has sent a request, or is about to.
        accept_last(listener, &app, (limits, &room), &connections).await;
        tracing::info!(connections = connections.count(), "stopping: running requests finish, new ones are refused");
        let ended = tokio::time::timeout(grace, connections.shutdown()).await;
        if ended.is_err() {
            tracing::warn!("requests that did not finish in time were cut off");
        }
    };
    tokio::select! {
        () = finish => {}
        () = stop.next() => tracing::warn!("told twice to stop: requests that were running are cut off"),
    }
}
