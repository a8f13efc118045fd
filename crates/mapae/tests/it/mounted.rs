//! The routers of the service inside an application's own, one by one.

use std::sync::Arc;
use std::time::Duration;

use aide::axum::ApiRouter;
use aide::axum::routing::get;
use axum::extract::FromRef;
use axum::response::IntoResponse;
use mapae::domain::scope::Me;
use mapae::domain::{BaseUrl, MasterKey};
use mapae::http::{docs_router, error_style, on_error};
use mapae::settings::Signup;
use mapae::{CurrentUser, DeclaredScope, Mapae};
use mapae_password::Argon2Params;
use mapae_verify::axum::ErrorStyle;
use mapae_verify::{ManualClock, Scopes};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::database::Directory;
use crate::server::{MASTER_KEY, PASSWORD, START, expect, header, problem, text};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(8);

struct Items;
impl DeclaredScope for Items {
    const NAME: &'static str = "items";
    const DESCRIPTION: &'static str = "Read items.";
}

/// The state of an application that has more in it than the service.
#[derive(Clone)]
struct App {
    mapae: Mapae,
    greeting: &'static str,
}

impl FromRef<App> for Mapae {
    fn from_ref(app: &App) -> Self {
        app.mapae.clone()
    }
}

impl FromRef<App> for &'static str {
    fn from_ref(app: &App) -> Self {
        app.greeting
    }
}

async fn items(user: CurrentUser<(Items, Me)>) -> String {
    format!("items of {}", user.username.as_deref().unwrap())
}

async fn hello(
    axum::extract::State(greeting): axum::extract::State<&'static str>,
    user: Option<CurrentUser<Me>>,
) -> String {
    format!("{greeting}, {}", user.map_or("stranger".to_owned(), |user| user.username.clone().unwrap()))
}

