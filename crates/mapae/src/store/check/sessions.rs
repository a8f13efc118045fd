//! Sessions, those of minted tokens among them.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use super::pages::Pages;
use super::{Check, Place, word};
use crate::domain::Session;
use crate::domain::session::FIRST_PARTY_CLIENT_ID;
use crate::store::StoreError;
use crate::store::entity::{client, session, user};
use crate::store::sessions::to_session;

impl Check<'_> {
    pub(super) async fn sessions(&mut self) -> Result<(), StoreError> {
        let mut pages = Pages::<session::Entity>::new();
        while let Some(rows) = pages.next(self).await? {
            let mut sessions = Vec::with_capacity(rows.len());
            for row in rows {
                let id = row.id.clone();
                let at = Place { table: "mapae_session", key: "id", row: &id };
                match to_session(row) {
                    Ok(session) => sessions.push(session),
                    Err(error) => {
                        let remedy = format!("{}: whoever has it signs in again", at.delete());
                        self.corrupt(&at, error, remedy);
                    }
                }
            }
            self.page(&sessions).await?;
        }
        Ok(())
    }

    /// What is over is left alone: its account may well be gone by now.
    async fn page(&mut self, sessions: &[Session]) -> Result<(), StoreError> {
        let live: Vec<&Session> = sessions.iter().filter(|session| session.is_live(self.now)).collect();
        let accounts = self.accounts(&live).await?;
        let clients = self.client_ids(&live).await?;
        let parents = self.parents(&live).await?;
        for session in sessions {
            let at = Place { table: "mapae_session", key: "id", row: &session.id };
            let is_minted = session.delegation.is_some();
            let end = if is_minted { "mapae token revoke" } else { "mapae session end" };
            let end = format!("end it with `{end} {}`", word(&session.id));
            let idle = session.refresh.map(|refresh| refresh.idle_expires_at);
            if session.ended.is_some() {
                continue;
            }
            self.times(
                &at,
                session.created_at,
                &[("its end", Some(session.expires_at)), ("its end if it is not used", idle)],
                &end,
            );
            if !session.is_live(self.now) {
                continue;
            }
            if accounts.as_ref().is_some_and(|known| !known.contains(session.user_id.as_str())) {
                self.fault(&at, format!("its account {} is gone, but it was not ended", session.user_id), end.as_str());
            }
            if session.client_id != FIRST_PARTY_CLIENT_ID && !clients.contains(&session.client_id) {
                self.fault(
                    &at,
                    format!("its client {} is gone, but it was not ended", session.client_id),
                    end.as_str(),
                );
            }
            let problem = match parent(session).map(|id| (id, parents.get(id))) {
                None | Some((_, Some(false))) => continue,
                Some((parent, Some(true))) => format!("it was made from {parent}, which has ended"),
                // Whatever is removed in the course of things has outlived all that was made from it.
                Some((parent, None)) => format!("it was made from {parent}, which is gone"),
            };
            self.fault(&at, format!("{problem}, but it was not ended"), end);
        }
        Ok(())
    }

    /// Which of the accounts there are; `None` where another application has them.
    async fn accounts(&self, sessions: &[&Session]) -> Result<Option<HashSet<String>>, StoreError> {
        if !self.judge.has_own_accounts() {
            return Ok(None);
        }
        let ids: HashSet<&str> = sessions.iter().map(|session| session.user_id.as_str()).collect();
        let known = user::Entity::find().select_only().column(user::Column::Id).filter(user::Column::Id.is_in(ids));
        Ok(Some(known.into_tuple::<String>().all(self.db).await?.into_iter().collect()))
    }

    async fn client_ids(&self, sessions: &[&Session]) -> Result<HashSet<String>, StoreError> {
        let ids: HashSet<&str> = sessions.iter().map(|session| session.client_id.as_str()).collect();
        let known =
            client::Entity::find().select_only().column(client::Column::Id).filter(client::Column::Id.is_in(ids));
        Ok(known.into_tuple::<String>().all(self.db).await?.into_iter().collect())
    }

    /// What these were made from, as far as it is there, and whether it has ended.
    async fn parents(&self, sessions: &[&Session]) -> Result<HashMap<String, bool>, StoreError> {
        let ids: HashSet<&str> = sessions.iter().filter_map(|session| parent(session)).collect();
        let known = session::Entity::find()
            .select_only()
            .column(session::Column::Id)
            .column(session::Column::EndedAt)
            .filter(session::Column::Id.is_in(ids));
        let known = known.into_tuple::<(String, Option<DateTime<Utc>>)>().all(self.db).await?;
        Ok(known.into_iter().map(|(id, ended_at)| (id, ended_at.is_some())).collect())
    }
}

/// What it was minted from, and ends with.
fn parent(session: &Session) -> Option<&str> {
    session.delegation.as_ref()?.parent.as_deref()
}
