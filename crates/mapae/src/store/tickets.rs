//! Tickets: making, finding, using up.

use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::entity::ticket::{self, Column, Entity};
use super::keyed::by_key;
use super::{Store, StoreError, Tx};
use crate::domain::{TicketHash, TicketRecord};

impl Store {
    /// The ticket with this hash, used or not.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails or holds a ticket that cannot be read.
    pub async fn ticket(&self, hash: TicketHash) -> Result<Option<TicketRecord>, StoreError> {
        let row = by_key(Entity::find_by_id(hash.as_str()), &self.0.read).await?;
        row.map(|row| to_record(row, hash)).transpose()
    }
}

impl Tx {
    /// Adds a ticket.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn insert_ticket(&mut self, ticket: &TicketRecord) -> Result<(), StoreError> {
        let row = ticket::ActiveModel {
            hash: Set(ticket.hash.as_str().to_owned()),
            claims: Set(serde_json::to_string(&ticket.claims).map_err(|error| corrupt(&error))?),
            kid: Set(ticket.kid.clone()),
            created_at: Set(ticket.created_at),
            expires_at: Set(ticket.expires_at),
            used_at: Set(ticket.used_at),
        };
        Entity::insert(row).exec_without_returning(&self.inner).await?;
        Ok(())
    }

    /// Uses a ticket up; whether it was still good. Of several who try, in whatever process, one succeeds.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn use_ticket(&mut self, hash: &TicketHash) -> Result<bool, StoreError> {
        let now = self.now();
        let used = Entity::update_many()
            .set(ticket::ActiveModel { used_at: Set(Some(now)), ..Default::default() })
            .filter(Column::Hash.eq(hash.as_str()))
            .filter(Column::UsedAt.is_null())
            .filter(Column::ExpiresAt.gt(now))
            .exec(&self.inner)
            .await?;
        Ok(used.rows_affected == 1)
    }
}

fn to_record(row: ticket::Model, hash: TicketHash) -> Result<TicketRecord, StoreError> {
    Ok(TicketRecord {
        hash,
        claims: serde_json::from_str(&row.claims).map_err(|error| corrupt(&error))?,
        kid: row.kid,
        created_at: row.created_at,
        expires_at: row.expires_at,
        used_at: row.used_at,
    })
}

fn corrupt(error: &serde_json::Error) -> StoreError {
    StoreError::Corrupt { table: "mapae_ticket", why: error.to_string() }
}
