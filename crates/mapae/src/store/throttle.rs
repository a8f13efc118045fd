//! Counters of failed attempts: reading them for a change, writing them.

use std::collections::BTreeSet;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::entity::throttle::{self, Column, Entity};
use super::{StoreError, Tx};
use crate::domain::throttle::{Counter, CounterId, Counters};

impl Tx {
    /// The counters of these names, which nobody else changes until this transaction ends; with a fresh one for each
    /// that is not there yet.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn counters(&mut self, ids: &BTreeSet<CounterId>) -> Result<Counters, StoreError> {
        if ids.is_empty() {
            return Ok(Counters::new());
        }
        let mut counters = self.lock_counters(ids).await?;
        // Ends: it only goes round when another node has removed a row just now.
        loop {
            let missing: BTreeSet<_> = ids.iter().filter(|id| !counters.contains_key(*id)).copied().collect();
            if missing.is_empty() {
                return Ok(counters);
            }
            // A row that is not there cannot be locked, so another node could count on it too.
            let fresh = Counter::new(self.now());
            let rows = missing.iter().map(|id| to_row(*id, &fresh));
            Entity::insert_many(rows).on_conflict_do_nothing().exec_without_returning(&self.inner).await?;
            counters.extend(self.lock_counters(&missing).await?);
        }
    }

    /// In the order of their names, as every transaction does: so none waits for another that waits for it.
    async fn lock_counters(&self, ids: &BTreeSet<CounterId>) -> Result<Counters, StoreError> {
        let rows = Entity::find()
            .filter(Column::Counter.is_in(ids.iter().map(|id| id.0.to_vec())))
            .order_by_asc(Column::Counter)
            .lock_exclusive()
            .all(&self.inner)
            .await?;
        rows.into_iter().map(to_counter).collect()
    }

    /// Writes counters that [`Self::counters`] read.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn set_counters(&mut self, counters: &Counters) -> Result<(), StoreError> {
        if counters.is_empty() {
            return Ok(());
        }
        let rows = counters.iter().map(|(id, counter)| to_row(*id, counter));
        let replace = OnConflict::column(Column::Counter)
            .update_columns([Column::ClearAt, Column::KnownUntil, Column::ExpiresAt])
            .to_owned();
        Entity::insert_many(rows).on_conflict(replace).exec_without_returning(&self.inner).await?;
        Ok(())
    }

    /// Removes counters that [`Self::counters`] read.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn remove_counters(&mut self, ids: &BTreeSet<CounterId>) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let which = Column::Counter.is_in(ids.iter().map(|id| id.0.to_vec()));
        Entity::delete_many().filter(which).exec(&self.inner).await?;
        Ok(())
    }
}

/// The length of a counter's name.
pub(super) const COUNTER_BYTES: usize = size_of::<CounterId>();

fn to_row(id: CounterId, counter: &Counter) -> throttle::ActiveModel {
    throttle::ActiveModel {
        counter: Set(id.0.to_vec()),
        clear_at: Set(counter.clear_at),
        known_until: Set(counter.known_until),
        expires_at: Set(counter.expires_at()),
    }
}

fn to_counter(row: throttle::Model) -> Result<(CounterId, Counter), StoreError> {
    let id = row.counter.try_into().map_err(|_| StoreError::Corrupt {
        table: "mapae_throttle",
        why: "a counter's name is not of 16 bytes".to_owned(),
    })?;
    Ok((CounterId(id), Counter { clear_at: row.clear_at, known_until: row.known_until }))
}
