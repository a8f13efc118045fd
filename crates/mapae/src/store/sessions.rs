//! Sessions: beginning, finding, ending.

use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use sea_orm::{ActiveModelTrait, ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect};

use super::entity::session::{self, Column, Entity};
use super::{Change, Store, StoreError, Tx};
use crate::domain::{Session, UserId};

impl Store {
    /// The session with this id.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn session_by_id(&self, id: &str) -> Result<Option<Session>, StoreError> {
        let row = Entity::find_by_id(id).one(&self.0.read).await?;
        row.map(to_session).transpose()
    }
}

impl Tx {
    /// Begins a session.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn insert_session(&mut self, session: &Session) -> Result<(), StoreError> {
        // Not noted as a change: nobody can have cached it yet.
        session::ActiveModel {
            id: Set(session.id.clone()),
            user_id: Set(session.user_id.to_string()),
            client_id: Set(session.client_id.clone()),
            created_at: Set(session.created_at),
            expires_at: Set(session.expires_at),
            ended_at: Set(session.ended_at),
        }
        .insert(&self.inner)
        .await?;
        Ok(())
    }

    /// The session with this id, as this transaction sees it.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn session(&self, id: &str) -> Result<Option<Session>, StoreError> {
        let row = Entity::find_by_id(id).one(&self.inner).await?;
        row.map(to_session).transpose()
    }

    /// Ends every session of an account but `except`; how many that were not ended yet. Those that have expired are
    /// among them: a clock that is set back must not revive them.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn end_sessions(&mut self, user: &UserId, except: Option<&str>) -> Result<usize, StoreError> {
        let which = Condition::all()
            .add(Column::UserId.eq(user.as_str()))
            .add(Column::EndedAt.is_null())
            .add(Column::Id.ne(except.unwrap_or_default()));
        let open: Vec<String> =
            Entity::find().select_only().column(Column::Id).filter(which.clone()).into_tuple().all(&self.inner).await?;
        Entity::update_many()
            .set(session::ActiveModel { ended_at: Set(Some(self.now())), ..Default::default() })
            .filter(which)
            .exec(&self.inner)
            .await?;
        let count = open.len();
        self.changed_all(open.into_iter().map(Change::Session).collect()).await?;
        Ok(count)
    }

    /// Ends one session; whether it was not ended yet.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn end_session(&mut self, id: &str) -> Result<bool, StoreError> {
        let ended = Entity::update_many()
            .set(session::ActiveModel { ended_at: Set(Some(self.now())), ..Default::default() })
            .filter(Column::Id.eq(id))
            .filter(Column::EndedAt.is_null())
            .exec(&self.inner)
            .await?;
        self.changed(Change::Session(id.to_owned())).await?;
        Ok(ended.rows_affected == 1)
    }

    pub(super) async fn remove_sessions_expired_before(&self, time: DateTime<Utc>) -> Result<(), StoreError> {
        Entity::delete_many().filter(Column::ExpiresAt.lt(time)).exec(&self.inner).await?;
        Ok(())
    }
}

fn to_session(row: session::Model) -> Result<Session, StoreError> {
    Ok(Session {
        id: row.id,
        user_id: UserId::new(row.user_id).ok_or_else(|| StoreError::Corrupt {
            table: "mapae_session",
            why: "the user id is no account id".to_owned(),
        })?,
        client_id: row.client_id,
        created_at: row.created_at,
        expires_at: row.expires_at,
        ended_at: row.ended_at,
    })
}
