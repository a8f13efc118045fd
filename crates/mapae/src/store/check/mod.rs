//! Finding rows that no code of this service would have written, or that it cannot read, and what to do about each.
//!
//! What the schema itself enforces is not looked at: that something is there, and which names are unique.

mod keys;
mod pages;
mod rest;
mod sessions;
mod users;

use chrono::{DateTime, TimeDelta, Utc};
use mapae_password::HashText;
use sea_orm::DatabaseTransaction;

use super::{Store, StoreError};
use crate::domain::SigningKeyRecord;

/// Times this far apart in the wrong order are no mere clock that was set right.
const CLOCK_ERROR: TimeDelta = TimeDelta::days(1);

/// A row that is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowFault {
    /// Its table.
    pub table: &'static str,
    /// Its primary key, as text.
    pub row: String,
    /// What is wrong: a sentence without its end.
    pub problem: String,
    /// What to do: a sentence without its end.
    pub remedy: String,
}

/// What the store cannot judge by itself.
pub trait Judge: Sync {
    /// What is wrong with a password hash, if anything.
    fn hash_problem(&self, hash: &HashText) -> Option<String>;
    /// What is wrong with a signing key, if anything.
    fn signing_key_problem(&self, key: &SigningKeyRecord) -> Option<String>;
    /// Whether the master key opens a data key.
    fn opens_data_key(&self, name: &str, wrapped: &[u8]) -> bool;
    /// Whether the accounts are this service's own, and not in another application's table.
    fn has_own_accounts(&self) -> bool;
}

impl Store {
    /// Looks at every row of every table, as of one moment, some at a time; `found` is told of each that is broken.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn check_rows(
        &self,
        judge: &dyn Judge,
        found: &mut (dyn FnMut(RowFault) + Send),
    ) -> Result<(), StoreError> {
        let snapshot = self.0.connections.engine.begin_snapshot(self.0.connections.read.pool()).await?;
        let mut check = Check { db: &snapshot, now: self.now(), judge, found };
        check.data_keys().await?;
        check.signing_keys().await?;
        check.clients().await?;
        check.users().await?;
        check.shared_accounts().await?;
        check.sessions().await?;
        check.revocations().await?;
        check.tickets().await?;
        check.counters().await?;
        check.audit().await?;
        check.invalidations().await
    }
}

/// A check that goes on.
struct Check<'a> {
    db: &'a DatabaseTransaction,
    now: DateTime<Utc>,
    judge: &'a dyn Judge,
    found: &'a mut (dyn FnMut(RowFault) + Send),
}

/// The row that is looked at.
struct Place<'a> {
    table: &'static str,
    key: &'static str,
    row: &'a str,
}

impl Check<'_> {
    fn fault(&mut self, at: &Place<'_>, problem: impl Into<String>, remedy: impl Into<String>) {
        let (problem, remedy) = (problem.into(), remedy.into());
        (self.found)(RowFault { table: at.table, row: at.row.to_owned(), problem, remedy });
    }

    /// Notes a row that cannot be read.
    fn corrupt(&mut self, at: &Place<'_>, error: StoreError, remedy: impl Into<String>) {
        let why = match error {
            StoreError::Corrupt { why, .. } => why,
            other => other.to_string(),
        };
        self.fault(at, format!("it cannot be read: {why}"), remedy);
    }

    /// Notes times that are in the wrong order, or have not come yet.
    fn times(&mut self, at: &Place<'_>, begun: DateTime<Utc>, later: &[(&str, Option<DateTime<Utc>>)], remedy: &str) {
        if begun > self.now + CLOCK_ERROR {
            self.fault(at, format!("it is said to be made at {begun}, which has not come yet"), remedy);
        }
        for (what, time) in later {
            if let Some(time) = time.filter(|time| *time < begun - CLOCK_ERROR) {
                self.fault(at, format!("{what} ({time}) is before it was made ({begun})"), remedy);
            }
        }
    }
}

impl Place<'_> {
    /// The statement that removes the row.
    fn delete(&self) -> String {
        format!("DELETE FROM {} WHERE {} = {}", self.table, self.key, quoted(self.row))
    }

    /// The statement that puts another text into the row.
    fn update(&self, column: &str, value: &str) -> String {
        format!("UPDATE {} SET {column} = {value} WHERE {} = {}", self.table, self.key, quoted(self.row))
    }
}

/// A text in SQL.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
