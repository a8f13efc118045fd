//! Ten thousand guesses on every path that checks a secret, by 64 workers: how many of them reach a hash.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::routing::get;
use mapae::CurrentUser;
use mapae::domain::{ClientType, SecretText};
use mapae::service::{By, SignInError};
use mapae_verify::Scopes;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::json;

use crate::oauth;
use crate::server::{PASSWORD, Server, header, text};

const GUESSES: usize = 10_000;
const WORKERS: usize = 64;
const TYPED: &str = "typed by somebody in 2026";

/// Every path that checks a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Path {
    Form,
    Json,
    PasswordGrant,
    Library,
    UnknownName,
    ChangePassword,
    ChangeAddress,
    DeleteAccount,
    TypedSecret,
    TypedSecretIntrospects,
    TypedSecretRevokes,
    MadeSecret,
    UnknownClient,
    RefreshGrant,
    RefreshCookie,
    Ticket,
}

const PATHS: [Path; 16] = [
    Path::Form,
    Path::Json,
    Path::PasswordGrant,
    Path::Library,
    Path::UnknownName,
    Path::ChangePassword,
    Path::ChangeAddress,
    Path::DeleteAccount,
    Path::TypedSecret,
    Path::TypedSecretIntrospects,
    Path::TypedSecretRevokes,
    Path::MadeSecret,
    Path::UnknownClient,
    Path::RefreshGrant,
    Path::RefreshCookie,
    Path::Ticket,
];

/// The server behind a proxy of this machine, an application of its own beside it, and a thief of ann's access token.
struct Target {
    server: Server,
    application: String,
    client: Client,
    stolen: String,
}

impl Target {
    async fn start() -> Self {
        let server = Server::start_with(|settings| {
            settings.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        })
        .await;
        server.sign_up("ann").await;
        let mut typed = oauth::new_client("typed", ClientType::Confidential, "client_credentials", "items");
        typed.secret = Some(oauth::secret(TYPED));
        server.mapae.add_client(typed, By::System).await.unwrap();
        oauth::confidential(&server, "made", "client_credentials", "items").await;
        let stolen = server.sign_in("ann").await;

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let application = format!("http://{}", listener.local_addr().unwrap());
        let route = get(async |user: CurrentUser| user.id.to_string());
        let router = Router::new().route("/events", route).with_state(server.mapae.clone());
        let router = router.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { server, application, client: Client::new(), stolen }
    }

    fn oauth(&self, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        self.server.post(path).form(form)
    }

    /// A wrong secret from this address; `None` if it is looked at.
    async fn guess(&self, path: Path, number: usize, from: &str) -> Option<u32> {
        let wrong = format!("guess number {number}");
        if path == Path::Library {
            let wrong = SecretText::new(wrong);
            return match self.server.mapae.sign_in("ann", &wrong, &Scopes::default()).await.unwrap_err() {
                SignInError::Throttled { retry_after } => Some(retry_after),
                SignInError::Refused => None,
                other => panic!("{other}"),
            };
        }
        let basic = |path: &str, form: &[(&str, &str)]| self.oauth(path, form).basic_auth("typed", Some(&wrong));
        let own = |request: RequestBuilder, body: serde_json::Value| request.bearer_auth(&self.stolen).json(&body);
        let nobody = if path == Path::UnknownName { "nobody" } else { "ann" };
        let request = match path {
            Path::Form => self.server.post("/token").form(&[("username", "Ann"), ("password", &*wrong)]),
            Path::Json | Path::UnknownName | Path::Library => {
                self.server.post("/users/signin").json(&json!({ "username": nobody, "password": wrong }))
            }
            Path::PasswordGrant => self.oauth(
                "/oauth2/token",
                &[("grant_type", "password"), ("client_id", "mapae"), ("username", "ann"), ("password", &wrong)],
            ),
            Path::ChangePassword => own(
                self.server.post("/users/me/password"),
                json!({ "current_password": wrong, "new_password": "seven purple elephants" }),
            ),
            Path::ChangeAddress => {
                own(self.server.patch("/users/me"), json!({ "email": "eve@example.com", "password": wrong }))
            }
            Path::DeleteAccount => own(self.server.delete("/users/me"), json!({ "password": wrong })),
            Path::TypedSecret => basic("/oauth2/token", &[("grant_type", "client_credentials")]),
            Path::TypedSecretIntrospects => basic("/oauth2/introspect", &[("token", "x")]),
            Path::TypedSecretRevokes => basic("/oauth2/revoke", &[("token", "x")]),
            Path::MadeSecret => self.oauth(
                "/oauth2/token",
                &[("grant_type", "client_credentials"), ("client_id", "made"), ("client_secret", &wrong)],
            ),
            Path::UnknownClient => self.oauth(
                "/oauth2/token",
                &[("grant_type", "client_credentials"), ("client_id", "none"), ("client_secret", &wrong)],
            ),
            Path::RefreshGrant => self.oauth(
                "/oauth2/token",
                &[("grant_type", "refresh_token"), ("client_id", "mapae"), ("refresh_token", &wrong)],
            ),
            Path::RefreshCookie => self
                .server
                .post("/users/refresh")
                .header("origin", &self.server.url)
                .header("cookie", format!("__Host-mapae-refresh=mr_{number}")),
            Path::Ticket => self
                .client
                .get(format!("{}/events?ticket=mt_{number}", self.application))
                .header("accept", "text/event-stream"),
        };
        outcome(request.header("x-forwarded-for", from).send().await.unwrap()).await
    }

