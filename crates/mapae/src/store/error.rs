//! What can go wrong with the database.

use sea_orm::{DbErr, SqlErr};

use super::engine;

/// A failure of the store. The texts are for operators and logs, never for clients.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database could not be reached, was busy for too long, or failed.
    #[error("the database failed: {0}")]
    Database(#[source] DbErr),
    /// Another transaction changed the same at the same moment; once more may succeed.
    #[error("another transaction changed the same at the same moment: {0}")]
    Conflict(#[source] DbErr),
    /// A row holds what this version cannot read.
    #[error("a row of {table} cannot be read: {why}")]
    Corrupt {
        /// The table of the row.
        table: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The application's own user table failed.
    #[error("the application's user table failed: {0}")]
    UserTable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Another account has this name.
    #[error("the user name is taken")]
    UsernameTaken,
    /// Another account has this address.
    #[error("the e-mail address is taken")]
    EmailTaken,
}

impl StoreError {
    /// Of a connection that was lost.
    #[cfg(test)]
    pub(crate) fn lost() -> Self {
        Self::Database(DbErr::Custom("lost".to_owned()))
    }

    /// Whether it tells of damage to what is stored. Otherwise what is stored may well be in order: the database was busy,
    /// not reached, or cut off.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Corrupt { .. } => true,
            Self::Database(error) => engine::is_damage(error),
            Self::Conflict(_) | Self::UserTable(_) | Self::UsernameTaken | Self::EmailTaken => false,
        }
    }

    /// What a table of the application's own reports.
    pub(crate) fn foreign(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::UserTable(error.into())
    }
}

impl From<DbErr> for StoreError {
    /// A unique violation names its column (SQLite) or its index (PostgreSQL); both hold the column's name.
    fn from(error: DbErr) -> Self {
        match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(what)) if what.contains("username_canonical") => Self::UsernameTaken,
            Some(SqlErr::UniqueConstraintViolation(what)) if what.contains("email_canonical") => Self::EmailTaken,
            Some(SqlErr::UniqueConstraintViolation(_)) => Self::Conflict(error),
            _ if engine::is_conflict(&error) => Self::Conflict(error),
            _ => Self::Database(error),
        }
    }
}

/// Why a database cannot be opened. Each text is one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The connection failed.
    #[error("the database {url} cannot be opened: {source}")]
    Connect {
        /// Which database, without its password.
        url: String,
        /// The driver's reason.
        source: DbErr,
    },
    /// The engine is not built in.
    #[error(
        "{0} is of no kind that is built in: use sqlite://mapae.db or postgres://…, with feature `sqlite` or `postgres` \
         of the crate mapae"
    )]
    UnsupportedEngine(String),
    /// Tables are there, but none of ours.
    #[error(
        "the database holds tables of another program ({tables}): to put Mapae's tables (all named mapae_…) beside \
         them, run `mapae db migrate --adopt` once; otherwise give another DATABASE_URL"
    )]
    NotOurs {
        /// A few of the tables found.
        tables: String,
    },
    /// A newer version migrated it.
    #[error(
        "the database was made by a newer version of mapae (it has migration {migration}): run that version or newer"
    )]
    Newer {
        /// The first migration that this version does not know.
        migration: String,
    },
    /// Migrations are missing and may not be run.
    #[error("the database lacks migrations ({pending}): run `mapae db migrate`, or start without --no-migrate")]
    Pending {
        /// The missing migrations.
        pending: String,
    },
    /// The database failed on the way.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<DbErr> for OpenError {
    fn from(error: DbErr) -> Self {
        Self::Store(error.into())
    }
}
