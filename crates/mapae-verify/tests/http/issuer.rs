//! An issuer that publishes keys and counts how often it is asked.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use mapae_verify::remote::{RemoteKeys, RemoteKeysBuilder, RemoteVerifier};
use mapae_verify::{KeySet, ManualClock, SigningKey};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::support::{NOW, Server, builder};

type Answer = Arc<dyn Fn() -> Response + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Desk(Arc<Inner>);

struct Inner {
    fetches: AtomicUsize,
    active: AtomicUsize,
    answer: Mutex<Answer>,
    delay: Mutex<Duration>,
}

/// Counts a request that is being answered, until it is answered or given up.
struct Active(Desk);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.0.active.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn jwks(State(desk): State<Desk>) -> Response {
    desk.0.fetches.fetch_add(1, Ordering::SeqCst);
    desk.0.active.fetch_add(1, Ordering::SeqCst);
    let _active = Active(desk.clone());
    let delay = *desk.0.delay.lock().unwrap();
    sleep(delay).await;
    let answer = Arc::clone(&desk.0.answer.lock().unwrap());
    answer()
}

/// A published set of these keys.
pub(crate) fn published(keys: &[&SigningKey]) -> String {
    let keys = KeySet::from_keys(keys.iter().map(|key| key.verification_key())).unwrap();
    serde_json::to_string(&keys.public_jwks()).unwrap()
}

/// An issuer at `…/jwks`.
pub(crate) struct Issuer {
    pub(crate) server: Server,
    pub(crate) desk: Desk,
}

impl Issuer {
    pub(crate) async fn start(keys: &[&SigningKey]) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), keys)
    }

    pub(crate) fn on(listener: TcpListener, keys: &[&SigningKey]) -> Self {
        let empty: Answer = Arc::new(|| ().into_response());
        let (fetches, active) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let desk = Desk(Arc::new(Inner { fetches, active, answer: Mutex::new(empty), delay: Mutex::default() }));
        let server = Server::on(listener, Router::new().route("/jwks", get(jwks)).with_state(desk.clone()));
        let issuer = Self { server, desk };
        issuer.publish(keys);
        issuer
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/jwks", self.server.url)
    }

    pub(crate) fn answer(&self, answer: impl Fn() -> Response + Send + Sync + 'static) {
        *self.desk.0.answer.lock().unwrap() = Arc::new(answer);
    }

    pub(crate) fn publish(&self, keys: &[&SigningKey]) {
        let set = published(keys);
        self.answer(move || ([("content-type", "application/jwk-set+json")], set.clone()).into_response());
    }

    /// Takes this long for each answer from now on.
    pub(crate) fn delay(&self, delay: Duration) {
        *self.desk.0.delay.lock().unwrap() = delay;
    }

    /// How often it was asked.
    pub(crate) fn fetches(&self) -> usize {
        self.desk.0.fetches.load(Ordering::SeqCst)
    }

    /// How many answers are under way.
    pub(crate) fn active(&self) -> usize {
        self.desk.0.active.load(Ordering::SeqCst)
    }

    /// A verifier with the keys of this issuer and the clock that tells how old they are.
    pub(crate) fn trusted(&self) -> (RemoteVerifier, ManualClock) {
        trusted(RemoteKeys::builder(self.url()))
    }
}

pub(crate) fn trusted(settings: RemoteKeysBuilder) -> (RemoteVerifier, ManualClock) {
    let clock = ManualClock::new(NOW);
    (settings.clock(clock.clone()).start().unwrap().verifier(builder), clock)
}
