//! A backup that is older than what was answered since: whoever was signed in when it was made stays signed in, although
//! his refresh token is newer than what the backup knows.

use std::sync::Arc;

use super::after::until_well;
use super::cluster::{dump, programs, restore};
use super::fleet::Fleet;
use super::ledger::Ledger;
use super::load::{Load, check};
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
    let kept = known.iter().map(|account| (account.name.clone(), account.sessions.len())).collect::<Vec<_>>();
    let made = now();
    let load = Load::start(&fleet, &ledger, known);
    tokio::time::sleep(lasts()).await;
    let mut accounts = load.stop().await;
    // As it is done; one node is forgotten, and stays.
    fleet.kill(0);
    fleet.kill(1);
    database.empty().await;
    restore(&programs, &database.url, &backup);
    ledger.recovered(now(), until_well(&fleet, &ledger).await);
    fleet.run(0);
    fleet.run(1);
    // It sees what the others do, although the log of changes counts from the backup's numbers on.
    let load = Load::start(&fleet, &ledger, Vec::new());
    tokio::time::sleep(BEFORE * 3).await;
    let since_then = load.stop().await;

    accounts.retain_mut(|account| {
        let sessions = kept.iter().find(|(name, _)| *name == account.name).map(|(_, sessions)| *sessions);
        account.sessions.truncate(sessions.unwrap_or_default());
        // Who has gone since then is back: that is what a backup is.
        account.forget_ends_since(made);
        sessions.is_some()
    });
    let sessions = accounts.iter().map(|account| account.sessions.len()).sum::<usize>();
    assert!(sessions > 5, "too few to mean anything: {sessions}");
    accounts.extend(since_then);
    ledger.expect_well(WELL);
    check(&fleet, &ledger, accounts).await;
    report("backup_restored", &ledger);
    ledger.settle();
    let ahead = fleet.command(&["audit", "export", "--event", "refresh-token.ahead"]);
    assert!(ahead.stdout.contains("refresh-token.ahead"), "no refresh token was newer than the backup: {ahead:?}");
    fleet.stop();
    database.drop().await;
}
