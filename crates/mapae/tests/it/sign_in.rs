//! `POST /users/signin`, and what the token says that it gives.

use std::collections::BTreeSet;

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::forge::{decode, parts};
use crate::server::{PASSWORD, START, Server, expect, header, problem, refused_fields, text};

async fn sign_in(server: &Server, body: Value) -> Response {
    server.post("/users/signin").json(&body).send().await.unwrap()
}

#[tokio::test]
async fn a_name_or_an_address_in_any_form_signs_in() {
    let server = Server::start().await;
    let both = json!({ "username": "José", "email": "José@Bücher.example", "password": PASSWORD });
    let made = expect(server.post("/users/signup").json(&both).send().await.unwrap(), StatusCode::CREATED).await;
    for login in [
        json!({ "username": "JOSE\u{301}" }),
        json!({ "username": "\u{ff2a}osé" }),
        json!({ "email": "jose\u{301}@XN--bcher-kva.example" }),
        json!({ "email": "josé@bücher.example", "username": null }),
        json!({ "username": "josé@bücher.example" }),
    ] {
        let mut body = login.clone();
        body["password"] = json!(PASSWORD);
        let response = sign_in(&server, body).await;
        assert_eq!(
            (header(&response, "cache-control"), header(&response, "content-type")),
            ("no-store".into(), "application/json".into())
        );
        let token = expect(response, StatusCode::OK).await;
        let names: BTreeSet<&str> = token.as_object().unwrap().keys().map(String::as_str).collect();
        let fields = ["access_token", "device_token", "expires_in", "refresh_token", "scope", "token_type"];
        assert_eq!(names, BTreeSet::from(fields));
        assert_eq!(
            (&token["token_type"], &token["expires_in"], &token["scope"]),
            (&json!("bearer"), &json!(900), &json!("me"))
        );
        let me = expect(server.me(&text(&token["access_token"])).await, StatusCode::OK).await;
        assert_eq!(me["id"], made["id"], "{login}");
    }
}

/// Taken apart by hand: RFC 9068 §2, RFC 7515 §7.1.
#[tokio::test]
async fn the_token_is_an_rfc_9068_access_token() {
    let server = Server::start_with(|settings| settings.access_token_lifetime = 1234).await;
    let made = server.sign_up("ann").await;
    server.clock.advance_millis(61_999);
    let token = server.sign_in("ann").await;
    let (header, claims) = parts(&token);
    let jwks: Value = server.get("/.well-known/jwks.json").send().await.unwrap().json().await.unwrap();
    let kids: Vec<&Value> = jwks["keys"].as_array().unwrap().iter().map(|key| &key["kid"]).collect();
    assert!(kids.contains(&&header["kid"]), "{kids:?}");
    assert_eq!(header, json!({ "alg": "ES256", "typ": "at+jwt", "kid": header["kid"] }));
    assert_eq!(decode(token.rsplit('.').next().unwrap()).len(), 64, "r and s, not DER");

    assert_eq!(claims["iss"], server.url);
    assert_eq!(claims["aud"], server.url, "the base URL unless set");
    assert_eq!((&claims["iat"], &claims["exp"]), (&json!(START + 61), &json!(START + 61 + 1234)));
    assert_eq!((&claims["sub"], &claims["scope"], &claims["client_id"]), (&made["id"], &json!("me"), &json!("mapae")));
    let names: BTreeSet<&str> = claims.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["aud", "client_id", "exp", "iat", "iss", "jti", "scope", "sid", "sub"]));

    let (other_header, other) = parts(&server.sign_in("ann").await);
    assert_eq!(other_header, header);
    for unique in ["jti", "sid"] {
        assert_eq!(text(&claims[unique]).len(), 36);
        assert_ne!(claims[unique], other[unique]);
    }
    assert_ne!(claims["jti"], claims["sid"]);
}

