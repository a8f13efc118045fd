//! How soon a token is refused that was revoked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use mapae_verify::revocations::{Entries, Feed};
use mapae_verify::{Algorithm, Audience, Claims, Clock, KeySet, NoExtra, Scopes, SigningKey, Subject, SystemClock};
use tokio::time::{Instant, sleep};

use crate::get as call;
use crate::process::Example;

/// An issuer whose feed is in the test's hands.
#[derive(Clone)]
struct Issuer {
    url: String,
    key: Arc<SigningKey>,
    feed: Arc<Mutex<String>>,
}

impl Issuer {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let key = Arc::new(SigningKey::generate(Algorithm::ES256).unwrap());
        let issuer = Self { url, key, feed: Arc::default() };
        issuer.tell(1, &[]);
        let routes = Router::new()
            .route("/.well-known/jwks.json", get(jwks))
            .route(
                "/.well-known/revocations",
                get(async |State(issuer): State<Self>| issuer.feed.lock().unwrap().clone()),
            )
            .with_state(issuer.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        issuer
    }

    fn tell(&self, seq: u64, ended: &[&str]) {
        let mut entries = Entries::new();
        ended.iter().for_each(|sid| entries.end_session(sid));
        let now = SystemClock.now();
        let feed = Feed { iss: self.url.clone(), iat: now, exp: now + 300, seq, entries };
        *self.feed.lock().unwrap() = feed.sign(&self.key).unwrap();
    }

    fn token(&self, sid: &str) -> String {
        let now = SystemClock.now();
        let claims = Claims {
            iss: self.url.clone(),
            sub: Subject::user("0198c0de").unwrap(),
            aud: Audience::one(&self.url),
            exp: now + 900,
            iat: now,
            nbf: None,
            jti: sid.to_owned(),
            client_id: "web".to_owned(),
            scope: Scopes::parse("me").unwrap(),
            sid: Some(sid.to_owned()),
            extra: NoExtra {},
        };
        self.key.sign("at+jwt", &claims).unwrap()
    }
}

async fn jwks(State(issuer): State<Issuer>) -> String {
    let keys = KeySet::from_keys([issuer.key.verification_key()]).unwrap();
    serde_json::to_string(&keys.public_jwks()).unwrap()
}

#[tokio::test]
async fn within_six_seconds() {
    let issuer = Issuer::start().await;
    let example = Example::start(&issuer.url);
    let (ends, stays) = (issuer.token("s1"), issuer.token("s2"));
    for token in [&ends, &stays] {
        assert_eq!(call(&example, "/whoami", Some(token)).await.0, 200);
    }
    issuer.tell(2, &["s1"]);
    let start = Instant::now();
    let (status, _, body) = loop {
        let answer = call(&example, "/whoami", Some(&ends)).await;
        if answer.0 != 200 || start.elapsed() > Duration::from_secs(10) {
            break answer;
        }
        sleep(Duration::from_millis(20)).await;
    };
    let delay = start.elapsed();
    println!("refused {delay:.1?} after it was revoked");
    assert_eq!((status, body["detail"].as_str()), (401, Some("the token was revoked")));
    assert!(delay < Duration::from_secs(6), "{delay:?}");
    assert_eq!(call(&example, "/whoami", Some(&stays)).await.0, 200);
}
