//! PostgreSQL by way of a pooler in transaction mode, with a pool that is smaller than what nodes ask for: to the server
//! that `MAPAE_TEST_POOLER` names, which `cargo xtask test` starts. The suites, and what nodes hear of each other, with the
//! direct way to the server and without; every other test here runs with that variable set too, and with the direct way.

use std::sync::Arc;
use std::time::Duration;

use mapae::Mapae;
use mapae::domain::MasterKey;
use mapae::service::{Background, By};
use mapae::store::{DatabaseOptions, Migrate, Store};
use mapae::testing::{conformance, races};
use mapae_verify::{ManualClock, Scopes};
use tokio::time::{Instant, sleep};

use crate::captured_log::capture;
use crate::database::{Directory, pooler, say};
use crate::server::{MASTER_KEY, START, disable, new_account, settings};

/// A change on one node is seen on every other within this time.
const SEEN: Duration = Duration::from_secs(1);

/// With the direct way to the server, and without; nothing where there is no pooler.
fn ways(directory: &Directory, test: &str) -> Vec<DatabaseOptions> {
    if pooler().is_none() {
        say(&format!("not run without a pooler: {test}; `cargo xtask test` does"));
        return Vec::new();
    }
    let with = directory.options();
    vec![DatabaseOptions { direct_url: None, ..with.clone() }, with]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suites_pass() {
    let directory = Directory::new();
    for database in ways(&directory, "the suites through a pooler") {
        conformance::run(&database).await.unwrap().assert_kept();
        races::run(&database).await.unwrap().assert_kept();
    }
}

/// Nobody needs to have migrated before.
#[tokio::test(flavor = "multi_thread")]
async fn ten_that_start_at_once_migrate_once() {
    for direct in [false, true] {
        let directory = Directory::new();
        directory.empty_url();
        for database in ways(&directory, "migrations through a pooler") {
            if database.direct_url.is_some() == direct {
                races::run(&database).await.unwrap().assert_kept();
            }
        }
    }
}

async fn node(database: &DatabaseOptions, clock: &ManualClock) -> (Mapae, Background) {
    let clock = Arc::new(clock.clone());
    let store = Store::open(database, false, Migrate::Never, clock.clone()).await.unwrap();
    let key = MasterKey::new(MASTER_KEY.to_vec()).unwrap();
    let mapae = Mapae::start(store, settings("https://auth.example.com"), key, clock).await.unwrap();
    let background = mapae.watch().await.unwrap();
    (mapae, background)
}

/// Directly because the other node is told, else because it looks.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_does_the_other_sees() {
    let directory = Directory::new();
    for database in ways(&directory, "two nodes through a pooler") {
        let clock = ManualClock::new(START);
        let ((one, _one), (other, _other)) = (node(&database, &clock).await, node(&database, &clock).await);
        let mut took = Vec::new();
        for round in 0..12_u64 {
            let name = format!("ann{round}-{}", database.direct_url.is_some());
            let id = one.add_account(new_account(&name), None, By::System).await.unwrap().id;
            let token = one.mint(&id, &Scopes::default(), By::System).await.unwrap().access_token;
            // Twice, so that it is remembered over there.
            for _ in 0..2 {
                other.authenticate(token.expose()).await.unwrap();
            }
            sleep(Duration::from_millis(23 * round)).await;
            one.administer(&id, disable(true), By::System).await.unwrap();
            let began = Instant::now();
            while other.authenticate(token.expose()).await.is_ok() {
                assert!(began.elapsed() < 10 * SEEN, "it is never refused");
                sleep(Duration::from_millis(1)).await;
            }
            took.push(began.elapsed());
        }
        took.sort_unstable();
        println!("told: {}; until the other node refused: {took:?}", database.direct_url.is_some());
        assert!(took.iter().all(|time| *time < SEEN), "{took:?}");
    }
}

/// Whoever does not say so finds it out; and what writes keeps its limits all the same.
#[tokio::test]
async fn a_pooler_is_noticed_and_limits_hold() {
    let directory = Directory::new();
    for database in ways(&directory, "limits through a pooler") {
        let (log, _guard) = capture();
        let database = DatabaseOptions { lock_timeout: Duration::from_millis(200), ..database };
        let (one, _background) = node(&database, &ManualClock::new(START)).await;
        let said = log.take();
        assert_eq!(said.contains("database_direct_url"), database.direct_url.is_none(), "{said}");

        let name = format!("ann-{}", database.direct_url.is_some());
        let id = one.add_account(new_account(&name), None, By::System).await.unwrap().id;
        let held = one.store().begin().await.unwrap();
        held.user(&id).await.unwrap();
        let began = Instant::now();
        let refused = one.administer(&id, disable(true), By::System).await.unwrap_err().to_string();
        assert!(began.elapsed() < Duration::from_secs(5) && refused.contains("lock timeout"), "{refused}");
        drop(held);
        one.administer(&id, disable(true), By::System).await.unwrap();
    }
}
