//! Changing accounts of the application's own table. Its database may be the file that our tables are in, where nobody
//! else writes while a transaction of ours is open: so none is, whenever the table is asked for something.

use mapae_password::HashText;

use super::accounts::{AccountError, AdminChange, ChangeError};
use super::credentials::Proven;
use super::directory::Abilities;
use super::user_table::Table;
use super::{Principal, Service};
use crate::domain::{User, UserId};

impl Service {
    /// Refuses what the application's own table cannot do, before anything else is done.
    pub(super) fn can(&self, ability: impl FnOnce(Abilities) -> bool) -> Result<(), AccountError> {
        let can = self.directory().table().is_none_or(|table| ability(table.abilities()));
        if can { Ok(()) } else { Err(AccountError::NotHere) }
    }

    /// Replaces the hash that a signed-in person's password was compared with. What is stored is compared once more, so
    /// that a change by the application wins; the same password in a renewed hash is no such change.
    pub(super) async fn swap_row_hash(
        &self,
        table: &dyn Table,
        principal: &Principal,
        proven: &mut Proven,
        new: &HashText,
    ) -> Result<(), ChangeError> {
        let id = &principal.user.id;
        let old = proven.hash.clone();
        if table.set_password_hash(id.as_str(), &old, new).ok_or(AccountError::NotHere)?.await? {
            return Ok(());
        }
        // Refuses a password that is right no more.
        drop(self.begin_own(principal, proven).await?);
        if table.set_password_hash(id.as_str(), &proven.hash, new).ok_or(AccountError::NotHere)?.await? {
            return Ok(());
        }
        Err(AccountError::Changed.into())
    }

    /// Administers a user of the application's own table, whose scopes only the application changes.
    pub(super) async fn administer_row(
        &self,
        table: &dyn Table,
        id: &UserId,
        change: AdminChange,
    ) -> Result<User, ChangeError> {
        let user = self.account_by_id(id).await?;
        if user.scopes.union(&change.grant).difference(&change.withdraw) != user.scopes {
            return Err(AccountError::NotHere.into());
        }
        let Some(disabled) = change.disabled else { return Ok(user) };
        if !table.set_active(id.as_str(), !disabled).ok_or(AccountError::NotHere)?.await? {
            return Err(AccountError::NotFound.into());
        }
        let mut tx = self.store().begin().await?;
        tx.user_changed(id).await?;
        if disabled {
            tx.end_sessions(id, None).await?;
        }
        tx.commit().await?;
        Ok(self.account_by_id(id).await?)
    }
}
