//! Keys, tokens and servers that several tests use.

use std::sync::LazyLock;
use std::time::Duration;

use axum::Router;
use mapae_verify::{
    Algorithm, Audience, Claims, DeclaredScope, KeySet, ManualClock, NoExtra, Scopes, SharedKeys, SigningKey, Subject,
    Verifier, VerifierBuilder,
};
use reqwest::{Client, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

pub(crate) const ISSUER: &str = "https://auth.example";
pub(crate) const AUDIENCE: &str = "https://api.example";
pub(crate) const NOW: i64 = 1_800_000_000;

/// The key of most tests.
pub(crate) static KEY: LazyLock<SigningKey> = LazyLock::new(new_key);

macro_rules! scope {
    ($name:ident, $text:literal, $description:literal) => {
        pub(crate) struct $name;
        impl DeclaredScope for $name {
            const NAME: &'static str = $text;
            const DESCRIPTION: &'static str = $description;
        }
    };
}
scope!(Me, "me", "Read information about the current user.");
scope!(Items, "items", "Read items.");
scope!(Admin, "admin", "Everything.");

/// A key with an id of its own.
pub(crate) fn new_key() -> SigningKey {
    SigningKey::generate(Algorithm::ES256).unwrap()
}

pub(crate) fn claims(scope: &str) -> Claims {
    Claims {
        iss: ISSUER.into(),
        sub: Subject::user("0198c0de").unwrap(),
        aud: Audience::one(AUDIENCE),
        exp: NOW + 900,
        iat: NOW,
        nbf: None,
        jti: "7f3a".into(),
        client_id: "web".into(),
        scope: Scopes::parse(scope).unwrap(),
        sid: None,
        act: None,
        extra: NoExtra {},
    }
}

/// A good token with these scopes.
pub(crate) fn token(key: &SigningKey, scope: &str) -> String {
    key.sign("at+jwt", &claims(scope)).unwrap()
}

/// A token whose claims have some replaced.
pub(crate) fn token_with(key: &SigningKey, changes: &Value) -> String {
    let mut claims = serde_json::to_value(claims("me items")).unwrap();
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    key.sign("at+jwt", &claims).unwrap()
}

pub(crate) fn builder(keys: impl Into<SharedKeys>) -> VerifierBuilder {
    VerifierBuilder::rfc9068(keys, ISSUER, AUDIENCE).clock(ManualClock::new(NOW))
}

/// A verifier that knows [`KEY`].
pub(crate) fn verifier() -> Verifier {
    builder(KeySet::from_keys([KEY.verification_key()]).unwrap()).build()
}

/// A client that does not read the system's certificates, which takes a while.
pub(crate) fn client() -> Client {
    Client::builder().tls_certs_only([]).no_proxy().build().unwrap()
}

/// A server on a free port, stopped when dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(app: Router) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), app)
    }

    pub(crate) fn on(listener: TcpListener, app: Router) -> Self {
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, task }
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Response {
        client().get(format!("{}{path}", self.url)).bearer_auth(token).send().await.unwrap()
    }

    pub(crate) async fn get_as_stranger(&self, path: &str) -> Response {
        client().get(format!("{}{path}", self.url)).send().await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Status, challenge, media type and body of an answer.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) challenge: Option<String>,
    pub(crate) media_type: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn of(response: Response) -> Self {
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        Self {
            status: response.status().as_u16(),
            challenge: header("www-authenticate"),
            media_type: header("content-type").unwrap_or_default(),
            body: response.text().await.unwrap(),
        }
    }
}

/// Waits until it is true; a test that waits too long has failed.
#[track_caller]
pub(crate) fn eventually(mut is_true: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let wait = async {
            while !is_true() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("not in 20 s: {caller}"));
    }
}
