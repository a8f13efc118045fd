//! How often PostgreSQL is asked for what is done often: each answer costs both sides more than what it says.

use std::sync::Arc;
use std::time::Duration;

use mapae::Mapae;
use mapae::domain::MasterKey;
use mapae::service::By;
use mapae::service::accounts::NewAccount;
use mapae::store::{Migrate, Store};
use mapae_verify::ManualClock;
use tokio::time::sleep;

use crate::cheating_pooler::Pooler;
use crate::database::{Directory, is_postgres};
use crate::server::{MASTER_KEY, START, new_account, settings};

/// Connections that were given back are tested within this time, and so long ago that they are tested again when they are
/// taken.
const QUIET: Duration = Duration::from_millis(150);

/// The fewest of several times: a connection that is new has to prepare its statements.
async fn fewest(pooler: &Pooler, act: impl AsyncFn(usize)) -> usize {
    let mut counts = Vec::new();
    for number in 0..8 {
        let before = pooler.asked();
        act(number).await;
        let mut asked = before;
        while asked < pooler.asked() {
            asked = pooler.asked();
            sleep(QUIET).await;
        }
        counts.push(asked - before);
    }
    counts.into_iter().min().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_made_in_one_look_up_and_one_transaction() {
    if !is_postgres() {
        return; // Nothing is on the way to a file.
    }
    let directory = Directory::new();
    let mut url = directory.url();
    let pooler = Pooler::start(&mut url, &[]).await;
    let clock = Arc::new(ManualClock::new(START));
    let store = Store::open(url, false, Migrate::Never, clock.clone()).await.unwrap();
    let key = MasterKey::new(MASTER_KEY.to_vec()).unwrap();
    let mapae = Mapae::start(store, settings("https://auth.example.com"), key, clock).await.unwrap();

    let made = fewest(&pooler, async |number| {
        let name = format!("ann{number}");
        let new = NewAccount { email: Some(format!("{name}@example.com")), ..new_account(&name) };
        mapae.add_account(new, None, By::System).await.unwrap();
    });
    // A test, the look-up, and a test; a test, BEGIN, the account, the audit trail, COMMIT, and two tests.
    assert_eq!(made.await, 3 + 7);

    let id = mapae.find_account("ann0").await.unwrap().id;
    let read = fewest(&pooler, async |_| drop(mapae.account_by_id(&id).await.unwrap()));
    assert_eq!(read.await, 3);
}
