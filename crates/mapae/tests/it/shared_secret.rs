//! `ALGORITHM=HS256`: tokens signed with `SECRET_KEY`, as the tutorials do.

use mapae::domain::SecretText;
use mapae::service::{By, RotateError, StartError};
use mapae::settings::{Settings, Signing};
use mapae_verify::{Algorithm, SigningKey};
use serde_json::{Value, json};

use crate::forge::{parts, sign, with};
use crate::server::{START, Server, open};

const SECRET: &str = "열쇠-8b1f0c5d7a9e4c22b6d1a3e5f7092c4d";

fn shared(secret: &str) -> impl FnOnce(&mut Settings) {
    let secret = SecretText::new(secret.to_owned());
    move |settings| settings.signing = Signing::SharedSecret(Algorithm::HS256, secret)
}

#[tokio::test]
async fn tokens_verify_and_their_key_is_not_published() {
    let server = Server::start_with(shared(SECRET)).await;
    let (_, token) = server.newcomer("ann").await;
    assert_eq!(server.status_of_me(&token).await, 200);
    assert_eq!(parts(&token).0, json!({ "alg": "HS256", "typ": "at+jwt" }));
    let set: Value = server.get("/.well-known/jwks.json").send().await.unwrap().json().await.unwrap();
    // The one that signs the revocation feed alone.
    let keys = set["keys"].as_array().unwrap();
    assert_eq!((keys.len(), &keys[0]["kty"], &keys[0]["crv"]), (1, &json!("OKP"), &json!("Ed25519")));
    assert!(matches!(server.mapae.rotate_keys(true, By::System).await, Err(RotateError::SharedSecret)));
    let server = server.restart_with(|_| {}).await;
    assert_eq!(server.status_of_me(&token).await, 200);
}

/// Whoever holds the secret can make tokens: that is what sharing it means. A session of this server and its rules
/// are still needed.
#[tokio::test]
async fn the_secret_is_its_utf8_bytes_and_whoever_has_it_can_sign() {
    let server = Server::start_with(shared(SECRET)).await;
    let (_, token) = server.newcomer("ann").await;
    let (header, claims) = parts(&token);
    let elsewhere = SigningKey::hmac(None, Algorithm::HS256, SECRET.as_bytes()).unwrap();
    assert_eq!(
        server.status_of_me(&sign(&elsewhere, &header, &with(&claims, "jti", json!("made elsewhere")))).await,
        200
    );

    for (name, value) in [
        ("sid", json!("0198c0de-0000-7000-8000-000000000000")),
        ("sid", Value::Null),
        ("iss", json!("https://other.example")),
        ("aud", json!("https://other.example")),
        ("exp", json!(START - 100)),
        ("sub", json!("somebody else")),
    ] {
        assert_eq!(server.status_of_me(&sign(&elsewhere, &header, &with(&claims, name, value))).await, 401, "{name}");
    }
    for (name, value) in [
        ("typ", json!("JWT")),
        ("typ", Value::Null),
        ("alg", json!("HS512")),
        ("alg", json!("none")),
        ("kid", json!("x")),
    ] {
        assert_eq!(
            server.status_of_me(&sign(&elsewhere, &with(&header, name, value.clone()), &claims)).await,
            401,
            "{name}: {value}"
        );
    }
    for wrong in [SECRET.to_uppercase(), format!("{SECRET} "), hex(SECRET)] {
        let key = SigningKey::hmac(None, Algorithm::HS256, wrong.as_bytes()).unwrap();
        assert_eq!(server.status_of_me(&sign(&key, &header, &claims)).await, 401);
    }
}

/// A withdrawn scope or an explicit one cannot be signed into a token either: the account must hold it.
#[tokio::test]
async fn a_forged_scope_needs_an_account_that_holds_it() {
    let server = Server::start_with(shared(SECRET)).await;
    let (_, token) = server.newcomer("ann").await;
    let (header, claims) = parts(&token);
    let elsewhere = SigningKey::hmac(None, Algorithm::HS256, SECRET.as_bytes()).unwrap();
    let forged = sign(&elsewhere, &header, &with(&claims, "scope", json!("me mapae:admin")));
    assert_eq!(server.get("/admin/users").bearer_auth(&forged).send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn another_secret_ends_every_token() {
    let server = Server::start_with(shared(SECRET)).await;
    let (_, token) = server.newcomer("ann").await;
    let server = server.restart_with(shared("another secret that is long enough to be one")).await;
    assert_eq!(server.status_of_me(&token).await, 401);
    let new = server.sign_in("ann").await;
    assert_eq!(server.status_of_me(&new).await, 200);

    // Back to keys of its own: tokens of the secret are no longer believed, whatever they say.
    let server = server.restart_with(|settings| settings.signing = Signing::Generated(Algorithm::ES256)).await;
    assert_eq!(server.status_of_me(&new).await, 401);
}

#[tokio::test]
async fn a_short_secret_stops_the_start() {
    let server = Server::start().await;
    for short in ["", "secret", &"x".repeat(31)] {
        let mut settings = server.settings.clone();
        shared(short)(&mut settings);
        let error = open(server.directory(), settings, &server.clock).await.unwrap_err();
        assert!(matches!(error, StartError::Key(_)), "{error}");
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}
