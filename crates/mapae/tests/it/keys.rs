//! Signing keys: published, rotated, gone; and the master key that guards them.

use std::time::Duration;

use mapae::domain::KeyState;
use mapae::service::{By, RotateError, StartError};
use mapae::settings::Signing;
use mapae_verify::{Algorithm, ManualClock};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::forge::{Forge, parts, with};
use crate::server::{START, Server, header, open, open_with_key, text};

async fn jwks(server: &Server) -> Vec<Value> {
    let response = server.get("/.well-known/jwks.json").send().await.unwrap();
    assert_eq!(header(&response, "content-type"), "application/jwk-set+json");
    assert_eq!(header(&response, "cache-control"), "public, max-age=300");
    let set: Value = response.json().await.unwrap();
    set["keys"].as_array().unwrap().clone()
}

async fn kids(server: &Server) -> Vec<String> {
    jwks(server).await.iter().map(|key| text(&key["kid"])).collect()
}

fn kid(token: &str) -> String {
    text(&parts(token).0["kid"])
}

#[tokio::test]
async fn only_public_halves_are_published() {
    for (algorithm, name, members) in [
        (Algorithm::ES256, "ES256", &["alg", "crv", "kid", "kty", "use", "x", "y"][..]),
        (Algorithm::EdDSA, "EdDSA", &["alg", "crv", "kid", "kty", "use", "x"]),
        (Algorithm::RS256, "RS256", &["alg", "e", "kid", "kty", "n", "use"]),
    ] {
        let server = Server::start_with(|settings| settings.signing = Signing::Generated(algorithm)).await;
        let (_, token) = server.newcomer("ann").await;
        assert_eq!(server.status_of_me(&token).await, 200);
        let keys = jwks(&server).await;
        assert_eq!(keys.len(), 2, "the one that signs and the next");
        for key in &keys {
            let mut names: Vec<&str> = key.as_object().unwrap().keys().map(String::as_str).collect();
            names.sort_unstable();
            assert_eq!(names, members);
            assert_eq!((&key["alg"], &key["use"]), (&json!(name), &json!("sig")));
        }
        assert_eq!(parts(&token).0["alg"], name);
        assert!(kids(&server).await.contains(&kid(&token)));
    }
}

#[tokio::test]
async fn rotation_logs_nobody_out() {
    let server = Server::start().await;
    let (_, old) = server.newcomer("ann").await;
    let before = kids(&server).await;
    let next = before.iter().find(|kid| **kid != self::kid(&old)).unwrap().clone();

    server.clock.advance(60);
    server.mapae.rotate_keys(true, By::System).await.unwrap();
    let new = server.sign_in("ann").await;
    assert_eq!(kid(&new), next, "the key that was published as the next signs now");
    assert_eq!((server.status_of_me(&old).await, server.status_of_me(&new).await), (StatusCode::OK, StatusCode::OK));
    let after = kids(&server).await;
    assert_eq!(after.len(), 3, "retiring, active, next");
    assert!(before.iter().all(|kid| after.contains(kid)));
    let keys = server.mapae.list_keys().await.unwrap();
    for (kid, state) in [(self::kid(&old), KeyState::Retiring), (next, KeyState::Active)] {
        assert_eq!(keys.iter().find(|key| key.kid == kid).unwrap().state, state);
    }
    assert_eq!(keys.iter().filter(|key| key.state == KeyState::Next).count(), 1);

    server.mapae.rotate_keys(true, By::System).await.unwrap();
    assert_eq!(server.status_of_me(&old).await, 200, "good until it expires, however often keys rotate");
    assert_eq!(kids(&server).await.len(), 4);
    server.clock.set(START + 900 + 5);
    assert_eq!(server.status_of_me(&old).await, 401);
    assert_eq!(server.status_of_me(&new).await, 200);
}

