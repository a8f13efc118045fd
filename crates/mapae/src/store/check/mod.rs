//! Finding rows that no code of this service would have written, or that it cannot read, and what to do about each.
//!
//! What the schema itself enforces is not looked at: that something is there, and which names are unique.

mod keys;
mod pages;
mod rest;
mod sessions;
mod users;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use mapae_password::HashText;
use sea_orm::DatabaseTransaction;

use super::{Snapshot, StoreError};
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

/// Why a password hash cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashProblem {
    /// What is wrong: a sentence without its end.
    pub problem: String,
    /// What to do where a setting is to blame, and not the hash: a sentence without its end.
    pub setting: Option<&'static str>,
}

/// What the store cannot judge by itself.
pub trait Judge: Sync {
    /// What is wrong with a password hash, if anything.
    fn hash_problem(&self, hash: &HashText) -> Option<HashProblem>;
    /// What is wrong with a signing key, if anything.
    fn signing_key_problem(&self, key: &SigningKeyRecord) -> Option<String>;
    /// Whether the master key opens a data key.
    fn opens_data_key(&self, name: &str, wrapped: &[u8]) -> bool;
    /// Whether the accounts are this service's own, and not in another application's table.
    fn has_own_accounts(&self) -> bool;
}

impl Snapshot {
    /// Looks at every row of every table, some at a time; `found` is told of each that is broken, and should not keep the
    /// database waiting. `now` is the present time.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn check_rows(
        &self,
        judge: &dyn Judge,
        now: DateTime<Utc>,
        found: &mut (dyn FnMut(RowFault) + Send),
    ) -> Result<(), StoreError> {
        let mut check = Check { db: &self.tx, now, judge, found, settings: BTreeMap::new() };
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
    /// By what they say: the first row of this table that each setting is to blame for, and how many others there are.
    settings: BTreeMap<SettingFault, (String, usize)>,
}

/// What a setting is to blame for.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct SettingFault {
    table: &'static str,
    problem: String,
    remedy: &'static str,
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

    /// Remembers a row that is in order by itself, but not with the settings here. It may be so with every row.
    fn setting(&mut self, at: &Place<'_>, problem: String, remedy: &'static str) {
        let fault = SettingFault { table: at.table, problem, remedy };
        let first = |(_, others): &mut (String, usize)| *others += 1;
        self.settings.entry(fault).and_modify(first).or_insert_with(|| (at.row.to_owned(), 0));
    }

    /// Notes what [`Self::setting`] has remembered, once for all rows of the table.
    fn settings(&mut self) {
        for (SettingFault { table, problem, remedy }, (row, others)) in std::mem::take(&mut self.settings) {
            let problem = match others {
                0 => problem,
                1 => format!("{problem}; so it is with 1 other row"),
                _ => format!("{problem}; so it is with {others} other rows"),
            };
            (self.found)(RowFault { table, row, problem, remedy: remedy.to_owned() });
        }
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
            // Everything else is before that.
            return self.fault(at, format!("it is said to be made at {begun}, which has not come yet"), remedy);
        }
        for (what, time) in later {
            if let Some(time) = time.filter(|time| *time < begun - CLOCK_ERROR) {
                self.fault(at, format!("{what} ({time}) is before it was made ({begun})"), remedy);
            }
        }
    }
}

impl Place<'_> {
    /// How to put the time right at which the row was made.
    fn made_when_changed(&self) -> String {
        format!("the clock was wrong then, and nothing depends on it: {}", self.update("created_at", "updated_at"))
    }

    /// How to remove the row.
    fn delete(&self) -> String {
        by_hand(&format!("DELETE FROM {} WHERE {} = {}", self.table, self.key, quoted(self.row)))
    }

    /// How to put another value into the row.
    fn update(&self, column: &str, value: &str) -> String {
        by_hand(&format!("UPDATE {} SET {column} = {value} WHERE {} = {}", self.table, self.key, quoted(self.row)))
    }
}

/// A running server hears nothing of a change by hand, and goes on with what it remembers.
fn by_hand(sql: &str) -> String {
    format!("stop every server, then run {sql}")
}

/// A text as one word of a shell.
fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=+,@".contains(c);
    let needs_none = !text.is_empty() && !text.starts_with('-') && text.chars().all(is_plain);
    if needs_none { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// A text in SQL.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
