//! Signing keys.

use std::str::FromStr;

use mapae_verify::Algorithm;
use sea_orm::ActiveValue::Set;
use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};

use super::engine::Turn;
use super::entity::signing_key::{self, Column, Entity};
use super::{Change, Store, StoreError, Tx};
use crate::domain::{KeyState, SigningKeyRecord};

impl Store {
    /// Every signing key, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails or holds a key that cannot be read.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKeyRecord>, StoreError> {
        all(&self.0.read).await
    }
}

impl Tx {
    /// Every signing key, oldest first, of which nobody else makes, changes or removes one after such a look until this
    /// transaction ends.
    ///
    /// # Errors
    /// As [`Store::signing_keys`].
    pub async fn signing_keys(&self) -> Result<Vec<SigningKeyRecord>, StoreError> {
        self.take_turn(Turn::Keys).await?;
        all(&self.inner).await
    }

    /// Adds a signing key.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn insert_signing_key(&mut self, key: &SigningKeyRecord) -> Result<(), StoreError> {
        signing_key::ActiveModel {
            kid: Set(key.kid.clone()),
            algorithm: Set(key.algorithm.as_str().to_owned()),
            state: Set(key.state.as_str().to_owned()),
            public_jwk: Set(key.public_jwk.clone()),
            wrapped_private: Set(key.wrapped_private.clone()),
            created_at: Set(key.created_at),
            activated_at: Set(key.activated_at),
            retired_at: Set(key.retired_at),
        }
        .insert(&self.inner)
        .await?;
        self.changed(Change::SigningKeys).await
    }

    /// The same key, its private half wrapped by another master key.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn rewrap_signing_key(&mut self, kid: &str, wrapped_private: Vec<u8>) -> Result<bool, StoreError> {
        let row = signing_key::ActiveModel { wrapped_private: Set(wrapped_private), ..Default::default() };
        let which = Entity::update_many().set(row).filter(Column::Kid.eq(kid));
        Ok(which.exec(&self.inner).await?.rows_affected == 1)
    }

    /// Makes a key sign from now on; whether it was the next key until now.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn activate_signing_key(&mut self, kid: &str) -> Result<bool, StoreError> {
        let now = self.now();
        let state = Set(KeyState::Active.as_str().to_owned());
        let row = signing_key::ActiveModel { state, activated_at: Set(Some(now)), ..Default::default() };
        self.move_key(kid, KeyState::Next, row).await
    }

    /// Makes a key sign no more, whose tokens are still verified; whether it was signing until now.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn retire_signing_key(&mut self, kid: &str) -> Result<bool, StoreError> {
        let now = self.now();
        let state = Set(KeyState::Retiring.as_str().to_owned());
        let row = signing_key::ActiveModel { state, retired_at: Set(Some(now)), ..Default::default() };
        self.move_key(kid, KeyState::Active, row).await
    }

    /// Removes a key for good.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn remove_signing_key(&mut self, kid: &str) -> Result<bool, StoreError> {
        let removed = Entity::delete_by_id(kid).exec(&self.inner).await?.rows_affected;
        self.changed(Change::SigningKeys).await?;
        Ok(removed == 1)
    }

    async fn move_key(&mut self, kid: &str, from: KeyState, row: signing_key::ActiveModel) -> Result<bool, StoreError> {
        let which = Entity::update_many().set(row).filter(Column::Kid.eq(kid)).filter(Column::State.eq(from.as_str()));
        let moved = which.exec(&self.inner).await?.rows_affected;
        self.changed(Change::SigningKeys).await?;
        Ok(moved == 1)
    }
}

async fn all<C: ConnectionTrait>(db: &C) -> Result<Vec<SigningKeyRecord>, StoreError> {
    let rows = Entity::find().order_by_asc(Column::CreatedAt).order_by_asc(Column::Kid).all(db).await?;
    rows.into_iter().map(to_record).collect()
}

pub(super) fn to_record(row: signing_key::Model) -> Result<SigningKeyRecord, StoreError> {
    let corrupt = |why: String| StoreError::Corrupt { table: "mapae_signing_key", why };
    Ok(SigningKeyRecord {
        algorithm: Algorithm::from_str(&row.algorithm).map_err(|error| corrupt(error.to_string()))?,
        state: KeyState::from_str(&row.state).map_err(|()| corrupt(format!("unknown state {}", row.state)))?,
        kid: row.kid,
        public_jwk: row.public_jwk,
        wrapped_private: row.wrapped_private,
        created_at: row.created_at,
        activated_at: row.activated_at,
        retired_at: row.retired_at,
    })
}
