//! What a copy of a whole database asks of the engines.

use std::path::Path;

use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, IsolationLevel, SqliteTransactionMode,
    Statement, TransactionOptions, TransactionTrait, Value,
};

use super::Engine;
use crate::store::tables::Table;

impl Engine {
    /// Begins a transaction that reads everything as of its first look, and writes nothing.
    pub(in crate::store) async fn begin_snapshot(self, db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
        let options = match self {
            Self::Sqlite => TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Deferred),
                ..Default::default()
            },
            Self::Postgres => TransactionOptions {
                isolation_level: Some(IsolationLevel::RepeatableRead),
                access_mode: Some(AccessMode::ReadOnly),
                ..Default::default()
            },
        };
        db.begin_with_options(options).await
    }

    /// Writes a copy of the database, as of one moment, into an empty file.
    pub(in crate::store) async fn back_up(self, db: &DatabaseConnection, into: &Path) -> Result<(), DbErr> {
        match self {
            Self::Sqlite => {
                let into = into.to_str().ok_or_else(|| DbErr::Custom("the path is not UTF-8".to_owned()))?;
                let statement = Statement::from_sql_and_values(self.backend(), "VACUUM INTO ?", [into.into()]);
                db.execute_raw(statement).await.map(drop)
            }
            Self::Postgres => Err(DbErr::Custom("a PostgreSQL server is backed up by pg_dump".to_owned())),
        }
    }

    /// How many connections other processes of ours have to this database; on SQLite only the system knows.
    pub(in crate::store) async fn other_connections(self, db: &DatabaseTransaction) -> Result<u64, DbErr> {
        match self {
            Self::Sqlite => Ok(0),
            Self::Postgres => {
                // A transaction remembers what it has seen of others.
                db.query_one_raw(self.statement("SELECT pg_stat_clear_snapshot()")).await?;
                let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                           AND application_name IN ('mapae', 'mapae watch', 'mapae listen')";
                let row = db.query_one_raw(self.statement(sql)).await?;
                let count: Option<i64> = row.map(|row| row.try_get_by_index(0)).transpose()?;
                Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
            }
        }
    }

    /// Counts the rows themselves, and not what an index knows of them.
    pub(in crate::store) async fn count(self, table: &Table, db: &DatabaseTransaction) -> Result<u64, DbErr> {
        let sql = match self {
            Self::Sqlite => format!("SELECT count(*) FROM {} NOT INDEXED", table.name),
            // No index holds a whole row.
            Self::Postgres => format!("SELECT count(whole) FROM {} AS whole", table.name),
        };
        let row = db.query_one_raw(self.statement(&sql)).await?;
        let rows: Option<i64> = row.map(|row| row.try_get_by_index(0)).transpose()?;
        Ok(rows.and_then(|rows| u64::try_from(rows).ok()).unwrap_or(0))
    }

    /// Has the database number new rows of this table after those that are there. SQLite does so by itself.
    pub(in crate::store) async fn number_after(self, table: &Table, tx: &DatabaseTransaction) -> Result<(), DbErr> {
        match self {
            Self::Sqlite => Ok(()),
            Self::Postgres => {
                let (name, key) = (table.name, table.key());
                // Does nothing where there is no row.
                let sql = format!("SELECT setval(pg_get_serial_sequence($1, $2), (SELECT max({key}) FROM {name}))");
                let values = [name.into(), key.into()];
                tx.query_one_raw(Statement::from_sql_and_values(self.backend(), sql, values)).await.map(drop)
            }
        }
    }

    /// Whether a value can be stored at all: PostgreSQL takes no text with a NUL.
    pub(in crate::store) fn stores(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Postgres, Value::String(Some(text))) => !text.contains('\0'),
            (Self::Sqlite | Self::Postgres, _) => true,
        }
    }
}
