//! The application's own code around accounts, over HTTP.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mapae::domain::{BaseUrl, MasterKey, Session, User};
use mapae::service::Background;
use mapae::service::accounts::{FieldError, NewAccount};
use mapae::service::hooks::Hooks;
use mapae::{Mapae, http};
use mapae_verify::{ManualClock, Scopes};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use crate::captured_log::capture;
use crate::database::Directory;
use crate::forge::parts;
use crate::server::{MASTER_KEY, PASSWORD, START, expect, problem, refused_fields, settings, text};

/// What it was called with, and what each name makes it do.
#[derive(Clone)]
struct Recorder {
    calls: Arc<Mutex<Vec<String>>>,
    /// Another connection to the same database.
    other: Arc<Mutex<Option<DatabaseConnection>>>,
    /// `slow` waits for one of these.
    may_go: Arc<Semaphore>,
}

impl Recorder {
    fn note(&self, what: String) {
        self.calls.lock().unwrap().push(what);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    /// How many rows another connection sees.
    async fn rows(&self, table: &str, id: &str) -> i64 {
        let other = self.other.lock().unwrap().clone().unwrap();
        let sql = format!("SELECT count(*) FROM {table} WHERE id = $1");
        let count = Statement::from_sql_and_values(other.get_database_backend(), sql, [id.into()]);
        other.query_one_raw(count).await.unwrap().unwrap().try_get_by_index(0).unwrap()
    }
}

fn name(user: &User) -> &str {
    user.username.as_deref().unwrap()
}

impl Hooks for Recorder {
    async fn before_register(&self, new: &NewAccount) -> Result<(), Vec<FieldError>> {
        let username = new.username.clone().unwrap();
        self.note(format!("before_register {username}"));
        match username.as_str() {
            "unwelcome" => Err(vec![
                FieldError::new("username", "not_invited", "Only the invited sign up."),
                FieldError::new("email", "missing", "Give the address that was invited."),
            ]),
            "panics" => panic!("a hook that panics before"),
            _ => Ok(()),
        }
    }

    async fn after_register(&self, user: &User) {
        let seen = self.rows("mapae_user", user.id.as_str()).await;
        self.note(format!("after_register {} {seen}", name(user)));
        if name(user) == "panics-after" {
            panic!("a hook that panics after");
        }
    }

    async fn after_sign_in(&self, user: &User, session: &Session) {
        let seen = self.rows("mapae_session", &session.id).await;
        self.note(format!("after_sign_in {} {seen}", name(user)));
        match name(user) {
            "slow" => self.may_go.acquire().await.unwrap().forget(),
            "panics-after" => panic!("a hook that panics at sign-in"),
            _ => {}
        }
    }

    async fn on_password_change(&self, user: &User) {
        self.note(format!("on_password_change {}", name(user)));
    }

    async fn extra_claims(&self, user: &User, scope: &Scopes) -> Map<String, Value> {
        self.note(format!("extra_claims {} {scope}", name(user)));
        let claims = match name(user) {
            "forger" => json!({ "tenant": "acme", "sub": "somebody-else" }),
            _ => json!({ "tenant": "acme", "roles": ["a", "b"] }),
        };
        claims.as_object().unwrap().clone()
    }
}

struct Hooked {
    url: String,
    client: Client,
    recorder: Recorder,
    mapae: Mapae,
    _directory: Directory,
    _background: Background,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Hooked {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Hooked {
    async fn start() -> Self {
        let directory = Directory::new();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (calls, other, may_go) = (Arc::default(), Arc::default(), Arc::new(Semaphore::new(0)));
        let recorder = Recorder { calls, other, may_go };
        let mapae = Mapae::builder(BaseUrl::parse(&url).unwrap())
            .database(directory.options())
            .master_key(MasterKey::new(MASTER_KEY.to_vec()).unwrap())
            .clock(Arc::new(ManualClock::new(START)))
            .settings(|own| *own = settings(&url))
            .hooks(recorder.clone())
            .build()
            .await
            .unwrap();
        *recorder.other.lock().unwrap() = Some(Database::connect(directory.url()).await.unwrap());
        let background = mapae.watch().await.unwrap();
        let app = http::app(mapae.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let client = Client::new();
        Self { url, client, recorder, mapae, _directory: directory, _background: background, serving }
    }

    fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url)).json(body)
    }

    async fn sign_up(&self, username: &str) -> Response {
        let body = json!({ "username": username, "password": PASSWORD });
        self.post("/users/signup", &body).send().await.unwrap()
    }

    async fn sign_in(&self, username: &str) -> Response {
        let body = json!({ "username": username, "password": PASSWORD });
        self.post("/users/signin", &body).send().await.unwrap()
    }

