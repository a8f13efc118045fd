//! Changing accounts of the application's own table. Its database may be the file that our tables are in, where nobody
//! else writes while a transaction of ours is open: so none is, whenever the table is asked for something.
//!
//! So a change takes two steps, the row and then its sessions. They run in a task of their own: a request may be given up
//! at any time, and a client that goes away between the two must not leave sessions behind.

use std::panic::resume_unwind;

use mapae_password::HashText;
use tracing::Instrument;

use super::accounts::{AccountError, AdminChange, ChangeError, administered};
use super::credentials::Proven;
use super::directory::{Abilities, found};
use super::user_store::{Inserted, NewStoredUser};
use super::{Principal, Service};
use crate::domain::audit::{Actor, Entry, Event};
use crate::domain::{User, UserId};
use crate::store::StoreError;

impl Service {
    /// Refuses what cannot be done where accounts are, before anything else is done.
    pub(super) fn can(&self, ability: impl FnOnce(Abilities) -> bool) -> Result<(), AccountError> {
        if ability(self.abilities()) { Ok(()) } else { Err(AccountError::NotHere) }
    }

    /// Makes a user. Sessions that are under the id already are somebody's who had it before, as SQLite gives the id of a
    /// deleted row away again unless told otherwise.
    pub(super) async fn insert_row(&self, new: NewStoredUser, made: Event, by: &Actor) -> Result<User, AccountError> {
        let (service, by) = (self.clone(), by.clone());
        to_its_end(async move {
            let table = service.directory().table().ok_or(AccountError::NotHere)?;
            let user = match table.insert(new).ok_or(AccountError::NotHere)?.await? {
                Inserted::Made(row) => found(row, None)?.user,
                Inserted::UsernameTaken => return Err(AccountError::UsernameTaken),
                Inserted::EmailTaken => return Err(AccountError::EmailTaken),
            };
            service
                .row_changed(&user.id, Some(Ends { except: None }), vec![Entry::new(made, &by).user(&user.id)], &by)
                .await?;
            Ok(user)
        })
        .await
    }

    /// Replaces the password of a signed-in person and ends the other sessions.
    pub(super) async fn change_row_password(
        &self,
        principal: &Principal,
        proven: &mut Proven,
        new: HashText,
    ) -> Result<(), ChangeError> {
        drop(self.begin_own(principal, proven).await?);
        let (service, principal, old) = (self.clone(), principal.clone(), proven.hash.clone());
        let id = principal.user.id.clone();
        let first = to_its_end({
            let (service, id, by, new) = (service.clone(), id.clone(), principal.clone(), new.clone());
            async move { service.swap_row_hash(&id, &old, &new, Some(&by.session.id), &by.actor()).await }
        });
        if first.await? {
            return Ok(());
        }
        // What is stored is compared once more, so that a change by the application wins; the same password in a renewed
        // hash is no such change. This refuses a password that is right no more.
        drop(self.begin_own(&principal, proven).await?);
        let old = proven.hash.clone();
        let second = async move {
            let keep = Some(principal.session.id.as_str());
            service.swap_row_hash(&id, &old, &new, keep, &principal.actor()).await
        };
        if to_its_end(second).await? { Ok(()) } else { Err(AccountError::Changed.into()) }
    }

    /// Replaces somebody's password and ends every session.
    pub(super) async fn set_row_password(
        &self,
        id: &UserId,
        (old, new): (HashText, HashText),
        by: &Actor,
    ) -> Result<(), AccountError> {
        let (service, id, by) = (self.clone(), id.clone(), by.clone());
        let swapped = to_its_end(async move { service.swap_row_hash(&id, &old, &new, None, &by).await }).await?;
        if swapped { Ok(()) } else { Err(AccountError::Changed) }
    }

    /// Replaces a hash where `old` is still stored, and ends the sessions but `except`; whether it was.
    async fn swap_row_hash(
        &self,
        id: &UserId,
        old: &HashText,
        new: &HashText,
        except: Option<&str>,
        by: &Actor,
    ) -> Result<bool, AccountError> {
        if !self.swap_password_hash(id, old, new).await? {
            return Ok(false);
        }
        let entry = Entry::new(Event::PasswordChanged, by).user(id);
        self.row_changed(id, Some(Ends { except }), vec![entry], by).await?;
        Ok(true)
    }

    /// Administers a user of the application's own table, whose scopes only the application changes.
    pub(super) async fn administer_row(
        &self,
        id: &UserId,
        change: AdminChange,
        by: &Actor,
    ) -> Result<User, ChangeError> {
        let user = self.account_by_id(id).await?;
        if user.scopes.union(&change.grant).difference(&change.withdraw) != user.scopes {
            return Err(AccountError::NotHere.into());
        }
        let Some(disabled) = change.disabled else { return Ok(user) };
        let (service, changed, by) = (self.clone(), id.clone(), by.clone());
        let entries = administered(&user, &user.scopes, change.disabled, &by);
        to_its_end(async move {
            let table = service.directory().table().ok_or(AccountError::NotHere)?;
            if !table.set_active(changed.as_str(), !disabled).ok_or(AccountError::NotHere)?.await? {
                return Err(AccountError::NotFound);
            }
            let ends = disabled.then_some(Ends { except: None });
            Ok(service.row_changed(&changed, ends, entries, &by).await?)
        })
        .await?;
        Ok(self.account_by_id(id).await?)
    }

    /// Makes every process forget the row, writes down what `by` did to it, and ends its sessions if they are to end.
    async fn row_changed(
        &self,
        id: &UserId,
        ends: Option<Ends<'_>>,
        entries: Vec<Entry>,
        by: &Actor,
    ) -> Result<(), StoreError> {
        let mut tx = self.store().begin().await?;
        tx.user_changed(id).await?;
        tx.record_all(entries).await?;
        if let Some(Ends { except }) = ends {
            tx.end_sessions(id, except, by).await?;
        }
        tx.commit().await
    }
}

/// The sessions of an account end, but this one.
struct Ends<'a> {
    except: Option<&'a str>,
}

/// Runs to the end even if nobody waits for it any more.
pub(super) async fn to_its_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    match tokio::spawn(work.in_current_span()).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // Only when the runtime stops, and this with it.
            Err(_) => std::future::pending().await,
        },
    }
}
