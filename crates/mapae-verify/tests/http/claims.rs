//! Claims and state of the application's own.

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::get;
use mapae_verify::axum::{Bearer, ScopedClaims, TokenVerifier};
use mapae_verify::{Algorithm, Claims, KeySet, ManualClock, Scopes, SigningKey, VerifierBuilder};
use serde::Deserialize;
use serde_json::json;

use crate::support::{KEY, Me, NOW, Server, builder, token_with};

/// As a tutorial has them.
#[derive(Deserialize)]
struct Tutorial {
    user: String,
    user_id: i64,
    #[serde(default)]
    scope: Scopes,
}

impl ScopedClaims for Tutorial {
    fn scopes(&self) -> &Scopes {
        &self.scope
    }
}

#[derive(Deserialize)]
struct Team {
    team: String,
}

/// An application that takes tokens of two kinds.
#[derive(Clone)]
struct App {
    tutorial: TokenVerifier<Tutorial>,
    team: TokenVerifier<Claims<Team>>,
}

impl FromRef<App> for TokenVerifier<Tutorial> {
    fn from_ref(app: &App) -> Self {
        app.tutorial.clone()
    }
}

impl FromRef<App> for TokenVerifier<Claims<Team>> {
    fn from_ref(app: &App) -> Self {
        app.team.clone()
    }
}

async fn tutorial(caller: Bearer<(), Tutorial>) -> String {
    format!("{} {}", caller.user, caller.user_id)
}

async fn tutorial_me(caller: Bearer<Me, Tutorial>) -> String {
    caller.user.clone()
}

async fn team(caller: Bearer<Me, Claims<Team>>) -> String {
    format!("{} of {}", caller.sub, caller.extra.team)
}

#[tokio::test]
async fn claims_are_a_type_parameter() {
    let secret = SigningKey::hmac(None, Algorithm::HS256, &[7; 32]).unwrap();
    let keys = KeySet::from_keys([secret.verification_key()]).unwrap();
    let lenient = VerifierBuilder::lenient(keys).clock(ManualClock::new(NOW)).claims::<Tutorial>().build();
    let strict = builder(KeySet::from_keys([KEY.verification_key()]).unwrap()).claims::<Claims<Team>>().build();
    let app = App { tutorial: Arc::new(lenient).into(), team: strict.into() };
    let router = Router::new()
        .route("/tutorial", get(tutorial))
        .route("/tutorial-me", get(tutorial_me))
        .route("/team", get(team))
        .with_state(app);
    let server = Server::start(router).await;

    let get = async |path: &str, token: &str| {
        let response = server.get(path, token).await;
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let sign = |claims| secret.sign("JWT", &claims).unwrap();
    let plain = sign(json!({ "user": "ada", "user_id": 7, "exp": NOW + 60 }));
    assert_eq!(get("/tutorial", &plain).await, (200, "ada 7".to_owned()));
    assert_eq!(get("/tutorial-me", &plain).await.0, 403);
    let scoped = sign(json!({ "user": "ada", "user_id": 7, "exp": NOW + 60, "scope": "me" }));
    assert_eq!(get("/tutorial-me", &scoped).await, (200, "ada".to_owned()));
    let incomplete = sign(json!({ "user": "ada", "exp": NOW + 60 }));
    assert_eq!(get("/tutorial", &incomplete).await.0, 401);

    let member = token_with(&KEY, &json!({ "team": "blue" }));
    assert_eq!(get("/team", &member).await, (200, "0198c0de of blue".to_owned()));
    assert_eq!(get("/team", &token_with(&KEY, &json!({}))).await.0, 401);
    // Each verifier believes its own tokens only.
    assert_eq!(get("/team", &scoped).await.0, 401);
    assert_eq!(get("/tutorial", &member).await.0, 401);
}
