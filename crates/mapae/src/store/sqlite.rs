//! Connections to a SQLite file (feature `sqlite`).

use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, Database, DatabaseConnection};

use super::error::OpenError;
use super::open::{Connections, without_password};

/// How long a statement waits for another process's write, and a request for a connection.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that read, side by side; SQLite in WAL mode lets them while one writes.
const READERS: u32 = 4;

/// The connections of a service; `create` makes the file if it is missing.
pub(super) async fn connect(url: &str, create: bool) -> Result<Connections, OpenError> {
    let ours = |sqlite: SqliteConnectOptions| {
        sqlite
            .journal_mode(SqliteJournalMode::Wal)
            // An answered success is on disk: WAL alone would lose the last commits with the power.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
    };
    Ok(Connections {
        write: open(url, 1, move |sqlite| ours(sqlite).create_if_missing(create)).await?,
        read: open(url, READERS, ours).await?,
        watch: open(url, 1, ours).await?,
    })
}

/// One connection that changes nothing, not even the journal mode.
pub(super) async fn connect_only(url: &str) -> Result<DatabaseConnection, OpenError> {
    open(url, 1, |sqlite| sqlite).await
}

async fn open(
    url: &str,
    connections: u32,
    change: impl Fn(SqliteConnectOptions) -> SqliteConnectOptions + Send + Sync + 'static,
) -> Result<DatabaseConnection, OpenError> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(connections)
        .acquire_timeout(BUSY_TIMEOUT)
        // A connection that is never closed keeps its page cache and prepared statements.
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |sqlite| change(sqlite.busy_timeout(BUSY_TIMEOUT)));
    Database::connect(options).await.map_err(|source| OpenError::Connect { url: without_password(url), source })
}
