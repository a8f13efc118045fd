//! What holds unless it is set otherwise, and what the settings of scopes do.

use mapae::service::StartError;
use mapae::settings::{HashPoolSettings, Settings, Signing, Signup};
use mapae::store::Login;
use mapae_verify::{Algorithm, Scopes};
use reqwest::StatusCode;
use serde_json::json;

use crate::server::{PASSWORD, Server, expect, open};

#[tokio::test]
async fn defaults_are_the_safe_ones() {
    let server = Server::start().await;
    let settings = Settings::new(server.settings.base_url.clone());
    assert_eq!((settings.signup, settings.access_token_lifetime, settings.leeway), (Signup::Closed, 15 * 60, 5));
    assert!(matches!(settings.signing, Signing::Generated(Algorithm::ES256)));
    assert_eq!(settings.audiences(), [server.url.as_str()]);
    let cores = std::thread::available_parallelism().unwrap();
    assert_eq!((HashPoolSettings::default().threads, HashPoolSettings::default().queue), (cores, 256));
    assert!(settings.http.cors_origins.is_empty());
}

/// OWASP's parameters, as a PHC string, and only there: the stored text is all that is left of the password.
#[tokio::test]
async fn passwords_are_kept_as_argon2id_phc_strings() {
    let server = Server::start_with(|settings| settings.passwords = mapae_password::Context::default()).await;
    server.newcomer("ann").await;
    let stored = server.mapae.store().credential_by_login(&Login::parse("ann").unwrap()).await.unwrap().unwrap().hash;
    assert!(stored.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", stored.as_str());
    server.sign_up("bob").await;
    let other = server.mapae.store().credential_by_login(&Login::parse("bob").unwrap()).await.unwrap().unwrap().hash;
    assert_ne!(stored.as_str(), other.as_str(), "the same password under another salt");
    assert_eq!(format!("{stored:?}"), "HashText([redacted])");
}

#[tokio::test]
async fn new_accounts_get_the_configured_scopes() {
    let server = Server::start_with(|settings| settings.default_scopes = Scopes::parse("me items").unwrap()).await;
    let body = json!({ "username": "ann", "password": PASSWORD });
    let made = expect(server.post("/users/signup").json(&body).send().await.unwrap(), StatusCode::CREATED).await;
    assert_eq!(made["scope"], "me items");
}

#[tokio::test]
async fn default_scopes_that_nobody_declared_stop_the_start() {
    let server = Server::start().await;
    let mut settings = server.settings.clone();
    settings.default_scopes = Scopes::parse("me itms").unwrap();
    let error = open(server.directory(), settings, &server.clock).await.unwrap_err();
    assert!(matches!(error, StartError::Scopes(_)));
    assert!(error.to_string().contains("`itms` does not exist; declared scopes: items, mapae:admin, me"), "{error}");
}
