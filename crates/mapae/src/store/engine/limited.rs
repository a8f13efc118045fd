//! A limit of our own on every wait for the database. The server's limits end what it works on; they are of no use once
//! nothing more is heard of it, and TCP alone waits for a quarter of an hour.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use sea_orm::prelude::async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr,
    Statement, TransactionOptions, TransactionTrait,
};
use tokio::sync::watch;

use super::group::Member;

/// How long closing connections may take where there is a network on the way: one of which nothing is heard any more does
/// not hold up the end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Once other connections have taken the place of those that a statement or a transaction began on, for so long it is
/// still listened to them: they may have been slow, and not lost.
const LAST_WORD: Duration = Duration::from_millis(500);

/// How long answers may take; `None` where there is no network on the way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    /// To what takes a connection out of the pool first.
    pub(super) pooled: Option<Duration>,
    /// To the beginning of a transaction: it waits for a connection and for nobody's locks.
    pub(super) begun: Option<Duration>,
    /// To what has a connection.
    pub(super) held: Option<Duration>,
    /// The same, for what others queue behind.
    pub(super) brief: Option<Duration>,
}

/// A pool whose every statement is answered in time or fails. What becomes of a statement that was given up is unknown, as
/// of one whose connection was lost; its connection is tested before anybody else gets it.
#[derive(Clone)]
pub(in crate::store) struct LimitedPool(Arc<Inner>);

struct Inner {
    current: ArcSwap<DatabaseConnection>,
    /// Makes another pool of the same kind; `None` where connections cannot be lost.
    make: Option<Box<dyn Fn() -> DatabaseConnection + Send + Sync>>,
    limits: Limits,
    /// Tells whoever uses the last pool that another has taken its place.
    replaced: watch::Sender<()>,
}

impl fmt::Debug for LimitedPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitedPool").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

impl LimitedPool {
    /// Connections that are there as long as the process.
    pub(super) fn lasting(pool: DatabaseConnection) -> Self {
        Self::new(pool, None, Limits::default())
    }

    /// Connections that may be lost.
    pub(super) fn replaceable(make: impl Fn() -> DatabaseConnection + Send + Sync + 'static, limits: Limits) -> Self {
        Self::new(make(), Some(Box::new(make)), limits)
    }

    fn new(
        pool: DatabaseConnection,
        make: Option<Box<dyn Fn() -> DatabaseConnection + Send + Sync>>,
        limits: Limits,
    ) -> Self {
        let current = ArcSwap::from_pointee(pool);
        Self(Arc::new(Inner { current, make, limits, replaced: watch::Sender::new(()) }))
    }

    pub(in crate::store) fn pool(&self) -> Arc<DatabaseConnection> {
        self.0.current.load_full()
    }

    /// Takes new connections. Whoever has one of the old keeps it, and is given up soon unless it is answered.
    pub(in crate::store) fn replace(&self) {
        let Some(make) = &self.0.make else { return };
        let old = self.0.current.swap(Arc::new(make()));
        // After the change: whoever has not heard of this has the new ones.
        self.0.replaced.send_replace(());
        tokio::spawn(async move {
            // Its places may be held until TCP gives up. Nobody waits for them.
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, old.close_by_ref()).await;
        });
    }

    /// Closes all connections.
    pub(super) async fn close(&self) {
        let pool = self.pool();
        let closed = pool.close_by_ref();
        let closed = match self.0.make {
            None => Ok(closed.await),
            Some(_) => tokio::time::timeout(CLOSE_TIMEOUT, closed).await,
        };
        match closed {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "a database connection did not close cleanly"),
            Err(_) => tracing::warn!("the database does not answer: its connections were left as they are"),
        }
    }

    /// Whether the database answers.
    pub(in crate::store) async fn ping(&self) -> Result<(), DbErr> {
        self.asked(async |pool| pool.ping().await).await
    }

    /// Begins a transaction, within whose limits its statements are too.
    pub(super) async fn begin(&self, options: TransactionOptions) -> Result<LimitedTransaction, DbErr> {
        let limits = self.0.limits;
        let replaced = self.0.replaced.subscribe();
        let pool = self.pool();
        let inner = within(limits.begun, &replaced, pool.begin_with_options(options)).await?;
        Ok(LimitedTransaction { inner: Work::Alone(inner), limit: limits.held, brief: limits.brief, replaced })
    }

    /// One that has begun in a group of this pool's.
    pub(super) fn in_group(&self, member: Member) -> LimitedTransaction {
        let (limits, replaced) = (self.0.limits, self.0.replaced.subscribe());
        LimitedTransaction { inner: Work::InGroup(member), limit: limits.held, brief: limits.brief, replaced }
    }

    async fn asked<T>(&self, ask: impl AsyncFnOnce(&DatabaseConnection) -> Result<T, DbErr>) -> Result<T, DbErr> {
        // Before the pool is taken: it must not be replaced unheard.
        let replaced = self.0.replaced.subscribe();
        let pool = self.pool();
        within(self.0.limits.pooled, &replaced, ask(&pool)).await
    }
}