#[tokio::test]
async fn several_audiences_are_a_list() {
    let audience = ["https://api.example", "https://other.example"];
    let server = Server::start_with(|settings| settings.audience = audience.map(str::to_owned).to_vec()).await;
    let (_, token) = server.newcomer("ann").await;
    assert_eq!(parts(&token).1["aud"], json!(audience));
    assert_eq!(server.status_of_me(&token).await, 200);
}

#[tokio::test]
async fn scopes_are_what_was_asked_among_what_is_held() {
    let server = Server::start().await;
    server.sign_up_with_scopes("root", "me items mapae:admin").await;
    server.sign_up("ann").await;
    for (who, asked, granted) in [
        ("root", "", "items me"),
        ("root", "me", "me"),
        ("root", "me items", "items me"),
        ("root", "items me items", "items me"),
        ("root", "mapae:admin", "mapae:admin"),
        ("root", "mapae:admin me unknown", "mapae:admin me"),
        ("ann", "", "me"),
        ("ann", "me items mapae:admin", "me"),
        ("ann", "unknown", ""),
        ("ann", "ME", ""),
        ("ann", "mapae:admin", ""),
    ] {
        let body = json!({ "username": who, "password": PASSWORD, "scope": asked });
        let token = expect(sign_in(&server, body).await, StatusCode::OK).await;
        assert_eq!(sorted(&text(&token["scope"])), sorted(granted), "{who} asked for {asked}");
        let claims = parts(&text(&token["access_token"])).1;
        let carried = claims.get("scope").map(text).unwrap_or_default();
        assert_eq!(sorted(&carried), sorted(granted), "the token says what the answer says");
    }
    for bad in ["me \"", "a\\b", "é", "me\nitems"] {
        let body = json!({ "username": "ann", "password": PASSWORD, "scope": bad });
        assert_eq!(
            refused_fields(sign_in(&server, body).await).await,
            [("scope".to_owned(), "invalid_scope".to_owned())]
        );
    }
}

#[tokio::test]
async fn a_malformed_sign_in_names_the_field() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    for (body, field, rule) in [
        (json!({ "password": PASSWORD }), "email", "missing"),
        (json!({ "username": "ann" }), "password", "missing"),
        (json!({ "username": "ann", "email": "ann@example.com", "password": PASSWORD }), "username", "one_of"),
        (json!({ "username": 1, "password": PASSWORD }), "username", "string_type"),
        (json!({ "username": "ann", "password": null }), "password", "string_type"),
        (json!({ "username": "ann", "password": PASSWORD, "scope": ["me"] }), "scope", "string_type"),
        (json!({ "username": "ann", "password": PASSWORD, "grant_type": "password" }), "grant_type", "extra_forbidden"),
    ] {
        assert_eq!(refused_fields(sign_in(&server, body).await).await, [(field.to_owned(), rule.to_owned())]);
    }
}

#[tokio::test]
async fn what_can_be_nobodys_is_refused_like_any_other_name() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    let mut answers = BTreeSet::new();
    for login in
        ["bob", "", "a b", "@", "a@b", "ann\0", "'; DROP TABLE mapae_user; --", "%", "ann@example.com", "\u{202e}"]
    {
        let response = sign_in(&server, json!({ "username": login, "password": PASSWORD })).await;
        assert_eq!(header(&response, "www-authenticate"), "Bearer");
        answers.insert(problem(response, StatusCode::UNAUTHORIZED, "incorrect_credentials").await.to_string());
    }
    for password in ["", "x", &PASSWORD.to_uppercase(), &format!("{PASSWORD} "), &"x".repeat(2000)] {
        let response = sign_in(&server, json!({ "username": "ann", "password": password })).await;
        answers.insert(problem(response, StatusCode::UNAUTHORIZED, "incorrect_credentials").await.to_string());
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(server.accounts().await, 1);
}

fn sorted(scopes: &str) -> Vec<&str> {
    let mut scopes: Vec<&str> = scopes.split_whitespace().collect();
    scopes.sort_unstable();
    scopes
}
