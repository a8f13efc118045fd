//! What only one transaction at a time does, on whatever node.

use aws_lc_rs::digest;
use sea_orm::{ConnectionTrait, DbErr, Statement};

use super::Engine;

/// What transactions do one after the other, where no row could be locked for it. A turn lasts until its transaction ends.
/// SQLite has one writer, whose turn it always is.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) enum Turn<'a> {
    /// Bringing the schema up to date.
    Schema,
    /// Deciding on signing keys and data keys.
    Keys,
    /// Looking whether a name is free that no index of ours guards.
    Names,
    /// Numbering revocations. Taken last, since what comes next can only be the end of the transaction.
    Revocations,
    /// What concerns an account in another application's table, by its id.
    Account(&'a str),
}

/// Of all advisory locks in a database, these two numbers begin ours: `mapa`, `mapb`.
const ONES: i32 = 0x6d61_7061;
const ACCOUNTS: i32 = 0x6d61_7062;

impl Turn<'_> {
    fn key(self) -> [i32; 2] {
        match self {
            Self::Schema => [ONES, 1],
            Self::Keys => [ONES, 2],
            Self::Names => [ONES, 3],
            Self::Revocations => [ONES, 4],
            // Two accounts of one number wait for each other without need, which does no harm.
            Self::Account(id) => {
                let hash = digest::digest(&digest::SHA256, id.as_bytes());
                let first = hash.as_ref().first_chunk().copied().unwrap_or_default();
                [ACCOUNTS, i32::from_be_bytes(first)]
            }
        }
    }
}

impl Engine {
    /// Waits for this turn.
    pub(in crate::store) async fn take_turn<C: ConnectionTrait>(self, turn: Turn<'_>, tx: &C) -> Result<(), DbErr> {
        match self {
            Self::Sqlite => Ok(()),
            Self::Postgres => {
                let statement = self.lock("SELECT pg_advisory_xact_lock($1, $2)", turn);
                tx.execute_raw(statement).await.map(drop)
            }
        }
    }

    fn lock(self, sql: &str, turn: Turn<'_>) -> Statement {
        Statement::from_sql_and_values(self.backend(), sql, turn.key().map(sea_orm::Value::from))
    }
}
