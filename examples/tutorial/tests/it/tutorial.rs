//! The main tutorial, without scopes.

use example_support::testing::forge::{assert_claims, now, sign};
use example_support::testing::{
    Field, Protected, Refusal, documents, not_found, only, password_form, redirects, tokens,
};
use mapae::settings::DEFAULT_TOKEN_LIFETIME;
use serde_json::json;

use super::{items, john, sign_in, tutorial};

const REFUSED: Refusal = Refusal::challenging("Could not validate credentials", "Bearer");
const INACTIVE: Refusal = Refusal::plain(400, "Inactive user");

#[tokio::test]
async fn a_password_gives_a_token() {
    let example = tutorial();
    let token = sign_in(&example, "johndoe", "secret", "").await;
    assert_claims(&token, 30 * 60, &json!({ "sub": "johndoe" }));
    assert_eq!(DEFAULT_TOKEN_LIFETIME, 15 * 60, "if no lifetime is given");
    assert_claims(&sign_in(&example, "johndoe", "secret", "me items").await, 30 * 60, &json!({ "sub": "johndoe" }));
    let wrong = Refusal::challenging("Incorrect username or password", "Bearer");
    password_form(&example, Field::AccessToken, wrong).await;
    example.get_with("/users/me/", &token).await.is(200, &john());
    example.get_with("/users/me/items/", &token).await.is(200, &items());
    let example = example.restart();
    example.get_with("/users/me/", &token).await.is(200, &john());
}

#[tokio::test]
async fn a_disabled_user_signs_in_and_goes_no_further() {
    let example = tutorial();
    let token = sign_in(&example, "alice", "secretalice", "").await;
    assert_claims(&token, 30 * 60, &json!({ "sub": "alice" }));
    for path in ["/users/me/", "/users/me/items/"] {
        example.get_with(path, &token).await.refuses(INACTIVE, path);
    }
    let wrong = Refusal::challenging("Incorrect username or password", "Bearer");
    let answer = example.form("/token", &[("username", "alice"), ("password", "secret")]).await;
    answer.refuses(wrong, "alice / secret");
}

#[tokio::test]
async fn the_token_says_who_asks() {
    let example = tutorial();
    for path in ["/users/me/", "/users/me/items/"] {
        let route = Protected {
            method: "GET",
            path,
            body: None,
            success: 200,
            claims: json!({ "sub": "johndoe" }),
            identity: vec![("sub", json!("nobody")), ("sub", json!("JOHNDOE")), ("sub", json!(""))],
            invalid: REFUSED,
            expired: REFUSED,
        };
        tokens(&example, &route).await;
    }
    for scope in [json!(1), json!(["me"]), json!({}), json!(true)] {
        let claims = json!({ "sub": "johndoe", "exp": now() + 60, "scope": scope });
        example.get_with("/users/me/", &sign(&claims)).await.refuses(REFUSED, claims.to_string());
    }
    let scoped = sign(&json!({ "sub": "johndoe", "exp": now() + 60, "scope": "whatever" }));
    assert_eq!(example.get_with("/users/me/", &scoped).await.status, 200, "nothing here asks for scopes");
}

#[tokio::test]
async fn a_forgotten_slash_leads_on() {
    let example = tutorial();
    for (from, to) in [
        ("/users/me", "/users/me/"),
        ("/users/me/items", "/users/me/items/"),
        ("/docs/", "/docs"),
        ("/redoc/", "/redoc"),
        ("/openapi.json/", "/openapi.json"),
    ] {
        redirects(&example, from, to).await;
    }
    let token = sign_in(&example, "johndoe", "secret", "").await;
    example.follow_with("/users/me", &token).await.is(200, &john());
    example.follow_with("/users/me/items", &token).await.is(200, &items());
    only(&example, "/users/me/", &["GET", "HEAD"]).await;
    only(&example, "/users/me/items/", &["GET", "HEAD"]).await;
    not_found(&example, &["/", "/users", "/users/", "/users/me//", "//users/me/", "/USERS/ME/", "/status/"]).await;
}

#[tokio::test]
async fn the_document_says_what_is_locked() {
    let example = tutorial();
    let document = documents(&example, "token").await;
    let paths: Vec<_> = document["paths"].as_object().unwrap().keys().collect();
    assert_eq!(paths, ["/token", "/users/me/", "/users/me/items/"]);
    let bare = json!([{ "OAuth2PasswordBearer": [] }]);
    assert_eq!(document["paths"]["/users/me/"]["get"]["security"], bare);
    assert_eq!(
        document["components"]["securitySchemes"]["OAuth2PasswordBearer"]["flows"]["password"]["scopes"],
        json!({})
    );
    let shown = document["components"]["schemas"]["User"]["properties"].as_object().unwrap();
    let mut shown: Vec<_> = shown.keys().collect();
    shown.sort_unstable();
    assert_eq!(shown, ["disabled", "email", "full_name", "username"], "never the hash");
}
