//! Seeing what other processes change: another node, or the command line.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior};

use super::entity::invalidation::{self, Column, Entity};
use super::node_clock::monotonic_millis;
use super::seen::Seen;
use super::tidy::Tidying;
use super::{Change, Store, StoreError};

/// A look that takes longer has failed.
const LOOK: Duration = Duration::from_secs(3);
/// One that failed after so long heard nothing, not even that it cannot connect.
const UNHEARD: Duration = Duration::from_millis(900);
/// Who is heard of as soon as this is there, and not merely slow.
const PROMPT: Duration = Duration::from_millis(500);
/// Rows of the log that are read at once.
const PAGE: u64 = 5_000;
/// Without a successful look for this long, caches are not trusted.
const TRUST: Duration = Duration::from_secs(1);
/// Between two rounds of removing what is old.
const TIDY: Duration = Duration::from_secs(300);

/// When this process last saw the database's log of changes, in milliseconds of its own monotonic clock: the injected one
/// may be moved, and jumps.
#[derive(Default)]
pub(super) struct LastLook {
    began: AtomicU64,
    /// The last time without a look, which is over.
    blind: Mutex<Range<u64>>,
}

impl LastLook {
    fn note(&self, began: u64) {
        let before = self.began.swap(began, Ordering::AcqRel);
        if before != 0 && !is_recent(before, began) {
            *self.blind.lock().unwrap_or_else(PoisonError::into_inner) = before..began;
        }
    }

    fn is_recent(&self) -> bool {
        is_recent(self.began.load(Ordering::Acquire), monotonic_millis())
    }

    /// For how long between these two times there was no look; of several such times only the last one counts.
    fn blind_between(&self, since: i64, now: u64) -> u64 {
        let began = self.began.load(Ordering::Acquire);
        let blind = if began == 0 || is_recent(began, now) {
            self.blind.lock().unwrap_or_else(PoisonError::into_inner).clone()
        } else {
            began..now
        };
        blind.end.saturating_sub(blind.start.max(u64::try_from(since).unwrap_or(0)))
    }
}

fn is_recent(look: u64, now: u64) -> bool {
    look != 0 && now.saturating_sub(look) <= TRUST.as_millis() as u64
}

impl Store {
    /// Whether caches may be trusted: the log of changes was read within the last second.
    pub(super) fn sees_changes(&self) -> bool {
        self.0.last_look.is_recent()
    }

    /// The number of the newest row of the log of changes that is about this.
    #[cfg(feature = "testing")]
    pub(crate) async fn newest_change(&self, subject: &str) -> Result<Option<i64>, StoreError> {
        use sea_orm::ColumnTrait as _;

        let newest = Entity::find().filter(Column::Subject.eq(subject)).order_by_desc(Column::Id);
        Ok(newest.one(&self.0.read).await?.map(|row| row.id))
    }

    /// How long since `time` this process could not see the database, as far as it was running.
    pub(crate) fn outage_since(&self, time: DateTime<Utc>) -> TimeDelta {
        let now = monotonic_millis();
        let age = (self.now() - time).num_milliseconds().max(0);
        let blind = self.0.last_look.blind_between(i64::try_from(now).unwrap_or(i64::MAX) - age, now);
        TimeDelta::milliseconds(i64::try_from(blind).unwrap_or(0))
    }

