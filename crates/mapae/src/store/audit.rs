//! The audit trail: writing, reading, and removing what is old.

use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, Condition, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect};
use serde_json::Map;
use uuid::Uuid;

use super::entity::audit::{ActiveModel, Column, Entity, Model};
use super::{Store, StoreError, Tx};
use crate::domain::audit::{Direction, Entry, Event, Filter, Record};

/// Rows in one statement, which has a limited number of parameters.
const ROWS: usize = 200;

/// A row of the audit trail that has its time and is not written yet.
#[derive(Clone, Debug)]
pub struct Stamped {
    event: Event,
    row: ActiveModel,
}

impl Store {
    /// Gives a row the present time.
    pub fn stamp(&self, entry: Entry) -> Stamped {
        let (id, millis) = self.0.audit_ids.next();
        let at = DateTime::from_timestamp_millis(millis).unwrap_or(DateTime::UNIX_EPOCH);
        let (who, source) = (entry.who(), entry.actor.source());
        let details = (!entry.details.is_empty()).then(|| serde_json::Value::Object(entry.details.clone()).to_string());
        let row = ActiveModel {
            id: Set(id.to_string()),
            at: Set(at),
            event: Set(entry.event.as_str().to_owned()),
            actor_kind: Set(who.kind().to_owned()),
            actor: Set(who.id().map(str::to_owned)),
            address: Set(source.address.map(|address| address.to_string())),
            request_id: Set(source.request_id.map(|id| id.to_string())),
            subject: Set(entry.subject),
            session_id: Set(entry.session),
            client_id: Set(entry.client),
            details: Set(details),
        };
        Stamped { event: entry.event, row }
    }

    /// Up to `limit` rows of the audit trail.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn audit(
        &self,
        filter: &Filter,
        direction: Direction<'_>,
        limit: u64,
    ) -> Result<Vec<Record>, StoreError> {
        let mut which = condition(filter);
        let order = match direction {
            Direction::Back(before) => {
                which = which.add_option(before.map(|id| Column::Id.lt(id)));
                Order::Desc
            }
            Direction::Forward(after) => {
                which = which.add_option(after.map(|id| Column::Id.gt(id)));
                Order::Asc
            }
        };
        let query = Entity::find().filter(which).order_by(Column::Id, order).limit(limit);
        query.all(&self.0.read).await?.into_iter().map(to_record).collect()
    }
}

impl Tx {
    /// Writes down what this transaction does, so that both are durable or neither.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn record(&mut self, entry: Entry) -> Result<(), StoreError> {
        self.record_all(vec![entry]).await
    }

    /// Writes several rows down, in this order.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn record_all(&mut self, entries: Vec<Entry>) -> Result<(), StoreError> {
        let rows = entries.into_iter().map(|entry| self.store.stamp(entry)).collect();
        self.record_stamped(rows).await
    }

    /// Writes down what happened before this transaction. Rows that are there already stay as they are: they were
    /// written by a transaction whose commit went unanswered.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn record_stamped(&mut self, rows: Vec<Stamped>) -> Result<(), StoreError> {
        self.recorded.extend(rows.iter().map(|row| row.event));
        let mut rows = rows.into_iter().map(|row| row.row).peekable();
        while rows.peek().is_some() {
            let some: Vec<_> = rows.by_ref().take(ROWS).collect();
            Entity::insert_many(some).on_conflict_do_nothing().exec_without_returning(&self.inner).await?;
        }
        Ok(())
    }

    /// Brings a row up to date whose act goes on, or writes it down if it is new.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn record_progress(&mut self, row: &Stamped, entry: &Entry) -> Result<(), StoreError> {
        let details = serde_json::Value::Object(entry.details.clone()).to_string();
        let row = ActiveModel { details: Set(Some(details)), ..row.row.clone() };
        let known = sea_orm::sea_query::OnConflict::column(Column::Id).update_column(Column::Details).to_owned();
        Entity::insert(row).on_conflict(known).exec_without_returning(&self.inner).await?;
        Ok(())
    }
}

/// The least id of a row from this time on: ids begin with their time.
pub(super) fn first_id(time: DateTime<Utc>) -> String {
    let millis = u128::try_from(time.timestamp_millis()).unwrap_or(0).min((1 << 48) - 1);
    Uuid::from_u128(millis << 80).to_string()
}

fn condition(filter: &Filter) -> Condition {
    let Filter { subject, actor, event, outcome, since, until, address } = filter;
    let of_outcome = outcome.map(|outcome| {
        let events = Event::ALL.iter().filter(move |event| event.outcome() == outcome);
        Column::Event.is_in(events.map(|event| event.as_str()))
    });
    Condition::all()
        .add_option(subject.as_deref().map(|subject| Column::Subject.eq(subject)))
        .add_option(actor.as_deref().map(|actor| Column::Actor.eq(actor)))
        .add_option(event.map(|event| Column::Event.eq(event.as_str())))
        .add_option(of_outcome)
        .add_option(since.map(|since| Column::Id.gte(first_id(since))))
        .add_option(until.map(|until| Column::Id.lt(first_id(until))))
        .add_option(address.map(|address| Column::Address.eq(address.to_string())))
}

fn to_record(row: Model) -> Result<Record, StoreError> {
    let details = row.details.as_deref().map_or_else(|| Ok(Map::new()), serde_json::from_str);
    let corrupt = |error: serde_json::Error| StoreError::Corrupt { table: "mapae_audit", why: error.to_string() };
    Ok(Record {
        details: details.map_err(corrupt)?,
        id: row.id,
        at: row.at,
        event: row.event,
        actor_kind: row.actor_kind,
        actor: row.actor,
        subject: row.subject,
        address: row.address,
        request_id: row.request_id,
        session_id: row.session_id,
        client_id: row.client_id,
    })
}
