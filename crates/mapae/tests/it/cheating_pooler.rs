//! Something between us and PostgreSQL that writes other statements than those that we send, and counts how often it was
//! asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What is written for what.
type Others = &'static [(&'static str, &'static str)];

/// Listens on a free port until it goes.
pub(crate) struct Pooler {
    listening: JoinHandle<()>,
    asked: Arc<AtomicUsize>,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Pooler {
    /// Comes between, and makes the URL lead through it.
    pub(crate) async fn start(url: &mut String, others: Others) -> Self {
        let server = url::Url::parse(url).unwrap();
        let server = format!("{}:{}", server.host_str().unwrap(), server.port().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        *url = url.replace(&server, &listener.local_addr().unwrap().to_string());
        let server: Arc<str> = server.into();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let listening = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (server, count) = (Arc::clone(&server), Arc::clone(&count));
                tokio::spawn(async move {
                    // A connection that is cut short is the client's business.
                    let _ = pass(client, &server, others, &count).await;
                });
            }
        });
        Self { listening, asked }
    }

    /// How often the server was asked for an answer: each is a round trip.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn pass(client: TcpStream, server: &str, others: Others, asked: &AtomicUsize) -> std::io::Result<()> {
    let (mut from_server, to_server) = TcpStream::connect(server).await?.into_split();
    let (from_client, mut to_client) = client.into_split();
    tokio::select! {
        sent = send(from_client, to_server, others, asked) => sent,
        answered = tokio::io::copy(&mut from_server, &mut to_client) => answered.map(drop),
    }
}

/// Passes the client's messages on: the first has no type, each other one begins with it; then comes a length.
async fn send(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    others: Others,
    asked: &AtomicUsize,
) -> std::io::Result<()> {
    let mut kind = None;
    loop {
        let length = client.read_u32().await?;
        let mut body = vec![0; length as usize - 4];
        client.read_exact(&mut body).await?;
        // Queries and statements to be prepared.
        if matches!(kind, Some(b'Q' | b'P')) {
            for (ours, other) in others {
                body = replaced(&body, ours.as_bytes(), other.as_bytes());
            }
        }
        // A simple query, or the end of what is asked at once.
        if matches!(kind, Some(b'Q' | b'S')) {
            asked.fetch_add(1, Ordering::SeqCst);
        }
        let mut message: Vec<u8> = kind.into_iter().collect();
        message.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
        message.extend(body);
        server.write_all(&message).await?;
        kind = Some(client.read_u8().await?);
    }
}

fn replaced(body: &[u8], ours: &[u8], other: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut rest = body;
    while let Some(at) = rest.windows(ours.len()).position(|window| window == ours) {
        text.extend_from_slice(&rest[..at]);
        text.extend_from_slice(other);
        rest = &rest[at + ours.len()..];
    }
    text.extend_from_slice(rest);
    text
}
