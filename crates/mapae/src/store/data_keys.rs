//! Wrapped data keys, by name.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};

use super::engine::Turn;
use super::entity::data_key::{self, Column, Entity};
use super::keyed::by_key;
use super::{Change, Store, StoreError, Tx};

/// A wrapped data key.
#[derive(Clone)]
pub struct DataKey {
    /// The key, encrypted under the master key.
    pub wrapped: Vec<u8>,
    /// When the key itself was made; wrapping it anew changes nothing of that.
    pub created_at: DateTime<Utc>,
}

impl From<data_key::Model> for DataKey {
    fn from(row: data_key::Model) -> Self {
        Self { wrapped: row.wrapped, created_at: row.created_at }
    }
}

impl Store {
    /// The data key of this name.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn data_key(&self, name: &str) -> Result<Option<DataKey>, StoreError> {
        find(name, &self.0.read).await
    }
}

pub(super) async fn find<C: ConnectionTrait>(name: &str, db: &C) -> Result<Option<DataKey>, StoreError> {
    Ok(by_key(Entity::find_by_id(name), db).await?.map(DataKey::from))
}

impl Tx {
    /// The wrapped data key of this name. Until this transaction ends, nobody else looks for one in order to make it.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn data_key(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.take_turn(Turn::Keys).await?;
        Ok(by_key(Entity::find_by_id(name), &self.inner).await?.map(|row| row.wrapped))
    }

    /// The data key of this name; others who want to lock it wait until this transaction ends.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn lock_data_key(&mut self, name: &str) -> Result<Option<DataKey>, StoreError> {
        self.take_turn(Turn::Keys).await?;
        Ok(by_key(Entity::find_by_id(name).lock_exclusive(), &self.inner).await?.map(DataKey::from))
    }

    /// Every data key with its name.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn data_keys(&self) -> Result<Vec<(String, DataKey)>, StoreError> {
        let rows = Entity::find().all(&self.inner).await?;
        Ok(rows.into_iter().map(|row| (row.name.clone(), row.into())).collect())
    }

    /// Keeps a wrapped data key.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails or the name is taken.
    pub async fn insert_data_key(&mut self, name: &str, wrapped: Vec<u8>) -> Result<(), StoreError> {
        Entity::insert(self.row(name, wrapped)).exec_without_returning(&self.inner).await?;
        Ok(())
    }

    /// Keeps a wrapped data key, unless there is one of this name.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn insert_data_key_if_missing(&mut self, name: &str, wrapped: Vec<u8>) -> Result<(), StoreError> {
        Entity::insert(self.row(name, wrapped))
            .on_conflict(OnConflict::column(Column::Name).do_nothing().to_owned())
            .exec_without_returning(&self.inner)
            .await?;
        Ok(())
    }

    /// The same data key, wrapped by another master key.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn rewrap_data_key(&mut self, name: &str, wrapped: Vec<u8>) -> Result<bool, StoreError> {
        let row = data_key::ActiveModel { wrapped: Set(wrapped), ..Default::default() };
        let which = Entity::update_many().set(row).filter(Column::Name.eq(name));
        Ok(which.exec(&self.inner).await?.rows_affected == 1)
    }

    /// Another data key under the same name, which is always newer than the one before.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn replace_data_key(&mut self, name: &str, wrapped: Vec<u8>) -> Result<(), StoreError> {
        let before = self.lock_data_key(name).await?.map(|row| row.created_at + TimeDelta::milliseconds(1));
        let created_at = Set(self.now().max(before.unwrap_or_default()));
        let row = data_key::ActiveModel { wrapped: Set(wrapped), created_at, ..Default::default() };
        Entity::update_many().set(row).filter(Column::Name.eq(name)).exec(&self.inner).await?;
        Ok(())
    }

    /// Has every process read the keys anew.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn keys_changed(&mut self) -> Result<(), StoreError> {
        self.changed(Change::SigningKeys).await
    }

    fn row(&self, name: &str, wrapped: Vec<u8>) -> data_key::ActiveModel {
        data_key::ActiveModel { name: Set(name.to_owned()), wrapped: Set(wrapped), created_at: Set(self.now()) }
    }
}
