//! Peppers over HTTP: they come, are rotated by signing in, and go.

use mapae::settings::Settings;
use mapae_password::{Pepper, Peppers};
use reqwest::StatusCode;
use serde_json::json;

use crate::server::{PASSWORD, Server, problem};

fn pepper(name: u8) -> Pepper {
    Pepper::new([name; 32]).unwrap()
}

/// Settings with the first of these as the current one.
fn peppered(current: Option<u8>, old: &[u8]) -> impl FnOnce(&mut Settings) {
    let peppers = Peppers { current: current.map(pepper), old: old.iter().copied().map(pepper).collect() };
    move |settings| settings.passwords.peppers = peppers
}

async fn named_pepper(server: &Server) -> Option<String> {
    let hashes = server.mapae.store().sample_password_hashes(1).await.unwrap();
    hashes[0].pepper_id().unwrap().map(|id| id.to_string())
}

fn id(name: u8) -> Option<String> {
    Some(pepper(name).id().to_string())
}

async fn sign_in(server: &Server, password: &str) -> reqwest::Response {
    server.post("/users/signin").json(&json!({ "username": "ann", "password": password })).send().await.unwrap()
}

#[tokio::test]
async fn peppers_are_rotated_by_signing_in() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    assert_eq!(named_pepper(&server).await, None);

    // Introduced: the next sign-in adds it, and a wrong password does not.
    let server = server.restart_with(peppered(Some(1), &[])).await;
    problem(sign_in(&server, "wrong password").await, StatusCode::UNAUTHORIZED, "incorrect_credentials").await;
    assert_eq!(named_pepper(&server).await, None);
    server.sign_in("ann").await;
    assert_eq!(named_pepper(&server).await, id(1));
    server.sign_in("ann").await;

    // Rotated, and the old one removed once nobody names it.
    let server = server.restart_with(peppered(Some(2), &[1])).await;
    server.sign_in("ann").await;
    assert_eq!(named_pepper(&server).await, id(2));
    let server = server.restart_with(peppered(Some(2), &[])).await;
    server.sign_in("ann").await;

    // Given up.
    let server = server.restart_with(peppered(None, &[2])).await;
    server.sign_in("ann").await;
    assert_eq!(named_pepper(&server).await, None);
}

#[tokio::test]
async fn without_its_pepper_an_account_is_refused_as_with_a_wrong_password() {
    let server = Server::start_with(peppered(Some(1), &[])).await;
    server.sign_up("ann").await;
    let server = server.restart_with(peppered(Some(3), &[4])).await;
    let mut answers = Vec::new();
    for password in [PASSWORD, "wrong password"] {
        let refused = sign_in(&server, password).await;
        answers.push(problem(refused, StatusCode::UNAUTHORIZED, "incorrect_credentials").await);
    }
    assert_eq!(answers[0]["detail"], answers[1]["detail"]);
    assert_eq!(named_pepper(&server).await, id(1), "nothing is lost");
    let server = server.restart_with(peppered(Some(3), &[4, 1])).await;
    server.sign_in("ann").await;
    assert_eq!(named_pepper(&server).await, id(3));
}