struct Running {
    url: String,
    client: Client,
    serving: tokio::task::JoinHandle<()>,
    _directory: Directory,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Running {
    async fn get(&self, path: &str, token: Option<&str>) -> Response {
        let request = self.client.get(format!("{}{path}", self.url));
        token.into_iter().fold(request, |request, token| request.bearer_auth(token)).send().await.unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> Response {
        self.client.post(format!("{}{path}", self.url)).json(body).send().await.unwrap()
    }
}

async fn start(router: impl FnOnce(&Mapae) -> axum::Router<App>) -> Running {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let directory = Directory::new();
    let mapae = Mapae::builder(BaseUrl::parse(&url).unwrap())
        .database(directory.options())
        .master_key(MasterKey::new(MASTER_KEY.to_vec()).unwrap())
        .clock(Arc::new(ManualClock::new(START)))
        .scope::<Items>()
        .signup(Signup::Open)
        .settings(|settings| {
            settings.passwords.argon2 = Argon2Params::new(8, 1, 1).unwrap();
            settings.default_scopes = Scopes::parse("me items").unwrap();
            settings.http.request_timeout = REQUEST_TIMEOUT;
        })
        .build()
        .await
        .unwrap();
    let app = router(&mapae).with_state(App { mapae, greeting: "hello" });
    let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    Running { url, client: Client::new(), serving, _directory: directory }
}

async fn sign_up_and_in(app: &Running, prefix: &str, scope: &str) -> String {
    let account = json!({ "username": "ann", "password": PASSWORD });
    let _ = app.post(&format!("{prefix}/users/signup"), &account).await;
    let who = json!({ "username": "ann", "password": PASSWORD, "scope": scope });
    text(&expect(app.post(&format!("{prefix}/users/signin"), &who).await, StatusCode::OK).await["access_token"])
}

fn own_routes() -> axum::Router<App> {
    axum::Router::new().route("/items", axum::routing::get(items)).route("/hello", axum::routing::get(hello))
}

#[tokio::test]
async fn routers_are_mounted_one_by_one_and_nothing_else_is_there() {
    let app = start(|mapae| {
        let accounts = axum::Router::new().merge(mapae.token_router()).merge(mapae.signup_router());
        own_routes().nest("/auth", accounts).merge(mapae.well_known_router())
    })
    .await;
    let token = sign_up_and_in(&app, "/auth", "").await;
    assert_eq!(app.get("/items", Some(&token)).await.text().await.unwrap(), "items of ann");
    assert_eq!(app.get("/.well-known/jwks.json", None).await.status(), 200);
    for absent in ["/token", "/users/me", "/auth/users/me", "/admin/users", "/docs", "/health/live"] {
        assert_eq!(app.get(absent, Some(&token)).await.status(), 404, "{absent}");
    }
    let answer = app.post("/auth/users/signin", &json!({ "username": "ann", "password": "wrong" })).await;
    assert_eq!((header(&answer, "cache-control").as_str(), header(&answer, "x-request-id").len()), ("no-store", 16));
    problem(answer, StatusCode::UNAUTHORIZED, "incorrect_credentials").await;
}

/// Wherever they are, the standards' endpoints answer as their standards say.
#[tokio::test]
async fn a_request_that_takes_too_long_is_answered_in_the_form_of_its_route() {
    let app = start(|mapae| {
        let accounts = axum::Router::new().merge(mapae.oauth_router()).merge(mapae.signup_router());
        own_routes().nest("/auth", accounts)
    })
    .await;
    let (token, signup) = tokio::join!(
        half_sent(&app, "/auth/oauth2/token", "application/x-www-form-urlencoded"),
        half_sent(&app, "/auth/users/signup", "application/json"),
    );
    assert!(token.starts_with("HTTP/1.1 503 ") && token.contains(r#"{"error":"temporarily_unavailable""#), "{token}");
    assert!(signup.starts_with("HTTP/1.1 503 ") && signup.contains(r#""code":"timed_out""#), "{signup}");
}

/// What is answered to a request whose body does not come.
async fn half_sent(app: &Running, path: &str, kind: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(app.url.trim_start_matches("http://")).await.unwrap();
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: 100\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4_000];
    let read = tokio::time::timeout(Duration::from_secs(30), stream.read(&mut answer)).await.unwrap().unwrap();
    String::from_utf8(answer[..read].to_vec()).unwrap()
}

#[tokio::test]
async fn own_routes_may_have_what_surrounds_those_of_the_service() {
    let app = start(|mapae| {
        let surrounded = mapae.surround(own_routes());
        own_routes().nest("/surrounded", surrounded).merge(mapae.token_router()).merge(mapae.signup_router())
    })
    .await;
    let answer = app.get("/surrounded/hello", None).await;
    let headers = ["x-request-id", "x-content-type-options", "cache-control"].map(|name| header(&answer, name));
    assert_eq!((headers[0].len(), headers[1].as_str(), headers[2].as_str()), (16, "nosniff", "no-store"));
    assert_eq!(answer.text().await.unwrap(), "hello, stranger", "nothing is protected by it");
    let refused = app.get("/surrounded/items", None).await;
    assert_eq!(header(&refused, "x-request-id").len(), 16);
    problem(refused, StatusCode::UNAUTHORIZED, "not_authenticated").await;
    assert!(app.get("/hello", None).await.headers().get("x-request-id").is_none(), "others stay as they are");
}

#[tokio::test]
async fn a_route_welcomes_strangers_but_no_bad_token() {
    let app = start(|mapae| own_routes().merge(mapae.token_router()).merge(mapae.signup_router())).await;
    let (token, items_only) = (sign_up_and_in(&app, "", "").await, sign_up_and_in(&app, "", "items").await);
    assert_eq!(app.get("/hello", None).await.text().await.unwrap(), "hello, stranger");
    assert_eq!(app.get("/hello", Some(&token)).await.text().await.unwrap(), "hello, ann");
    problem(app.get("/hello", Some("nonsense")).await, StatusCode::UNAUTHORIZED, "invalid_token").await;
    problem(app.get("/hello", Some(&items_only)).await, StatusCode::FORBIDDEN, "insufficient_scope").await;
    let basic = app.client.get(format!("{}/hello", app.url)).basic_auth("ann", Some(PASSWORD)).send().await.unwrap();
    problem(basic, StatusCode::UNAUTHORIZED, "not_authenticated").await;
}

#[tokio::test]
async fn each_router_has_its_own_style_of_errors() {
    let app = start(|mapae| {
        let envelope = on_error(|error| {
            let body = axum::Json(json!({ "ok": false, "error": error.code().as_str() }));
            (error.code().status(), [("content-type", "application/vnd.example+json")], body).into_response()
        });
        axum::Router::new()
            .nest("/fastapi", own_routes().layer(error_style(ErrorStyle::Detail)))
            .nest("/envelope", own_routes().merge(mapae.users_router()).layer(envelope.clone()))
            .nest("/both", own_routes().layer(error_style(ErrorStyle::Detail)).layer(envelope))
            .merge(own_routes())
    })
    .await;
    problem(app.get("/items", None).await, StatusCode::UNAUTHORIZED, "not_authenticated").await;
    for path in ["/fastapi/items", "/both/items"] {
        let fastapi = app.get(path, None).await;
        assert_eq!(header(&fastapi, "www-authenticate"), "Bearer");
        assert_eq!(expect(fastapi, StatusCode::UNAUTHORIZED).await, json!({ "detail": "Not authenticated" }));
    }
    for path in ["/envelope/items", "/envelope/users/me"] {
        let own = app.get(path, Some("nonsense")).await;
        assert!(header(&own, "www-authenticate").starts_with("Bearer error=\"invalid_token\""), "{path}");
        assert_eq!(header(&own, "content-type"), "application/vnd.example+json");
        assert_eq!(expect(own, StatusCode::UNAUTHORIZED).await, json!({ "ok": false, "error": "invalid_token" }));
    }
}

#[tokio::test]
async fn the_application_has_one_document_for_all_its_routes() {
    let app = start(|mapae| {
        let mut document = mapae.openapi("Shop", "2.0.0");
        let routes = ApiRouter::<App>::new()
            .merge(mapae.token_router())
            .merge(mapae.users_router())
            .api_route("/items", get(items))
            .api_route("/hello", get(hello))
            .finish_api(&mut document);
        routes.merge(docs_router(document))
    })
    .await;
    let document: Value = app.get("/openapi.json", None).await.json().await.unwrap();
    assert_eq!(document["info"], json!({ "title": "Shop", "version": "2.0.0" }));
    let security = |path: &str| document["paths"][path]["get"]["security"].clone();
    assert_eq!(security("/items"), json!([{ "OAuth2PasswordBearer": ["items", "me"] }]));
    assert_eq!(security("/hello"), json!([{ "OAuth2PasswordBearer": ["me"] }, {}]));
    assert_eq!(security("/users/me"), json!([{ "OAuth2PasswordBearer": ["me"] }]));
    let hello = &document["paths"]["/hello"]["get"];
    assert!(hello.get("parameters").is_none(), "{hello}");
    assert_eq!(
        hello["responses"]["403"]["content"]["application/problem+json"]["example"]["code"],
        "insufficient_scope"
    );
    assert_eq!(app.get("/docs", None).await.status(), 200);
}

#[tokio::test]
async fn what_is_not_given_is_asked_for_by_name() {
    let builder = || Mapae::builder(BaseUrl::parse("https://a.example").unwrap());
    let key = || MasterKey::new(MASTER_KEY.to_vec()).unwrap();
    let error = |error: mapae::service::builder::BuildError| error.to_string();
    assert!(error(builder().build().await.unwrap_err()).contains(".master_key("));
    assert!(error(builder().master_key(key()).build().await.unwrap_err()).contains(".database("));
    let postgres =
        builder().master_key(key()).database("mysql://u:hunter2@h/db").build().await.unwrap_err().to_string();
    assert!(postgres.contains("built in") && !postgres.contains("hunter2"), "{postgres}");

    struct Other;
    impl DeclaredScope for Other {
        const NAME: &'static str = "items";
        const DESCRIPTION: &'static str = "Something else.";
    }
    let twice = builder().master_key(key()).database("sqlite::memory:").scope::<Items>().scope::<Other>().build().await;
    assert!(error(twice.unwrap_err()).contains("`items` is declared twice"));
}
