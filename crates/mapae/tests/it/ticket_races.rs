//! Sixteen who show one ticket at the same moment, to one process or to two on one database.

use std::sync::Arc;

use tokio::sync::Barrier;

use crate::live::{Live, says};
use crate::server::Server;
use crate::tickets::ticket;

const RACERS: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_sixteen_passes() {
    let server = Server::start().await;
    let other = server.another_process().await;
    let _background = other.watch().await.unwrap();
    let here = Arc::new(Live::start(&server.mapae).await);
    let there = Arc::new(Live::start(&other).await);
    let (_, token) = server.newcomer("ann").await;
    for (round, second) in [(0, &here), (1, &there), (2, &there), (3, &here), (4, &there)] {
        let path = Arc::new(format!("/ws?ticket={}", ticket(&server, &token).await));
        let barrier = Arc::new(Barrier::new(RACERS));
        let racers: Vec<_> = (0..RACERS)
            .map(|number| {
                let live = if number % 2 == 0 { here.clone() } else { second.clone() };
                let (path, barrier) = (path.clone(), barrier.clone());
                tokio::spawn(async move {
                    barrier.wait().await;
                    live.socket(&path, None).await
                })
            })
            .collect();
        let mut sockets = Vec::new();
        for racer in racers {
            match racer.await.unwrap() {
                Ok(socket) => sockets.push(socket),
                Err((status, body)) => assert!(status == 401 && body.contains("invalid_ticket"), "{status} {body}"),
            }
        }
        assert_eq!(sockets.len(), 1, "round {round}");
        says(&mut sockets[0], "hello").await;
    }
}
