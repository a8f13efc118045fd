//! Seeing what other processes change: another node, or the command line.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Statement,
};

use super::entity::invalidation;
use super::{Change, Store, StoreError};

/// How often the database is asked whether it changed; a tenth of a millisecond of work each.
const POLL: Duration = Duration::from_millis(50);
/// Without a successful look for this long, caches are not trusted.
const TRUST: Duration = Duration::from_secs(1);
/// How long rows of the log are kept: far longer than any process goes without looking.
const KEEP: chrono::TimeDelta = chrono::TimeDelta::minutes(10);
const TIDY: Duration = Duration::from_secs(300);

/// When this process last saw the database's log of changes, in milliseconds of its own monotonic clock.
#[derive(Default)]
pub(super) struct LastLook(AtomicU64);

impl LastLook {
    fn note(&self) {
        self.0.store(monotonic_millis(), Ordering::Release);
    }

    fn is_recent(&self) -> bool {
        let seen = self.0.load(Ordering::Acquire);
        seen != 0 && monotonic_millis() - seen <= TRUST.as_millis() as u64
    }
}

/// Trust is a matter of elapsed time in this process alone: the injected clock may be moved, and jumps.
#[expect(clippy::disallowed_methods, reason = "a monotonic interval within one process, not a time of day")]
fn monotonic_millis() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = *START.get_or_init(Instant::now);
    // Never 0, which means "not yet".
    Instant::now().saturating_duration_since(start).as_millis() as u64 + 1
}

impl Store {
    /// Whether caches may be trusted: the log of changes was read within the last second.
    pub(super) fn sees_changes(&self) -> bool {
        self.0.last_look.is_recent()
    }

    /// Reads the log of changes until the returned guard is dropped, and removes what is old; rows of the audit trail
    /// after `audit_retention`. Until this runs nothing is read from caches.
    ///
    /// # Errors
    /// [`StoreError`] if the log cannot be read now.
    pub async fn watch(&self, audit_retention: Option<chrono::TimeDelta>) -> Result<WatchGuard, StoreError> {
        let mut watcher = Watcher { seen: newest(&self.0.read).await?, version: None, store: self.clone() };
        let look = tokio::spawn(async move {
            let mut interval = tokio::time::interval(POLL);
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            let mut failing = false;
            loop {
                interval.tick().await;
                match watcher.look().await {
                    Ok(()) => {
                        if failing {
                            tracing::info!("the database answers again");
                        }
                        failing = false;
                    }
                    Err(error) => {
                        if !failing {
                            tracing::error!(%error, "the database does not answer: caches are not used until it does");
                        }
                        failing = true;
                    }
                }
            }
        });
        let store = self.clone();
        let tidy = tokio::spawn(async move {
            let mut interval = tokio::time::interval(TIDY);
            loop {
                interval.tick().await;
                if let Err(error) = store.tidy(audit_retention).await {
                    tracing::warn!(%error, "expired rows could not be removed; the next round tries again");
                }
            }
        });
        Ok(WatchGuard([look, tidy]))
    }

    /// Removes what no process needs any more: old rows of the log, sessions that expired a day ago, tickets, revocations
    /// of what has expired, rows of the audit trail that were kept long enough.
    async fn tidy(&self, audit_retention: Option<chrono::TimeDelta>) -> Result<(), StoreError> {
        let now = self.now();
        if let Some(before) = audit_retention.and_then(|kept| now.checked_sub_signed(kept)) {
            self.remove_audit_before(before).await?;
        }
        let tx = self.begin().await?;
        invalidation::Entity::delete_many()
            .filter(invalidation::Column::CreatedAt.lt(now - KEEP))
            .exec(&tx.inner)
            .await?;
        tx.remove_sessions_expired_before(now - chrono::TimeDelta::days(1)).await?;
        tx.remove_tickets_expired_before(now).await?;
        tx.remove_revocations_expired_before(now).await?;
        tx.commit().await?;
        self.load_revoked_tokens().await
    }
}

/// Keeps the watch running.
#[derive(Debug)]
pub struct WatchGuard([tokio::task::JoinHandle<()>; 2]);

impl Drop for WatchGuard {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

struct Watcher {
    store: Store,
    /// The newest row that was applied.
    seen: i64,
    /// SQLite's counter of commits by other connections, at the last look.
    version: Option<i64>,
}

impl Watcher {
    async fn look(&mut self) -> Result<(), StoreError> {
        let inner = &self.store.0;
        let was_blind = !self.store.sees_changes();
        let version = data_version(&inner.watch).await?;
        if self.version != Some(version) {
            let rows = invalidation::Entity::find()
                .filter(invalidation::Column::Id.gt(self.seen))
                .order_by_asc(invalidation::Column::Id)
                .all(&inner.watch)
                .await?;
            for row in rows {
                self.seen = self.seen.max(row.id);
                match row.kind.as_str() {
                    "user" => self.store.apply(&Change::User(row.subject)),
                    "session" => self.store.apply(&Change::Session(row.subject)),
                    "token" => self.store.apply(&Change::Token(row.subject)),
                    "client" => self.store.apply(&Change::Client(row.subject)),
                    "signing-keys" => self.store.apply(&Change::SigningKeys),
                    // A newer version's kind: what it means is unknown, so nothing cached is safe.
                    _ => inner.cache.forget_all(),
                }
            }
            self.version = Some(version);
        }
        if was_blind {
            // What was cached before the first look, or while there was none, may have changed unseen.
            inner.cache.forget_all();
            self.store.load_revoked_tokens().await?;
        }
        inner.last_look.note();
        Ok(())
    }
}

/// SQLite's own counter: moves when another connection has committed.
async fn data_version(db: &DatabaseConnection) -> Result<i64, StoreError> {
    let statement = Statement::from_string(ConnectionTrait::get_database_backend(db), "PRAGMA data_version");
    let row = db
        .query_one_raw(statement)
        .await?
        .ok_or_else(|| StoreError::Corrupt { table: "PRAGMA data_version", why: "no row".to_owned() })?;
    Ok(row.try_get_by_index(0)?)
}

async fn newest(db: &DatabaseConnection) -> Result<i64, StoreError> {
    let newest: Option<Option<i64>> = invalidation::Entity::find()
        .select_only()
        .column_as(invalidation::Column::Id.max(), "newest")
        .into_tuple()
        .one(db)
        .await?;
    Ok(newest.flatten().unwrap_or(0))
}