#[tokio::test]
async fn a_retired_key_stays_for_its_tokens_and_for_the_copies() {
    let server = Server::start().await;
    let (_, first) = server.newcomer("ann").await;
    let forge = Forge::from(&server, &first).await;
    let retired = kid(&first);
    server.mapae.rotate_keys(true, By::System).await.unwrap();

    // What another process, started at that moment, publishes and believes.
    let at = async |second: i64| {
        server.clock.set(START + second);
        let process = open(server.directory(), server.settings.clone(), &server.clock).await.unwrap();
        // A token of the old key with a live session: only the key decides.
        let claims = parts(&server.sign_in("ann").await).1;
        let claims = with(&with(&claims, "jti", json!("1")), "exp", json!(START + 100_000));
        let believed = process.authenticate(&crate::forge::sign(&forge.key, &forge.header, &claims)).await.is_ok();
        assert_eq!(process.jwks().contains(&retired), believed);
        believed
    };
    let gone_at = 900 + 5 + 300;
    assert!(at(gone_at - 1).await);
    assert!(!at(gone_at).await);
    // The server clears it away when it next looks at the keys.
    server.mapae.rotate_keys(true, By::System).await.unwrap();
    let began = Instant::now();
    while server.mapae.store().signing_keys().await.unwrap().iter().any(|key| key.kid == retired) {
        assert!(began.elapsed() < Duration::from_secs(5));
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(server.mapae.store().signing_keys().await.unwrap().len(), 3);
    assert!(!kids(&server).await.contains(&retired));
}

#[tokio::test]
async fn a_key_signs_only_when_everybody_knows_it() {
    let server = Server::start_with(|settings| settings.next_key_min_age = 3600).await;
    let before = kids(&server).await;
    let error = server.mapae.rotate_keys(false, By::System).await.unwrap_err();
    assert!(
        matches!(&error, RotateError::TooYoung { published, from }
        if published.timestamp() == START && from.timestamp() == START + 3600),
        "{error}"
    );
    server.clock.advance(3599);
    server.mapae.rotate_keys(false, By::System).await.unwrap_err();
    assert_eq!(kids(&server).await, before);
    server.clock.advance(1);
    server.mapae.rotate_keys(false, By::System).await.unwrap();
    assert_eq!(kids(&server).await.len(), 3);
    server.mapae.rotate_keys(false, By::System).await.unwrap_err();
}

#[tokio::test]
async fn a_restart_keeps_tokens_and_keys() {
    let server = Server::start().await;
    let (_, token) = server.newcomer("ann").await;
    let before = jwks(&server).await;
    let server = server.restart_with(|_| {}).await;
    assert_eq!(server.status_of_me(&token).await, 200);
    assert_eq!(jwks(&server).await, before);
    assert_eq!(kid(&server.sign_in("ann").await), kid(&token));
}

#[tokio::test]
async fn another_algorithm_signs_when_everybody_knows_its_key() {
    let server = Server::start().await;
    let (_, token) = server.newcomer("ann").await;
    let server = server.restart_with(|settings| settings.signing = Signing::Generated(Algorithm::EdDSA)).await;
    assert_eq!(server.status_of_me(&token).await, 200);
    let algorithms = async || {
        let mut names: Vec<String> = jwks(&server).await.iter().map(|key| text(&key["alg"])).collect();
        names.sort();
        names
    };
    assert_eq!(algorithms().await, ["ES256", "EdDSA"], "the next key of the old kind, which signed nothing, is gone");
    assert_eq!(kid(&server.sign_in("ann").await), kid(&token), "verifiers may not know the other key yet");

    server.clock.advance(3600);
    server.mapae.tend_keys().await.unwrap();
    let new = server.sign_in("ann").await;
    assert_eq!(parts(&new).0["alg"], "EdDSA");
    assert_eq!(server.status_of_me(&new).await, 200);
    assert_eq!(algorithms().await, ["ES256", "EdDSA", "EdDSA"], "the one whose tokens are out there stays");
}

#[tokio::test]
async fn another_master_key_stops_the_start() {
    let server = Server::start().await;
    let (_, token) = server.newcomer("ann").await;
    let clock = ManualClock::new(START);
    let wrong = open_with_key(server.directory(), server.settings.clone(), &clock, [43; 32]).await.unwrap_err();
    assert!(matches!(wrong, StartError::WrongMasterKey));
    assert!(wrong.to_string().contains("MAPAE_MASTER_KEY"), "says what to do: {wrong}");
    open(server.directory(), server.settings.clone(), &clock).await.unwrap();
    assert_eq!(server.status_of_me(&token).await, 200, "nothing was changed by the attempt");
}

#[tokio::test]
async fn private_keys_lie_wrapped_in_the_database() {
    let server = Server::start().await;
    server.newcomer("ann").await;
    let records = server.mapae.store().signing_keys().await.unwrap();
    assert_eq!(records.len(), 2);
    for record in &records {
        // PKCS#8 of a P-256 key holds the curve's object identifier in the clear.
        let curve = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
        assert!(!record.wrapped_private.windows(curve.len()).any(|window| window == curve));
    }
    assert_ne!(records[0].wrapped_private, records[1].wrapped_private);
}