    /// The right password from this address, with this device token.
    async fn owner(&self, from: &str, device: Option<&str>) -> Response {
        let request = self.server.post("/users/signin").json(&json!({ "username": "ann", "password": PASSWORD }));
        let request = device.into_iter().fold(request, |request, token| request.header("mapae-device-token", token));
        request.header("x-forwarded-for", from).send().await.unwrap()
    }
}

/// `Retry-After` of a 429; `None` for another refusal.
async fn outcome(response: Response) -> Option<u32> {
    let (status, retry_after) = (response.status().as_u16(), header(&response, "retry-after"));
    let body = response.text().await.unwrap();
    match status {
        429 => {
            assert!(body.contains("Too many failed attempts"), "{body}");
            Some(retry_after.parse().unwrap())
        }
        400 | 401 | 403 => None,
        other => panic!("{other}: {body}"),
    }
}

/// Guesses from 64 workers; how many were looked at, by path. Meanwhile the owner signs in again and again.
async fn flood(target: &Arc<Target>, from: fn(usize) -> String) -> (BTreeMap<Path, usize>, u64) {
    let home = "198.51.100.7";
    let device = target.owner(home, None).await.json::<serde_json::Value>().await.unwrap();
    let device = text(&device["device_token"]);
    let before = target.server.mapae.hashes_computed();
    let is_over = Arc::new(AtomicBool::new(false));
    let owner = {
        let (target, is_over) = (Arc::clone(target), Arc::clone(&is_over));
        tokio::spawn(async move {
            let mut signed_in = 0;
            while !is_over.load(Ordering::Relaxed) || signed_in < 10 {
                // At home, and abroad with a device that is known.
                assert_eq!(target.owner(home, None).await.status(), 200);
                let abroad = format!("198.51.100.{}", 100 + signed_in % 50);
                assert_eq!(target.owner(&abroad, Some(&device)).await.status(), 200);
                // Even from where the guesses come.
                assert_eq!(target.owner("203.0.113.1", Some(&device)).await.status(), 200);
                signed_in += 3;
            }
            signed_in
        })
    };
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let target = Arc::clone(target);
            tokio::spawn(async move {
                let mut looked_at = BTreeMap::<_, usize>::new();
                for number in (worker..GUESSES).step_by(WORKERS) {
                    // Each worker tries every path.
                    let path = PATHS[(number / WORKERS + worker) % PATHS.len()];
                    if target.guess(path, number, &from(number)).await.is_none() {
                        *looked_at.entry(path).or_default() += 1;
                    }
                }
                looked_at
            })
        })
        .collect();
    let mut looked_at = BTreeMap::<_, usize>::new();
    for worker in workers {
        for (path, count) in worker.await.unwrap() {
            *looked_at.entry(path).or_default() += count;
        }
    }
    is_over.store(true, Ordering::Relaxed);
    let signed_in: u64 = owner.await.unwrap();
    let hashes = target.server.mapae.hashes_computed() - before - signed_in;
    println!("{looked_at:?}; {hashes} hashes; the owner signed in {signed_in} times");
    (looked_at, hashes)
}

