//! OAuth clients.

use std::str::FromStr;
use std::sync::Arc;

use mapae_verify::Scopes;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{LockType, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::entity::client::{self, Column, Entity};
use super::keyed::by_key;
use super::{Change, Store, StoreError, Tx};
use crate::domain::{Client, ClientId, ClientType, GrantType, Lifetimes};

/// A client with its secret's hash, for the one function that checks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredClient {
    /// The client.
    pub client: Client,
    /// The hash; a public client has none.
    pub secret_hash: Option<String>,
}

impl Store {
    /// The client with this id, from memory while this process can see every change, else from the database.
    ///
    /// # Errors
    /// [`StoreError`] if the database had to be asked and failed.
    pub async fn cached_client(&self, id: &ClientId) -> Result<Option<Arc<RegisteredClient>>, StoreError> {
        if let Some(client) = self.sees_changes().then(|| self.0.cache.client(id.as_str())).flatten() {
            return Ok(Some(client));
        }
        let epoch = self.0.cache.epoch();
        let row = by_key(Entity::find_by_id(id.as_str()), &self.0.read).await?;
        let client = row.map(to_client).transpose()?.map(Arc::new);
        if let Some(client) = &client {
            self.0.cache.fill_client(epoch, client);
        }
        Ok(client)
    }

    /// Every client, by id.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn clients(&self) -> Result<Vec<Client>, StoreError> {
        let rows = Entity::find().order_by_asc(Column::Id).all(&self.0.read).await?;
        rows.into_iter().map(|row| Ok(to_client(row)?.client)).collect()
    }
}

impl Tx {
    /// The client with this id, which nobody removes until this transaction ends.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn client(&self, id: &ClientId) -> Result<Option<RegisteredClient>, StoreError> {
        let row = by_key(Entity::find_by_id(id.as_str()).lock(LockType::KeyShare), &self.inner).await?;
        row.map(to_client).transpose()
    }

    /// The client with this id, which nobody else uses or changes until this transaction ends.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn client_to_change(&self, id: &ClientId) -> Result<Option<RegisteredClient>, StoreError> {
        let row = by_key(Entity::find_by_id(id.as_str()).lock_exclusive(), &self.inner).await?;
        row.map(to_client).transpose()
    }

    /// Registers a client; `false` if the id is taken.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn insert_client(&mut self, registered: &RegisteredClient) -> Result<bool, StoreError> {
        let RegisteredClient { client, secret_hash } = registered;
        let words = |grants: &std::collections::BTreeSet<GrantType>| {
            grants.iter().map(|grant| grant.as_str()).collect::<Vec<_>>().join(" ")
        };
        let row = client::ActiveModel {
            id: Set(client.id.to_string()),
            client_type: Set(client.client_type.as_str().to_owned()),
            grants: Set(words(&client.grants)),
            scopes: Set(client.scopes.to_string()),
            audiences: Set(client.audiences.join(" ")),
            access_token_seconds: Set(client.lifetimes.access_token.map(i64::from)),
            session_idle_seconds: Set(client.lifetimes.session_idle.map(i64::from)),
            session_seconds: Set(client.lifetimes.session.map(i64::from)),
            secret_hash: Set(secret_hash.clone()),
            created_at: Set(client.created_at),
            updated_at: Set(client.updated_at),
        };
        let taken = OnConflict::column(Column::Id).do_nothing().to_owned();
        let inserted = Entity::insert(row).on_conflict(taken).exec_without_returning(&self.inner).await? == 1;
        self.changed(Change::Client(client.id.to_string())).await?;
        Ok(inserted)
    }

    /// Replaces a client's secret; `false` if there is no such client.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn set_client_secret(&mut self, id: &ClientId, secret_hash: &str) -> Result<bool, StoreError> {
        let row = client::ActiveModel {
            secret_hash: Set(Some(secret_hash.to_owned())),
            updated_at: Set(self.now()),
            ..Default::default()
        };
        let query = Entity::update_many().set(row).filter(Column::Id.eq(id.as_str()));
        let updated = query.exec(&self.inner).await?.rows_affected;
        self.changed(Change::Client(id.to_string())).await?;
        Ok(updated == 1)
    }

    /// Removes a client; `false` if there is no such client.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn delete_client(&mut self, id: &ClientId) -> Result<bool, StoreError> {
        let deleted = Entity::delete_by_id(id.as_str()).exec(&self.inner).await?.rows_affected;
        self.changed(Change::Client(id.to_string())).await?;
        Ok(deleted == 1)
    }
}

pub(super) fn to_client(row: client::Model) -> Result<RegisteredClient, StoreError> {
    let corrupt = |why: &str| StoreError::Corrupt { table: "mapae_client", why: format!("{}: {why}", row.id) };
    let seconds = |value: Option<i64>| {
        value.map(u32::try_from).transpose().map_err(|_| corrupt("a lifetime is no number of seconds"))
    };
    let grants = row.grants.split_whitespace().map(GrantType::from_str).collect::<Result<_, _>>();
    let client = Client {
        id: ClientId::parse(&row.id).ok_or_else(|| corrupt("the id is no client id"))?,
        client_type: ClientType::from_str(&row.client_type).map_err(|()| corrupt("unknown type"))?,
        grants: grants.map_err(|()| corrupt("unknown grant"))?,
        scopes: Scopes::parse(&row.scopes).map_err(|error| corrupt(&error.to_string()))?,
        audiences: row.audiences.split_whitespace().map(str::to_owned).collect(),
        lifetimes: Lifetimes {
            access_token: seconds(row.access_token_seconds)?,
            session_idle: seconds(row.session_idle_seconds)?,
            session: seconds(row.session_seconds)?,
        },
        created_at: row.created_at,
        updated_at: row.updated_at,
    };
    Ok(RegisteredClient { client, secret_hash: row.secret_hash })
}
