//! The contract of the example `planner`, checked over HTTP.

mod accounts;
mod events;

use example_support::testing::{Answer, Example, documents, not_found, only, redirects};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_example-planner");

fn hong() -> Value {
    json!({ "email": "hong@test.com", "password": "password", "username": "홍길동" })
}

async fn sign_up(example: &Example, new: &Value) -> Answer {
    example.post("/users/signup", new).await
}

async fn sign_in(example: &Example, email: &str, password: &str) -> Answer {
    example.post("/users/signin", &json!({ "email": email, "password": password })).await
}

/// A planner in which 홍길동 is the first user, and his token.
async fn with_hong() -> (Example, String) {
    let example = Example::start(PROGRAM);
    assert_eq!(sign_up(&example, &hong()).await.status, 201);
    let answer = sign_in(&example, "hong@test.com", "password").await;
    let token = example_support::testing::Field::AccessToken.token(&answer);
    (example, token)
}

#[tokio::test]
async fn there_are_three_addresses() {
    let example = Example::start(PROGRAM);
    let document = documents(&example, "users/signin").await;
    let paths: Vec<_> = document["paths"].as_object().unwrap().keys().collect();
    assert_eq!(paths, ["/events/", "/users/signin", "/users/signup"]);
    not_found(&example, &["/", "/token", "/users/me/", "/events/1"]).await;
    redirects(&example, "/events", "/events/").await;
    redirects(&example, "/users/signin/", "/users/signin").await;
    redirects(&example, "/users/signup/", "/users/signup").await;
    redirects(&example, "/docs/", "/docs").await;
    only(&example, "/users/signup", &["POST"]).await;
    only(&example, "/users/signin", &["POST"]).await;
    only(&example, "/events/", &["GET", "HEAD", "POST"]).await;
}
