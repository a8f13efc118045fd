//! The example `own-table-sea-orm` as a process, over HTTP.

use example_support::testing::forge::assert_claims;
use example_support::testing::{Example, Field, Protected, Refusal, documents, password_form, tokens};
use serde_json::json;

const PROGRAM: &str = env!("CARGO_BIN_EXE_example-own-table-sea-orm");
const REFUSED: Refusal = Refusal::challenging("Could not validate credentials", "Bearer");

#[tokio::test]
async fn a_password_gives_a_token() {
    let example = Example::start(PROGRAM);
    let answer = example.form("/token", &[("username", "johndoe"), ("password", "secret")]).await;
    let token = Field::AccessToken.token(&answer);
    assert_claims(&token, 15 * 60, &json!({ "sub": "1" }));
    assert_eq!(example.get_with("/", &token).await.text(), "Hello, johndoe!");
    let wrong = Refusal::challenging("Incorrect username or password", "Bearer");
    password_form(&example, Field::AccessToken, wrong).await;
    documents(&example, "token").await;

    let example = example.restart();
    assert_eq!(example.get_with("/", &token).await.text(), "Hello, johndoe!");
}

#[tokio::test]
async fn the_token_says_who_asks() {
    let example = Example::start(PROGRAM);
    let route = Protected {
        method: "GET",
        path: "/",
        body: None,
        success: 200,
        claims: json!({ "sub": "1" }),
        identity: vec![("sub", json!("2")), ("sub", json!("johndoe")), ("sub", json!("1.0")), ("sub", json!(""))],
        invalid: REFUSED,
        expired: REFUSED,
    };
    tokens(&example, &route).await;
}
