//! The one function that checks a password.

use mapae_password::{HashText, Password};

use super::directory::Found;
use super::passwords::Verdict;
use super::throttle::{Guess, ThrottleError};
use super::{NewPasswordError, PoolBusy, Principal, Service};
use crate::domain::audit::{Actor, Entry, Event};
use crate::domain::{SecretText, Sender, Session, Source, User, UserId};
use crate::store::{StoreError, Tx};

/// Whose password is checked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Claimant<'a> {
    /// Somebody who typed a name or address, and from where.
    Login(&'a str, &'a Sender),
    /// Whoever a token speaks for, who repeats the password before a grave change.
    Account(&'a Principal),
}

/// The right password was given for an account that may sign in. What is done next is bound to it by
/// [`Service::begin_proven`], so that a password change in between wins.
pub(crate) struct Proven {
    pub(crate) user: User,
    /// The stored hash that the password was compared with.
    pub(super) hash: HashText,
    pub(super) password: Password,
    /// Who gave it, and from where.
    pub(super) by: Actor,
    /// What the device shows from now on.
    pub(super) device_token: Option<SecretText>,
}

/// Why a password was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// No such account, a wrong password, or a disabled account: one answer, and one time, for all.
    #[error("incorrect username or password")]
    Refused,
    /// There were too many wrong ones. Whether this one is right was not looked at.
    #[error("too many failed attempts")]
    Throttled {
        /// Seconds until the next attempt.
        retry_after: u32,
    },
    /// The hashing queue is full.
    #[error(transparent)]
    Busy(#[from] PoolBusy),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ThrottleError> for CredentialError {
    fn from(error: ThrottleError) -> Self {
        match error {
            ThrottleError::Throttled { retry_after, .. } => Self::Throttled { retry_after },
            ThrottleError::Store(error) => Self::Store(error),
        }
    }
}

/// The password that somebody gave; `None` if it is too long to be anybody's, so that hashing it would be a waste.
pub(super) fn given(password: &SecretText) -> Option<Password> {
    Password::new(password.expose()).ok()
}

