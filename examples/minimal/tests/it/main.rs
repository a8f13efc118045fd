//! The contract of the example `minimal`, checked over HTTP, and how every example starts.

mod start;

use example_support::testing::forge::assert_claims;
use example_support::testing::{Example, Field, Refusal, documents, not_found, password_form};
use serde_json::json;

const PROGRAM: &str = env!("CARGO_BIN_EXE_example-minimal");

#[tokio::test]
async fn a_stored_hash_is_checked() {
    let example = Example::start(PROGRAM);
    let answer = example.form("/token", &[("username", "johndoe"), ("password", "secret")]).await;
    let token = Field::AccessToken.token(&answer);
    assert_claims(&token, 30 * 60, &json!({ "sub": "johndoe" }));
    let wrong = Refusal::plain(400, "Incorrect username or password");
    password_form(&example, Field::AccessToken, wrong).await;
}

#[tokio::test]
async fn there_is_one_route() {
    let example = Example::start(PROGRAM);
    let document = documents(&example, "token").await;
    assert_eq!(document["paths"].as_object().unwrap().keys().collect::<Vec<_>>(), ["/token"]);
    not_found(&example, &["/", "/users/me/", "/token/x"]).await;
}
