//! Sessions: beginning, finding, refreshing, ending.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use mapae_verify::{Scopes, Subject};
use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::entity::session::{self, Column, Entity};
use super::keyed::by_key;
use super::minted::{set_delegation, take_delegation};
use super::revocations::MOST_LEEWAY;
use super::{Change, NewRevocation, Store, StoreError, Tx};
use crate::domain::audit::{Actor, Entry, Event};
use crate::domain::{ClientId, Device, EndReason, RefreshState, Session, UserId};

/// Which sessions are ended.
#[derive(Clone, Copy, Debug)]
pub enum Sessions<'a> {
    /// The one with this id.
    One(&'a str),
    /// An account's, but the one with this id.
    Of {
        /// Whose.
        user: &'a UserId,
        /// The one that stays.
        except: Option<&'a str>,
    },
    /// One session of an account.
    OneOf {
        /// Whose.
        user: &'a UserId,
        /// Which.
        id: &'a str,
    },
    /// An account's sign-ins, but the one with this id, and what was minted in them. Personal access tokens stay.
    SignIns {
        /// Whose.
        user: &'a UserId,
        /// The one that stays.
        except: &'a str,
    },
    /// One minted token of an account.
    Minted {
        /// Whose.
        user: &'a UserId,
        /// Which.
        id: &'a str,
    },
    /// Minted tokens that speak for this thing.
    OfSubject(&'a Subject),
    /// Those that were given to a client.
    OfClient(&'a ClientId),
    /// Those that began before this time.
    BegunBefore(DateTime<Utc>),
    /// Everybody's.
    All,
}

/// The state of a session after a refresh.
#[derive(Clone, Copy, Debug)]
pub struct Advance {
    /// The generation that it must still have.
    pub from: i64,
    /// Its state from now on.
    pub to: RefreshState,
    /// When its newest access token ends.
    pub access_expires_at: DateTime<Utc>,
}

impl Store {
    /// The session with this id.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn session_by_id(&self, id: &str) -> Result<Option<Session>, StoreError> {
        let row = by_key(Entity::find_by_id(id), &self.0.read).await?;
        row.map(to_session).transpose()
    }

    /// The open sessions of an account, or everybody's, but those of minted tokens, newest first, up to `limit`. Those that are over are left out
    /// here, so that none of them takes the place of an open one.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn sessions(&self, user: Option<&UserId>, limit: u64) -> Result<Vec<Session>, StoreError> {
        // As `Session::is_open`.
        let now = self.now();
        let usable = Condition::any()
            .add(Column::IdleExpiresAt.is_null())
            .add(Column::IdleExpiresAt.gt(now))
            .add(Column::AccessExpiresAt.gt(now));
        let live = Condition::all()
            .add(Column::Minted.is_null())
            .add(Column::EndedAt.is_null())
            .add(Column::ExpiresAt.gt(now));
        let mut which = live.add(usable);
        if let Some(user) = user {
            which = which.add(Column::UserId.eq(user.as_str()));
        }
        let query = Entity::find().filter(which).order_by_desc(Column::Id).limit(limit);
        query.all(&self.0.read).await?.into_iter().map(to_session).collect()
    }
}

