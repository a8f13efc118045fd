//! Sessions: looking through them, and ending them.

use chrono::{DateTime, Utc};

use super::accounts::{AccountError, ChangeError};
use super::{By, Principal, Service};
use crate::domain::scope::{Admin, Me};
use crate::domain::{DeclaredScope, EndReason, Session, UserId};
use crate::store::{Sessions, StoreError};

/// The most sessions that are listed.
const MOST_LISTED: u64 = 1_000;

/// Which sessions the command line ends.
#[derive(Clone, Debug)]
pub enum Ending {
    /// One.
    Session(String),
    /// Every session of an account.
    Of(UserId),
    /// Those that began before this time.
    BegunBefore(DateTime<Utc>),
    /// Everybody's.
    All,
}

/// Why a session was not ended.
#[derive(Debug, thiserror::Error)]
pub enum EndSessionError {
    /// The account has no such session, or it has ended.
    #[error("There is no such session.")]
    NotFound,
    /// Whoever asked may not, or the database failed.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl From<StoreError> for EndSessionError {
    fn from(error: StoreError) -> Self {
        Self::Change(error.into())
    }
}

impl Service {
    /// The open sessions of an account, but those of minted tokens, newest first; `None` for everybody's.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn sessions(&self, user: Option<&UserId>) -> Result<Vec<Session>, StoreError> {
        let now = self.now();
        let mut sessions = self.store().sessions(user, MOST_LISTED).await?;
        sessions.retain(|session| session.is_open(now));
        Ok(sessions)
    }

    /// Ends the session that a person is using. Needs no scope: whoever has a token may give it up.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn sign_out(&self, principal: &Principal) -> Result<(), StoreError> {
        let mut tx = self.store().begin().await?;
        tx.end(Sessions::One(&principal.session.id), EndReason::SignedOut, &principal.actor()).await?;
        tx.commit().await
    }

    /// Ends one of a person's own sessions.
    ///
    /// # Errors
    /// [`EndSessionError`].
    pub async fn end_own_session(&self, principal: &Principal, id: &str) -> Result<(), EndSessionError> {
        let mut tx = self.begin_as(principal, Me::NAME).await?;
        let one = Sessions::OneOf { user: &principal.user.id, id };
        if tx.end(one, EndReason::SignedOut, &principal.actor()).await? == 0 {
            return Err(EndSessionError::NotFound);
        }
        Ok(tx.commit().await?)
    }

    /// Ends a person's sign-ins but the one in use, and what was minted in them. Personal access tokens stay.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn end_other_sessions(&self, principal: &Principal) -> Result<(), ChangeError> {
        let mut tx = self.begin_as(principal, Me::NAME).await?;
        let others = Sessions::SignIns { user: &principal.user.id, except: &principal.session.id };
        tx.end(others, EndReason::SignedOut, &principal.actor()).await?;
        Ok(tx.commit().await?)
    }

    /// The open sessions of somebody's account, for an administrator.
    ///
    /// # Errors
    /// [`AccountError::NotFound`], or a failure of the database.
    pub async fn sessions_of(&self, user: &UserId) -> Result<Vec<Session>, AccountError> {
        self.account_by_id(user).await?;
        Ok(self.sessions(Some(user)).await?)
    }

    /// Ends one session of somebody's account, or all of them.
    ///
    /// # Errors
    /// [`EndSessionError`].
    pub async fn end_sessions_of(
        &self,
        user: &UserId,
        id: Option<&str>,
        by: &Principal,
    ) -> Result<(), EndSessionError> {
        self.account_by_id(user).await.map_err(ChangeError::from)?;
        let mut tx = self.begin_as(by, Admin::NAME).await?;
        let which = match id {
            Some(id) => Sessions::OneOf { user, id },
            None => Sessions::Of { user, except: None },
        };
        let ended = tx.end(which, EndReason::Administrator, &by.actor()).await?;
        if id.is_some() && ended == 0 {
            return Err(EndSessionError::NotFound);
        }
        Ok(tx.commit().await?)
    }

    /// Ends sessions, whoever's they are; how many.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn end_sessions(&self, ending: &Ending, by: By<'_>) -> Result<usize, ChangeError> {
        let mut tx = self.begin_by(by, Admin::NAME).await?;
        let which = match ending {
            Ending::Session(id) => Sessions::One(id),
            Ending::Of(user) => Sessions::Of { user, except: None },
            Ending::BegunBefore(time) => Sessions::BegunBefore(*time),
            Ending::All => Sessions::All,
        };
        let ended = tx.end(which, EndReason::Administrator, &by.actor()).await?;
        tx.commit().await?;
        Ok(ended)
    }
}
