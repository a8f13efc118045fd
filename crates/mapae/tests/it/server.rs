//! The service on a free port of 127.0.0.1, on a database of its own.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use axum::middleware::from_fn_with_state;
use mapae::domain::{BaseUrl, MasterKey, UserId};
use mapae::service::accounts::{AdminChange, NewAccount};
use mapae::service::{Background, By, StartError};
use mapae::settings::{HashPoolSettings, Settings, Signup};
use mapae::store::{Migrate, Store};
use mapae::{Mapae, http};
use mapae_password::Argon2Params;
use mapae_verify::{Clock, ManualClock, Scopes};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::database::{self, Directory};
use crate::secrets::{self, Said};

/// A password that passes the policy.
pub(crate) const PASSWORD: &str = "correct horse battery staple";
/// The time at which every server starts: 2026-01-01.
pub(crate) const START: i64 = 1_767_225_600;
/// The master key of every database here.
pub(crate) const MASTER_KEY: [u8; 32] = [42; 32];

pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) client: Client,
    pub(crate) clock: ManualClock,
    pub(crate) settings: Settings,
    pub(crate) mapae: Mapae,
    directory: Arc<Directory>,
    background: Option<Background>,
    serving: tokio::task::JoinHandle<()>,
    pub(crate) said: Arc<Said>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
        // A test that fails already says enough.
        if !std::thread::panicking() {
            self.said.check(self.directory.path());
        }
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        let directory = Arc::new(Directory::new());
        Self::start_in(directory, ManualClock::new(START), |url| {
            let mut settings = settings(url);
            change(&mut settings);
            settings
        })
        .await
    }

    async fn start_in(directory: Arc<Directory>, clock: ManualClock, settings: impl FnOnce(&str) -> Settings) -> Self {
        let said = Said::new();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let settings = settings(&url);
        let mapae = open(directory.path(), settings.clone(), &clock).await.unwrap();
        let background = mapae.watch().await.unwrap();
        let app = http::app(mapae.clone()).layer(from_fn_with_state(Arc::clone(&said), secrets::listen));
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            url,
            client: Client::new(),
            clock,
            settings,
            mapae,
            directory,
            background: Some(background),
            serving,
            said,
        }
    }

    /// Ends this process, in effect, and starts another on the same directory: same issuer, another port.
    pub(crate) async fn restart_with(self, change: impl FnOnce(&mut Settings)) -> Self {
        let (directory, clock, mut settings) = (self.directory.clone(), self.clock.clone(), self.settings.clone());
        change(&mut settings);
        self.mapae.store().close().await;
        drop(self);
        Self::start_in(directory, clock, |_| settings).await
    }

    /// Another process on the same database, in effect: another node, or the command line beside the server.
    pub(crate) async fn another_process(&self) -> Mapae {
        open(self.directory(), self.settings.clone(), &self.clock).await.unwrap()
    }

    /// Sees no more what others change, as without the database.
    pub(crate) fn look_away(&mut self) {
        self.background = None;
    }

    /// The server's time, in seconds since 1970.
    pub(crate) fn clock_now(&self) -> i64 {
        self.clock.now()
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url))
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url))
    }

    pub(crate) fn patch(&self, path: &str) -> RequestBuilder {
        self.client.patch(format!("{}{path}", self.url))
    }

    pub(crate) fn delete(&self, path: &str) -> RequestBuilder {
        self.client.delete(format!("{}{path}", self.url))
    }

    /// Signs a user of this name up; the account.
    pub(crate) async fn sign_up(&self, username: &str) -> Value {
        let body = json!({ "username": username, "password": PASSWORD });
        expect(self.post("/users/signup").json(&body).send().await.unwrap(), StatusCode::CREATED).await
    }

    /// Signs a user of this name in; the token.
    pub(crate) async fn sign_in(&self, username: &str) -> String {
        self.sign_in_for(username, "").await
    }

    /// Signs a user of this name in for these scopes; the token.
    pub(crate) async fn sign_in_for(&self, username: &str, scope: &str) -> String {
        let form = [("username", username), ("password", PASSWORD), ("scope", scope)];
        let body = expect(self.post("/token").form(&form).send().await.unwrap(), StatusCode::OK).await;
        text(&body["access_token"])
    }

    /// Signs a new user up and in; id and token.
    pub(crate) async fn newcomer(&self, username: &str) -> (UserId, String) {
        let made = self.sign_up(username).await;
        (id_of(&made), self.sign_in(username).await)
    }

    /// Makes the administrator `root`; a token with `mapae:admin` and `me`.
    pub(crate) async fn administrator(&self) -> String {
        self.sign_up_with_scopes("root", "me mapae:admin").await;
        self.sign_in_for("root", "mapae:admin me").await
    }

    /// Makes an account with these scopes, as the command line does.
    pub(crate) async fn sign_up_with_scopes(&self, username: &str, scopes: &str) -> UserId {
        let account = new_account(username);
        self.mapae.add_account(account, Some(Scopes::parse(scopes).unwrap()), By::System).await.unwrap().id
    }

    pub(crate) async fn me(&self, token: &str) -> Response {
        self.get("/users/me").bearer_auth(token).send().await.unwrap()
    }

    pub(crate) async fn status_of_me(&self, token: &str) -> StatusCode {
        self.me(token).await.status()
    }

    /// How many accounts the database holds.
    pub(crate) async fn accounts(&self) -> usize {
        self.mapae.store().list_users(None, None, 200).await.unwrap().users.len()
    }
}