    async fn token(&self, username: &str) -> String {
        text(&expect(self.sign_in(username).await, StatusCode::OK).await["access_token"])
    }
}

#[tokio::test]
async fn each_is_called_once_and_in_order_with_durable_state() {
    let app = Hooked::start().await;
    expect(app.sign_up("ann").await, StatusCode::CREATED).await;
    assert_eq!(app.recorder.take(), ["before_register ann", "after_register ann 1"]);
    let token = app.token("ann").await;
    assert_eq!(app.recorder.take(), ["extra_claims ann me", "after_sign_in ann 1"]);
    let change = json!({ "current_password": PASSWORD, "new_password": "seven purple elephants dancing" });
    let request = app.post("/users/me/password", &change).bearer_auth(&token);
    assert_eq!(request.send().await.unwrap().status(), 204);
    assert_eq!(app.recorder.take(), ["on_password_change ann"]);
}

#[tokio::test]
async fn nothing_is_called_for_what_does_not_happen() {
    let app = Hooked::start().await;
    expect(app.sign_up("ann").await, StatusCode::CREATED).await;
    let token = app.token("ann").await;
    app.recorder.take();
    problem(app.sign_up("a@b").await, StatusCode::UNPROCESSABLE_ENTITY, "validation_failed").await;
    problem(app.sign_in("nobody").await, StatusCode::UNAUTHORIZED, "incorrect_credentials").await;
    let wrong = json!({ "current_password": "wrong", "new_password": "seven purple elephants dancing" });
    let request = app.post("/users/me/password", &wrong).bearer_auth(&token);
    problem(request.send().await.unwrap(), StatusCode::FORBIDDEN, "wrong_password").await;
    assert!(app.recorder.take().is_empty());
    problem(app.sign_up("ann").await, StatusCode::CONFLICT, "username_taken").await;
    assert_eq!(app.recorder.take(), ["before_register ann"], "asked, then nothing was registered");
}

#[tokio::test]
async fn a_registration_is_refused_by_field() {
    let app = Hooked::start().await;
    let named = |field: &str, rule: &str| (field.to_owned(), rule.to_owned());
    let refused = refused_fields(app.sign_up("unwelcome").await).await;
    assert_eq!(refused, [named("username", "not_invited"), named("email", "missing")]);
    assert_eq!(app.recorder.take(), ["before_register unwelcome"]);
    problem(app.sign_in("unwelcome").await, StatusCode::UNAUTHORIZED, "incorrect_credentials").await;
}

#[tokio::test]
async fn extra_claims_are_in_the_token() {
    let app = Hooked::start().await;
    expect(app.sign_up("ann").await, StatusCode::CREATED).await;
    let (_, claims) = parts(&app.token("ann").await);
    assert_eq!((&claims["tenant"], &claims["roles"]), (&json!("acme"), &json!(["a", "b"])));
    assert_eq!(claims["scope"], "me");
}

#[tokio::test]
async fn a_registered_name_among_them_gives_no_token() {
    let (log, _guard) = capture();
    let app = Hooked::start().await;
    expect(app.sign_up("forger").await, StatusCode::CREATED).await;
    log.take();
    problem(app.sign_in("forger").await, StatusCode::INTERNAL_SERVER_ERROR, "internal_error").await;
    let logged = log.take();
    assert!(logged.contains("ERROR") && logged.contains("sub"), "{logged}");
    assert_eq!(app.recorder.take().last().unwrap(), "extra_claims forger me", "nobody signed in");
}

#[tokio::test]
async fn a_slow_hook_holds_nobody_else_up() {
    let app = Hooked::start().await;
    for name in ["slow", "ann"] {
        expect(app.sign_up(name).await, StatusCode::CREATED).await;
    }
    app.recorder.take();
    let body = json!({ "username": "slow", "password": PASSWORD });
    let waiting = tokio::spawn(app.post("/users/signin", &body).send());
    while !app.recorder.calls.lock().unwrap().iter().any(|call| call.starts_with("after_sign_in slow")) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    for _ in 0..3 {
        app.token("ann").await;
    }
    let tx = app.mapae.store().begin().await.unwrap();
    drop(tx);
    assert!(!waiting.is_finished(), "still in its hook");
    app.recorder.may_go.add_permits(1);
    assert_eq!(waiting.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn a_panic_fails_its_request_only() {
    let app = Hooked::start().await;
    problem(app.sign_up("panics").await, StatusCode::INTERNAL_SERVER_ERROR, "internal_error").await;
    problem(app.sign_in("panics").await, StatusCode::UNAUTHORIZED, "incorrect_credentials").await;
    problem(app.sign_up("panics-after").await, StatusCode::INTERNAL_SERVER_ERROR, "internal_error").await;
    problem(app.sign_up("panics-after").await, StatusCode::CONFLICT, "username_taken").await;
    problem(app.sign_in("panics-after").await, StatusCode::INTERNAL_SERVER_ERROR, "internal_error").await;
    expect(app.sign_up("ann").await, StatusCode::CREATED).await;
    app.token("ann").await;
}
