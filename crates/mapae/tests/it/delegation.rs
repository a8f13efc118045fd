//! Minting weaker tokens over HTTP: helpers of the tests about them.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::response::sse::{Event, Sse};
use axum::routing::{get, post};
use futures_util::{Stream, stream};
use mapae::domain::{AnyOf, BaseUrl, DeclaredKind, DeclaredScope, MasterKey, User, UserId, UserSubject};
use mapae::service::hooks::Hooks;
use mapae::service::{Background, By};
use mapae::{CurrentUser, Mapae, Subject, http};
use mapae_verify::{ManualClock, Scopes, Subject as Sub};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::database::Directory;
use crate::forge::parts;
use crate::server::{MASTER_KEY, PASSWORD, START, Server, expect, new_account, settings, text};

pub(crate) const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(crate) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// `POST /oauth2/token`: exchanges `token`, by this service's own client unless `more` names another.
pub(crate) async fn ask(url: &str, token: &str, more: &[(&str, &str)]) -> Response {
    let mut form = vec![("grant_type", GRANT), ("subject_token", token), ("subject_token_type", ACCESS_TOKEN)];
    if !more.iter().any(|(name, _)| *name == "client_id") {
        form.push(("client_id", "mapae"));
    }
    form.extend(more);
    Client::new().post(format!("{url}/oauth2/token")).form(&form).send().await.unwrap()
}

/// The access token that `token` was exchanged for.
pub(crate) async fn exchange(url: &str, token: &str, more: &[(&str, &str)]) -> String {
    let body = expect(ask(url, token, more).await, StatusCode::OK).await;
    assert_eq!((&body["token_type"], &body["issued_token_type"]), (&json!("bearer"), &json!(ACCESS_TOKEN)), "{body}");
    assert!(body.get("refresh_token").is_none(), "{body}");
    text(&body["access_token"])
}

/// `POST /users/me/tokens` with a token of a sign-in; it must succeed.
pub(crate) async fn mint(server: &Server, access: &str, body: Value) -> Value {
    let request = server.post("/users/me/tokens").bearer_auth(access).json(&body);
    expect(request.send().await.unwrap(), StatusCode::CREATED).await
}

/// A personal access token.
pub(crate) async fn personal(server: &Server, access: &str, more: Value) -> (String, String) {
    let mut body = json!({ "kind": "personal_token", "password": PASSWORD });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let minted = mint(server, access, body).await;
    (text(&minted["token"]), text(&minted["id"]))
}

pub(crate) fn claims(token: &str) -> Value {
    parts(token).1
}

/// A server with the scope `drive`, whose administrators may speak for cars.
pub(crate) async fn server_with_cars() -> Server {
    Server::start_with(|settings| {
        settings.scopes.declare("drive", "Drive a car.").unwrap();
        settings.subject_kinds.insert("car".to_owned());
    })
    .await
}

pub(crate) struct Car;
impl DeclaredKind for Car {
    const KIND: &'static str = "car";
}

pub(crate) struct Drive;
impl DeclaredScope for Drive {
    const NAME: &'static str = "drive";
    const DESCRIPTION: &'static str = "Drive a car.";
}

/// `ann` may speak for car 42, until she sells it.
#[derive(Clone)]
pub(crate) struct Owners {
    pub(crate) owns: Arc<AtomicBool>,
    /// She sells it as soon as the hook has said that it is hers.
    pub(crate) sells: Arc<AtomicBool>,
    asked: Arc<std::sync::Mutex<Vec<String>>>,
}

impl Hooks for Owners {
    async fn may_speak_for(&self, grantor: &User, subject: &Sub, scope: &Scopes) -> bool {
        let name = grantor.username.as_deref().unwrap();
        self.asked.lock().unwrap().push(format!("{name} {subject} {scope}"));
        let owns = self.owns.load(Ordering::SeqCst);
        if self.sells.load(Ordering::SeqCst) {
            self.owns.store(false, Ordering::SeqCst);
        }
        owns && name == "ann" && subject.as_other("car") == Some("42")
    }
}

/// An application with cars, on a free port.
pub(crate) struct Garage {
    pub(crate) url: String,
    pub(crate) client: Client,
    pub(crate) mapae: Mapae,
    pub(crate) owners: Owners,
    _directory: Directory,
    _background: Background,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Garage {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn drive(car: Subject<Car, Drive>) -> String {
    let actors: Vec<&str> = car.act().unwrap().chain().collect();
    format!("{} {} by {}", car.id(), car.claims().scope, actors.join(" for "))
}

async fn watch(car: Subject<Car, Drive>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(car.until_end(stream::pending()))
}

async fn locate(who: Subject<AnyOf<(Car, UserSubject)>, Drive>) -> String {
    format!("{} of {}", who.claims().sub, who.grantor().unwrap().username.as_deref().unwrap())
}

impl Garage {
    pub(crate) async fn start() -> Self {
        let directory = Directory::new();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let owners = Owners { owns: Arc::new(AtomicBool::new(true)), sells: Arc::default(), asked: Arc::default() };
        let mapae = Mapae::builder(BaseUrl::parse(&url).unwrap())
            .database(directory.options())
            .master_key(MasterKey::new(MASTER_KEY.to_vec()).unwrap())
            .clock(Arc::new(ManualClock::new(START)))
            .settings(|own| *own = settings(&url))
            .scope::<Drive>()
            .hooks(owners.clone())
            .build()
            .await
            .unwrap();
        let background = mapae.watch().await.unwrap();
        let own = Router::new()
            .route("/drive", post(drive))
            .route("/locate", get(locate))
            .route("/watch", get(watch))
            .route("/person", get(async |user: CurrentUser<Drive>| user.username.clone().unwrap()))
            .with_state(mapae.clone());
        let app = http::app(mapae.clone()).merge(own);
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let client = Client::new();
        Self { url, client, mapae, owners, _directory: directory, _background: background, serving }
    }

    /// Makes an account with these scopes; its id and an access token with all of them.
    pub(crate) async fn newcomer(&self, username: &str, scopes: &str) -> (UserId, String) {
        let account = self.mapae.add_account(new_account(username), Some(Scopes::parse(scopes).unwrap()), By::System);
        let id = account.await.unwrap().id;
        let form = [("username", username), ("password", PASSWORD), ("scope", scopes)];
        let answer = self.client.post(format!("{}/token", self.url)).form(&form).send().await.unwrap();
        (id, text(&expect(answer, StatusCode::OK).await["access_token"]))
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url))
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Response {
        self.client.get(format!("{}{path}", self.url)).bearer_auth(token).send().await.unwrap()
    }

    /// What the hook was asked since the last time.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.owners.asked.lock().unwrap())
    }
}
