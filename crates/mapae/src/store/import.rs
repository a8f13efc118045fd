//! Many accounts at once: in from elsewhere, and out.

use chrono::{DateTime, Utc};
use mapae_password::HashText;
use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::entity::user::{self, Column, Entity};
use super::users::{Credential, email_columns, name_columns, search_text, to_credential};
use super::{Store, StoreError, Tx};
use crate::domain::user::NewUser;
use crate::domain::{EmailAddress, UserId, UserName};

/// An account with what another system knows of it.
#[derive(Clone, Debug)]
pub struct ImportedUser {
    /// Id, names and scopes.
    pub user: NewUser,
    /// The hash as it was stored there.
    pub hash: HashText,
    /// Whether it was disabled there.
    pub disabled: bool,
    /// When it was made there.
    pub created_at: DateTime<Utc>,
}

/// What of an account can stand in another's way. Names are in canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The stable id.
    pub id: String,
    /// The name for signing in.
    pub username: Option<String>,
    /// The address.
    pub email: Option<String>,
}

impl ImportedUser {
    /// What of it can stand in another's way.
    pub fn identity(&self) -> Identity {
        Identity {
            id: self.user.id.to_string(),
            username: self.user.username.as_ref().map(|name| name.canonical().to_owned()),
            email: self.user.email.as_ref().map(|email| email.canonical().to_owned()),
        }
    }
}

impl Store {
    /// Up to `limit` accounts after `after` with their hashes, ordered by id.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn list_credentials(&self, after: Option<&UserId>, limit: u64) -> Result<Vec<Credential>, StoreError> {
        let mut query = Entity::find().order_by_asc(Column::Id).limit(limit);
        if let Some(after) = after {
            query = query.filter(Column::Id.gt(after.as_str()));
        }
        query.all(&self.0.read).await?.into_iter().map(to_credential).collect()
    }
}

impl Tx {
    /// The accounts that have one of these ids, names or addresses, as this transaction sees them.
    ///
    /// Each list becomes the parameters of one statement, of which databases allow some ten thousand.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn identities(
        &self,
        ids: &[&UserId],
        names: &[&UserName],
        emails: &[&EmailAddress],
    ) -> Result<Vec<Identity>, StoreError> {
        let mut found = Vec::new();
        for one_of in [
            Column::Id.is_in(ids.iter().map(|id| id.as_str())),
            Column::UsernameCanonical.is_in(names.iter().map(|name| name.canonical())),
            Column::EmailCanonical.is_in(emails.iter().map(|email| email.canonical())),
        ] {
            let columns = [Column::Id, Column::UsernameCanonical, Column::EmailCanonical];
            let rows: Vec<(String, Option<String>, Option<String>)> =
                Entity::find().select_only().columns(columns).filter(one_of).into_tuple().all(&self.inner).await?;
            found.extend(rows.into_iter().map(|(id, username, email)| Identity { id, username, email }));
        }
        Ok(found)
    }

    /// Makes accounts, all of them or none. Nobody can have cached what did not exist, so no process is told.
    ///
    /// # Errors
    /// [`StoreError::UsernameTaken`] or [`StoreError::EmailTaken`] if another account has a name or address.
    pub async fn insert_users(&mut self, users: Vec<ImportedUser>) -> Result<(), StoreError> {
        let now = self.now();
        let rows = users.into_iter().map(|ImportedUser { user, hash, disabled, created_at }| {
            let (username, username_canonical) = user.username.as_ref().map(name_columns).unzip();
            let (email, email_canonical) = user.email.as_ref().map(email_columns).unzip();
            user::ActiveModel {
                id: Set(user.id.to_string()),
                search: Set(search_text([&username, &email, &email_canonical, &user.full_name])),
                username: Set(username),
                username_canonical: Set(username_canonical),
                email: Set(email),
                email_canonical: Set(email_canonical),
                full_name: Set(user.full_name),
                password_hash: Set(hash.into_string()),
                disabled: Set(disabled),
                scopes: Set(user.scopes.to_string()),
                created_at: Set(created_at),
                updated_at: Set(now),
            }
        });
        let rows: Vec<_> = rows.collect();
        if !rows.is_empty() {
            Entity::insert_many(rows).exec_without_returning(&self.inner).await?;
        }
        Ok(())
    }
}