    /// Reads the log of changes until the returned guard is dropped, and removes what is old; rows of the audit trail
    /// after `audit_retention`. Until this runs nothing is read from caches.
    ///
    /// # Errors
    /// [`StoreError`] if the log cannot be read now.
    pub async fn watch(&self, audit_retention: Option<TimeDelta>) -> Result<WatchGuard, StoreError> {
        let mut watcher = Watcher {
            seen: Seen::default(),
            version: None,
            database: None,
            has_failed: false,
            was_unheard: false,
            store: self.clone(),
        };
        watcher.look().await?;
        let news = Arc::new(Notify::new());
        let listening = self.0.connections.listen(Arc::clone(&news));
        let every = self.0.connections.engine.look_every();
        let look = tokio::spawn(async move {
            let mut interval = tokio::time::interval(every);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut failing = false;
            loop {
                tokio::select! {
                    _ = interval.tick() => {}
                    () = news.notified() => {}
                }
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
        let mut tidying = Tidying::new(self.clone(), audit_retention);
        let tidy = tokio::spawn(async move {
            let mut interval = tokio::time::interval(TIDY);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                interval.tick().await;
                tidying.round().await;
            }
        });
        Ok(WatchGuard([look, tidy].into_iter().chain(listening).collect()))
    }
}

/// Keeps the watch running.
#[derive(Debug)]
pub struct WatchGuard(Vec<tokio::task::JoinHandle<()>>);

impl Drop for WatchGuard {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

struct Watcher {
    store: Store,
    /// The rows that were applied.
    seen: Seen,
    /// The engine's counter of commits by other connections, if it has one, at the last look.
    version: Option<i64>,
    /// Which database the last look was at, where there is a server to say so.
    database: Option<String>,
    /// The last look failed: the database may be another one since.
    has_failed: bool,
    /// Nothing was heard of the database for a while: every connection of that time may have been lost without a word.
    was_unheard: bool,
}

impl Watcher {
    /// Applies what changed since the last look.
    async fn look(&mut self) -> Result<(), StoreError> {
        let began = Instant::now();
        let looked = tokio::time::timeout(LOOK, self.look_now()).await;
        let looked =
            looked.unwrap_or_else(|_| Err(DbErr::Custom(format!("no answer within {} s", LOOK.as_secs())).into()));
        self.has_failed = looked.is_err();
        if self.has_failed {
            if began.elapsed() >= UNHEARD {
                self.was_unheard = true;
                // The next look does not try one lost connection after the other.
                self.store.0.connections.watch.replace();
            }
        } else if self.was_unheard && began.elapsed() < PROMPT {
            self.was_unheard = false;
            tracing::info!("the connections to the database are replaced: nothing was heard on them for a while");
            self.store.0.connections.replace();
        }
        looked
    }

    async fn look_now(&mut self) -> Result<(), StoreError> {
        let store = self.store.clone();
        let inner = &store.0;
        let began = monotonic_millis();
        let could_not_see = !store.sees_changes() || self.has_failed;
        let database = store.read_server().await?;
        let was_blind = could_not_see || self.database != database;
        if was_blind {
            // The database may be another by now, a stand-by or a backup, which gives out numbers that were seen before.
            self.seen = Seen::up_to(self.newest().await?, began);
            self.version = None;
        }
        self.database = database;
        let version = inner.connections.engine.version(&inner.connections.watch).await?;
        if version.is_none() || self.version != version {
            while self.look_at_page(began, was_blind).await? == PAGE {}
            self.version = version;
        }
        if was_blind {
            // What was cached before the first look, or while there was none, may have changed unseen.
            inner.cache.forget_all();
            store.apply(&Change::SigningKeys);
            // Over this connection: the others may be held by what was never answered.
            store.load_revoked_tokens(&inner.connections.watch).await?;
        }
        inner.last_look.note(began);
        Ok(())
    }

    async fn newest(&self) -> Result<i64, StoreError> {
        let newest = Entity::find().select_only().column(Column::Id).order_by_desc(Column::Id);
        Ok(newest.into_tuple().one(&self.store.0.connections.watch).await?.unwrap_or(0))
    }

    /// Applies some rows that were not seen; how many there were. While blind they are only noted.
    async fn look_at_page(&mut self, now: u64, blind: bool) -> Result<u64, StoreError> {
        let inner = &self.store.0;
        let unseen = Entity::find().filter(self.seen.unseen()).order_by_asc(Column::Id).limit(PAGE);
        let rows = unseen.all(&inner.connections.watch).await?;
        let count = rows.len() as u64;
        for row in rows {
            if self.seen.note(row.id, now) && !blind {
                self.apply(row);
            }
        }
        self.seen.tidy(now);
        Ok(count)
    }

    fn apply(&self, row: invalidation::Model) {
        match row.kind.as_str() {
            "user" => self.store.apply(&Change::User(row.subject)),
            "session" => self.store.apply(&Change::Session(row.subject)),
            "token" => self.store.apply(&Change::Token(row.subject)),
            "client" => self.store.apply(&Change::Client(row.subject)),
            "signing-keys" => self.store.apply(&Change::SigningKeys),
            // A newer version's kind: what it means is unknown, so nothing cached is safe.
            _ => self.store.0.cache.forget_all(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_a_look_is_known_while_it_lasts_and_afterwards() {
        let look = LastLook::default();
        assert_eq!(look.blind_between(0, 90_000), 0, "it never saw anything");
        look.note(1_000);
        look.note(1_250);
        assert_eq!(look.blind_between(0, 2_250), 0);
        assert_eq!(look.blind_between(0, 61_250), 60_000);
        look.note(61_250);
        for (since, blind) in [(-5_000, 60_000), (1_000, 60_000), (31_250, 30_000), (61_250, 0), (70_000, 0)] {
            assert_eq!(look.blind_between(since, 61_500), blind, "since {since}");
        }
    }
}
