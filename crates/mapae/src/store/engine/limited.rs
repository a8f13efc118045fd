//! A limit of our own on every wait for the database. The server's limits end what it works on; they are of no use once
//! nothing more is heard of it, and TCP alone waits for a quarter of an hour.

use std::time::Duration;

use sea_orm::prelude::async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr,
    Statement, TransactionOptions, TransactionTrait,
};

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

/// A pool, or a transaction, whose every statement is answered in time or fails. What becomes of a statement that was
/// given up is unknown, as of one whose connection was lost; its connection is tested before anybody else gets it.
#[derive(Clone, Debug)]
pub(in crate::store) struct Limited<C> {
    inner: C,
    /// For one statement.
    limit: Option<Duration>,
    limits: Limits,
}

impl Limited<DatabaseConnection> {
    pub(super) fn new(pool: DatabaseConnection, limits: Limits) -> Self {
        Self { inner: pool, limit: limits.pooled, limits }
    }

    pub(in crate::store) fn pool(&self) -> &DatabaseConnection {
        &self.inner
    }

    /// Whether the database answers.
    pub(in crate::store) async fn ping(&self) -> Result<(), DbErr> {
        within(self.limit, self.inner.ping()).await
    }

    /// Begins a transaction, within whose limits its statements are too.
    pub(super) async fn begin(&self, options: TransactionOptions) -> Result<Limited<DatabaseTransaction>, DbErr> {
        let inner = within(self.limits.begun, self.inner.begin_with_options(options)).await?;
        Ok(Limited { inner, limit: self.limits.held, limits: self.limits })
    }
}

impl Limited<DatabaseTransaction> {
    /// From now on gives up sooner.
    pub(in crate::store) fn be_brief(&mut self) {
        self.limit = self.limits.brief;
    }

    /// Commits; where no answer comes, nobody knows whether it happened.
    pub(in crate::store) async fn commit(self) -> Result<(), DbErr> {
        within(self.limit, self.inner.commit()).await
    }
}

#[async_trait]
impl<C: ConnectionTrait> ConnectionTrait for Limited<C> {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        within(self.limit, self.inner.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        within(self.limit, self.inner.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        within(self.limit, self.inner.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        within(self.limit, self.inner.query_all_raw(statement)).await
    }
}

async fn within<T>(limit: Option<Duration>, answer: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
    let Some(limit) = limit else { return answer.await };
    let answered = tokio::time::timeout(limit, answer).await;
    answered.unwrap_or_else(|_| {
        let why = format!("nothing was heard of the database for {} s", limit.as_secs_f32());
        Err(DbErr::Conn(RuntimeErr::Internal(why)))
    })
}
