//! Removing what nobody needs any more, in steps that stay short however much there is. Each step is a transaction of its
//! own, and each kind of row is removed apart: where one fails, the others go on.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::{LockBehavior, LockType};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, TryGetableMany, Value};

use super::audit::first_id;
use super::entity::{audit, invalidation, revocation, session, throttle, ticket};
use super::revocations::MOST_LEEWAY;
use super::{Store, StoreError};
use crate::domain::delegation::{ACCESS_TOKEN, PERSONAL_TOKEN};

/// Rows that one statement looks at, and one transaction removes: little enough that sign-ins beside it do not wait long.
const STEP: u64 = 1_000;
/// Sessions that are looked through in one round: a hundred million in a day, since a round is every five minutes.
const SESSIONS_A_ROUND: u64 = 400_000;
/// How long rows of the log are kept: far longer than any process goes without looking.
const LOG_KEPT: TimeDelta = TimeDelta::minutes(10);
/// How long sessions are kept after their last token has expired.
const SESSIONS_KEPT: TimeDelta = TimeDelta::days(1);
/// What was revoked in the last minute stays: a feed, which may have its number, has that of its minute otherwise, and
/// would be older than the one before.
const REVOCATIONS_KEPT: TimeDelta = TimeDelta::minutes(1);

/// The clean-up of one process. Several share the work: each passes over the rows that another one has locked, and nobody
/// waits.
pub(super) struct Tidying {
    store: Store,
    audit_retention: Option<TimeDelta>,
    step: u64,
    sessions_a_round: u64,
    /// Up to this id sessions were looked through.
    looked_up_to: String,
}

impl Tidying {
    pub(super) fn new(store: Store, audit_retention: Option<TimeDelta>) -> Self {
        Self { store, audit_retention, step: STEP, sessions_a_round: SESSIONS_A_ROUND, looked_up_to: String::new() }
    }

    /// Removes old rows of the log of changes and of the audit trail, sessions that expired a day ago, minted tokens that no
    /// verifier takes any more, tickets, counters of failures that are forgiven, revocations of what has expired.
    pub(super) async fn round(&mut self) {
        let now = self.store.now();
        if let Some(before) = self.audit_retention.and_then(|kept| now.checked_sub_signed(kept)) {
            note("audit trail", self.remove_audit_before(before).await);
        }
        note("log of changes", self.remove_log_before(now - LOG_KEPT).await);
        note("tickets", self.remove_tickets_expired_before(now).await);
        note("revocations", self.remove_revocations_expired_before(now).await);
        note("counters of failures", self.remove_counters_expired_before(now).await);
        note("minted tokens", self.remove_minted_expired_before(now - MOST_LEEWAY).await);
        note("sessions", self.remove_sessions_expired_before(now - SESSIONS_KEPT).await);
        note("sessions without use", self.remove_sessions_idle_since(now - SESSIONS_KEPT).await);
        note("revoked tokens in memory", self.store.load_revoked_tokens(&self.store.0.read).await);
    }

    async fn remove_audit_before(&self, time: DateTime<Utc>) -> Result<(), StoreError> {
        use audit::{Column, Entity};
        let old = Condition::all().add(Column::Id.lt(first_id(time)));
        self.remove::<Entity, String>(Column::Id, Column::Id, old).await
    }

    async fn remove_log_before(&self, time: DateTime<Utc>) -> Result<(), StoreError> {
        use invalidation::{Column, Entity};
        // There is no index of times, but numbers rise with them.
        let old = Condition::all().add(Column::CreatedAt.lt(time));
        self.remove::<Entity, i64>(Column::Id, Column::Id, old).await
    }

    async fn remove_tickets_expired_before(&self, time: DateTime<Utc>) -> Result<(), StoreError> {
        use ticket::{Column, Entity};
        let expired = Condition::all().add(Column::ExpiresAt.lt(time));
        self.remove::<Entity, String>(Column::Hash, Column::ExpiresAt, expired).await
    }

    async fn remove_revocations_expired_before(&self, time: DateTime<Utc>) -> Result<(), StoreError> {
        use revocation::{Column, Entity};
        let expired = Condition::all()
            .add(Column::ExpiresAt.lt(time))
            .add(Column::Seq.lt((time - REVOCATIONS_KEPT).timestamp_millis()));
        self.remove::<Entity, i64>(Column::Seq, Column::Seq, expired).await
    }

    async fn remove_counters_expired_before(&self, time: DateTime<Utc>) -> Result<(), StoreError> {
        use throttle::{Column, Entity};
        let expired = Condition::all().add(Column::ExpiresAt.lt(time));
        self.remove::<Entity, Vec<u8>>(Column::Counter, Column::ExpiresAt, expired).await
    }

    /// Minted tokens that no verifier takes any more.
    async fn remove_minted_expired_before(&self, time: DateTime<Utc>) -> Result<(), StoreError> {
        use session::{Column, Entity};
        // The index has them by kind.
        for kind in [ACCESS_TOKEN, PERSONAL_TOKEN] {
            let expired = Condition::all().add(Column::Minted.eq(kind)).add(Column::ExpiresAt.lt(time));
            self.remove::<Entity, String>(Column::Id, Column::ExpiresAt, expired).await?;
        }
        Ok(())
    }

    /// Sessions that cannot be refreshed any more, however much they are used.
    async fn remove_sessions_expired_before(&self, time: DateTime<Utc>) -> Result<(), StoreError> {
        use session::{Column, Entity};
        let expired = Condition::all().add(Column::ExpiresAt.lt(time));
        self.remove::<Entity, String>(Column::Id, Column::ExpiresAt, expired).await
    }