pub(crate) fn settings(url: &str) -> Settings {
    let mut settings = Settings::new(BaseUrl::parse(url).unwrap());
    settings.signup = Signup::Open;
    settings.scopes.declare("items", "Read items.").unwrap();
    // The cheapest that Argon2 takes: what is tested is not the hash.
    settings.passwords.argon2 = Argon2Params::new(8, 1, 1).unwrap();
    settings.hash_pool = HashPoolSettings { threads: NonZeroUsize::new(2).unwrap(), queue: 256 };
    settings
}

/// The service on the database in this directory, which is made if it is missing.
pub(crate) async fn open(directory: &Path, settings: Settings, clock: &ManualClock) -> Result<Mapae, StartError> {
    open_with_key(directory, settings, clock, MASTER_KEY).await
}

pub(crate) async fn open_with_key(
    directory: &Path,
    settings: Settings,
    clock: &ManualClock,
    key: [u8; 32],
) -> Result<Mapae, StartError> {
    let store = Store::open(database::options(directory), true, Migrate::Apply, Arc::new(clock.clone())).await.unwrap();
    Mapae::start(store, settings, MasterKey::new(key.to_vec()).unwrap(), Arc::new(clock.clone())).await
}

pub(crate) fn new_account(username: &str) -> NewAccount {
    NewAccount {
        email: None,
        username: Some(username.to_owned()),
        full_name: None,
        password: mapae::domain::SecretText::new(PASSWORD.to_owned()),
    }
}

/// Withdraws these scopes.
pub(crate) fn withdraw(scopes: &str) -> AdminChange {
    AdminChange { withdraw: Scopes::parse(scopes).unwrap(), ..AdminChange::default() }
}

pub(crate) fn disable(disabled: bool) -> AdminChange {
    AdminChange { disabled: Some(disabled), ..AdminChange::default() }
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

pub(crate) fn id_of(account: &Value) -> UserId {
    UserId::new(text(&account["id"])).unwrap()
}

pub(crate) fn header(response: &Response, name: &str) -> String {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

/// The JSON body of a response of this status.
pub(crate) async fn expect(response: Response, status: StatusCode) -> Value {
    let got = response.status();
    let body = response.text().await.unwrap();
    assert_eq!(got, status, "{body}");
    serde_json::from_str(&body).unwrap_or(Value::Null)
}

/// The body of an RFC 9457 problem with this status and code.
#[track_caller]
pub(crate) fn problem(response: Response, status: StatusCode, code: &'static str) -> impl Future<Output = Value> {
    let from = std::panic::Location::caller();
    async move {
        let (got, media_type) = (response.status(), header(&response, "content-type"));
        let challenge = header(&response, "www-authenticate");
        let body = response.text().await.unwrap();
        assert_eq!(got, status, "{from}: {body}");
        assert_eq!(media_type, "application/problem+json", "{from}: {body}");
        assert_eq!(challenge.starts_with("Bearer"), status == 401 || challenge_goes_with(code), "{from}: {challenge}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&body["code"], &body["status"]), (&json!(code), &json!(status.as_u16())), "{from}: {body}");
        assert_eq!(body["type"], "about:blank", "{from}");
        assert!(!text(&body["title"]).is_empty() && !text(&body["detail"]).is_empty(), "{from}: {body}");
        body
    }
}

/// RFC 6750 §3.1: a missing scope and a malformed request are answered with a challenge too.
fn challenge_goes_with(code: &str) -> bool {
    matches!(code, "insufficient_scope" | "invalid_request")
}

/// The fields that a 422 names, with the rule that each breaks, in the order of the answer.
pub(crate) async fn refused_fields(response: Response) -> Vec<(String, String)> {
    let body = problem(response, StatusCode::UNPROCESSABLE_ENTITY, "validation_failed").await;
    let errors = body["errors"].as_array().unwrap();
    let named = |error: &Value| {
        assert!(text(&error["msg"]).contains(' ') || !text(&error["msg"]).is_empty(), "{error}");
        (text(error["loc"].as_array().unwrap().last().unwrap()), text(&error["type"]))
    };
    errors.iter().map(named).collect()
}
