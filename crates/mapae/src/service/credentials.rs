//! The one function that checks a password.

use std::sync::{Mutex, PoisonError};

use mapae_password::policy::PolicyViolation;
use mapae_password::{HashError, HashText, Password, Verification};
use tokio::time::Duration;

use super::{Mapae, PoolBusy};
use crate::domain::{User, UserId};
use crate::store::{Credential, Login, StoreError};

/// Whose password is checked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Claimant<'a> {
    /// Somebody who typed a name or address.
    Login(&'a str),
    /// The account of a token, who repeats the password before a grave change.
    Account(&'a UserId),
}

/// The right password was given for an account that may sign in. The hash is that of the moment: what is done next
/// is bound to it, so that a password change in between wins.
pub(crate) struct Proven {
    pub(crate) user: User,
    pub(crate) hash: HashText,
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
    /// Checks a password: look-up, then the same number of hashes whether the account exists or not, then the
    /// verdict. A refusal comes no earlier than the floor.
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
        let context = self.settings().passwords.clone();
        let stored = credential.as_ref().map(|credential| credential.hash.clone());
        let given = password.clone();
        let done = self
            .0
            .pool
            .run(move |workspace| {
                let verify = |hash: &HashText, workspace: &mut _| context.verify(hash, &given, workspace);
                match &stored {
                    None => (verify(&context.dummy(), workspace), false),
                    Some(hash) => match verify(hash, workspace) {
                        // A stored hash that is refused without work must not answer faster than a real one.
                        Err(error) => (verify(&context.dummy(), workspace).and(Err(error)), true),
                        verdict => (verdict, true),
                    },
                }
            })
            .await?;
        let (verdict, known) = done.value;
        // Only a hash that is to be replaced costs something else than what is hashed for nobody.
        let legacy = matches!(verdict, Ok(Verification { needs_rehash: true, .. }));
        self.0.refusal_floor.note(done.took, legacy);

        if let (Err(error), true) = (&verdict, known) {
            tracing::error!(%error, "the stored password hash of an account cannot be checked");
        }
        match (credential, verdict) {
            (Some(credential), Ok(Verification { matches: true, needs_rehash })) if !credential.user.disabled => {
                self.prove(credential, password, needs_rehash).await
            }
            _ => {
                tokio::time::sleep_until(done.started + self.0.refusal_floor.get()).await;
                Err(CredentialError::Refused)
            }
        }
    }

    /// Replaces a weak or deprecated hash, once, and never over a password change.
    async fn prove(
        &self,
        credential: Credential,
        password: &Password,
        needs_rehash: bool,
    ) -> Result<Proven, CredentialError> {
        let mut proven = Proven { user: credential.user, hash: credential.hash };
        if needs_rehash {
            // A rehash may wait for another sign-in: an overloaded pool does not refuse a right password.
            let new = match self.rehash_password(password).await {
                Ok(new) => new,
                Err(error) => {
                    tracing::info!(%error, "a password hash was not renewed this time");
                    return Ok(proven);
                }
            };
            let mut tx = self.store().begin().await?;
            if tx.replace_password_hash(&proven.user.id, Some(&proven.hash), &new).await? {
                tx.commit().await?;
                proven.hash = new;
            }
        }
        Ok(proven)
    }

    /// Checks a new password against the policy and hashes it, on the pool: judging strength takes milliseconds too.
    /// `inputs` are the person's own names, which the password must not be.
    pub(crate) async fn hash_new_password(
        &self,
        password: &Password,
        inputs: Vec<String>,
    ) -> Result<HashText, NewPasswordError> {
        let policy = self.settings().password_policy;
        let context = self.settings().passwords.clone();
        let salt = self.ids().random();
        let password = password.clone();
        let done = self.0.pool.run(move |workspace| {
            let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
            policy.check(&password, &inputs).map_err(NewPasswordError::Refused)?;
            Ok(context.hash(&password, &salt, workspace)?)
        });
        done.await?.value
    }

    /// Hashes a password again that was accepted long ago.
    async fn rehash_password(&self, password: &Password) -> Result<HashText, NewPasswordError> {
        let context = self.settings().passwords.clone();
        let salt = self.ids().random();
        let password = password.clone();
        Ok(self.0.pool.run(move |workspace| context.hash(&password, &salt, workspace)).await?.value?)
    }
}

/// Why a new password was not hashed.
#[derive(Debug, thiserror::Error)]
pub enum NewPasswordError {
    /// It breaks these rules.
    #[error("the password breaks a rule")]
    Refused(Vec<PolicyViolation>),
    /// The hashing queue is full.
    #[error(transparent)]
    Busy(#[from] PoolBusy),
    /// Hashing failed.
    #[error(transparent)]
    Hash(#[from] HashError),
}

/// No refusal comes earlier than this: the p99 of recent checks. What a cheap legacy hash saves, and what a hash for
/// nobody costs more or less, is hidden under it. Legacy hashes are remembered apart, so that many checks of a cheap
/// one do not lower the floor for everybody.
#[derive(Default)]
pub(crate) struct RefusalFloor {
    current: Mutex<Recent>,
    legacy: Mutex<Recent>,
}

/// Checks of each kind that the floor remembers.
const REMEMBERED: usize = 128;

#[derive(Default)]
struct Recent {
    took: Vec<Duration>,
    next: usize,
    floor: Duration,
}

impl RefusalFloor {
    fn note(&self, took: Duration, legacy: bool) {
        let recent = if legacy { &self.legacy } else { &self.current };
        let mut recent = recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.took.len() < REMEMBERED {
            recent.took.push(took);
        } else {
            let at = recent.next;
            recent.took[at] = took;
            recent.next = (at + 1) % REMEMBERED;
        }
        let mut sorted = recent.took.clone();
        sorted.sort_unstable();
        recent.floor = sorted[(sorted.len() * 99).div_ceil(100) - 1];
    }

    fn get(&self) -> Duration {
        let floor = |recent: &Mutex<Recent>| recent.lock().unwrap_or_else(PoisonError::into_inner).floor;
        floor(&self.current).max(floor(&self.legacy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_the_slow_end_and_forgets() {
        let floor = RefusalFloor::default();
        assert_eq!(floor.get(), Duration::ZERO);
        floor.note(Duration::from_millis(50), false);
        for _ in 0..10 {
            floor.note(Duration::from_millis(5), false);
        }
        assert_eq!(floor.get(), Duration::from_millis(50));
        for _ in 0..REMEMBERED {
            floor.note(Duration::from_millis(1), true);
        }
        assert_eq!(floor.get(), Duration::from_millis(50), "cheap legacy hashes do not lower it");
        for _ in 0..REMEMBERED {
            floor.note(Duration::from_millis(5), false);
        }
        assert_eq!(floor.get(), Duration::from_millis(5));
        for _ in 0..REMEMBERED {
            floor.note(Duration::from_millis(60), true);
        }
        assert_eq!(floor.get(), Duration::from_millis(60), "a costly legacy hash raises it");
    }
}
