//! The master key is replaced while the service runs.

use mapae::Mapae;
use mapae::domain::{KeyState, MasterKey};
use mapae::service::{By, RotateMasterError, StartError};
use mapae::store::{Migrate, Store};
use std::sync::Arc;

use crate::captured_log::capture;
use crate::forge::{parts, stolen_key};
use crate::oauth::{refresh, sign_in};
use crate::server::{MASTER_KEY, Server, open, open_with_key, text};

const DAY: i64 = 24 * 60 * 60;
const NEW: [u8; 32] = [43; 32];

fn master(bytes: [u8; 32]) -> MasterKey {
    MasterKey::new(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn nobody_is_logged_out_and_the_server_goes_on() {
    let server = Server::start().await;
    let (id, _) = server.newcomer("ann").await;
    let before = sign_in(&server, "ann", "").await;
    let command = server.another_process().await;
    let done = command.rotate_master_key(master(NEW), false, By::System).await.unwrap();
    assert_eq!(
        (done.rewrapped, done.ended),
        (5, 0),
        "the check value, the keys of refreshes and counters, two that sign"
    );

    for mapae in [&server.mapae, &command] {
        mapae.tend_keys().await.unwrap();
        mapae.authenticate(&before.access).await.unwrap();
    }
    assert_eq!(server.status_of_me(&before.access).await, 200);
    let after = refresh(&server, &before.refresh).await;
    assert_eq!(server.status_of_me(&server.sign_in("ann").await).await, 200);

    let clock = &server.clock;
    let error = open(server.directory(), server.settings.clone(), clock).await.unwrap_err();
    assert!(
        matches!(error, StartError::WrongMasterKey) && error.to_string().contains("mapae secret rotate"),
        "{error}"
    );
    let again = open_with_key(server.directory(), server.settings.clone(), clock, NEW).await.unwrap();
    again.authenticate(&after.access).await.unwrap();
    server
        .mapae
        .authenticate(again.mint(&id, &Default::default(), By::System).await.unwrap().access_token.expose())
        .await
        .unwrap();
}

/// Until it is started with the new key, a node makes no keys, but follows those that others make.
#[tokio::test]
async fn a_node_with_the_old_key_follows_the_others() {
    let server = Server::start().await;
    let (id, _) = server.newcomer("ann").await;
    let command = server.another_process().await;
    command.rotate_master_key(master(NEW), false, By::System).await.unwrap();
    let node = open_with_key(server.directory(), server.settings.clone(), &server.clock, NEW).await.unwrap();
    let before = server.mapae.list_keys().await.unwrap();

    server.clock.advance(90 * DAY);
    assert!(matches!(server.mapae.tend_keys().await, Err(StartError::WrongMasterKey)));
    assert!(matches!(server.mapae.rotate_keys(true, By::System).await, Err(mapae::service::RotateError::Start(_))));
    assert_eq!(server.mapae.list_keys().await.unwrap().len(), before.len(), "it changed nothing");
    let token = server.sign_in("ann").await;
    assert_eq!(server.status_of_me(&token).await, 200, "it goes on");

    let next = before.iter().find(|key| key.state == KeyState::Next).unwrap();
    node.tend_keys().await.unwrap();
    server.mapae.tend_keys().await.unwrap();
    assert_eq!(text(&parts(&server.sign_in("ann").await).0["kid"]), next.kid, "it had opened that key before");
    // The one after that it cannot open; it believes it all the same, and signs with its own while that verifies.
    node.rotate_keys(true, By::System).await.unwrap();
    server.mapae.tend_keys().await.unwrap_err();
    let minted = node.mint(&id, &Default::default(), By::System).await.unwrap();
    assert_ne!(text(&parts(minted.access_token.expose()).0["kid"]), next.kid);
    assert_eq!(server.status_of_me(minted.access_token.expose()).await, 200);
    let own = server.sign_in("ann").await;
    node.authenticate(&own).await.unwrap();
    server.clock.advance(900 + 5 + 300);
    server.mapae.tend_keys().await.unwrap_err();
    let form = [("username", "ann"), ("password", crate::server::PASSWORD)];
    assert_eq!(server.post("/token").form(&form).send().await.unwrap().status(), 500, "no token that others refuse");
}

#[tokio::test]
async fn the_same_key_or_a_damaged_database_changes_nothing() {
    let server = Server::start().await;
    let (_, token) = server.newcomer("ann").await;
    let same = server.mapae.rotate_master_key(master(MASTER_KEY), false, By::System).await.unwrap_err();
    assert!(matches!(same, RotateMasterError::SameKey), "{same}");
    let mut tx = server.mapae.store().begin().await.unwrap();
    tx.insert_data_key("of a newer version", vec![1; 60]).await.unwrap();
    tx.commit().await.unwrap();
    let error = server.mapae.rotate_master_key(master(NEW), false, By::System).await.unwrap_err();
    assert!(matches!(&error, RotateMasterError::Unopened(name) if name == "of a newer version"), "{error}");
    assert_eq!(server.status_of_me(&token).await, 200);
    open(server.directory(), server.settings.clone(), &server.clock).await.unwrap();
}

/// Two who rotate at the same time: one of them does, and the other's key opens nothing.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_rotations_one_succeeds() {
    let server = Server::start().await;
    let (one, other) = (server.another_process().await, server.another_process().await);
    let (one, other) = tokio::join!(
        one.rotate_master_key(master(NEW), false, By::System),
        other.rotate_master_key(master([44; 32]), false, By::System)
    );
    assert_eq!(usize::from(one.is_ok()) + usize::from(other.is_ok()), 1, "{one:?} {other:?}");
    let right = if one.is_ok() { NEW } else { [44; 32] };
    open_with_key(server.directory(), server.settings.clone(), &server.clock, right).await.unwrap();
}

/// Neither the private keys nor the master keys are anywhere in what is written.
#[tokio::test]
async fn no_key_is_in_the_database_the_log_or_an_error() {
    let (log, _capturing) = capture();
    let server = Server::start().await;
    server.newcomer("ann").await;
    let stolen = stolen_key(&server).await;
    let pkcs8 = stolen.to_pkcs8().unwrap();
    server.mapae.rotate_master_key(master(NEW), false, By::System).await.unwrap();
    server.mapae.rotate_keys(true, By::System).await.unwrap();
    server.mapae.revoke_leaked_key(stolen.kid().unwrap(), By::System).await.unwrap();
    let error = open(server.directory(), server.settings.clone(), &server.clock).await.unwrap_err();
    let shown =
        format!("{error} {error:?} {:?} {:?} {stolen:?}", server.mapae, server.mapae.store().signing_keys().await);

    // The private number of a P-256 key stands after a header of fixed length (RFC 5915 §3 in RFC 5208 §5).
    let number = &pkcs8[36..68];
    let mut secrets = vec![number.to_vec(), MASTER_KEY.to_vec(), NEW.to_vec()];
    let texts: Vec<Vec<u8>> = secrets
        .iter()
        .flat_map(|secret| {
            let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
            [hex.into_bytes(), crate::forge::encode(secret).into_bytes(), format!("{secret:?}").into_bytes()]
        })
        .collect();
    secrets.extend(texts);
    let mut places = vec![("the log".to_owned(), log.take().into_bytes()), ("an error".to_owned(), shown.into_bytes())];
    for file in std::fs::read_dir(server.directory()).unwrap() {
        let path = file.unwrap().path();
        places.push((path.display().to_string(), std::fs::read(path).unwrap()));
    }
    let least = if crate::database::is_file("that no key is on disk") { 4 } else { 2 };
    assert!(places.len() >= least && places[0].1.len() > 100, "the log and the database were looked at");
    for (place, content) in &places {
        for secret in &secrets {
            assert!(!content.windows(secret.len()).any(|window| window == secret), "{place}");
        }
    }
}

/// What the command line works with has the server's keys, and none of its own.
#[tokio::test]
async fn a_command_with_the_old_key_is_told_so() {
    let server = Server::start().await;
    server.mapae.rotate_master_key(master(NEW), false, By::System).await.unwrap();
    let url = crate::database::url(server.directory());
    let clock = Arc::new(server.clock.clone());
    let store = Store::open(&url, false, Migrate::Never, clock.clone()).await.unwrap();
    let error = Mapae::attach(store, server.settings.clone(), master(MASTER_KEY), clock).await.unwrap_err();
    assert!(matches!(error, StartError::WrongMasterKey), "{error}");
}
