//! A second service that trusts the tokens of a running Mapae: no database and no secret, only its public keys and its
//! feed of what was revoked.
//!
//! ```text
//! MAPAE_SCOPES='items=Read items.;drive=Drive a car.' MAPAE_DEFAULT_SCOPES='me,items' MAPAE_SUBJECT_KINDS=car cargo run
//! cargo run -p example-resource-server
//! ```
//!
//! `FEED_KEPT_SECONDS` says how long the last feed counts while Mapae is away (300), and `FEED_FAILURE_MODE` what happens
//! after that: `closed` refuses everybody, `open` lets good tokens pass.

use std::env;
use std::error::Error;
use std::time::Duration;

use axum::routing::{get, post};
use axum::{Json, Router};
use mapae_verify::axum::{Bearer, Subject, TokenVerifier};
use mapae_verify::remote::{FailureMode, RemoteVerifier};
use mapae_verify::{DeclaredKind, DeclaredScope};
use serde_json::{Value, json};

struct Items;
impl DeclaredScope for Items {
    const NAME: &'static str = "items";
    const DESCRIPTION: &'static str = "Read items.";
}

struct Drive;
impl DeclaredScope for Drive {
    const NAME: &'static str = "drive";
    const DESCRIPTION: &'static str = "Drive a car.";
}

struct Car;
impl DeclaredKind for Car {
    const KIND: &'static str = "car";
}

async fn home() -> &'static str {
    "Everybody may read this. /whoami wants a token, /items/ one with the scope `items`, /drive one of a car.\n"
}

async fn whoami(caller: Bearer) -> Json<Value> {
    Json(json!({ "sub": caller.sub, "scope": caller.scope, "exp": caller.exp }))
}

async fn items(caller: Bearer<Items>) -> Json<Value> {
    Json(json!([{ "item_id": "Foo", "owner": caller.sub }]))
}

/// For a token of a car alone, whoever has it: a key that its owner has handed on.
async fn drive(car: Subject<Car, Drive>) -> Json<Value> {
    Json(json!({ "car": car.id(), "act": car.act }))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let port: u16 = env::var("PORT").map_or(Ok(8000), |port| port.parse())?;
    let mapae = env::var("MAPAE_URL").unwrap_or_else(|_| "http://127.0.0.1:8080".to_owned());

    let kept = env::var("FEED_KEPT_SECONDS").map_or(Ok(300), |seconds| seconds.parse())?;
    let failure_mode = match env::var("FEED_FAILURE_MODE").as_deref() {
        Ok("open") => FailureMode::Open,
        Ok("closed") | Err(_) => FailureMode::Closed,
        Ok(other) => return Err(format!("FEED_FAILURE_MODE is {other:?}, neither closed nor open").into()),
    };

    // Mapae's address is its name in tokens, as issuer and as audience.
    let verifier = RemoteVerifier::builder(mapae)
        .revocations(|feed| feed.keep_for(Duration::from_secs(kept)).failure_mode(failure_mode))
        .start()?;
    let app = Router::new()
        .route("/", get(home))
        .route("/whoami", get(whoami))
        .route("/items/", get(items))
        .route("/drive", post(drive))
        .with_state(TokenVerifier::from(verifier));

    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}
