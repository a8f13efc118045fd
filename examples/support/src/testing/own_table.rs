//! What `own-table-sqlx`, `own-table-sea-orm` and `own-table-diesel` promise alike.

use serde_json::json;

use super::forge::assert_claims;
use super::{Example, Field, Protected, Refusal, documents, password_form, tokens};

const REFUSED: Refusal = Refusal::challenging("Could not validate credentials", "Bearer");

/// A password gives a token, which greets its user, also after a restart.
pub async fn a_password_gives_a_token(program: &'static str) {
    let example = Example::start(program);
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

/// Only a good token passes, and it passes for the user whom it names.
pub async fn the_token_says_who_asks(program: &'static str) {
    let example = Example::start(program);
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
