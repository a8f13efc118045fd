//! A backup that is older than what was answered since: whoever was signed in when it was made stays signed in, although
//! his refresh token is newer than what the backup knows.

use std::sync::Arc;

use super::after::until_well;
use super::cluster::{dump, programs, restore};
use super::fleet::Fleet;
use super::ledger::Ledger;
use super::load::{Account, BackedUp, Load, check};
use super::{BEFORE, WELL, lasts, note, report};
use crate::postgres::OwnDatabase;
use crate::server::now;

#[tokio::test(flavor = "multi_thread")]
async fn backup_restored() {
    let Some(programs) = programs() else { return note("not run without PostgreSQL: backup_restored") };
    let Some(database) = OwnDatabase::new("fault_restored").await else { return };
    let mut fleet = Fleet::of_three([&database.url; 3].map(String::clone)).await;
    let ledger = Arc::new(Ledger::default());
    let load = Load::start(&fleet, &ledger, Vec::new());
    tokio::time::sleep(BEFORE * 2).await;
    let known = load.stop().await;
    let backup = fleet.home(0).path().join("backup");
    dump(&programs, &database.url, &backup);

    // What comes now is not in the backup, but for what it began with.
    let kept = BackedUp::of(&known);
    let made = now();
    let load = Load::start(&fleet, &ledger, known);
    tokio::time::sleep(lasts()).await;
    let accounts = load.stop().await;
    // As it is done; one node is forgotten, and stays.
    fleet.kill(0);
    fleet.kill(1);
    database.empty().await;
    restore(&programs, &database.url, &backup);
    ledger.recovered(now(), until_well(&fleet, &ledger).await);
    fleet.run(0);
    fleet.run(1);
    // It sees what the others do, although the log of changes counts from the backup's numbers on.
    expect_restored("backup_restored", &fleet, &ledger, kept.left_of(accounts, made)).await;
    fleet.stop();
    database.drop().await;
}

/// Lets a load run once more, and checks what it did and what is left of what was done before.
pub(super) async fn expect_restored(name: &str, fleet: &Fleet, ledger: &Arc<Ledger>, left: Vec<Account>) {
    let load = Load::start(fleet, ledger, Vec::new());
    tokio::time::sleep(BEFORE * 3).await;
    let mut accounts = load.stop().await;
    accounts.extend(left);
    ledger.expect_well(WELL);
    check(fleet, ledger, accounts).await;
    report(name, ledger);
    ledger.settle();
    let ahead = fleet.command(&["audit", "export", "--event", "refresh-token.ahead"]);
    assert!(ahead.stdout.contains("refresh-token.ahead"), "no refresh token was newer than the backup: {ahead:?}");
}
