//! Connections to a PostgreSQL server (feature `postgres`).

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{DatabaseConnection, DbErr, RuntimeErr, SqlxPostgresConnector};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgListener, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
use tokio::sync::Notify;

use super::limited::Limits;
use super::{CHANNEL, Connections, DatabaseOptions, Engine, LimitedPool, OpenError};

/// How long the look for changes waits for its connection; it is made once more a moment later.
const WATCH_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(1);
/// And for an answer besides: what it asks takes milliseconds.
const WATCH_MARGIN: Duration = Duration::from_millis(500);
/// One connection looks for changes. The others take the place of one that was lost, which the pool itself may wait for
/// as long as TCP does.
const WATCHING: u32 = 3;
/// A connection on which the least of all answers takes longer is lost, and replaced.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// One that was given back more recently than this was tested only then.
const RECENT: Duration = Duration::from_millis(100);
/// The server's limit on a statement comes first by so much, since it says more.
const MARGIN: Duration = Duration::from_secs(1);
/// The listener is asked whether it still hears after so long a silence.
const SILENCE: Duration = Duration::from_secs(10);
/// How long the very first connection may take.
const FIRST_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that nobody needs are given back after this time.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// Connections are renewed after this time, so that a server that comes to stand beside others gets its share.
const MAX_LIFETIME: Duration = Duration::from_secs(1800);
/// Between two tries to listen.
const PAUSE: Duration = Duration::from_secs(1);
/// The code with which a pooler refuses settings that it cannot keep for a client (`protocol_violation`).
const SETTINGS_REFUSED: &str = "08P01";

/// The connections of a node.
pub(super) async fn connect(options: &DatabaseOptions) -> Result<Connections, OpenError> {
    let failed = |error| failed(options, error);
    let plain = parse(options, &options.url)?;
    let limited = plain.clone().options(limits(options));
    // Tried once without a pool, which would say only that it waited in vain.
    let pooler = match options.direct_url {
        Some(_) => Some(try_out(&plain).await.map_err(failed)?),
        None if keeps_limits(&limited, options).await.map_err(failed)? => None,
        None => {
            tracing::warn!(
                "the database is reached through a pooler: name it without one too (database_direct_url), so that \
                 changes on other nodes are heard of at once"
            );
            Some(try_out(&plain).await.map_err(failed)?)
        }
    };
    let listening = match (&options.direct_url, pooler) {
        (Some(direct), _) => Some(parse(options, direct)?),
        (None, Some(())) => None,
        (None, None) => Some(plain.clone()),
    };
    let connect = if pooler.is_some() { plain } else { limited };
    let half = options.connections.div_ceil(2).max(1);
    let held = options.statement_timeout + MARGIN;
    let limits = Limits {
        pooled: Some(options.acquire_timeout + held),
        begun: Some(options.acquire_timeout + MARGIN),
        held: Some(held),
        // What a lost process has locked is free after that time: whoever waits for longer waits for the network.
        brief: Some(held.min(options.idle_in_transaction_timeout + MARGIN)),
    };
    let work = |pool: PgPoolOptions| {
        pool.max_connections(half)
            .acquire_timeout(options.acquire_timeout)
            .idle_timeout(IDLE_TIMEOUT)
            .max_lifetime(MAX_LIFETIME)
    };
    let watch = tested().max_connections(WATCHING).acquire_timeout(WATCH_ACQUIRE_TIMEOUT);
    let watch_limits = Limits { pooled: Some(WATCH_ACQUIRE_TIMEOUT + WATCH_MARGIN), ..limits };
    let lazy = |pool: PgPoolOptions, name: &str, limits: Limits| {
        let connect = connect.clone().application_name(name);
        LimitedPool::replaceable(move || orm(pool.clone().connect_lazy_with(connect.clone())), limits)
    };
    Ok(Connections {
        engine: Engine::Postgres,
        read: lazy(work(tested()), "mapae", limits),
        write: lazy(work(tested_and_undone()), "mapae", limits),
        watch: lazy(watch, "mapae watch", watch_limits),
        groups: None,
        write_limits: pooler.map(|()| statements(options).into()),
        listening: listening.map(|connect| Listening(connect.application_name("mapae listen"))),
    })
}

/// One connection without our limits, and without a pooler if there is a way.
pub(super) async fn connect_to_schema(options: &DatabaseOptions) -> Result<DatabaseConnection, OpenError> {
    let connect = parse(options, options.direct_url.as_ref().unwrap_or(&options.url))?;
    try_out(&connect).await.map_err(|error| failed(options, error))?;
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(FIRST_TIMEOUT);
    Ok(orm(pool.connect_lazy_with(connect.application_name("mapae schema"))))
}

/// One connection that can only read. Behind a pooler that keeps no settings, it merely does.
pub(super) async fn connect_to_read(options: &DatabaseOptions) -> Result<DatabaseConnection, OpenError> {
    let plain = parse(options, &options.url)?;
    let reading = plain.clone().options([("default_transaction_read_only", "on")]);
    let connect = match try_out(&reading).await {
        Err(error) if is_settings_refused(&error) => plain,
        tried => tried.map(|()| reading).map_err(|error| failed(options, error))?,
    };
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(FIRST_TIMEOUT);
    Ok(orm(pool.connect_lazy_with(connect.application_name("mapae import"))))
}