    /// Sessions that were not refreshed in time. No index finds them, since each refresh would have to change it: they are
    /// looked for among all of them by and by, and go at the latest when they expire.
    async fn remove_sessions_idle_since(&mut self, time: DateTime<Utc>) -> Result<(), StoreError> {
        use session::{Column, Entity};
        let idle = Condition::all().add(Column::IdleExpiresAt.lt(time)).add(Column::AccessExpiresAt.lt(time));
        let mut looked = 0;
        while looked < self.sessions_a_round {
            let page = Entity::find().select_only().column(Column::Id).filter(Column::Id.gt(&self.looked_up_to));
            let last = page.order_by_asc(Column::Id).offset(self.step - 1).limit(1).into_tuple();
            let last: Option<String> = last.one(&self.store.0.read).await?;
            let page = Condition::all()
                .add(Column::Id.gt(&self.looked_up_to))
                .add_option(last.as_ref().map(|last| Column::Id.lte(last)));
            self.remove::<Entity, String>(Column::Id, Column::Id, page.add(idle.clone())).await?;
            let Some(last) = last else {
                // From the beginning in the next round.
                self.looked_up_to.clear();
                return Ok(());
            };
            self.looked_up_to = last;
            looked += self.step;
        }
        Ok(())
    }

    /// Removes the rows that a condition is true of, step by step, but for those that others have locked to the end.
    /// `order` has an index or reaches them soon. It is asked for, since PostgreSQL plans without knowing the time, and
    /// might look through the whole table.
    async fn remove<E, K>(&self, key: E::Column, order: E::Column, which: Condition) -> Result<(), StoreError>
    where
        E: EntityTrait,
        K: TryGetableMany + Into<Value> + Clone + Send + Sync,
    {
        // Of this pass through the table.
        let (mut removed, mut left) = (0, 0);
        loop {
            let some = E::find().select_only().column(key).filter(which.clone()).order_by_asc(order);
            let some: Vec<K> = some.offset(left).limit(self.step).into_tuple().all(&self.store.0.read).await?;
            let looked_at = some.len() as u64;
            if looked_at > 0 {
                let these = self.remove_these::<E, K>(key, some, which.clone()).await?;
                removed += these;
                left += looked_at - these;
            }
            if looked_at == self.step {
                continue;
            }
            if removed == 0 || left == 0 {
                return Ok(());
            }
            // What another node removed meanwhile moved the rest up, so that some may have been passed over.
            (removed, left) = (0, 0);
        }
    }

    /// Removes those of some rows of which the condition is still true, and that nobody has locked; how many these were.
    async fn remove_these<E, K>(&self, key: E::Column, some: Vec<K>, which: Condition) -> Result<u64, StoreError>
    where
        E: EntityTrait,
        K: TryGetableMany + Into<Value> + Clone + Send + Sync,
    {
        let tx = self.store.begin().await?;
        // Whoever was used meanwhile is not among them. On SQLite, where one writes at a time, nothing is ever locked.
        let over = E::find().select_only().column(key).filter(key.is_in(some)).filter(which);
        let over = over.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        let over: Vec<K> = over.into_tuple().all(&tx.inner).await?;
        let count = over.len() as u64;
        E::delete_many().filter(key.is_in(over)).exec(&tx.inner).await?;
        tx.commit().await?;
        Ok(count)
    }
}

fn note(what: &str, removed: Result<(), StoreError>) {
    if let Err(error) = removed {
        tracing::warn!(%error, what, "expired rows could not be removed; the next round tries again");
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use std::sync::Arc;

    use mapae_verify::ManualClock;
    use sea_orm::ActiveValue::Set;
    use sea_orm::{ActiveModelTrait, PaginatorTrait};

    use super::*;
    use crate::store::Migrate;

    async fn insert(store: &Store, id: usize, idle_expires_at: DateTime<Utc>) {
        let now = store.now();
        let row = session::ActiveModel {
            id: Set(format!("{id:03}")),
            user_id: Set("ann".to_owned()),
            client_id: Set("app".to_owned()),
            scopes: Set(String::new()),
            created_at: Set(now),
            expires_at: Set(now + TimeDelta::days(90)),
            generation: Set(0),
            idle_expires_at: Set(Some(idle_expires_at)),
            access_expires_at: Set(Some(now)),
            ..Default::default()
        };
        row.insert(&store.0.connections.write).await.expect("a row");
    }

    /// That live ones stay, and that nodes do not disturb each other, is tested on both engines.
    #[tokio::test]
    async fn a_round_looks_through_some_sessions_and_the_next_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("mapae.db").display());
        let clock = ManualClock::new(1_767_225_600);
        let store = Store::open(url.as_str(), true, Migrate::Apply, Arc::new(clock.clone())).await.unwrap();
        for id in 0..20 {
            // Every third one was refreshed.
            insert(&store, id, store.now() + TimeDelta::days(if id % 3 == 0 { 30 } else { 1 })).await;
        }
        clock.advance(3 * 24 * 60 * 60);
        let mut tidying = Tidying { step: 3, sessions_a_round: 6, ..Tidying::new(store.clone(), None) };
        let left = async || session::Entity::find().count(&store.0.read).await.unwrap();
        let mut lefts = Vec::new();
        for _ in 0..4 {
            tidying.round().await;
            lefts.push((left().await, tidying.looked_up_to.clone()));
        }
        let expected = [(16, "005"), (12, "011"), (8, "017"), (7, "")];
        assert_eq!(lefts, expected.map(|(left, up_to)| (left, up_to.to_owned())));
        // And anew from the beginning.
        insert(&store, 1, store.now() - TimeDelta::days(2)).await;
        clock.advance(2 * 24 * 60 * 60);
        tidying.round().await;
        assert_eq!(left().await, 7);
        store.close().await;
    }
}
