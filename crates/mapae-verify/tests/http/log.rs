//! What the log tells about fetching.

use std::io::{self, Write};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::IntoResponse;
use mapae_verify::remote::RemoteKeys;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::feeds::FeedIssuer;
use crate::issuer::{Issuer, trusted};
use crate::support::{KEY, eventually, new_key, token};

/// The log of the whole process: one for a thread alone would miss what other threads were the first to say.
static LOG: LazyLock<Buffer> = LazyLock::new(|| {
    let log = Buffer::default();
    tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).init();
    log
});

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Buffer {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// What the log tells about one issuer from now on.
struct Lines {
    url: String,
    start: usize,
}

impl Lines {
    fn of(url: impl Into<String>) -> Self {
        Self { url: url.into(), start: LOG.0.lock().unwrap().len() }
    }

    fn about(&self, what: &str) -> Vec<String> {
        let text = String::from_utf8(LOG.0.lock().unwrap()[self.start..].to_vec()).unwrap();
        text.lines().filter(|line| line.contains(&self.url) && line.contains(what)).map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn changes_are_told_once() {
    let issuer = Issuer::start(&[]).await;
    let lines = Lines::of(issuer.url());
    let secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I";
    let forged = "k\n2026 INFO forged";
    let bad = [
        json!({ "kty": "oct", "kid": "shared", "alg": "HS256", "k": secret }),
        json!({ "kty": "EC", "kid": forged, "crv": "P-256" }),
    ];
    let set = |keys: &[&mapae_verify::SigningKey]| {
        let good = keys.iter().map(|key| serde_json::to_value(key.public_jwk().unwrap()).unwrap());
        let body = json!({ "keys": bad.iter().cloned().chain(good).collect::<Vec<_>>() }).to_string();
        move || body.clone().into_response()
    };
    issuer.answer(set(&[&KEY]));
    let url = format!("{}?credential=hidden", issuer.url());
    let (verifier, _clock) = trusted(RemoteKeys::builder(url).interval(Duration::from_millis(100)));
    let token = token(&KEY, "me");
    verifier.verify(&token).await.unwrap();
    eventually(|| issuer.fetches() >= 4).await;

    let fetched = lines.about("keys fetched");
    assert_eq!(fetched.len(), 1, "{fetched:#?}");
    assert!(fetched[0].contains("INFO") && fetched[0].contains(KEY.kid().unwrap()), "{}", fetched[0]);
    let skipped = lines.about("a key is skipped");
    assert_eq!(skipped.len(), 2, "{skipped:#?}");
    assert!(skipped.iter().all(|line| line.contains("WARN")), "{skipped:#?}");
    assert!(skipped.iter().any(|line| line.contains("\"shared\"") && line.contains("a shared secret")), "{skipped:#?}");
    assert!(skipped.iter().any(|line| line.contains(r"k\n2026") && line.contains("`x` is missing")), "{skipped:#?}");

    let new = new_key();
    issuer.answer(set(&[&KEY, &new]));
    eventually(|| lines.about("keys fetched").len() == 2).await;
    issuer.answer(|| StatusCode::BAD_GATEWAY.into_response());
    eventually(|| lines.about("could not be fetched").len() >= 2).await;
    let failed = lines.about("could not be fetched");
    assert!(failed[0].contains("WARN") && failed[0].contains("status 502"), "{}", failed[0]);
    assert_eq!(lines.about("a key is skipped").len(), 2, "nothing new about them");

    for hidden in [secret, "credential", "hidden", token.as_str()] {
        assert_eq!(lines.about(hidden), [""; 0]);
    }
}

#[tokio::test]
async fn a_feed_that_fails_is_told_when_that_changes() {
    let issuer = FeedIssuer::start().await;
    let lines = Lines::of(issuer.url());
    let url = format!("{}/.well-known/revocations?credential=hidden", issuer.url());
    let verifier = issuer.trusted().revocations(|feed| feed.url(url)).start().unwrap();
    verifier.ready().await.unwrap();
    issuer.fetched_anew().await;
    issuer.publish_text(&token(&KEY, "me"));
    issuer.fetched_anew().await;
    issuer.clock.advance(300);
    issuer.fetched_anew().await;
    issuer.publish(2, |_| {});
    eventually(|| lines.about("revocations are fetched").len() == 2).await;

    let told = lines.about("revocations");
    assert_eq!(told.len(), 4, "{told:#?}");
    assert!(told[0].contains("INFO") && told[3].contains("INFO"), "{told:#?}");
    assert!(told[1].contains("WARN") && told[1].contains("wrong type of token"), "{}", told[1]);
    assert!(told[1].contains("the last ones are kept") && told[1].contains("seconds=300"), "{}", told[1]);
    assert!(told[2].contains("ERROR") && told[2].contains("tokens are refused"), "{}", told[2]);
    assert_eq!(lines.about("hidden"), [""; 0]);
}
