//! What differs between the engines, and only that: connections, locks, and questions that each answers in words of its
//! own. Everything else in the store is one body of code.

#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod damage;
#[cfg(not(any(feature = "postgres", feature = "sqlite")))]
#[path = "no_damage.rs"]
mod damage;
#[cfg_attr(not(feature = "sqlite"), expect(dead_code, reason = "only SQLite has one writer"))]
mod group;
#[cfg_attr(
    not(any(feature = "postgres", feature = "sqlite")),
    expect(dead_code, reason = "no engine is built in to have limits")
)]
mod limited;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(not(feature = "postgres"))]
#[path = "no_postgres.rs"]
mod postgres;
mod shape;
mod snapshot;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(not(feature = "sqlite"))]
#[path = "no_sqlite.rs"]
mod sqlite;
mod turn;

use std::sync::Arc;
use std::time::Duration;

use sea_orm::sea_query::{Expr, Query, SelectStatement};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExprTrait, Order, QueryResult,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::DatabaseOptions;
use super::error::{OpenError, StoreError};
pub(super) use damage::is_damage;
use group::Groups;
pub(super) use limited::{LimitedPool, LimitedTransaction};
pub(super) use postgres::is_conflict;
pub(super) use turn::Turn;

/// On which PostgreSQL tells that the log of changes has new rows.
const CHANNEL: &str = "mapae_invalidation";

/// A database engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    /// A file, of which one process at a time writes.
    Sqlite,
    /// A server, on which transactions of many nodes run side by side.
    Postgres,
}

/// A moment of a database's server.
pub(super) struct ServerNow {
    /// Its time, in milliseconds since 1970.
    pub(super) millis: i64,
    /// Changes with the server, the database and the log of changes in it: where a stand-by takes over, where another
    /// database gets this one's name, and where a backup is restored into it.
    pub(super) database: String,
}

/// Connections of one process to one database.
pub(super) struct Connections {
    pub(super) engine: Engine,
    pub(super) read: LimitedPool,
    pub(super) write: LimitedPool,
    /// Only looks for changes, on SQLite over one connection, which counts the commits of others. It is replaced by whoever
    /// looks.
    pub(super) watch: LimitedPool,
    /// Said at the beginning of each transaction that writes, where connections cannot keep it.
    pub(super) write_limits: Option<Arc<str>>,
    /// Where there is one writer.
    groups: Option<Groups>,
    /// Where PostgreSQL tells of changes at once.
    listening: Option<postgres::Listening>,
}

impl Connections {
    /// Closes all of them; on SQLite the last one folds the write-ahead log into the database file.
    pub(super) async fn close(&self) {
        for pool in [&self.watch, &self.read, &self.write] {
            pool.close().await;
        }
    }

    /// Takes new connections for the work of requests: after a time in which nothing was heard of the database, when it is
    /// heard of again.
    pub(super) fn replace(&self) {
        for pool in [&self.read, &self.write] {
            pool.replace();
        }
    }

    /// Begins a transaction that writes.
    pub(super) async fn begin(&self) -> Result<LimitedTransaction, DbErr> {
        let transaction = self.write.begin(self.engine.writing()).await?;
        if let Some(limits) = &self.write_limits {
            transaction.execute_unprepared(limits).await?;
        }
        Ok(transaction)
    }

    /// The same, for one that becomes durable together with others where that saves time.
    pub(super) async fn begin_in_group(&self) -> Result<LimitedTransaction, DbErr> {
        match &self.groups {
            Some(groups) => Ok(self.write.in_group(groups.begin().await?)),
            None => self.begin().await,
        }
    }

    /// Wakes `news` whenever the database tells of a change; `None` where it never does.
    pub(super) fn listen(&self, news: Arc<Notify>) -> Option<JoinHandle<()>> {
        self.listening.clone().map(|listening| tokio::spawn(listening.run(news)))
    }
}

impl Engine {
    /// The engine of a URL, if it is built in.
    pub(super) fn of(url: &str) -> Option<Self> {
        match url.split_once(':')?.0 {
            "sqlite" if cfg!(feature = "sqlite") => Some(Self::Sqlite),
            "postgres" | "postgresql" if cfg!(feature = "postgres") => Some(Self::Postgres),
            _ => None,
        }
    }

    /// The connections of a service to a database that is there.
    pub(super) async fn connect(self, options: &DatabaseOptions) -> Result<Connections, OpenError> {
        match self {
            Self::Sqlite => sqlite::connect(options).await,
            Self::Postgres => postgres::connect(options).await,
        }
    }

    /// One connection for looking at the schema or changing it. By itself it changes nothing, not even SQLite's journal
    /// mode, and no limits apply to it. `create` makes a missing file; nothing makes a database on a server.
    pub(super) async fn connect_to_schema(
        self,
        options: &DatabaseOptions,
        create: bool,
    ) -> Result<DatabaseConnection, OpenError> {
        match self {
            Self::Sqlite => sqlite::connect_to_schema(options, create).await,
            Self::Postgres => postgres::connect_to_schema(options).await,
        }
    }

    /// One connection that can only read, to a database that is not ours.
    pub(super) async fn connect_to_read(self, options: &DatabaseOptions) -> Result<DatabaseConnection, OpenError> {
        match self {
            Self::Sqlite => sqlite::connect_to_read(options).await,
            Self::Postgres => postgres::connect_to_read(options).await,
        }
    }

    /// What two connections to one database have in common, and two databases never: the file, or when the server was
    /// started and its number of the database.
    pub(super) async fn identity<C: ConnectionTrait>(self, db: &C) -> Result<Option<String>, DbErr> {
        let sql = match self {
            Self::Sqlite => "SELECT file FROM pragma_database_list WHERE name = 'main'",
            Self::Postgres => {
                "SELECT pg_postmaster_start_time()::text || ' ' || oid::text FROM pg_database \
                 WHERE datname = current_database()"
            }
        };
        db.query_one_raw(self.statement(sql)).await?.map(|row| row.try_get_by_index(0)).transpose()
    }