impl Tx {
    /// Begins a session.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn insert_session(&mut self, session: &Session) -> Result<(), StoreError> {
        let (ended_at, end_reason) = session.ended.unzip();
        // Not noted as a change: nobody can have cached it yet.
        let mut row = session::ActiveModel {
            id: Set(session.id.clone()),
            user_id: Set(session.user_id.to_string()),
            client_id: Set(session.client_id.clone()),
            scopes: Set(session.scope.to_string()),
            created_at: Set(session.created_at),
            expires_at: Set(session.expires_at),
            ended_at: Set(ended_at),
            end_reason: Set(end_reason.map(|reason| reason.as_str().to_owned())),
            generation: Set(session.refresh.map_or(0, |refresh| refresh.generation)),
            refreshed_at: Set(session.refresh.map(|refresh| refresh.refreshed_at)),
            idle_expires_at: Set(session.refresh.map(|refresh| refresh.idle_expires_at)),
            access_expires_at: Set(Some(session.access_expires_at)),
            device_name: Set(session.device.name.clone()),
            address: Set(session.device.address.clone()),
            ..Default::default()
        };
        if let Some(delegation) = &session.delegation {
            set_delegation(&mut row, delegation)?;
        }
        Entity::insert(row).exec_without_returning(&self.inner).await?;
        Ok(())
    }

    /// The session with this id, as this transaction sees it.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn session(&self, id: &str) -> Result<Option<Session>, StoreError> {
        let row = by_key(Entity::find_by_id(id), &self.inner).await?;
        row.map(to_session).transpose()
    }

    /// Moves a session to another generation if it still has the expected one and was not ended; else `false`. Not
    /// noted as a change: nothing of it decides whether an access token is good.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn advance_session(&mut self, id: &str, advance: Advance) -> Result<bool, StoreError> {
        let row = session::ActiveModel {
            generation: Set(advance.to.generation),
            refreshed_at: Set(Some(advance.to.refreshed_at)),
            idle_expires_at: Set(Some(advance.to.idle_expires_at)),
            access_expires_at: Set(Some(advance.access_expires_at)),
            ..Default::default()
        };
        let which = Condition::all()
            .add(Column::Id.eq(id))
            .add(Column::Generation.eq(advance.from))
            .add(Column::EndedAt.is_null());
        Ok(Entity::update_many().set(row).filter(which).exec(&self.inner).await?.rows_affected == 1)
    }

    /// Ends every session of an account but `except`, since the account changed; how many that were not ended yet.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn end_sessions(&mut self, user: &UserId, except: Option<&str>, by: &Actor) -> Result<usize, StoreError> {
        self.end(Sessions::Of { user, except }, EndReason::Account, by).await
    }

    /// Ends sessions, here and for verifiers elsewhere, and with them what was minted from them; writes down that `by` did.
    /// How many of the former were not ended yet. Those that have expired are among them (minted ones for some minutes):
    /// a clock that is set back must not revive them.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn end(&mut self, sessions: Sessions<'_>, reason: EndReason, by: &Actor) -> Result<usize, StoreError> {
        let ended = self.end_where(sessions.condition(), reason, by).await?;
        let count = ended.len();
        self.end_minted_from(ended, reason, by).await?;
        Ok(count)
    }

    /// Ends the sessions that these conditions are true of and that were not ended yet; their ids.
    pub(super) async fn end_where(
        &mut self,
        which: Condition,
        reason: EndReason,
        by: &Actor,
    ) -> Result<Vec<String>, StoreError> {
        let now = self.now();
        // Minted tokens that no verifier takes any more are left alone: there may be very many of them.
        let which = which
            .add(Column::EndedAt.is_null())
            .add(Condition::any().add(Column::Minted.is_null()).add(Column::ExpiresAt.gt(now - MOST_LEEWAY)));
        // Locked, so that those that are ended are exactly those that are told of.
        let open: Vec<Ending> = Entity::find()
            .select_only()
            .columns([Column::Id, Column::UserId, Column::ClientId, Column::AccessExpiresAt, Column::ExpiresAt])
            .filter(which)
            .order_by_asc(Column::Id)
            .lock_exclusive()
            .into_tuple()
            .all(&self.inner)
            .await?;
        if open.is_empty() {
            return Ok(Vec::new());
        }
        let row = session::ActiveModel {
            ended_at: Set(Some(now)),
            end_reason: Set(Some(reason.as_str().to_owned())),
            ..Default::default()
        };
        // Statements have a limited number of parameters.
        for some in open.chunks(1_000) {
            let which = Column::Id.is_in(some.iter().map(|(id, ..)| id.as_str()));
            Entity::update_many().set(row.clone()).filter(which).exec(&self.inner).await?;
        }
        let revoked = open
            .iter()
            .map(|(id, _, _, access, expires_at)| NewRevocation::session(id, access.unwrap_or(*expires_at)))
            .collect();
        self.revoke(revoked).await?;
        let ended = open.iter().map(|(id, user, client, ..)| Entry {
            subject: Some(user.clone()),
            ..Entry::new(Event::SessionEnded, by).session(id, client).detail("reason", reason.as_str())
        });
        self.record_all(ended.collect()).await?;
        let ids: Vec<String> = open.into_iter().map(|(id, ..)| id).collect();
        self.changed_all(ids.iter().cloned().map(Change::Session).collect()).await?;
        Ok(ids)
    }

    /// Ends one session since its account changed; whether it was not ended yet.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn end_session(&mut self, id: &str, by: &Actor) -> Result<bool, StoreError> {
        Ok(self.end(Sessions::One(id), EndReason::Account, by).await? == 1)
    }
}

/// Of a session that is ended: id, account, client, and when its access tokens and it itself would have expired.
type Ending = (String, String, String, Option<DateTime<Utc>>, DateTime<Utc>);

impl Sessions<'_> {
    fn condition(self) -> Condition {
        let all = Condition::all();
        // PostgreSQL takes no text with a NUL; no id has one.
        let id = |id: &str| Column::Id.eq(if id.contains('\0') { "" } else { id });
        match self {
            Self::One(one) => all.add(id(one)),
            Self::Of { user, except } => {
                all.add(Column::UserId.eq(user.as_str())).add(Column::Id.ne(except.unwrap_or_default()))
            }
            Self::OneOf { user, id: one } => all.add(Column::UserId.eq(user.as_str())).add(id(one)),
            Self::SignIns { user, except } => {
                let own = all.add(Column::UserId.eq(user.as_str())).add(Column::Id.ne(except));
                own.add(Column::Minted.is_null())
            }
            Self::Minted { user, id: one } => {
                let own = all.add(Column::UserId.eq(user.as_str())).add(id(one));
                own.add(Column::Minted.is_not_null())
            }
            Self::OfSubject(subject) => all.add(Column::Subject.eq(subject.as_str())),
            Self::OfClient(client) => all.add(Column::ClientId.eq(client.as_str())),
            Self::BegunBefore(time) => all.add(Column::CreatedAt.lt(time)),
            Self::All => all,
        }
    }
}

pub(super) fn to_session(mut row: session::Model) -> Result<Session, StoreError> {
    let corrupt = |why: &str| StoreError::Corrupt { table: "mapae_session", why: why.to_owned() };
    // Rows of before there were reasons have none.
    let reason = row.end_reason.as_deref().map_or(Ok(EndReason::Account), EndReason::from_str);
    let reason = reason.map_err(|()| corrupt("the reason of its end is unknown"))?;
    let delegation = take_delegation(&mut row)?;
    let (created_at, generation) = (row.created_at, row.generation);
    Ok(Session {
        id: row.id,
        user_id: UserId::new(row.user_id).ok_or_else(|| corrupt("the user id is no account id"))?,
        client_id: row.client_id,
        scope: Scopes::parse(&row.scopes).map_err(|error| corrupt(&error.to_string()))?,
        created_at,
        expires_at: row.expires_at,
        ended: row.ended_at.map(|at| (at, reason)),
        refresh: row.idle_expires_at.map(|idle_expires_at| RefreshState {
            generation,
            refreshed_at: row.refreshed_at.unwrap_or(created_at),
            idle_expires_at,
        }),
        access_expires_at: row.access_expires_at.unwrap_or(row.expires_at),
        device: Device { name: row.device_name, address: row.address },
        delegation,
    })
}
