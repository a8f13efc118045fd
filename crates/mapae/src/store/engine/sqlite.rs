//! Connections to a SQLite file (feature `sqlite`).

use std::time::Duration;

use sea_orm::sqlx::Connection as _;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr, RuntimeErr};

use super::group::Groups;
use super::{Connections, DatabaseOptions, Engine, LimitedPool, OpenError};

/// How long a statement waits for another process's write, and a request for a connection.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The same for those who open a new file at once.
const BUSY_PAUSE: Duration = Duration::from_millis(20);
const BUSY_ATTEMPTS: u32 = 250;
/// Connections that read, side by side; SQLite in WAL mode lets them while one writes.
const READERS: u32 = 4;

/// The connections of a service.
pub(super) async fn connect(options: &DatabaseOptions) -> Result<Connections, OpenError> {
    let ours = |sqlite: SqliteConnectOptions| {
        sqlite
            .journal_mode(SqliteJournalMode::Wal)
            // An answered success is on disk: WAL alone would lose the last commits with the power.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
    };
    let write = open(options, 1, ours).await.map(LimitedPool::lasting)?;
    Ok(Connections {
        engine: Engine::Sqlite,
        groups: Some(Groups::new(write.clone(), Engine::Sqlite.writing())),
        write,
        read: open(options, READERS, ours).await.map(LimitedPool::lasting)?,
        watch: open(options, 1, ours).await.map(LimitedPool::lasting)?,
        write_limits: None,
        listening: None,
    })
}

/// One connection that changes nothing, not even the journal mode; `create` makes the file if it is missing.
pub(super) async fn connect_to_schema(
    options: &DatabaseOptions,
    create: bool,
) -> Result<DatabaseConnection, OpenError> {
    open(options, 1, move |sqlite| sqlite.create_if_missing(create)).await
}

/// One connection that can only read, to a file that must be there.
pub(super) async fn connect_to_read(options: &DatabaseOptions) -> Result<DatabaseConnection, OpenError> {
    open(options, 1, |sqlite| sqlite.read_only(true)).await
}

async fn open(
    options: &DatabaseOptions,
    connections: u32,
    change: impl Fn(SqliteConnectOptions) -> SqliteConnectOptions + Send + Sync + 'static,
) -> Result<DatabaseConnection, OpenError> {
    let mut sqlite = ConnectOptions::new(&options.url);
    sqlite
        .max_connections(connections)
        .min_connections(connections)
        .acquire_timeout(BUSY_TIMEOUT)
        // A connection that is never closed keeps its page cache and prepared statements.
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |sqlite| change(sqlite.busy_timeout(BUSY_TIMEOUT)))
        // Where a full disk makes SQLite undo a transaction by itself, the driver goes on in it for good: what came next
        // would be savepoints, which are answered as commits and never committed.
        .map_sqlx_sqlite_pool_opts(|pool| {
            pool.before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
        });
    let mut attempts = BUSY_ATTEMPTS;
    loop {
        match Database::connect(sqlite.clone()).await {
            // While another process makes WAL the mode of a new file, SQLite waits for nothing and refuses at once.
            Err(error) if is_busy(&error) && attempts > 0 => {
                attempts -= 1;
                tokio::time::sleep(BUSY_PAUSE).await;
            }
            connected => {
                return connected.map_err(|source| OpenError::Connect { url: options.shown(), source });
            }
        }
    }
}

/// Whether another process has the file to itself at the moment (SQLITE_BUSY, and its extended codes).
fn is_busy(error: &DbErr) -> bool {
    let (DbErr::Conn(RuntimeErr::SqlxError(error)) | DbErr::Exec(RuntimeErr::SqlxError(error))) = error else {
        return false;
    };
    let code = error.as_database_error().and_then(|error| error.code());
    code.and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| code & 0xff == 5)
}