    /// Begins a transaction that writes, without any limit.
    pub(super) async fn begin(self, db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
        db.begin_with_options(self.writing()).await
    }

    /// Options of a transaction that writes. On SQLite it takes the write lock at once, since SQLite refuses to upgrade
    /// a reader whose snapshot is old.
    fn writing(self) -> TransactionOptions {
        let sqlite_transaction_mode = (self == Self::Sqlite).then_some(SqliteTransactionMode::Immediate);
        TransactionOptions { sqlite_transaction_mode, ..Default::default() }
    }

    pub(super) const fn backend(self) -> DbBackend {
        match self {
            Self::Sqlite => DbBackend::Sqlite,
            Self::Postgres => DbBackend::Postgres,
        }
    }

    /// The names of the tables that are not the engine's own, as `name`.
    pub(super) fn table_names(self) -> SelectStatement {
        let mut query = Query::select();
        match self {
            Self::Sqlite => query
                .column("name")
                .from("sqlite_master")
                .and_where(Expr::col("type").eq("table"))
                .and_where(Expr::col("name").not_like("sqlite_%")),
            Self::Postgres => query
                .expr_as(Expr::col("tablename").cast_as("TEXT"), "name")
                .from("pg_tables")
                .and_where(Expr::col("schemaname").eq(Expr::cust("current_schema()")))
                .order_by("tablename", Order::Asc),
        };
        query
    }

    /// How often the log of changes is looked at. SQLite is asked a question that costs a tenth of a millisecond. On
    /// PostgreSQL this is for when no news come: a look that is late by half a second must not end the second for which
    /// caches are trusted.
    pub(super) const fn look_every(self) -> Duration {
        match self {
            Self::Sqlite => Duration::from_millis(50),
            Self::Postgres => Duration::from_millis(250),
        }
    }

    /// A number that moves when another connection has committed; `None` where there is no such number, and only a look
    /// tells.
    pub(super) async fn version<C: ConnectionTrait>(self, watch: &C) -> Result<Option<i64>, StoreError> {
        match self {
            Self::Sqlite => {
                let row = watch.query_one_raw(self.statement("PRAGMA data_version")).await?;
                let row =
                    row.ok_or_else(|| StoreError::Corrupt { table: "PRAGMA data_version", why: "no row".to_owned() })?;
                Ok(Some(row.try_get_by_index(0)?))
            }
            Self::Postgres => Ok(None),
        }
    }

    /// What the database's server says of itself; `None` where there is no server.
    pub(super) async fn server_now<C: ConnectionTrait>(self, watch: &C) -> Result<Option<ServerNow>, StoreError> {
        match self {
            Self::Sqlite => Ok(None),
            Self::Postgres => {
                let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint, \
                           concat_ws(' ', pg_postmaster_start_time(), oid, to_regclass('mapae_invalidation')::oid) \
                           FROM pg_database WHERE datname = current_database()";
                let Some(row) = watch.query_one_raw(self.statement(sql)).await? else { return Ok(None) };
                Ok(Some(ServerNow { millis: row.try_get_by_index(0)?, database: row.try_get_by_index(1)? }))
            }
        }
    }

    /// Whether a transaction that writes would be let in, in one round trip.
    pub(super) async fn takes_writes(self, db: &LimitedPool) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite => {
                db.ping().await?;
                Ok(true)
            }
            Self::Postgres => {
                // `on` for a stand-by as well as for a server or a database that was set so.
                let sql = "SELECT current_setting('transaction_read_only') = 'off'";
                let row = db.query_one_raw(self.statement(sql)).await?;
                Ok(row.map_or(Ok(false), |row| row.try_get_by_index(0))?)
            }
        }
    }

    /// Tells other processes, once this transaction commits, that the log of changes has new rows.
    pub(super) async fn announce<C: ConnectionTrait>(self, transaction: &C) -> Result<(), DbErr> {
        match self {
            Self::Sqlite => Ok(()),
            Self::Postgres => {
                let statement =
                    Statement::from_sql_and_values(self.backend(), "SELECT pg_notify($1, '')", [CHANNEL.into()]);
                transaction.execute_raw(statement).await.map(drop)
            }
        }
    }

    /// Asks the engine for a look at its own structures; the problems found. PostgreSQL checks what it reads by itself,
    /// and only names indexes that it cannot use.
    pub(super) async fn check_integrity<C: ConnectionTrait>(self, db: &C) -> Result<Vec<String>, StoreError> {
        let first = |row: &QueryResult| row.try_get_by_index::<String>(0);
        match self {
            Self::Sqlite => {
                let rows = db.query_all_raw(self.statement("PRAGMA integrity_check")).await?;
                let mut lines = rows.iter().map(first).collect::<Result<Vec<_>, _>>()?;
                lines.retain(|line| line != "ok");
                Ok(lines)
            }
            Self::Postgres => {
                let sql = "SELECT indexrelid::regclass::text FROM pg_index \
                           WHERE NOT (indisvalid AND indisready) AND indrelid::regclass::text LIKE 'mapae\\_%'";
                let rows = db.query_all_raw(self.statement(sql)).await?;
                let invalid = rows.iter().map(first).collect::<Result<Vec<_>, _>>()?;
                let problem = |index| format!("the index {index} cannot be used: run REINDEX INDEX {index}");
                Ok(invalid.into_iter().map(problem).collect())
            }
        }
    }

    fn statement(self, sql: &str) -> Statement {
        Statement::from_string(self.backend(), sql)
    }
}
