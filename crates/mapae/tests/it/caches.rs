//! What is remembered, and how soon a change made elsewhere ends that.

use std::time::Duration;

use mapae::Mapae;
use mapae::domain::SecretText;
use mapae::service::By;
use mapae_verify::Scopes;
use reqwest::StatusCode;
use tokio::time::{Instant, sleep};

use crate::forge::parts;
use crate::server::{Server, disable, problem, withdraw};

/// How long it takes until `holds`, in milliseconds. A second is allowed, since the machine may be busy; what is
/// usual is judged over many changes.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) -> u64 {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < Duration::from_secs(1), "{what} took no effect within a second");
        sleep(Duration::from_millis(1)).await;
    }
    u64::try_from(began.elapsed().as_millis()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_takes_effect_here_within_200_ms() {
    let server = Server::start().await;
    let other: Mapae = server.another_process().await;
    let mut took = Vec::new();
    for round in 0..4 {
        let mut tokens = Vec::new();
        for name in ["disabled", "deleted", "password", "scope"] {
            let (id, token) = server.newcomer(&format!("{name}{round}")).await;
            for _ in 0..2 {
                assert_eq!(server.status_of_me(&token).await, 200);
            }
            tokens.push((id, token));
        }
        let status = async |number: usize, status: u16| server.status_of_me(&tokens[number].1).await == status;
        // The look at the database comes in fixed intervals: each change waits a different part of one.
        other.administer(&tokens[0].0, disable(true), By::System).await.unwrap();
        took.push(until("disabling", async || status(0, 401).await).await);
        sleep(Duration::from_millis(11 * round)).await;
        other.delete_account(&tokens[1].0, By::System).await.unwrap();
        took.push(until("deletion", async || status(1, 401).await).await);
        sleep(Duration::from_millis(13 * round)).await;
        other.set_password(&tokens[2].0, &SecretText::new("seven purple elephants".into()), By::System).await.unwrap();
        took.push(until("another password", async || status(2, 401).await).await);
        sleep(Duration::from_millis(17 * round)).await;
        other.administer(&tokens[3].0, withdraw("me"), By::System).await.unwrap();
        took.push(until("withdrawing a scope", async || status(3, 403).await).await);
        sleep(Duration::from_millis(19 * round)).await;
        let before = server.mapae.jwks();
        other.rotate_keys(true, By::System).await.unwrap();
        took.push(until("key rotation", async || server.mapae.jwks() != before).await);
        let by_other = other.mint(&tokens[3].0, &Scopes::default(), By::System).await.unwrap().access_token;
        assert_eq!(server.status_of_me(by_other.expose()).await, 403, "believed, though it may not do this");
        let here = server.sign_in(&format!("scope{round}")).await;
        assert_eq!(parts(&here).0["kid"], parts(by_other.expose()).0["kid"], "both sign with the new key");
    }
    took.sort_unstable();
    println!("milliseconds until changes took effect: {took:?}");
    let median = took[took.len() / 2];
    assert!(median <= 200, "usually within 200 ms, but the median of {took:?} is {median}");
}

#[tokio::test]
async fn a_change_here_is_seen_here_with_the_next_request() {
    let server = Server::start().await;
    for round in 0..5 {
        let (id, token) = server.newcomer(&format!("user{round}")).await;
        assert_eq!(server.status_of_me(&token).await, 200);
        server.mapae.administer(&id, withdraw("me"), By::System).await.unwrap();
        assert_eq!(server.status_of_me(&token).await, 403);
        server.mapae.delete_account(&id, By::System).await.unwrap();
        assert_eq!(server.status_of_me(&token).await, 401);
    }
}

#[tokio::test]
async fn a_repeated_token_costs_no_signature_check() {
    let server = Server::start().await;
    let (_, token) = server.newcomer("ann").await;
    for _ in 0..5 {
        assert_eq!(server.status_of_me(&token).await, 200);
    }
    let stats = server.mapae.verifier().cache_stats();
    assert_eq!((stats.misses, stats.hits, stats.entries), (1, 4, 1));
    assert_eq!(server.status_of_me(&format!("{token}x")).await, 401);
    assert_eq!(server.mapae.verifier().cache_stats().entries, 1, "successes only");
    server.clock.advance(10_000);
    assert_eq!(server.status_of_me(&token).await, 401, "a remembered token expires all the same");
    assert_eq!(server.mapae.verifier().cache_stats().entries, 0);
}

#[tokio::test]
async fn the_memory_for_tokens_is_bounded() {
    let server = Server::start_with(|settings| settings.token_cache_bytes = 20_000).await;
    let (id, _) = server.newcomer("ann").await;
    for _ in 0..60 {
        let token = server.mapae.mint(&id, &Scopes::default(), By::System).await.unwrap().access_token;
        server.mapae.authenticate(token.expose()).await.unwrap();
    }
    let stats = server.mapae.verifier().cache_stats();
    assert!(stats.bytes <= 20_000 && stats.entries >= 3, "{stats:?}");
}

#[tokio::test]
async fn a_removed_key_takes_effect_at_once() {
    let server = Server::start().await;
    let (_, token) = server.newcomer("ann").await;
    server.mapae.rotate_keys(true, By::System).await.unwrap();
    assert_eq!(server.status_of_me(&token).await, 200, "remembered, and its key is retiring");
    let mut tx = server.mapae.store().begin().await.unwrap();
    assert!(tx.remove_signing_key(parts(&token).0["kid"].as_str().unwrap()).await.unwrap());
    tx.commit().await.unwrap();
    let took = until("removing a key", async || server.status_of_me(&token).await == 401).await;
    println!("a removed key was forgotten after {took} ms");
}

/// Memory is believed for a second after the last look at the database's log, not longer; then: 503.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_database_memory_is_believed_for_a_second() {
    let server = Server::start().await;
    let (_, token) = server.newcomer("ann").await;
    assert_eq!(server.status_of_me(&token).await, 200);
    let began = Instant::now();
    server.mapae.store().close().await;
    assert_eq!(server.status_of_me(&token).await, 200, "from memory");
    while server.status_of_me(&token).await == 200 {
        assert!(began.elapsed() < Duration::from_secs(3));
        sleep(Duration::from_millis(20)).await;
    }
    println!("memory was believed for {} ms", began.elapsed().as_millis());
    let response = server.me(&token).await;
    assert_eq!(crate::server::header(&response, "retry-after"), "2");
    problem(response, StatusCode::SERVICE_UNAVAILABLE, "unavailable").await;
}

/// Before a process follows the log it reads from the database, and what it read then is not believed later.
#[tokio::test]
async fn what_was_read_before_the_watch_began_is_not_believed_after() {
    let server = Server::start().await;
    let late = server.another_process().await;
    let (id, token) = server.newcomer("ann").await;
    late.authenticate(&token).await.unwrap();
    server.mapae.administer(&id, disable(true), By::System).await.unwrap();
    server.mapae.rotate_keys(true, By::System).await.unwrap();
    let newer = server.sign_up_with_scopes("bob", "me").await;
    let newer = server.mapae.mint(&newer, &Scopes::default(), By::System).await.unwrap().access_token;

    let _background = late.watch().await.unwrap();
    sleep(Duration::from_millis(300)).await;
    late.authenticate(&token).await.unwrap_err();
    late.authenticate(newer.expose()).await.unwrap();
    assert_eq!(late.jwks(), server.mapae.jwks(), "a rotation before the watch is known too");
}
