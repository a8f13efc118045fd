//! The contract of the example `login`, checked over HTTP.

use example_support::testing::forge::{assert_claims, now, sign};
use example_support::testing::{Example, Field, Protected, Refusal, documents, not_found, only, password_form, tokens};
use serde_json::json;

const PROGRAM: &str = env!("CARGO_BIN_EXE_example-login");
const REFUSED: Refusal = Refusal::challenging("Could not validate user.", "Bearer");

#[tokio::test]
async fn a_password_gives_a_token() {
    let example = Example::start(PROGRAM);
    let answer = example.form("/token", &[("username", "johndoe"), ("password", "secret")]).await;
    let token = Field::AccessToken.token(&answer);
    assert_claims(&token, 20 * 60, &json!({ "sub": "johndoe", "id": 1 }));
    let user = json!({ "User": { "username": "johndoe", "id": 1 } });
    example.get_with("/", &token).await.is(200, &user);
    password_form(&example, Field::AccessToken, REFUSED).await;

    let example = example.restart();
    example.get_with("/", &token).await.is(200, &user);
}

#[tokio::test]
async fn the_token_says_who_asks() {
    let example = Example::start(PROGRAM);
    let route = Protected {
        method: "GET",
        path: "/",
        body: None,
        success: 200,
        claims: json!({ "sub": "johndoe", "id": 1 }),
        identity: vec![("sub", json!(5)), ("id", json!(2)), ("id", json!("1")), ("id", json!(-1))],
        invalid: REFUSED,
        expired: REFUSED,
    };
    tokens(&example, &route).await;
    for incomplete in [json!({ "sub": "johndoe" }), json!({ "id": 1 }), json!({})] {
        let mut claims = incomplete;
        claims["exp"] = json!(now() + 60);
        example.get_with("/", &sign(&claims)).await.refuses(REFUSED, claims.to_string());
    }
}

/// Made with PyJWT 2.15 and with python-jose 3.5, which the post uses; both write these bytes.
#[tokio::test]
async fn tokens_of_other_libraries_count() {
    let example = Example::start(PROGRAM);
    let made_in_python = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
                          eyJzdWIiOiJqb2huZG9lIiwiaWQiOjEsImV4cCI6NDEwMjQ0NDgwMH0.\
                          D4O3-DkLuQOmS1GYxu08EVR5NtyBmhJAXzOg2_YMdv0";
    let answer = example.get_with("/", made_in_python).await;
    answer.is(200, &json!({ "User": { "username": "johndoe", "id": 1 } }));
}

#[tokio::test]
async fn there_are_two_routes() {
    let example = Example::start(PROGRAM);
    let document = documents(&example, "token").await;
    assert_eq!(document["paths"].as_object().unwrap().keys().collect::<Vec<_>>(), ["/", "/token"]);
    not_found(&example, &["/users/me/", "//", "/token/x"]).await;
    only(&example, "/", &["GET", "HEAD"]).await;
}
