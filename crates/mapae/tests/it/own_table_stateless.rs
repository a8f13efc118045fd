//! The application's own user table without any table of ours.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use mapae::http::{ApiError, PasswordRequestForm};
use mapae::{CurrentUser, KnownUser, Mapae};
use mapae_verify::{Algorithm, ManualClock, SigningKey};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use sqlx::SqlitePool;

use crate::forge::parts;
use crate::own_app::{People, Person, able, hash};
use crate::server::{PASSWORD, START, expect, header, problem, settings, text};

struct Scope;
impl mapae::DeclaredScope for Scope {
    const NAME: &'static str = "items";
    const DESCRIPTION: &'static str = "Read items.";
}

struct Stateless {
    url: String,
    client: Client,
    clock: ManualClock,
    people: People,
    db: SqlitePool,
    mapae: Mapae<Person>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Stateless {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn token(State(mapae): State<Mapae<Person>>, form: PasswordRequestForm) -> Result<Json<Value>, ApiError> {
    let made = mapae.sign_in(&form.username, &form.password, &form.scope).await?;
    Ok(Json(json!({ "access_token": made.access_token.expose(), "scope": made.scope })))
}

async fn active(user: CurrentUser<(), Person>) -> String {
    user.login.clone()
}

async fn known(user: KnownUser<(), Person>) -> String {
    user.login.clone()
}

async fn items(user: CurrentUser<Scope, Person>) -> String {
    user.login.clone()
}

impl Stateless {
    async fn start() -> Self {
        // One connection, or each would have a database of its own.
        let db = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
        let (people, tables) = People::new(db.clone());
        sqlx::raw_sql(tables).execute(&db).await.unwrap();
        let insert = sqlx::query("INSERT INTO people (id, login, hash) VALUES ('1', 'ann', ?), ('2', 'bob', ?)");
        insert.bind(hash(PASSWORD, 8)).bind(hash(PASSWORD, 8)).execute(&db).await.unwrap();
        let clock = ManualClock::new(START);
        let key = SigningKey::hmac(None, Algorithm::HS256, &[7; 32]).unwrap();
        let mapae = Mapae::stateless(able(people.clone()), key)
            .passwords(settings("http://127.0.0.1").passwords)
            .clock(Arc::new(clock.clone()))
            .build()
            .unwrap();
        let app = Router::new()
            .route("/token", post(token))
            .route("/active", get(active))
            .route("/known", get(known))
            .route("/items", get(items))
            .with_state(mapae.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, client: Client::new(), clock, people, db, mapae, serving }
    }

    async fn sign_in(&self, scope: &str) -> Response {
        let form = [("username", "ann"), ("password", PASSWORD), ("scope", scope)];
        self.client.post(format!("{}/token", self.url)).form(&form).send().await.unwrap()
    }

    async fn token(&self, scope: &str) -> String {
        text(&expect(self.sign_in(scope).await, StatusCode::OK).await["access_token"])
    }

    async fn get(&self, path: &str, token: &str) -> Response {
        self.client.get(format!("{}{path}", self.url)).bearer_auth(token).send().await.unwrap()
    }

    async fn sql(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&self.db).await.unwrap();
    }
}

#[tokio::test]
async fn a_token_has_what_was_asked_for_and_is_held() {
    let app = Stateless::start().await;
    assert!(app.mapae.service().is_none());
    let plain = app.token("").await;
    assert_eq!(parts(&plain).1, json!({ "sub": "1", "exp": START + 900 }));
    assert_eq!(app.get("/active", &plain).await.text().await.unwrap(), "ann");
    problem(app.get("/items", &plain).await, StatusCode::FORBIDDEN, "insufficient_scope").await;
    let more = app.token("items mapae:admin").await;
    assert_eq!(parts(&more).1["scope"], "items");
    assert_eq!(app.get("/items", &more).await.status(), 200);
    app.clock.advance(900);
    problem(app.get("/active", &plain).await, StatusCode::UNAUTHORIZED, "invalid_token").await;
}

#[tokio::test]
async fn the_row_counts_as_it_is_now() {
    let app = Stateless::start().await;
    let token = app.token("").await;
    app.sql("UPDATE people SET active = 0").await;
    problem(app.get("/active", &token).await, StatusCode::FORBIDDEN, "inactive_user").await;
    assert_eq!(app.get("/known", &token).await.status(), 200);
    app.sql("DELETE FROM people WHERE id = '1'").await;
    problem(app.get("/known", &token).await, StatusCode::UNAUTHORIZED, "invalid_token").await;
    problem(app.sign_in("").await, StatusCode::UNAUTHORIZED, "incorrect_credentials").await;
}

#[tokio::test]
async fn somebody_else_than_was_asked_for_is_nobody() {
    let app = Stateless::start().await;
    let token = app.token("").await;
    app.people.confuses.store(true, Ordering::SeqCst);
    for path in ["/active", "/known"] {
        problem(app.get(path, &token).await, StatusCode::UNAUTHORIZED, "invalid_token").await;
    }
}

#[tokio::test]
async fn a_table_that_fails_is_503() {
    let app = Stateless::start().await;
    let token = app.token("").await;
    app.sql("ALTER TABLE people RENAME TO elsewhere").await;
    problem(app.get("/active", &token).await, StatusCode::SERVICE_UNAVAILABLE, "unavailable").await;
    problem(app.sign_in("").await, StatusCode::SERVICE_UNAVAILABLE, "unavailable").await;
    app.sql("ALTER TABLE elsewhere RENAME TO people").await;
    assert_eq!(app.get("/active", &token).await.status(), 200);
}

/// The claims are the application's own here, and so is what its ids look like.
#[tokio::test]
async fn ids_are_the_applications_own() {
    let app = Stateless::start().await;
    app.sql("UPDATE people SET id = 'car:42' WHERE id = '1'").await;
    let token = app.token("").await;
    assert_eq!(parts(&token).1["sub"], "car:42");
    assert_eq!(app.get("/active", &token).await.text().await.unwrap(), "ann");
}

/// In this process's memory, by names alone.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_guesses_is_slowed_down() {
    let app = Stateless::start().await;
    let guess = async |name: &str, password: &str| {
        let form = [("username", name), ("password", password)];
        app.client.post(format!("{}/token", app.url)).form(&form).send().await.unwrap()
    };
    for name in ["ann", "nobody"] {
        let mut looked_at = 0;
        for response in futures_util::future::join_all((0..64).map(|_| guess(name, "wrong"))).await {
            match response.status().as_u16() {
                401 => looked_at += 1,
                429 => assert_eq!(header(&response, "retry-after"), "120"),
                other => panic!("{other}"),
            }
        }
        assert_eq!(looked_at, 10, "{name}");
    }
    assert_eq!(guess("ANN", PASSWORD).await.status(), 429);
    for response in futures_util::future::join_all((0..64).map(|_| guess("bob", PASSWORD))).await {
        assert_eq!(response.status(), 200);
    }
    app.clock.advance(120);
    assert_eq!(guess("ann", PASSWORD).await.status(), 200);
}
