//! What a store promises, checked one promise after the other: on any database, and on any user table of an
//! application's own. What must hold when many come at once is in [`races`](super::races).

mod accounts;
pub(super) mod sessions;
mod transactions;
pub(super) mod user_store;

pub use user_store::{KnownUser, KnownUsers, user_store};

use super::nodes::Nodes;
use super::report::{Report, SuiteError};
use crate::store::DatabaseOptions;

/// Checks this database, which must be the suite's own: a fresh one, or one on which a suite ran before. Missing
/// migrations are applied. It says of an engine, a fork of one, or a pooler whether it does what Mapae needs.
///
/// # Errors
/// [`SuiteError`] if the suite could not be run; broken promises are in the report.
pub async fn run(database: impl Into<DatabaseOptions>) -> Result<Report, SuiteError> {
    run_only(database, &[]).await
}

/// As [`run`], but only the checks of these names, to repeat what failed; all if none is named.
///
/// # Errors
/// As [`run`].
pub async fn run_only(database: impl Into<DatabaseOptions>, checks: &[&str]) -> Result<Report, SuiteError> {
    let started = Nodes::start(&database.into()).await?;
    let nodes = &started;
    let mut report = Report::new(checks);
    report
        .check("unique_name", "a user name is one account's, however it is spelled", accounts::unique_name(nodes))
        .await;
    report
        .check("unique_address", "an address is one account's, however it is spelled", accounts::unique_address(nodes))
        .await;
    report.check("exact_text", "any text comes back exactly as it was stored", accounts::exact_text(nodes)).await;
    report
        .check("list", "a search finds what it is for, and pages show it once, in order", accounts::list(nodes))
        .await;
    report
        .check("swap_password", "a password hash is replaced only where the old one is", accounts::swap_password(nodes))
        .await;
    report.check("delete", "who is deleted is gone, and the name free again", accounts::delete(nodes)).await;
    report.check("exact_time", "times are kept and compared to the millisecond", sessions::exact_time(nodes)).await;
    report
        .check("advance", "a session moves on from the generation that it has, and no other", sessions::advance(nodes))
        .await;
    report.check("end", "what is ended stays ended, and every node is told why", sessions::end(nodes)).await;
    report
        .check("reuse", "a stolen refresh token is refused, and that it was shown is durable", sessions::reuse(nodes))
        .await;
    report.check("ticket", "a ticket is good once, and until it expires", sessions::ticket(nodes)).await;
    report.check("commit", "what is committed is there, and seen by nobody before", transactions::commit(nodes)).await;
    report.check("rollback", "what is not committed leaves nothing", transactions::rollback(nodes)).await;
    report
        .check("row_lock", "what was read to be changed, nobody else changes meanwhile", transactions::row_lock(nodes))
        .await;
    report.check("turn", "what only one may do at a time, one does at a time", transactions::turn(nodes)).await;
    report.check("audit", "the audit trail has what was done, and nothing else", transactions::audit(nodes)).await;
    report.check("change", "a change is heard of on other nodes", transactions::change(nodes)).await;
    report
        .check("change_order", "changes are numbered in the order of their commits", transactions::change_order(nodes))
        .await;
    report.check("feed", "the feed names thousands of revocations, in order", transactions::feed(nodes)).await;
    report.check("counter", "counters of failures are kept exactly", transactions::counter(nodes)).await;
    report
        .check("exact_bytes", "any bytes come back exactly as they were stored", transactions::exact_bytes(nodes))
        .await;
    started.stop().await;
    Ok(report)
}