fn sum(looked_at: &BTreeMap<Path, usize>, paths: &[Path]) -> usize {
    paths.iter().filter_map(|path| looked_at.get(path)).sum()
}

const TYPED_SECRETS: [Path; 3] = [Path::TypedSecret, Path::TypedSecretIntrospects, Path::TypedSecretRevokes];
const IN_SESSION: [Path; 3] = [Path::ChangePassword, Path::ChangeAddress, Path::DeleteAccount];
const RANDOM: [Path; 5] =
    [Path::MadeSecret, Path::UnknownClient, Path::RefreshGrant, Path::RefreshCookie, Path::Ticket];

#[tokio::test(flavor = "multi_thread")]
async fn from_one_address() {
    let target = Arc::new(Target::start().await);
    // What stands left of the address that the trusted proxy wrote is the visitor's own word, and changes nothing. The
    // clock stands still, so nothing is forgiven.
    let forged = |number| match number % 2 {
        0 => "203.0.113.1".to_owned(),
        _ => format!("10.9.{}.{}, 203.0.113.1", number / 250, number % 250),
    };
    let (looked_at, hashes) = flood(&target, forged).await;
    assert_eq!(sum(&looked_at, &[Path::Form, Path::Json, Path::PasswordGrant]), 10, "one name from one network");
    assert_eq!(sum(&looked_at, &[Path::UnknownName]), 10, "a name that is nobody's too");
    assert_eq!(sum(&looked_at, &[Path::Library]), 10, "and one from where nobody knows");
    assert_eq!(sum(&looked_at, &TYPED_SECRETS), 10, "one client from one network");
    assert_eq!(sum(&looked_at, &IN_SESSION), 10, "one session");
    assert_eq!(sum(&looked_at, &RANDOM), 100, "random secrets from one network");
    assert_eq!(hashes, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn from_many_addresses() {
    let target = Arc::new(Target::start().await);
    let (looked_at, hashes) = flood(&target, |number| format!("2001:db8:0:{:x}::1", number)).await;
    let names = [Path::Form, Path::Json, Path::PasswordGrant, Path::Library];
    assert_eq!(sum(&looked_at, &names), 20, "one name from all networks together");
    assert_eq!(sum(&looked_at, &[Path::UnknownName]), 20, "a name that is nobody's too");
    assert_eq!(sum(&looked_at, &TYPED_SECRETS), 20, "one client from all networks together");
    assert_eq!(sum(&looked_at, &IN_SESSION), 10, "one session, from wherever");
    let random = GUESSES / PATHS.len() * RANDOM.len();
    assert!(sum(&looked_at, &RANDOM) >= random - RANDOM.len(), "each network has as many of its own");
    assert_eq!(hashes, 70);
}

/// Many names from one address: the network's own limit.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_names() {
    let target = Arc::new(Target::start().await);
    let before = target.server.mapae.hashes_computed();
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let target = Arc::clone(&target);
            tokio::spawn(async move {
                let mut looked_at = 0;
                for number in (worker..GUESSES / 4).step_by(WORKERS) {
                    let body = json!({ "username": format!("name{number}"), "password": "Spring2026!" });
                    let request =
                        target.server.post("/users/signin").json(&body).header("x-forwarded-for", "203.0.113.1");
                    looked_at += u64::from(outcome(request.send().await.unwrap()).await.is_none());
                }
                looked_at
            })
        })
        .collect();
    let mut looked_at = 0;
    for worker in workers {
        looked_at += worker.await.unwrap();
    }
    assert_eq!((looked_at, target.server.mapae.hashes_computed() - before), (100, 100));
}
