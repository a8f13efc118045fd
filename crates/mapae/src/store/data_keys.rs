//! Wrapped data keys, by name.

use sea_orm::ActiveValue::Set;
use sea_orm::{ActiveModelTrait, EntityTrait};

use super::engine::Turn;
use super::entity::data_key::{self, Entity};
use super::{StoreError, Tx};

impl Tx {
    /// The wrapped data key of this name. Until this transaction ends, nobody else looks for one in order to make it.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn data_key(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.take_turn(Turn::Keys).await?;
        Ok(Entity::find_by_id(name).one(&self.inner).await?.map(|row| row.wrapped))
    }

    /// Keeps a wrapped data key.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails or the name is taken.
    pub async fn insert_data_key(&mut self, name: &str, wrapped: Vec<u8>) -> Result<(), StoreError> {
        data_key::ActiveModel { name: Set(name.to_owned()), wrapped: Set(wrapped), created_at: Set(self.now()) }
            .insert(&self.inner)
            .await?;
        Ok(())
    }
}
