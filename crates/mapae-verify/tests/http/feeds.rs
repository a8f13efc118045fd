//! An issuer that publishes keys and a feed of revocations, and counts how often it is asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use mapae_verify::remote::{RemoteVerifier, RemoteVerifierBuilder};
use mapae_verify::revocations::{Entries, Feed};
use mapae_verify::{ManualClock, SigningKey, VerifierBuilder};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::issuer::published;
use crate::support::{KEY, NOW, Server, token_with};

pub(crate) const OFTEN: Duration = Duration::from_millis(100);

#[derive(Clone, Default)]
struct Desk(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    keys: String,
    feed: String,
    entity_tag: String,
    /// Answered instead of the feed.
    failure: Option<StatusCode>,
    fetches: usize,
    not_modified: usize,
    key_fetches: usize,
}

async fn feed(State(desk): State<Desk>, headers: HeaderMap) -> Response {
    let mut desk = desk.0.lock().unwrap();
    desk.fetches += 1;
    if let Some(status) = desk.failure {
        return status.into_response();
    }
    let entity_tag = [("etag", desk.entity_tag.clone())];
    if !desk.entity_tag.is_empty() && headers.get("if-none-match").is_some_and(|tag| tag == desk.entity_tag.as_str()) {
        desk.not_modified += 1;
        return (StatusCode::NOT_MODIFIED, entity_tag).into_response();
    }
    let media_type = [("content-type", "application/jwt")];
    if desk.entity_tag.is_empty() {
        (media_type, desk.feed.clone()).into_response()
    } else {
        (entity_tag, media_type, desk.feed.clone()).into_response()
    }
}

async fn keys(State(desk): State<Desk>) -> String {
    let mut desk = desk.0.lock().unwrap();
    desk.key_fetches += 1;
    desk.keys.clone()
}

/// Keys at `/.well-known/jwks.json` and the feed at `/.well-known/revocations`, as Mapae has them.
pub(crate) struct FeedIssuer {
    pub(crate) server: Server,
    pub(crate) clock: ManualClock,
    desk: Desk,
}

impl FeedIssuer {
    pub(crate) async fn start() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn on(listener: TcpListener) -> Self {
        let desk = Desk::default();
        let routes = Router::new()
            .route("/.well-known/jwks.json", get(keys))
            .route("/.well-known/revocations", get(feed))
            .with_state(desk.clone());
        let issuer = Self { server: Server::on(listener, routes), clock: ManualClock::new(NOW), desk };
        issuer.publish_keys(&[&KEY]);
        issuer.publish(1, |_| {});
        issuer
    }

    pub(crate) fn url(&self) -> &str {
        &self.server.url
    }

    pub(crate) fn publish_keys(&self, keys: &[&SigningKey]) {
        self.desk.0.lock().unwrap().keys = published(keys);
    }

    /// A feed as this issuer would tell it now.
    pub(crate) fn feed(&self, seq: u64, fill: impl FnOnce(&mut Entries)) -> Feed {
        let mut entries = Entries::new();
        fill(&mut entries);
        let now = mapae_verify::Clock::now(&self.clock);
        Feed { iss: self.url().to_owned(), iat: now, exp: now + 600, seq, entries }
    }

    /// Publishes a feed, signed by [`KEY`].
    pub(crate) fn publish(&self, seq: u64, fill: impl FnOnce(&mut Entries)) {
        self.publish_text(&self.feed(seq, fill).sign(&KEY).unwrap());
    }

    pub(crate) fn publish_text(&self, text: &str) {
        let mut desk = self.desk.0.lock().unwrap();
        desk.entity_tag = format!("\"{}\"", &text[text.len().saturating_sub(16)..].replace('"', ""));
        text.clone_into(&mut desk.feed);
    }

    /// Says nothing of entity tags from now on, or always the same.
    pub(crate) fn entity_tag(&self, tag: &str) {
        tag.clone_into(&mut self.desk.0.lock().unwrap().entity_tag);
    }

    /// Answers with this status instead of the feed.
    pub(crate) fn fail(&self, failure: impl Into<Option<StatusCode>>) {
        self.desk.0.lock().unwrap().failure = failure.into();
    }

    /// How often the feed was asked for.
    pub(crate) fn fetches(&self) -> usize {
        self.desk.0.lock().unwrap().fetches
    }

    pub(crate) fn not_modified(&self) -> usize {
        self.desk.0.lock().unwrap().not_modified
    }

    pub(crate) fn key_fetches(&self) -> usize {
        self.desk.0.lock().unwrap().key_fetches
    }

    /// Waits until the feed that is published now was fetched for certain.
    pub(crate) async fn fetched_anew(&self) {
        // One can have been under way.
        let so_far = self.fetches();
        crate::support::eventually(|| self.fetches() >= so_far + 3).await;
    }

    /// A verifier that asks often.
    pub(crate) fn trusted(&self) -> RemoteVerifierBuilder {
        RemoteVerifier::builder(self.url()).clock(self.clock.clone()).revocations(|feed| feed.interval(OFTEN))
    }

    /// A token of this issuer, with some claims replaced.
    pub(crate) fn token(&self, key: &SigningKey, changes: &Value) -> String {
        let mut claims = json!({ "iss": self.url(), "aud": self.url(), "sid": "s1" });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        token_with(key, &claims)
    }
}

/// Without any leeway, so that tests of the end of tokens need not wait for it.
pub(crate) fn strict(verifier: VerifierBuilder) -> VerifierBuilder {
    verifier.leeway(0)
}
