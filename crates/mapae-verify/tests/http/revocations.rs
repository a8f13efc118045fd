//! A resource server that follows the issuer's feed of revocations.

use std::time::Duration;

use axum::http::StatusCode;
use mapae_verify::remote::{FailureMode, FetchError, RemoteKeys, RemoteRevocations, RemoteVerifier};
use mapae_verify::revocations::{Entries, FEED_TYPE, FeedError, MAX_FEED_LENGTH};
use mapae_verify::{Algorithm, Clock, KeySet, RegisteredView, Revocations, SigningKey, TokenError, VerifyError};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use crate::feeds::{FeedIssuer, OFTEN};
use crate::routes::routes;
use crate::support::{Answer, KEY, NOW, Server, eventually, new_key};

const REVOKED: Result<(), TokenError> = Err(TokenError::Refused(VerifyError::Revoked));
const UNAVAILABLE: Result<(), TokenError> = Err(TokenError::Unavailable);

async fn verified(verifier: &RemoteVerifier, token: &str) -> Result<(), TokenError> {
    verifier.verify(token).await.map(drop)
}

/// Waits until the verifier says this of the token.
async fn becomes(verifier: &RemoteVerifier, token: &str, expected: Result<(), TokenError>) {
    let wait = async {
        while verified(verifier, token).await != expected {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("not in 20 s: {expected:?}"));
}

#[tokio::test]
async fn what_ends_is_refused_soon() {
    let issuer = FeedIssuer::start().await;
    let verifier = issuer.trusted().start().unwrap();
    verifier.ready().await.unwrap();
    let server = Server::start(routes(verifier.clone())).await;
    let good = issuer.token(&KEY, &json!({ "sid": "s2", "jti": "j2", "sub": "bob" }));
    let bad = issuer.token(&KEY, &json!({}));
    let ends: [fn(&mut Entries); 4] = [
        |entries| entries.end_session("s1"),
        |entries| entries.revoke_token("7f3a"),
        |entries| {
            entries.end_subject("0198c0de", NOW * 1000);
        },
        |entries| entries.revoke_key(KEY.kid().unwrap()),
    ];
    let other = new_key();
    issuer.publish_keys(&[&KEY, &other]);
    for (number, end) in ends.into_iter().enumerate() {
        let seq = 2 * u64::try_from(number).unwrap() + 2;
        issuer.publish_text(&issuer.feed(seq, |_| {}).sign(&other).unwrap());
        becomes(&verifier, &bad, Ok(())).await;
        let start = Instant::now();
        issuer.publish_text(&issuer.feed(seq + 1, end).sign(&other).unwrap());
        becomes(&verifier, &bad, REVOKED).await;
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        let answer = Answer::of(server.get("/any", &bad).await).await;
        assert_eq!((answer.status, answer.body.contains("the token was revoked")), (401, true), "{answer:?}");
        let expected = if number == 3 { REVOKED } else { Ok(()) };
        assert_eq!(verified(&verifier, &good).await, expected, "{number}");
    }
    // The JWK Set still lists the revoked key.
    assert!(verifier.inner().keys().load().get(KEY.kid()).is_some());
    verified(&verifier, &issuer.token(&other, &json!({}))).await.unwrap();
}

#[tokio::test]
async fn every_five_seconds_unless_set() {
    let issuer = FeedIssuer::start().await;
    let verifier = RemoteVerifier::builder(issuer.url()).clock(issuer.clock.clone()).start().unwrap();
    verifier.ready().await.unwrap();
    assert_eq!((issuer.fetches(), issuer.key_fetches()), (1, 1));
    sleep(Duration::from_millis(4500)).await;
    assert_eq!(issuer.fetches(), 1);
    let start = Instant::now();
    eventually(|| issuer.fetches() == 2).await;
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!((issuer.not_modified(), issuer.key_fetches()), (1, 1));
}

#[tokio::test]
async fn nothing_new_costs_nothing() {
    let issuer = FeedIssuer::start().await;
    issuer.publish(5, |entries| entries.end_session("s1"));
    let verifier = issuer.trusted().start().unwrap();
    let bad = issuer.token(&KEY, &json!({}));
    assert_eq!(verified(&verifier, &bad).await, REVOKED);
    eventually(|| issuer.not_modified() >= 3).await;
    assert_eq!(issuer.fetches() - issuer.not_modified(), 1);
    assert_eq!(verified(&verifier, &bad).await, REVOKED);
    // It counts as an answer.
    issuer.clock.advance(200);
    issuer.fetched_anew().await;
    issuer.clock.advance(200);
    assert_eq!(verified(&verifier, &bad).await, REVOKED);

    // An issuer whose answer is always "not modified" does not keep alive what has expired.
    let so_far = issuer.fetches() - issuer.not_modified();
    issuer.clock.set(NOW + 700);
    issuer.fetched_anew().await;
    assert!(issuer.fetches() - issuer.not_modified() > so_far);
    let fresh = issuer.token(&KEY, &json!({ "sid": "s2", "exp": NOW + 9000 }));
    issuer.clock.advance(400);
    becomes(&verifier, &fresh, UNAVAILABLE).await;
    issuer.publish(6, |_| {});
    becomes(&verifier, &fresh, Ok(())).await;

    // Without an entity tag it is simply fetched.
    issuer.entity_tag("");
    issuer.fetched_anew().await;
    let without_tag = issuer.not_modified();
    issuer.fetched_anew().await;
    assert_eq!(issuer.not_modified(), without_tag);
}

#[tokio::test]
async fn without_a_feed_it_does_what_it_was_told() {
    let minute = Duration::from_secs(60);
    let issuer = FeedIssuer::start().await;
    issuer.publish(1, |entries| entries.end_session("s1"));
    let start = |mode| issuer.trusted().revocations(|feed| feed.keep_for(minute).failure_mode(mode)).start().unwrap();
    let (closed, open) = (start(FailureMode::Closed), start(FailureMode::Open));
    let (good, bad) = (issuer.token(&KEY, &json!({ "sid": "s2" })), issuer.token(&KEY, &json!({})));
    for verifier in [&closed, &open] {
        verifier.ready().await.unwrap();
        assert_eq!(verified(verifier, &good).await, Ok(()));
    }
    let server = Server::start(routes(closed.clone())).await;

    issuer.fail(StatusCode::SERVICE_UNAVAILABLE);
    issuer.fetched_anew().await;
    issuer.clock.advance(59);
    for verifier in [&closed, &open] {
        assert_eq!(verified(verifier, &good).await, Ok(()));
        assert_eq!(verified(verifier, &bad).await, REVOKED);
    }
    issuer.clock.advance(1);
    assert_eq!(verified(&closed, &good).await, UNAVAILABLE);
    assert_eq!(verified(&closed, &bad).await, UNAVAILABLE);
    assert_eq!(closed.ready().await, Err(FetchError::Status(503)));
    let answer = server.get("/any", &good).await;
    assert_eq!(
        (answer.status(), &answer.headers()["retry-after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"2".parse().unwrap())
    );
    // What was revoked stays so, and nothing else is refused.
    assert_eq!(verified(&open, &good).await, Ok(()));
    assert_eq!(verified(&open, &bad).await, REVOKED);

    issuer.fail(None);
    issuer.publish(2, |entries| entries.end_session("s2"));
    for verifier in [&closed, &open] {
        becomes(verifier, &good, REVOKED).await;
        assert_eq!(verified(verifier, &bad).await, Ok(()));
    }
}

#[tokio::test]
async fn it_may_start_without_a_feed() {
    let issuer = FeedIssuer::start().await;
    issuer.fail(StatusCode::NOT_FOUND);
    let open = issuer.trusted().revocations(|feed| feed.failure_mode(FailureMode::Open)).start().unwrap();
    let closed = issuer.trusted().start().unwrap();
    let none = issuer.trusted().without_revocations().start().unwrap();
    let good = issuer.token(&KEY, &json!({}));
    assert_eq!(verified(&open, &good).await, Ok(()));
    assert_eq!(verified(&closed, &good).await, UNAVAILABLE);
    assert_eq!(verified(&none, &good).await, Ok(()));
    assert!(none.revocations().is_none() && open.revocations().unwrap().feed().is_none());

    issuer.publish(1, |entries| entries.end_session("s1"));
    issuer.fail(None);
    becomes(&open, &good, REVOKED).await;
    becomes(&closed, &good, REVOKED).await;
    assert_eq!(verified(&none, &good).await, Ok(()));
}

#[tokio::test]
async fn bad_feeds_change_nothing() {
    let issuer = FeedIssuer::start().await;
    issuer.publish(5, |entries| entries.end_session("s1"));
    let verifier = issuer.trusted().start().unwrap();
    let (good, bad) = (issuer.token(&KEY, &json!({ "sid": "s2" })), issuer.token(&KEY, &json!({})));
    verifier.ready().await.unwrap();

    let other = SigningKey::generate(Algorithm::ES256).unwrap().with_kid(KEY.kid().unwrap());
    let everything = |entries: &mut Entries| entries.end_session("s2");
    let foreign = mapae_verify::revocations::Feed { iss: "https://else.example".into(), ..issuer.feed(6, everything) };
    let expired = mapae_verify::revocations::Feed { exp: NOW - 60, ..issuer.feed(6, everything) };
    let future = mapae_verify::revocations::Feed { iat: NOW + 60, ..issuer.feed(6, everything) };
    for text in [
        issuer.feed(4, everything).sign(&KEY).unwrap(),
        issuer.feed(6, everything).sign(&other).unwrap(),
        foreign.sign(&KEY).unwrap(),
        expired.sign(&KEY).unwrap(),
        future.sign(&KEY).unwrap(),
        good.clone(),
        KEY.sign(FEED_TYPE, &json!({ "iss": issuer.url() })).unwrap(),
        "<html>".to_owned(),
        String::new(),
        "A".repeat(MAX_FEED_LENGTH + 1),
    ] {
        issuer.publish_text(&text);
        issuer.fetched_anew().await;
        assert_eq!(verified(&verifier, &bad).await, REVOKED);
        assert_eq!(verified(&verifier, &good).await, Ok(()));
    }
    // A status is no feed either, whatever its body.
    issuer.publish(6, everything);
    for status in [StatusCode::NOT_MODIFIED, StatusCode::CREATED, StatusCode::FOUND, StatusCode::GONE] {
        issuer.fail(status);
        issuer.fetched_anew().await;
        assert_eq!(verified(&verifier, &good).await, Ok(()));
    }
    issuer.fail(None);
    becomes(&verifier, &good, REVOKED).await;
}

#[tokio::test]
async fn reasons_are_told() {
    let issuer = FeedIssuer::start().await;
    let url = format!("{}/.well-known/revocations", issuer.url());
    let reason = async |text: &str| {
        issuer.publish_text(text);
        let keys = RemoteKeys::start(format!("{}/.well-known/jwks.json", issuer.url())).unwrap();
        let settings = RemoteRevocations::builder(&url, issuer.url(), keys).clock(issuer.clock.clone());
        settings.start().unwrap().ready().await.unwrap_err()
    };
    let token = issuer.token(&KEY, &json!({}));
    assert_eq!(reason(&token).await, FetchError::Feed(FeedError::Jws(VerifyError::WrongType)));
    let long = "A".repeat(MAX_FEED_LENGTH + 1);
    assert_eq!(reason(&long).await, FetchError::TooLarge);
    let unknown = issuer.feed(1, |_| {}).sign(&new_key()).unwrap();
    assert!(matches!(reason(&unknown).await, FetchError::Feed(FeedError::Jws(VerifyError::UnknownKey { .. }))));
}

/// As an issuer rotates its keys: the next feed is signed by one that nobody has seen yet.
#[tokio::test]
async fn a_new_key_may_sign_the_feed() {
    let issuer = FeedIssuer::start().await;
    let verifier = issuer.trusted().start().unwrap();
    let bad = issuer.token(&KEY, &json!({}));
    assert_eq!(verified(&verifier, &bad).await, Ok(()));
    let next = new_key();
    issuer.publish_keys(&[&KEY, &next]);
    issuer.publish_text(&issuer.feed(2, |entries| entries.end_session("s1")).sign(&next).unwrap());
    becomes(&verifier, &bad, REVOKED).await;
    assert_eq!(issuer.key_fetches(), 2);

    // Whoever holds a key that was revoked cannot take that back.
    issuer.publish_text(&issuer.feed(3, |entries| entries.revoke_key(KEY.kid().unwrap())).sign(&next).unwrap());
    issuer.fetched_anew().await;
    issuer.publish_text(&issuer.feed(4, |_| {}).sign(&KEY).unwrap());
    issuer.fetched_anew().await;
    assert_eq!(verified(&verifier, &bad).await, REVOKED);
}

/// Tokens by a shared secret, the feed by a key pair of its own: published, or at hand.
#[tokio::test]
async fn an_issuer_that_signs_with_a_shared_secret() {
    let issuer = FeedIssuer::start().await;
    let secret = SigningKey::hmac(None, Algorithm::HS256, &[7; 32]).unwrap();
    let feed_key = SigningKey::generate(Algorithm::EdDSA).unwrap();
    let secrets = || KeySet::from_keys([secret.verification_key()]).unwrap();
    let feed_keys = KeySet::from_keys([feed_key.verification_key()]).unwrap();
    issuer.publish_keys(&[&feed_key]);
    issuer.publish_text(&issuer.feed(1, |entries| entries.end_session("s1")).sign(&feed_key).unwrap());

    let published = issuer.trusted().token_keys(secrets()).start().unwrap();
    published.ready().await.unwrap();
    assert_eq!(issuer.key_fetches(), 1);
    let at_hand = issuer.trusted().token_keys(secrets()).revocations(|feed| feed.keys(feed_keys)).start().unwrap();
    at_hand.ready().await.unwrap();
    assert_eq!(issuer.key_fetches(), 1, "nothing to fetch");
    let (good, bad) = (issuer.token(&secret, &json!({ "sid": "s2" })), issuer.token(&secret, &json!({})));
    for verifier in [&published, &at_hand] {
        assert_eq!(verified(verifier, &good).await, Ok(()));
        assert_eq!(verified(verifier, &bad).await, REVOKED);
        // The key of the feed makes no tokens.
        let forged = issuer.token(&feed_key, &json!({ "sid": "s2" }));
        assert!(matches!(verified(verifier, &forged).await, Err(TokenError::Refused(_))));
        assert!(verifier.keys().is_none());
    }
    // Nor does the shared secret make a feed, published among the keys or not.
    let text = issuer.feed(2, |_| {}).sign(&feed_key).unwrap();
    let payload = text.split('.').nth(1).unwrap();
    let payload = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(payload).unwrap();
    issuer.publish_text(&secret.sign_payload(Some(FEED_TYPE), &payload).unwrap());
    issuer.fetched_anew().await;
    assert_eq!(verified(&published, &bad).await, REVOKED);
}

#[tokio::test]
async fn revocations_of_ones_own_count_too() {
    struct Own;
    impl Revocations for Own {
        fn is_revoked(&self, claims: &RegisteredView<'_>) -> bool {
            claims.sid == Some("own")
        }
    }
    let issuer = FeedIssuer::start().await;
    issuer.publish(1, |entries| entries.end_session("s1"));
    let verifier = issuer.trusted().start_with(|verifier| verifier.revocations(std::sync::Arc::new(Own))).unwrap();
    for (sid, expected) in [("own", REVOKED), ("s1", REVOKED), ("s2", Ok(()))] {
        assert_eq!(verified(&verifier, &issuer.token(&KEY, &json!({ "sid": sid }))).await, expected);
    }

    // A verifier that never waits can ask the feed as well; it has no third answer.
    let keys = KeySet::from_keys([KEY.verification_key()]).unwrap();
    let url = format!("{}/.well-known/revocations", issuer.url());
    let feed = RemoteRevocations::builder(url, issuer.url(), keys.clone()).clock(issuer.clock.clone());
    let feed = feed.start().unwrap();
    let local = mapae_verify::VerifierBuilder::rfc9068(keys, issuer.url(), issuer.url());
    let local = local.clock(issuer.clock.clone()).revocations(std::sync::Arc::new(feed.clone())).build();
    feed.ready().await.unwrap();
    let (good, bad) = (issuer.token(&KEY, &json!({ "sid": "s2" })), issuer.token(&KEY, &json!({})));
    local.verify(&good).unwrap();
    assert_eq!(local.verify(&bad).unwrap_err(), VerifyError::Revoked);
    issuer.fail(StatusCode::BAD_GATEWAY);
    issuer.clock.advance(300);
    assert_eq!(local.verify(&good).unwrap_err(), VerifyError::Revoked);
    assert_eq!(issuer.clock.now(), NOW + 300);
}

#[tokio::test]
async fn the_last_handle_stops_asking() {
    let issuer = FeedIssuer::start().await;
    let verifier = issuer.trusted().start().unwrap();
    verifier.ready().await.unwrap();
    let feed = verifier.revocations().unwrap().clone();
    drop((verifier.clone(), verifier));
    eventually(|| issuer.fetches() > 3).await;
    drop(feed);
    sleep(OFTEN * 2).await;
    let so_far = issuer.fetches();
    sleep(OFTEN * 4).await;
    assert_eq!(issuer.fetches(), so_far);
}

#[tokio::test]
async fn only_addresses_that_can_be_trusted() {
    use mapae_verify::remote::RemoteError;
    let refusal = |issuer: &str| RemoteVerifier::builder(issuer).start().err();
    assert_eq!(refusal("http://auth.example"), Some(RemoteError::NotEncrypted));
    assert_eq!(refusal("auth.example"), Some(RemoteError::InvalidUrl));
    let feed = RemoteRevocations::start("http://auth.example/feed", "https://auth.example", KeySet::default());
    assert_eq!(feed.err(), Some(RemoteError::NotEncrypted));
    assert!(RemoteVerifier::builder("http://auth.example/").allow_plain_http().start().is_ok());
}
