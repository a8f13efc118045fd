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

/// Connections that were given back have been tested by then, and so long ago that they are tested again when they are
/// taken.
const QUIET: Duration = Duration::from_millis(150);
/// The same, however busy the machine is.
const SETTLED: Duration = Duration::from_secs(1);
const TIMES: usize = 8;

/// How often the server is asked, in the mean. Some acts before that do not count: connections that are new have to
/// prepare their statements.
async fn asked(pooler: &Pooler, act: impl AsyncFn(usize)) -> usize {
    let repeat = async |from: usize| {
        for number in from..from + TIMES {
            act(number).await;
            sleep(QUIET).await;
        }
        sleep(SETTLED).await;
        pooler.asked()
    };
    let before = repeat(0).await;
    (repeat(TIMES).await - before) / TIMES
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

    let made = asked(&pooler, async |number| {
        let name = format!("ann{number}");
        let new = NewAccount { email: Some(format!("{name}@example.com")), ..new_account(&name) };
        mapae.add_account(new, None, By::System).await.unwrap();
    });
    // A test, the look-up, and a test; a test, BEGIN, the account, the audit trail, COMMIT, and two tests. A connection that
    // was used a moment ago is not tested when it is taken.
    let made = made.await;
    assert!(made <= 3 + 7, "{made}");

    let id = mapae.find_account("ann0").await.unwrap().id;
    let read = asked(&pooler, async |_| drop(mapae.account_by_id(&id).await.unwrap()));
    let read = read.await;
    assert!(read <= 3, "{read}");
}