/// A pool that knows within [`ANSWER_TIMEOUT`] whether a connection is still good. By itself it would wait for the answer
/// of one that is lost, and its place in the pool with it, for as long as TCP does. It still does where a connection is
/// lost in the moment between its last answer and the pool's own question after its release, until the pool is replaced.
fn tested() -> PgPoolOptions {
    PgPoolOptions::new()
        .test_before_acquire(false)
        .before_acquire(|connection, known| {
            Box::pin(async move { Ok(known.idle_for < RECENT || answers(connection).await.is_ok()) })
        })
        // What was given up in the middle shows here, before the pool itself waits for it. Nothing is asked: this waits
        // for answers that are still to come, and where there are none it is done.
        .after_release(|connection, _| {
            Box::pin(async move { in_time(ANSWER_TIMEOUT, connection.flush()).await.map(|()| true) })
        })
}

/// As [`tested`], and in no transaction. One whose beginning was given up in the middle may have begun all the same, and
/// the driver does not know of it.
fn tested_and_undone() -> PgPoolOptions {
    tested().after_release(|connection, _| {
        Box::pin(async move {
            // A mere `ROLLBACK` would make the server warn each time.
            in_time(ANSWER_TIMEOUT, async { connection.execute("BEGIN; ROLLBACK").await.map(drop) }).await?;
            Ok(true)
        })
    })
}

async fn answers(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    in_time(ANSWER_TIMEOUT, connection.ping()).await
}

async fn in_time<T>(limit: Duration, answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let answered = tokio::time::timeout(limit, answer).await;
    answered.unwrap_or_else(|elapsed| Err(sqlx::Error::Io(elapsed.into())))
}

fn parse(options: &DatabaseOptions, url: &str) -> Result<PgConnectOptions, OpenError> {
    let connect = PgConnectOptions::from_str(url).map_err(|error| failed(options, error))?;
    // No floating-point number is stored, and a pooler refuses a parameter that it does not know.
    Ok(connect.extra_float_digits(None).disable_statement_logging())
}

async fn try_out(connect: &PgConnectOptions) -> Result<(), sqlx::Error> {
    let tried = async { connect.connect().await?.close().await };
    tokio::time::timeout(FIRST_TIMEOUT, tried).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// Whether these connections keep the limits that they begin with. A pooler in transaction mode refuses such settings, or
/// drops them where it was told to ignore them.
async fn keeps_limits(limited: &PgConnectOptions, options: &DatabaseOptions) -> Result<bool, sqlx::Error> {
    let tried = async {
        let mut connection = limited.connect().await?;
        let asked = "SELECT setting FROM pg_settings WHERE name = 'statement_timeout'";
        let kept: String = sqlx::query_scalar(asked).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(kept == options.statement_timeout.as_millis().to_string())
    };
    match tokio::time::timeout(FIRST_TIMEOUT, tried).await.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
        Err(error) if is_settings_refused(&error) => Ok(false),
        tried => tried,
    }
}

fn is_settings_refused(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == SETTINGS_REFUSED)
}

fn orm(pool: PgPool) -> DatabaseConnection {
    SqlxPostgresConnector::from_sqlx_postgres_pool(pool)
}

fn failed(options: &DatabaseOptions, error: sqlx::Error) -> OpenError {
    let source = DbErr::Conn(RuntimeErr::SqlxError(error.into()));
    OpenError::Connect { url: options.shown(), source }
}

/// The limits of every statement. What is read to decide on is locked, or the write is conditional; more isolation than
/// `read committed` would only make transactions fail that are right.
fn limits(options: &DatabaseOptions) -> [(&'static str, String); 4] {
    let millis = |limit: Duration| limit.as_millis().to_string();
    [
        ("statement_timeout", millis(options.statement_timeout)),
        ("lock_timeout", millis(options.lock_timeout)),
        ("idle_in_transaction_session_timeout", millis(options.idle_in_transaction_timeout)),
        ("default_transaction_isolation", "read committed".to_owned()),
    ]
}

/// The same for one transaction.
fn statements(options: &DatabaseOptions) -> String {
    let [timeouts @ .., (_, isolation)] = limits(options);
    let mut text = format!("SET TRANSACTION ISOLATION LEVEL {isolation}");
    for (name, millis) in timeouts {
        text.push_str(&format!("; SET LOCAL {name} = {millis}"));
    }
    text
}

/// Whether the server undid the transaction for the sake of others: a deadlock, a failed serialization, or a lock that was
/// not to be had in time.
pub(in crate::store) fn is_conflict(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) = error else {
        return false;
    };
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| ["40P01", "40001", "55P03"].contains(&code.as_ref()))
}

/// How to hear of changes: a connection of its own, past any pooler.
#[derive(Clone)]
pub(super) struct Listening(PgConnectOptions);

impl Listening {
    /// Listens until it is aborted. While that is not possible, changes are found by looking.
    pub(super) async fn run(self, news: Arc<Notify>) {
        loop {
            let why = match self.hear(&news).await {
                Ok(()) => "the connection was lost".to_owned(),
                Err(error) => error.to_string(),
            };
            tracing::warn!(why, "the database does not tell of changes at once: they are looked for until it does");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Wakes `news` with every change until the connection is lost.
    async fn hear(&self, news: &Notify) -> Result<(), sqlx::Error> {
        let mut listener = in_time(FIRST_TIMEOUT, self.listener()).await?;
        // Once at the beginning: what was told before this is found by looking.
        news.notify_one();
        loop {
            match tokio::time::timeout(SILENCE, listener.try_recv()).await {
                Ok(Ok(Some(_))) => news.notify_one(),
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(error)) => return Err(error),
                // A connection that was lost without a word is as silent as one on which nothing is told.
                Err(_) => in_time(ANSWER_TIMEOUT, async { listener.execute("SELECT 1").await.map(drop) }).await?,
            }
        }
    }

    async fn listener(&self) -> Result<PgListener, sqlx::Error> {
        let pool = PgPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
        let pool = pool.acquire_timeout(FIRST_TIMEOUT).connect_with(self.0.clone()).await?;
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        Ok(listener)
    }
}
