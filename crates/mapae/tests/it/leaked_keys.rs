//! Keys in other hands: the old one is refused at once, and every session that it could have forged ends.

use std::time::Duration;

use mapae::domain::{KeyState, SecretText};
use mapae::service::{By, StartError};
use mapae::settings::Signing;
use mapae_verify::{Algorithm, SigningKey};
use reqwest::StatusCode;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::forge::{parts, sign, stolen_key, with};
use crate::oauth::{refresh_request, refused, sign_in};
use crate::server::{START, Server, open, open_with_key};

const SECRET: &str = "a shared secret that is long enough to be one";
const OTHER: &str = "another secret that is long enough to be one";
const NEW: [u8; 32] = [43; 32];

fn shared(secret: &str, old: &[&str]) -> impl FnOnce(&mut mapae::Settings) {
    let secret = SecretText::new(secret.to_owned());
    let old = old.iter().map(|old| SecretText::new((*old).to_owned())).collect();
    move |settings| {
        settings.signing = Signing::SharedSecret(Algorithm::HS256, secret);
        settings.old_secret_keys = old;
    }
}

/// Waits until the server has followed what another process did.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < Duration::from_secs(5), "{what}");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_leaked_signing_key_ends_every_session() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    let (ann, bob) = (sign_in(&server, "ann", "").await, {
        server.sign_up("bob").await;
        sign_in(&server, "bob", "").await
    });
    let stolen = stolen_key(&server).await;
    let (header, claims) = parts(&ann.access);
    let forged = sign(&stolen, &header, &with(&claims, "jti", json!("forged")));
    assert_eq!(server.status_of_me(&forged).await, 200, "whoever has the key makes tokens of live sessions");

    // As the command line does, beside the server.
    let command = server.another_process().await;
    assert_eq!(command.revoke_leaked_key(stolen.kid().unwrap(), By::System).await.unwrap(), 2);
    until("the server follows", async || server.status_of_me(&forged).await == 401).await;
    for tokens in [&ann, &bob] {
        assert_eq!(server.status_of_me(&tokens.access).await, 401);
        assert!(refused(&server, &tokens.refresh).await.contains("leaked"));
    }
    // Nor does a session that begins now help a forger.
    until("the key is gone", async || !server.mapae.jwks().contains(stolen.kid().unwrap())).await;
    let new = sign_in(&server, "ann", "").await;
    assert_eq!(server.status_of_me(&new.access).await, 200);
    let forged = sign(&stolen, &header, &with(&parts(&new.access).1, "jti", json!("forged")));
    assert_eq!(server.status_of_me(&forged).await, 401);
}

#[tokio::test]
async fn a_key_that_is_only_suspected_logs_nobody_out() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    let tokens = sign_in(&server, "ann", "").await;
    let stolen = stolen_key(&server).await;
    let next = server.mapae.list_keys().await.unwrap().into_iter().find(|key| key.state == KeyState::Next).unwrap();
    server.mapae.revoke_key(stolen.kid().unwrap(), By::System).await.unwrap();
    assert_eq!(server.status_of_me(&tokens.access).await, 401);
    let new = crate::oauth::refresh(&server, &tokens.refresh).await;
    assert_eq!(server.status_of_me(&new.access).await, 200);
    assert_eq!(parts(&new.access).0["kid"], next.kid, "the next key signs at once, young as it is");
}

