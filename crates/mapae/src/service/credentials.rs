//! The one function that checks a password.

use mapae_password::{HashText, Password};

use super::passwords::Verdict;
use super::{Mapae, NewPasswordError, PoolBusy};
use crate::domain::{User, UserId};
use crate::store::{Credential, Login, StoreError, Tx};

/// Whose password is checked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Claimant<'a> {
    /// Somebody who typed a name or address.
    Login(&'a str),
    /// The account of a token, who repeats the password before a grave change.
    Account(&'a UserId),
}

/// The right password was given for an account that may sign in. What is done next is bound to it by
/// [`Mapae::begin_proven`], so that a password change in between wins.
pub(crate) struct Proven {
    pub(crate) user: User,
    /// The stored hash that the password was compared with.
    hash: HashText,
    password: Password,
}

/// Why a password was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// No such account, a wrong password, or a disabled account: one answer, and one time, for all.
    #[error("incorrect username or password")]
    Refused,
    /// The hashing queue is full.
    #[error(transparent)]
    Busy(#[from] PoolBusy),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Mapae {
    /// Checks a password: look-up, then [`Passwords::check`](super::Passwords::check), which makes every refusal alike.
    pub(crate) async fn check_password(
        &self,
        claimant: Claimant<'_>,
        password: &Password,
    ) -> Result<Proven, CredentialError> {
        let credential = match claimant {
            Claimant::Login(login) => match Login::parse(login) {
                Some(login) => self.store().credential_by_login(&login).await?,
                None => None,
            },
            Claimant::Account(id) => self.store().credential_by_id(id).await?,
        };
        let may_sign_in = credential.as_ref().is_some_and(|credential| !credential.user.disabled);
        let stored = credential.as_ref().map(|credential| &credential.hash);
        match (self.0.passwords.check(stored, may_sign_in, password).await?, credential) {
            (Verdict::Accepted { needs_rehash }, Some(Credential { user, hash })) => {
                let mut proven = Proven { user, hash, password: password.clone() };
                // A rehash may wait for another sign-in: what keeps it from happening does not refuse a right password.
                if needs_rehash && let Err(error) = self.renew_hash(&mut proven).await {
                    tracing::warn!(%error, "a password hash was not renewed this time");
                }
                Ok(proven)
            }
            (Verdict::Accepted { .. } | Verdict::Refused, _) => Err(CredentialError::Refused),
        }
    }

    /// Replaces a weak or deprecated hash, once, and never over a change that somebody else made meanwhile.
    async fn renew_hash(&self, proven: &mut Proven) -> Result<(), RenewError> {
        let new = self.0.passwords.hash(&proven.password).await?;
        let mut tx = self.store().begin().await?;
        if tx.replace_password_hash(&proven.user.id, Some(&proven.hash), &new).await? {
            tx.commit().await?;
            proven.hash = new;
        }
        Ok(())
    }

    /// Begins the transaction in which the person acts whose password was checked: it sees an active account whose
    /// password is the one that was given. Where another hash is stored by now, of the same password renewed by a
    /// sign-in beside this one or of another, that hash decides.
    pub(crate) async fn begin_proven(&self, proven: &mut Proven) -> Result<Tx, CredentialError> {
        // Ends: it only goes round when somebody else has changed the hash.
        loop {
            let tx = self.store().begin().await?;
            let now = tx.credential(&proven.user.id).await?.ok_or(CredentialError::Refused)?;
            if now.user.disabled {
                return Err(CredentialError::Refused);
            }
            let unchanged = now.hash == proven.hash;
            (proven.user, proven.hash) = (now.user, now.hash);
            if unchanged {
                return Ok(tx);
            }
            // Nobody else can write while a transaction is open, and a hash takes long.
            drop(tx);
            match self.0.passwords.check(Some(&proven.hash), true, &proven.password).await? {
                Verdict::Accepted { .. } => {}
                Verdict::Refused => return Err(CredentialError::Refused),
            }
        }
    }
}

/// Why a hash was not renewed.
#[derive(Debug, thiserror::Error)]
enum RenewError {
    #[error(transparent)]
    Hash(#[from] NewPasswordError),
    #[error(transparent)]
    Store(#[from] StoreError),
}
