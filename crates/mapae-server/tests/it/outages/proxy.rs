//! A TCP proxy in front of the database, for one node: it cuts connections, lets them hang, and refuses new ones.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What is done with what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Traffic {
    Flows,
    /// Connections stay open, and nothing is passed on until it flows again.
    Paused,
}

/// Forwards connections until it is dropped.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    upstream: SocketAddr,
    traffic: Arc<watch::Sender<Traffic>>,
    connections: Arc<Mutex<Vec<Connection>>>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

struct Connection {
    forwarding: JoinHandle<()>,
    /// Passes nothing on any more, and does not close either.
    is_dead: Arc<watch::Sender<bool>>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.forwarding.abort();
    }
}

impl Proxy {
    pub(super) async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let traffic = Arc::new(watch::Sender::new(Traffic::Flows));
        let proxy = Self { address, upstream, traffic, connections: Arc::default(), accepting: Mutex::new(None) };
        proxy.accept(listener);
        proxy
    }

    fn connections(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(&self, listener: TcpListener) {
        let (upstream, traffic, connections) =
            (self.upstream, Arc::clone(&self.traffic), Arc::clone(&self.connections));
        let accepting = tokio::spawn(async move {
            while let Ok((down, _)) = listener.accept().await {
                let is_dead = Arc::new(watch::Sender::new(false));
                let state = (traffic.subscribe(), is_dead.subscribe());
                let forwarding = tokio::spawn(forward(down, upstream, state));
                let mut connections = connections.lock().unwrap_or_else(PoisonError::into_inner);
                connections.retain(|one: &Connection| !one.forwarding.is_finished());
                connections.push(Connection { forwarding, is_dead });
            }
        });
        *self.accepting.lock().unwrap_or_else(PoisonError::into_inner) = Some(accepting);
    }

    /// Cuts the oldest connection; whether there was one.
    pub(super) fn cut_one(&self) -> bool {
        let mut connections = self.connections();
        connections.retain(|one| !one.forwarding.is_finished());
        if connections.is_empty() {
            return false;
        }
        connections.remove(0);
        true
    }

    /// Cuts all connections; new ones are let through.
    pub(super) fn cut_all(&self) {
        self.connections().clear();
    }

    /// Cuts all connections and refuses new ones, until [`Self::restore`].
    pub(super) async fn refuse(&self) {
        self.stop_accepting().await;
        self.cut_all();
    }

    /// From now on nothing is heard on the connections that there are: they are neither closed nor will they ever pass
    /// anything on. New ones are refused until [`Self::restore`].
    pub(super) async fn lose(&self) {
        self.stop_accepting().await;
        for connection in self.connections().iter() {
            connection.is_dead.send_replace(true);
        }
    }

    /// Lets new connections through again.
    pub(super) async fn restore(&self) {
        let listener = TcpListener::bind(self.address).await.expect("the port is still free");
        self.accept(listener);
    }

    /// Holds everything back, until [`Self::resume`]. Whoever connects is let in, and waits.
    pub(super) fn pause(&self) {
        self.traffic.send_replace(Traffic::Paused);
    }

    pub(super) fn resume(&self) {
        self.traffic.send_replace(Traffic::Flows);
    }

    async fn stop_accepting(&self) {
        let accepting = self.accepting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(accepting) = accepting {
            accepting.abort();
            // It was told to end; the port is free afterwards.
            let _ = accepting.await;
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(accepting) = self.accepting.lock().unwrap_or_else(PoisonError::into_inner).take() {
            accepting.abort();
        }
    }
}

type State = (watch::Receiver<Traffic>, watch::Receiver<bool>);

async fn forward(down: TcpStream, upstream: SocketAddr, mut state: State) {
    until_it_flows(&mut state).await;
    let Ok(up) = TcpStream::connect(upstream).await else { return };
    for stream in [&down, &up] {
        // As the two would have it without us.
        let _ = stream.set_nodelay(true);
    }
    let ((from_node, to_node), (from_server, to_server)) = (down.into_split(), up.into_split());
    tokio::select! {
        () = pass(from_node, to_server, state.clone()) => {}
        () = pass(from_server, to_node, state) => {}
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut state: State) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else { return };
        until_it_flows(&mut state).await;
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// Never returns for a connection that is dead.
async fn until_it_flows((traffic, is_dead): &mut State) {
    if traffic.wait_for(|traffic| *traffic == Traffic::Flows).await.is_err() || *is_dead.borrow_and_update() {
        std::future::pending::<()>().await;
    }
}