#[tokio::test]
async fn a_leaked_master_key_is_worth_nothing_any_more() {
    let server = Server::start().await;
    let (id, _) = server.newcomer("ann").await;
    let tokens = sign_in(&server, "ann", "").await;
    let stolen = stolen_key(&server).await;
    let kids: Vec<String> = server.mapae.list_keys().await.unwrap().into_iter().map(|key| key.kid).collect();
    let command = server.another_process().await;
    let new_key = mapae::domain::MasterKey::new(NEW.to_vec()).unwrap();
    let made_at = async |name| server.mapae.store().data_key(name).await.unwrap().unwrap().created_at;
    let (counters_before, check_before) = (made_at("throttle").await, made_at("check").await);
    let done = command.rotate_master_key(new_key, true, By::System).await.unwrap();
    assert_eq!(done.ended, 2);
    assert!(made_at("throttle").await > counters_before, "nobody forges device tokens, or names counters");
    assert_eq!(made_at("check").await, check_before, "wrapped anew");

    // A server that was not given the new key accepts and issues nothing.
    until("the server follows", async || server.status_of_me(&tokens.access).await == 401).await;
    until("its keys are gone", async || server.mapae.verifier().keys().load().is_empty()).await;
    let published = server.get("/.well-known/jwks.json").send().await.unwrap().text().await.unwrap();
    assert_eq!(published, r#"{"keys":[]}"#);
    let form = [("username", "ann"), ("password", crate::server::PASSWORD)];
    let answer = server.post("/token").form(&form).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(refresh_request(&server, &tokens.refresh).send().await.unwrap().status(), 400);
    assert!(matches!(server.mapae.tend_keys().await, Err(StartError::MasterKeyLeaked)));

    // The old master key opens nothing, and the process that has the new one goes on with other keys.
    let clock = &server.clock;
    let error = open(server.directory(), server.settings.clone(), clock).await.unwrap_err();
    assert!(matches!(error, StartError::WrongMasterKey), "{error}");
    let again = open_with_key(server.directory(), server.settings.clone(), clock, NEW).await.unwrap();
    for mapae in [&command, &again] {
        let keys = mapae.list_keys().await.unwrap();
        assert!(keys.len() == 2 && keys.iter().all(|key| !kids.contains(&key.kid)), "{keys:?}");
        let minted = mapae.mint(&id, &mapae_verify::Scopes::default(), By::System).await.unwrap();
        let token = minted.access_token.expose();
        mapae.authenticate(token).await.unwrap();
        let forged = sign(&stolen, &with(&parts(token).0, "kid", json!(stolen.kid())), &parts(token).1);
        mapae.authenticate(&forged).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_leaked_shared_secret_is_refused_everywhere() {
    let server = Server::start_with(shared(SECRET, &[])).await;
    let (_, token) = server.newcomer("ann").await;
    let command = server.another_process().await;
    let new_key = mapae::domain::MasterKey::new(NEW.to_vec()).unwrap();
    assert_eq!(command.rotate_master_key(new_key, true, By::System).await.unwrap().ended, 1);
    until("the server follows", async || server.mapae.verifier().keys().load().is_empty()).await;
    assert_eq!(server.status_of_me(&token).await, 401);

    let clock = &server.clock;
    for (secret, old) in [(SECRET, &[][..]), (OTHER, &[SECRET])] {
        let mut settings = server.settings.clone();
        shared(secret, old)(&mut settings);
        let error = open_with_key(server.directory(), settings, clock, NEW).await.unwrap_err();
        assert!(matches!(error, StartError::SecretLeaked), "{error}");
        assert!(error.to_string().contains("mapae secret generate"));
    }
    let mut settings = server.settings.clone();
    shared(OTHER, &[])(&mut settings);
    let again = open_with_key(server.directory(), settings, clock, NEW).await.unwrap();
    again.authenticate(&token).await.unwrap_err();
}

#[tokio::test]
async fn an_old_shared_secret_verifies_until_it_is_left_out() {
    let server = Server::start_with(shared(SECRET, &[])).await;
    let (_, token) = server.newcomer("ann").await;
    let server = server.restart_with(shared(OTHER, &[SECRET, OTHER])).await;
    assert_eq!(server.status_of_me(&token).await, 200, "nobody is logged out");
    let new = server.sign_in("ann").await;
    assert_eq!(server.status_of_me(&new).await, 200);
    assert_eq!(parts(&new).0, json!({ "alg": "HS256", "typ": "at+jwt" }), "as the tutorials' tokens, without a name");
    let (header, claims) = parts(&new);
    let key = |secret: &str| SigningKey::hmac(None, Algorithm::HS256, secret.as_bytes()).unwrap();
    assert_eq!(server.status_of_me(&sign(&key(OTHER), &header, &claims)).await, 200);
    assert_eq!(server.status_of_me(&sign(&key("a third secret that is long enough"), &header, &claims)).await, 401);
    assert_eq!(server.status_of_me(&sign(&key(SECRET), &with(&header, "kid", json!("x")), &claims)).await, 401);
    assert_eq!(server.status_of_me(&sign(&key(SECRET), &with(&header, "typ", json!("JWT")), &claims)).await, 401);
    server.clock.set(START + 900 + 5);
    assert_eq!(server.status_of_me(&token).await, 401, "its own time is over");
    let server = server.restart_with(shared(OTHER, &[])).await;
    let old = sign(&key(SECRET), &header, &with(&claims, "exp", json!(START + 9_000)));
    assert_eq!(server.status_of_me(&old).await, 401);
}
