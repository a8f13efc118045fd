//! Keys of other programs.

use mapae::domain::KeyState;
use mapae::service::{By, ImportKeyError};
use mapae::settings::Signing;
use mapae_verify::{Algorithm, SigningKey, VerificationKey};
use reqwest::StatusCode;

use crate::forge::parts;
use crate::server::{START, Server, text};

fn new_key(algorithm: Algorithm) -> SigningKey {
    SigningKey::generate(algorithm).unwrap().with_kid("of-the-old-system")
}

#[tokio::test]
async fn an_imported_key_is_the_next_and_waits_like_any() {
    for algorithm in [Algorithm::ES256, Algorithm::EdDSA, Algorithm::RS256] {
        let server = Server::start_with(|settings| settings.signing = Signing::Generated(algorithm)).await;
        let (_, old) = server.newcomer("ann").await;
        server.clock.advance(3_600);
        let key = new_key(algorithm);
        let summary = server.mapae.import_key(&key, By::System).await.unwrap();
        assert_eq!((summary.kid.as_str(), summary.state), ("of-the-old-system", KeyState::Next));
        assert_eq!(server.mapae.list_keys().await.unwrap().len(), 2, "in the place of the next key");
        assert!(server.mapae.jwks().contains("of-the-old-system"), "published at once");
        assert!(matches!(server.mapae.import_key(&key, By::System).await, Err(ImportKeyError::Exists(_))));
        server.mapae.rotate_keys(false, By::System).await.unwrap_err();
        server.clock.advance(3_600);
        server.mapae.rotate_keys(false, By::System).await.unwrap();
        let new = server.sign_in("ann").await;
        assert_eq!(text(&parts(&new).0["kid"]), "of-the-old-system");
        assert_eq!(server.status_of_me(&new).await, StatusCode::OK);
        assert_eq!(server.status_of_me(&old).await, StatusCode::UNAUTHORIZED, "its own time is over");
        let server = server.restart_with(|_| {}).await;
        assert_eq!(server.status_of_me(&new).await, StatusCode::OK, "it was kept");
    }
}

#[tokio::test]
async fn a_key_that_does_not_fit_is_refused() {
    let server = Server::start().await;
    let before = server.mapae.list_keys().await.unwrap().len();
    let refused = server.mapae.import_key(&new_key(Algorithm::EdDSA), By::System).await.unwrap_err();
    assert!(refused.to_string().contains("set ALGORITHM=EdDSA first"), "{refused}");
    for kid in [String::new(), "x".repeat(257), "two\nlines".to_owned()] {
        let key = new_key(Algorithm::ES256).with_kid(&kid);
        assert!(matches!(server.mapae.import_key(&key, By::System).await, Err(ImportKeyError::Kid)), "{kid:?}");
    }
    let key = new_key(Algorithm::ES256);
    server.mapae.import_key(&key, By::System).await.unwrap();
    server.mapae.revoke_key("of-the-old-system", By::System).await.unwrap();
    assert!(matches!(server.mapae.import_key(&key, By::System).await, Err(ImportKeyError::Revoked(_))));
    assert_eq!(server.mapae.list_keys().await.unwrap().len(), before);
}

#[tokio::test]
async fn a_key_that_only_verifies_is_published_until_its_time() {
    let server = Server::start().await;
    let import = async |kid: &str, until: Option<i64>| {
        let key: VerificationKey = new_key(Algorithm::RS256).verification_key().with_kid(kid);
        let until = until.map(|second| chrono::DateTime::from_timestamp_secs(second).unwrap());
        server.mapae.import_verifying_key(&key, until, By::System).await
    };
    import("usual", None).await.unwrap();
    import("long", Some(START + 100_000)).await.unwrap();
    assert!(matches!(import("past", Some(START)).await, Err(ImportKeyError::Over)));
    let published = async |second: i64| {
        server.clock.set(START + second);
        server.mapae.tend_keys().await.unwrap();
        ["usual", "long"].map(|kid| server.mapae.jwks().contains(kid))
    };
    assert_eq!(published(0).await, [true, true]);
    assert_eq!(published(900 + 5 + 300).await, [false, true]);
    assert_eq!(published(99_999).await, [false, true]);
    assert_eq!(published(100_000).await, [false, false]);
    assert_eq!(server.mapae.list_keys().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_key_that_only_verifies_forges_nothing_here() {
    let server = Server::start().await;
    let (_, token) = server.newcomer("ann").await;
    let other = new_key(Algorithm::ES256);
    server.mapae.import_verifying_key(&other.verification_key(), None, By::System).await.unwrap();
    assert!(server.mapae.jwks().contains("of-the-old-system"));
    // Whoever has that key knows the id of a session, which is no secret.
    let forged = other.sign("at+jwt", &parts(&token).1).unwrap();
    assert_eq!(server.status_of_me(&token).await, StatusCode::OK);
    assert_eq!(server.status_of_me(&forged).await, StatusCode::UNAUTHORIZED);
    let verify = server.get("/verify").bearer_auth(&forged).send().await.unwrap();
    assert_eq!(verify.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_rotation_of_the_master_key_skips_what_has_no_private_half() {
    let server = Server::start().await;
    let key = new_key(Algorithm::EdDSA).verification_key();
    server.mapae.import_verifying_key(&key, None, By::System).await.unwrap();
    let new = mapae::domain::MasterKey::new(vec![43; 32]).unwrap();
    server.mapae.rotate_master_key(new, false, By::System).await.unwrap();
    assert!(server.mapae.jwks().contains("of-the-old-system"));
}
