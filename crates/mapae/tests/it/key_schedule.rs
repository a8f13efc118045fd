//! Keys that rotate by themselves, while tokens are made and checked.

use mapae::service::By;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mapae::domain::{KeyState, MasterKey};
use mapae::store::{Migrate, Store};
use mapae::{Mapae, http};
use mapae_verify::remote::RemoteVerifier;
use mapae_verify::{Scopes, SystemClock};
use reqwest::{Client, StatusCode};
use tokio::net::TcpListener;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::forge::parts;
use crate::server::{MASTER_KEY, START, Server, new_account, settings, text};

const DAY: i64 = 24 * 60 * 60;
const ROTATIONS: usize = 5;

/// `kid` and state of each key, oldest first.
async fn states(mapae: &Mapae) -> Vec<(String, KeyState)> {
    mapae.list_keys().await.unwrap().into_iter().map(|key| (key.kid, key.state)).collect()
}

async fn one(mapae: &Mapae, state: KeyState) -> String {
    let all: Vec<String> = states(mapae).await.into_iter().filter(|key| key.1 == state).map(|key| key.0).collect();
    assert_eq!(all.len(), 1, "{state:?}: {all:?}");
    all[0].clone()
}

/// Two verifiers that know nothing but what they fetch every so often, and do not ask for the sake of an unknown key.
async fn verifiers(url: &str) -> [RemoteVerifier; 2] {
    let start = |millis| {
        let keys = RemoteVerifier::builder(url).keys(move |keys| {
            keys.interval(Duration::from_millis(millis)).unknown_key_interval(Duration::from_secs(3_600))
        });
        keys.audience(url).revocations(|feed| feed.interval(Duration::from_millis(500))).start().unwrap()
    };
    let verifiers = [start(150), start(300)];
    for verifier in &verifiers {
        verifier.ready().await.unwrap();
    }
    verifiers
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_no_valid_token_is_refused_and_no_request_fails() {
    let directory = crate::database::Directory::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut settings = settings(&url);
    (settings.next_key_min_age, settings.key_rotation) = (1, 1);
    let (clock, database) = (Arc::new(SystemClock), directory.options());
    let store = Store::open(&database, true, Migrate::Apply, clock.clone()).await.unwrap();
    let master = MasterKey::new(MASTER_KEY.to_vec()).unwrap();
    let mapae = Mapae::start(store, settings, master, clock).await.unwrap();
    let _background = mapae.watch().await.unwrap();
    let app = http::app(mapae.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let id = mapae.add_account(new_account("ann"), None, By::System).await.unwrap().id;
    let verifiers = verifiers(&url).await;

    let (mut tokens, mut kids, client) = (Vec::<String>::new(), HashSet::new(), Client::new());
    let mut every_millisecond = interval(Duration::from_millis(1));
    every_millisecond.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let began = Instant::now();
    while kids.len() <= ROTATIONS {
        assert!(began.elapsed() < Duration::from_secs(60), "{} rotations in a minute", kids.len() - 1);
        every_millisecond.tick().await;
        let token = mapae.mint(&id, &Scopes::default(), By::System).await.unwrap().access_token.expose().to_owned();
        mapae.authenticate(&token).await.unwrap();
        for verifier in &verifiers {
            verifier.verify(&token).await.unwrap();
        }
        kids.insert(text(&parts(&token).0["kid"]));
        if tokens.len().is_multiple_of(8) {
            let me = client.get(format!("{url}/users/me")).bearer_auth(&token).send().await.unwrap();
            assert_eq!(me.status(), StatusCode::OK);
        }
        // And one of before, which may be of any key that retires.
        if let Some(old) = tokens.get(tokens.len() / 2) {
            mapae.authenticate(old).await.unwrap();
            verifiers[tokens.len() % 2].verify(old).await.unwrap();
        }
        tokens.push(token);
    }
    for token in &tokens {
        mapae.authenticate(token).await.unwrap();
        for verifier in &verifiers {
            verifier.verify(token).await.unwrap();
        }
    }
    println!("{} tokens, {} keys signed, in {:?}", tokens.len(), kids.len(), began.elapsed());
    // A busy machine makes fewer.
    assert!(tokens.len() > 5 * kids.len(), "too few tokens to mean anything: {}", tokens.len());
    serving.abort();
}

#[tokio::test]
async fn a_key_goes_through_its_life_by_the_clock() {
    let server = Server::start().await;
    let (_, token) = server.newcomer("ann").await;
    let (active, next) = (one(&server.mapae, KeyState::Active).await, one(&server.mapae, KeyState::Next).await);
    assert_eq!(text(&parts(&token).0["kid"]), active);
    let due = server.mapae.tend_keys().await.unwrap().unwrap();
    assert_eq!(due.timestamp(), START + 90 * DAY);

    server.clock.set(START + 90 * DAY - 1);
    server.mapae.tend_keys().await.unwrap();
    assert_eq!(one(&server.mapae, KeyState::Active).await, active);
    server.clock.advance(1);
    server.mapae.tend_keys().await.unwrap();
    assert_eq!(one(&server.mapae, KeyState::Active).await, next);
    assert_eq!(one(&server.mapae, KeyState::Retiring).await, active);
    assert_ne!(one(&server.mapae, KeyState::Next).await, next);
    assert_eq!(text(&parts(&server.sign_in("ann").await).0["kid"]), next);

    let gone = START + 90 * DAY + 900 + 5 + 300;
    server.clock.set(gone - 1);
    server.mapae.tend_keys().await.unwrap();
    assert!(server.mapae.jwks().contains(&active));
    server.clock.set(gone);
    server.mapae.tend_keys().await.unwrap();
    assert!(!server.mapae.jwks().contains(&active));
    assert_eq!(states(&server.mapae).await.len(), 2);
}

#[tokio::test]
async fn zero_is_never() {
    let server = Server::start_with(|settings| settings.key_rotation = 0).await;
    server.clock.advance(3_650 * DAY);
    assert_eq!(server.mapae.tend_keys().await.unwrap(), None);
    assert_eq!(states(&server.mapae).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_nodes_one_rotates() {
    let server = Server::start().await;
    let nodes = [server.another_process().await, server.another_process().await, server.another_process().await];
    for _ in 0..5 {
        let next = one(&server.mapae, KeyState::Next).await;
        server.clock.advance(90 * DAY);
        let all = nodes.clone().map(|node| tokio::spawn(async move { node.tend_keys().await }));
        for node in all {
            node.await.unwrap().unwrap();
        }
        assert_eq!(one(&server.mapae, KeyState::Active).await, next, "the one that was next, and no other");
        one(&server.mapae, KeyState::Next).await;
        assert_eq!(one(&server.mapae, KeyState::Retiring).await.len(), next.len());
    }
}

#[tokio::test]
async fn a_rotation_is_followed_by_other_nodes_in_a_moment() {
    let server = Server::start().await;
    let node = server.another_process().await;
    let next = one(&server.mapae, KeyState::Next).await;
    server.clock.advance(90 * DAY);
    node.tend_keys().await.unwrap();
    server.sign_up("ann").await;
    let began = Instant::now();
    while text(&parts(&server.sign_in("ann").await).0["kid"]) != next {
        assert!(began.elapsed() < Duration::from_secs(5), "the server follows");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_clock_that_jumps_does_no_harm() {
    let server = Server::start().await;
    let (_, token) = server.newcomer("ann").await;
    // A year ahead, and noticed there.
    server.clock.advance(365 * DAY);
    server.mapae.tend_keys().await.unwrap();
    let rotated = states(&server.mapae).await;
    server.clock.set(START);
    for hour in 0..3 {
        server.clock.set(START + hour * 60);
        server.mapae.tend_keys().await.unwrap();
        assert_eq!(states(&server.mapae).await, rotated, "nothing is done twice, and nothing is lost");
        assert_eq!(server.status_of_me(&token).await, 200, "the key of before still verifies");
        let new = server.sign_in("ann").await;
        assert_eq!(server.status_of_me(&new).await, 200);
    }
    server.mapae.rotate_keys(false, By::System).await.unwrap_err();
    server.mapae.rotate_keys(true, By::System).await.unwrap();
    let new = server.sign_in("ann").await;
    assert_eq!((server.status_of_me(&token).await, server.status_of_me(&new).await), (StatusCode::OK, StatusCode::OK));
}

/// As no operation leaves them; a damaged table is put in order all the same.
#[tokio::test]
async fn a_key_that_is_missing_is_made_anew() {
    let server = Server::start().await;
    let (active, next) = (one(&server.mapae, KeyState::Active).await, one(&server.mapae, KeyState::Next).await);
    let remove = async |kid: &str| {
        let mut tx = server.mapae.store().begin().await.unwrap();
        assert!(tx.remove_signing_key(kid).await.unwrap());
        tx.commit().await.unwrap();
    };
    remove(&next).await;
    server.mapae.tend_keys().await.unwrap();
    assert_eq!(one(&server.mapae, KeyState::Active).await, active);
    let next = one(&server.mapae, KeyState::Next).await;
    remove(&active).await;
    server.mapae.tend_keys().await.unwrap();
    assert_eq!(one(&server.mapae, KeyState::Active).await, next, "the one that verifiers know");
    one(&server.mapae, KeyState::Next).await;
    server.sign_up("ann").await;
    let token = server.sign_in("ann").await;
    assert_eq!(server.status_of_me(&token).await, 200);
}
