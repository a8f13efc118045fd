//! When keys are fetched, and by whom.

use std::time::Duration;

use mapae_verify::remote::{RemoteKeys, RemoteVerifier};
use mapae_verify::{TokenError, VerifyError};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::issuer::{Issuer, trusted};
use crate::support::{KEY, eventually, new_key, token};

const SLOW: Duration = Duration::from_millis(200);
const OFTEN: Duration = Duration::from_millis(100);

/// Verifies the token in 64 tasks at once; how many succeeded. All others must not know the key.
async fn in_parallel(verifier: &RemoteVerifier, token: &str) -> usize {
    let mut tasks = JoinSet::new();
    for _ in 0..64 {
        let (verifier, token) = (verifier.clone(), token.to_owned());
        tasks.spawn(async move { verifier.verify(&token).await });
    }
    let mut good = 0;
    for verified in tasks.join_all().await {
        match verified {
            Ok(claims) => {
                assert_eq!(claims.sub.as_user(), Some("0198c0de"));
                good += 1;
            }
            Err(error) => assert!(is_unknown(&error), "{error:?}"),
        }
    }
    good
}

fn is_unknown(error: &TokenError) -> bool {
    matches!(error, TokenError::Refused(VerifyError::UnknownKey { .. }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_requests_wait_for_one_fetch() {
    for (key, good) in [(&*KEY, 64), (&new_key(), 0)] {
        let issuer = Issuer::start(&[&KEY]).await;
        issuer.delay(SLOW);
        let (verifier, _clock) = issuer.trusted();
        assert_eq!(in_parallel(&verifier, &token(key, "me")).await, good);
        assert_eq!(issuer.fetches(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_key_is_asked_for_once_in_an_interval() {
    let issuer = Issuer::start(&[&KEY]).await;
    let (verifier, clock) = issuer.trusted();
    verifier.ready().await.unwrap();
    assert_eq!(issuer.fetches(), 1);
    issuer.delay(SLOW);
    let (good, unknown) = (token(&KEY, "me"), token(&new_key(), "me"));

    assert_eq!(in_parallel(&verifier, &unknown).await, 0);
    assert_eq!(issuer.fetches(), 2);
    // Others are other keys, but the interval is one for all of them.
    assert_eq!(in_parallel(&verifier, &token(&new_key(), "me")).await, 0);
    clock.advance_millis(9_999);
    assert_eq!(in_parallel(&verifier, &unknown).await, 0);
    assert_eq!(issuer.fetches(), 2);
    clock.advance_millis(1);
    assert_eq!(in_parallel(&verifier, &unknown).await, 0);
    assert_eq!(issuer.fetches(), 3);
    // Known keys never ask, nor does anything else that is wrong with a token.
    clock.advance(60);
    assert_eq!(in_parallel(&verifier, &good).await, 64);
    assert!(verifier.verify(&good[..good.len() - 4]).await.is_err());
    assert!(verifier.verify("x").await.is_err());
    assert_eq!(issuer.fetches(), 3);
    // A clock that was set back keeps nobody waiting.
    clock.advance(-3600);
    assert_eq!(in_parallel(&verifier, &unknown).await, 0);
    assert_eq!(issuer.fetches(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_works_at_once() {
    let (old, new, newer) = (new_key(), new_key(), new_key());
    let issuer = Issuer::start(&[&old]).await;
    let (verifier, clock) = issuer.trusted();
    assert_eq!(in_parallel(&verifier, &token(&old, "me")).await, 64);
    issuer.publish(&[&new]);
    issuer.delay(SLOW);
    assert_eq!(in_parallel(&verifier, &token(&new, "me")).await, 64);
    assert_eq!(issuer.fetches(), 2);
    assert!(is_unknown(&verifier.verify(&token(&old, "me")).await.unwrap_err()), "the old one is withdrawn");
    // Another one within the interval has to wait for it.
    issuer.publish(&[&new, &newer]);
    assert_eq!(in_parallel(&verifier, &token(&newer, "me")).await, 0);
    clock.advance(10);
    assert_eq!(in_parallel(&verifier, &token(&newer, "me")).await, 64);
    assert_eq!(issuer.fetches(), 3);
}

#[tokio::test]
async fn a_withdrawn_key_stops_counting_in_the_background() {
    let (stays, leaves) = (new_key(), new_key());
    let issuer = Issuer::start(&[&stays, &leaves]).await;
    let (verifier, _clock) = trusted(RemoteKeys::builder(issuer.url()).interval(OFTEN));
    verifier.verify(&token(&leaves, "me")).await.unwrap();
    issuer.publish(&[&stays]);
    // No request asks for anything meanwhile: the verifier itself never waits.
    let leaving = token(&leaves, "me");
    eventually(|| verifier.inner().verify(&leaving).is_err()).await;
    verifier.inner().verify(&token(&stays, "me")).unwrap();
    let so_far = issuer.fetches();
    eventually(|| issuer.fetches() > so_far + 2).await;
}

#[tokio::test]
async fn keys_are_fetched_without_being_asked_for() {
    let issuer = Issuer::start(&[&KEY]).await;
    let _keys = RemoteKeys::start(issuer.url()).unwrap();
    eventually(|| issuer.fetches() == 1).await;
}

#[tokio::test]
async fn a_request_that_is_given_up_disturbs_nobody() {
    let issuer = Issuer::start(&[&KEY]).await;
    issuer.delay(SLOW);
    let (verifier, _clock) = issuer.trusted();
    let good = token(&KEY, "me");
    let (given_up, other) = tokio::join!(timeout(SLOW / 4, verifier.verify(&good)), verifier.verify(&good));
    assert!(given_up.is_err(), "the issuer was too fast for this test");
    other.unwrap();
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn the_last_handle_stops_the_task() {
    let issuer = Issuer::start(&[&KEY]).await;
    let keys = RemoteKeys::builder(issuer.url()).interval(OFTEN).start().unwrap();
    let verifier: RemoteVerifier = keys.verifier(crate::support::builder);
    drop((keys, verifier.clone()));
    eventually(|| issuer.fetches() > 2).await;

    // In the middle of a fetch.
    issuer.delay(Duration::from_secs(60));
    eventually(|| issuer.active() == 1).await;
    drop(verifier);
    eventually(|| issuer.active() == 0).await;
    let so_far = issuer.fetches();
    sleep(OFTEN * 4).await;
    assert_eq!(issuer.fetches(), so_far);
}