/// A transaction whose every statement is answered in time or fails.
pub(in crate::store) struct LimitedTransaction {
    inner: Work,
    /// For one statement.
    limit: Option<Duration>,
    brief: Option<Duration>,
    /// Of the pool that it began in.
    replaced: watch::Receiver<()>,
}

/// Where statements go.
enum Work {
    /// To a transaction of its own.
    Alone(DatabaseTransaction),
    /// To one that becomes durable together with others.
    InGroup(Member),
}

impl fmt::Debug for LimitedTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitedTransaction").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl LimitedTransaction {
    /// From now on gives up sooner.
    pub(in crate::store) fn be_brief(&mut self) {
        self.limit = self.brief;
    }

    /// Commits; where no answer comes, nobody knows whether it happened.
    pub(in crate::store) async fn commit(self) -> Result<(), DbErr> {
        match self.inner {
            Work::Alone(inner) => within(self.limit, &self.replaced, inner.commit()).await,
            Work::InGroup(member) => within(self.limit, &self.replaced, member.commit()).await,
        }
    }

    async fn asked<T>(&self, ask: impl AsyncFnOnce(&DatabaseTransaction) -> Result<T, DbErr>) -> Result<T, DbErr> {
        match &self.inner {
            Work::Alone(inner) => within(self.limit, &self.replaced, ask(inner)).await,
            Work::InGroup(member) => within(self.limit, &self.replaced, member.asked(ask)).await,
        }
    }
}

#[async_trait]
impl ConnectionTrait for LimitedPool {
    fn get_database_backend(&self) -> DbBackend {
        self.pool().get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.asked(async |pool| pool.execute_raw(statement).await).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.asked(async |pool| pool.execute_unprepared(sql).await).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.asked(async |pool| pool.query_one_raw(statement).await).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.asked(async |pool| pool.query_all_raw(statement).await).await
    }
}

#[async_trait]
impl ConnectionTrait for LimitedTransaction {
    fn get_database_backend(&self) -> DbBackend {
        match &self.inner {
            Work::Alone(inner) => inner.get_database_backend(),
            Work::InGroup(_) => DbBackend::Sqlite,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.asked(async |inner| inner.execute_raw(statement).await).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.asked(async |inner| inner.execute_unprepared(sql).await).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.asked(async |inner| inner.query_one_raw(statement).await).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.asked(async |inner| inner.query_all_raw(statement).await).await
    }
}

/// Waits for an answer for so long, and hardly longer than until the connections are replaced on which it would come.
async fn within<T>(
    limit: Option<Duration>,
    replaced: &watch::Receiver<()>,
    answer: impl Future<Output = Result<T, DbErr>>,
) -> Result<T, DbErr> {
    let Some(limit) = limit else { return answer.await };
    let mut replaced = replaced.clone();
    let given_up = async {
        if replaced.changed().await.is_err() {
            // With the pool: nobody will replace it.
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(LAST_WORD).await;
    };
    let why = tokio::select! {
        biased;
        answered = answer => return answered,
        () = given_up => "nothing was heard on a connection that others had replaced".to_owned(),
        () = tokio::time::sleep(limit) => format!("nothing was heard of the database for {} s", limit.as_secs_f32()),
    };
    Err(DbErr::Conn(RuntimeErr::Internal(why)))
}