impl Service {
    /// Checks a password: the throttle, which does not know whether the account exists, look-up, then
    /// [`Passwords::check`](super::Passwords::check), which makes every refusal alike. It counts as a failure until it is
    /// found right. What is refused is written down as `by`'s.
    pub(crate) async fn check_password(
        &self,
        claimant: Claimant<'_>,
        password: &Password,
        by: Actor,
    ) -> Result<Proven, CredentialError> {
        let (event, user) = match claimant {
            Claimant::Login(..) => (Event::SignInRefused, None),
            Claimant::Account(principal) => (Event::PasswordRefused, Some(&principal.user.id)),
        };
        let (permit, device_token) = match claimant {
            Claimant::Login(login, sender) => {
                let name = &self.directory().name(login);
                let device_token = self.0.throttle.device_token(name, sender, self.ids());
                (self.0.throttle.guess(Guess::SignIn { name, sender }).await, device_token)
            }
            Claimant::Account(principal) => (self.0.throttle.guess(Guess::Session(&principal.session.id)).await, None),
        };
        let permit = self.unless_throttled(permit, || Entry::new(event, &by).maybe_user(user)).await?;
        let found = match claimant {
            Claimant::Login(login, _) => self.found_by_login(login).await,
            Claimant::Account(principal) => self.found_by_id(&principal.user.id).await,
        };
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                permit.unused();
                return Err(error.into());
            }
        };
        let may_sign_in = found.as_ref().is_some_and(|found| !found.user.disabled);
        let stored = found.as_ref().map(|found| &found.hash);
        let verdict = self.0.passwords.check(stored, may_sign_in, password).await;
        permit.settle(&verdict).await;
        match (verdict?, found) {
            (Verdict::Accepted { needs_rehash }, Some(Found { user, hash, .. })) => {
                let by = by.known_as(&user.id);
                let mut proven = Proven { user, hash, password: password.clone(), by, device_token };
                // A rehash may wait for another sign-in: what keeps it from happening does not refuse a right password.
                if needs_rehash
                    && self.abilities().rehashes
                    && let Err(error) = self.renew_hash(&mut proven).await
                {
                    tracing::warn!(%error, "a password hash was not renewed this time");
                }
                Ok(proven)
            }
            (Verdict::Accepted { .. } | Verdict::Refused, found) => {
                let reason = match &found {
                    None => "no-such-account",
                    Some(found) if found.user.disabled => "disabled",
                    Some(_) => "wrong-password",
                };
                let entry = Entry::new(event, &by).maybe_user(found.as_ref().map(|found| &found.user.id));
                self.note(entry.detail("reason", reason)).await;
                Err(CredentialError::Refused)
            }
        }
    }

    /// Writes down that a sign-in was refused whose password was right a moment ago.
    pub(super) async fn note_refused(&self, by: &Actor, user: &UserId, reason: &str) {
        self.note(Entry::new(Event::SignInRefused, by).user(user).detail("reason", reason)).await;
    }

    /// Whether one of a client's secrets, as it can be read, is the one that a person gave it: as a password is checked.
    pub(super) async fn check_typed_secret(
        &self,
        id: &str,
        stored: &str,
        given: &[SecretText],
        by: &Actor,
    ) -> Result<bool, CredentialError> {
        let refused = || Entry::new(Event::ClientRefused, by).client(id);
        let given: Vec<_> = given.iter().filter_map(self::given).collect();
        if given.is_empty() {
            return self.is_none_right(id, by).await;
        }
        let stored = HashText::new(stored.to_owned());
        // In whatever ways it can be read, it is one secret that was sent.
        let permit = self.0.throttle.guess(Guess::Client { id, source: by.source() }).await;
        let permit = self.unless_throttled(permit, refused).await?;
        for secret in &given {
            match self.0.passwords.check(Some(&stored), true, secret).await {
                Ok(Verdict::Accepted { .. }) => {
                    permit.accepted().await;
                    return Ok(true);
                }
                Ok(Verdict::Refused) => {}
                Err(busy) => {
                    permit.unused();
                    return Err(busy.into());
                }
            }
        }
        Ok(false)
    }

    /// Counts a random secret that was wrong: a refresh token, a ticket, a secret that was made here.
    ///
    /// # Errors
    /// [`CredentialError::Throttled`] if there were too many from there.
    pub(super) async fn wrong_secret(&self, source: Source) -> Result<(), CredentialError> {
        Ok(self.0.throttle.wrong_secret(source).await?)
    }

    /// As [`Self::wrong_secret`], where each refusal is written down as this.
    pub(super) async fn wrong_secret_of(
        &self,
        source: Source,
        refused: impl FnOnce() -> Entry,
    ) -> Result<(), CredentialError> {
        let counted = self.0.throttle.wrong_secret(source).await;
        self.unless_throttled(counted, refused).await
    }

    /// Writes down what may not be tried now: once, and not again until it may, or a flood of requests that cost their
    /// sender nothing would fill the disk.
    async fn unless_throttled<T>(
        &self,
        counted: Result<T, ThrottleError>,
        refused: impl FnOnce() -> Entry,
    ) -> Result<T, CredentialError> {
        if let Err(ThrottleError::Throttled { is_news: true, .. }) = counted {
            self.note(refused().detail("reason", "throttled")).await;
        }
        Ok(counted?)
    }

    /// Replaces a weak or deprecated hash, once, and never over a change that somebody else made meanwhile.
    async fn renew_hash(&self, proven: &mut Proven) -> Result<(), RenewError> {
        let new = self.0.passwords.renew(&proven.password).await?;
        if self.swap_password_hash(&proven.user.id, &proven.hash, &new).await? {
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
            let (tx, now) = self.begin_on(&proven.user.id).await?;
            let now = now.ok_or(CredentialError::Refused)?;
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

    /// Lets somebody in whose session is durable. Where the application's own table holds the account, which no
    /// transaction of ours covers, it is asked once more: whoever disables an account or changes its password there
    /// ends its sessions afterwards, so a change that this does not see finds the session and ends it.
    pub(super) async fn confirm(
        &self,
        session: &Session,
        proven: Option<(&HashText, &Password)>,
    ) -> Result<(), CredentialError> {
        if self.directory().table().is_none() {
            return Ok(());
        }
        let now = self.found_by_id(&session.user_id).await?.filter(|now| !now.user.disabled);
        let good = match (now, proven) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(now), Some((hash, _))) if now.hash == *hash => true,
            (Some(now), Some((_, password))) => {
                matches!(self.0.passwords.check(Some(&now.hash), true, password).await?, Verdict::Accepted { .. })
            }
        };
        if good {
            return Ok(());
        }
        let mut tx = self.store().begin().await?;
        tx.end_session(&session.id, &Actor::system()).await?;
        tx.commit().await?;
        Err(CredentialError::Refused)
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
