//! The contract of the example `token-only`, checked over HTTP.

use example_support::testing::forge::assert_claims;
use example_support::testing::{Example, Field, Refusal, documents, not_found, password_form};
use mapae::settings::DEFAULT_TOKEN_LIFETIME;
use serde_json::json;

const PROGRAM: &str = env!("CARGO_BIN_EXE_example-token-only");

#[tokio::test]
async fn a_token_is_made_and_nothing_else() {
    let example = Example::start(PROGRAM);
    let answer = example.form("/token", &[("username", "johndoe"), ("password", "secret")]).await;
    assert_claims(&Field::Token.token(&answer), 20 * 60, &json!({ "sub": "johndoe", "id": 1 }));
    assert_eq!(DEFAULT_TOKEN_LIFETIME, 15 * 60, "if no lifetime is given");
    password_form(&example, Field::Token, Refusal::plain(404, "User not found")).await;
}

#[tokio::test]
async fn there_is_one_route() {
    let example = Example::start(PROGRAM);
    let document = documents(&example, "token").await;
    assert_eq!(document["paths"].as_object().unwrap().keys().collect::<Vec<_>>(), ["/token"]);
    not_found(&example, &["/", "/users/me/"]).await;
}
