//! What an operator does to signing keys: rotating, revoking, importing.

use chrono::{DateTime, TimeDelta, Utc};
use mapae_verify::{Algorithm, SigningKey, VerificationKey};

use super::load::stays;
use super::make::{self, Keeper};
use super::schedule::old_enough;
use super::{JWKS_MAX_AGE, KeySummary, Service, StartError, master};
use crate::domain::audit::{Entry, Event};
use crate::domain::{EndReason, KeyState, SigningKeyRecord};
use crate::service::By;
use crate::settings::Signing;
use crate::store::{NewRevocation, RevokedKind, Sessions, StoreError, Tx};

/// For how long verifiers keep the public keys at most when they cannot fetch them anew, in seconds.
const JWKS_KEPT: u32 = 24 * 60 * 60;
/// The longest `kid` that is taken over from another program, in bytes.
const MAX_KID: usize = 256;

/// Why keys were not rotated.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// Tokens are signed with `SECRET_KEY`.
    #[error(
        "tokens are signed with SECRET_KEY here: to rotate it, move the old one to old_secret_keys and set a new one; or \
         set ALGORITHM=ES256"
    )]
    SharedSecret,
    /// Verifiers may not know the next key yet.
    #[error(
        "the next key was published at {published} and may sign from {from} on, when every verifier has seen it; in an \
         emergency rotate at once with --now"
    )]
    TooYoung {
        /// When the next key was made.
        published: DateTime<Utc>,
        /// When it is old enough.
        from: DateTime<Utc>,
    },
    /// A key could not be made or read.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Why a key was not revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeKeyError {
    /// There is no such key.
    #[error("there is no signing key {0}: `mapae key list` shows them")]
    NotFound(String),
    /// A key could not be made or read.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Why a key was not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportKeyError {
    /// Tokens are signed with `SECRET_KEY`.
    #[error(
        "tokens are signed with SECRET_KEY here, so no key pair can sign them: set ALGORITHM=ES256 or another first"
    )]
    SharedSecret,
    /// It is for another algorithm than the configured one.
    #[error("the key is for {key}, but tokens are signed with {configured} here: set ALGORITHM={key} first")]
    Algorithm {
        /// What the key is for.
        key: Algorithm,
        /// What signs here.
        configured: Algorithm,
    },
    /// This key, or another with its `kid`, is there.
    #[error("there is a signing key {0} already")]
    Exists(String),
    /// It was revoked.
    #[error("the key {0} was revoked; make a new one")]
    Revoked(String),
    /// Its `kid` cannot be used.
    #[error("the `kid` of the key is empty, longer than {MAX_KID} bytes, or has control characters")]
    Kid,
    /// It should be gone already.
    #[error("the time until which the key verifies is over")]
    Over,
    /// The database failed, or the master key was replaced.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl From<StoreError> for RevokeKeyError {
    fn from(error: StoreError) -> Self {
        Self::Start(error.into())
    }
}

impl From<StoreError> for RotateError {
    fn from(error: StoreError) -> Self {
        Self::Start(error.into())
    }
}

impl From<StoreError> for ImportKeyError {
    fn from(error: StoreError) -> Self {
        Self::Start(error.into())
    }
}

impl Service {
    /// Lets the next key sign from now on. The old one still verifies until its last token has expired, so nobody is
    /// logged out; then the server removes it. `at_once` does not wait until every verifier has seen the next key.
    ///
    /// # Errors
    /// [`RotateError`] says when it will be possible.
    pub async fn rotate_keys(&self, at_once: bool, by: By<'_>) -> Result<(), RotateError> {
        let Signing::Generated(algorithm) = self.settings().signing else { return Err(RotateError::SharedSecret) };
        let keys = &self.0.keys;
        let root = keys.root.load_full();
        let successor = make::generate(algorithm).await?;
        let now = self.now();
        let mut tx = self.store().begin().await?;
        master::lock(&mut tx, &root.master).await?;
        let mut keeper = Keeper { tx: &mut tx, master: &root.master, rng: keys.rng.as_ref(), now };
        let mut records = keeper.tx.signing_keys().await?;
        match records.iter().find(|key| key.state == KeyState::Next) {
            Some(next) if !at_once => {
                let from = old_enough(next, self.settings());
                if now < from {
                    return Err(RotateError::TooYoung { published: next.created_at, from });
                }
            }
            Some(_) => {}
            None => records.push(keeper.keep(&make::generate(algorithm).await?, KeyState::Next).await?),
        }
        let signing = keeper.promote(&records, &successor).await?;
        let entry = Entry::new(Event::KeyRotated, &by.actor()).detail("at_once", at_once);
        tx.record(entry.key(signing.as_deref().unwrap_or_default())).await?;
        tx.commit().await?;
        Ok(self.reload_keys().await?)
    }

    /// Drops a signing key that may be in other hands: its tokens are refused here at once, and by verifiers elsewhere
    /// with their next look at the revocation feed. Sessions go on: a refresh gives a token of another key. Where the
    /// key was signing, the next one signs from now on.
    ///
    /// # Errors
    /// [`RevokeKeyError`].
    pub async fn revoke_key(&self, kid: &str, by: By<'_>) -> Result<(), RevokeKeyError> {
        self.drop_key(kid, false, by).await?;
        Ok(())
    }

    /// As [`Self::revoke_key`] for a key that is known to be in other hands: ends every session too, since the key could
    /// make tokens of any. How many ended.
    ///
    /// # Errors
    /// [`RevokeKeyError`].
    pub async fn revoke_leaked_key(&self, kid: &str, by: By<'_>) -> Result<usize, RevokeKeyError> {
        self.drop_key(kid, true, by).await
    }

    async fn drop_key(&self, kid: &str, leaked: bool, by: By<'_>) -> Result<usize, RevokeKeyError> {
        let keys = &self.0.keys;
        let root = keys.root.load_full();
        let mut tx = self.store().begin().await?;
        master::lock(&mut tx, &root.master).await?;
        let records = tx.signing_keys().await?;
        let found = records.iter().find(|key| key.kid == kid);
        let revoked = found.ok_or_else(|| RevokeKeyError::NotFound(kid.to_owned()))?;
        self.revoke_in(&mut tx, kid).await?;
        let (mut ended, actor) = (0, by.actor());
        let mut keeper = Keeper { tx: &mut tx, master: &root.master, rng: keys.rng.as_ref(), now: self.now() };
        match self.settings().signing {
            Signing::Generated(algorithm) => {
                let next = records.iter().find(|key| key.state == KeyState::Next && key.kid != kid);
                if let Some(next) = next.filter(|_| revoked.state == KeyState::Active) {
                    keeper.tx.activate_signing_key(&next.kid).await?;
                    let entry = Entry::new(Event::KeyRotated, &actor).detail("at_once", true);
                    keeper.tx.record(entry.key(&next.kid)).await?;
                }
                keeper.ensure(algorithm).await?;
                if leaked {
                    ended = tx.end(Sessions::All, EndReason::Leaked, &actor).await?;
                }
            }
            // Beside a shared secret a key pair signs no tokens.
            Signing::SharedSecret(..) => _ = keeper.ensure_feed_key().await?,
        }
        tx.record(Entry::new(Event::KeyRevoked, &actor).key(kid).detail("leaked", leaked)).await?;
        tx.commit().await?;
        tracing::warn!(kid, ended, "signing key revoked");
        self.reload_keys().await?;
        Ok(ended)
    }

    /// Removes a key, here and for verifiers elsewhere.
    pub(super) async fn revoke_in(&self, tx: &mut Tx, kid: &str) -> Result<(), StoreError> {
        tx.remove_signing_key(kid).await?;
        // Whoever has the key writes any `exp`: it ends when nobody knows the public half any more.
        let lasts = self.settings().access_token_lifetime.max(JWKS_KEPT + JWKS_MAX_AGE);
        tx.revoke(vec![NewRevocation::key(kid, self.now() + TimeDelta::seconds(lasts.into()))]).await
    }

    /// Makes a key pair of another program the next key: it is published from now on, and signs when its time has come,
    /// as any next key. The one that it replaces has signed nothing.
    ///
    /// # Errors
    /// [`ImportKeyError`].
    pub async fn import_key(&self, key: &SigningKey, by: By<'_>) -> Result<KeySummary, ImportKeyError> {
        let Signing::Generated(configured) = self.settings().signing else { return Err(ImportKeyError::SharedSecret) };
        if key.algorithm() != configured {
            return Err(ImportKeyError::Algorithm { key: key.algorithm(), configured });
        }
        let keys = &self.0.keys;
        let root = keys.root.load_full();
        let (mut tx, records) = self.begin_key_import(key.kid().unwrap_or_default()).await?;
        for next in records.iter().filter(|key| key.state == KeyState::Next) {
            tx.remove_signing_key(&next.kid).await?;
        }
        let mut keeper = Keeper { tx: &mut tx, master: &root.master, rng: keys.rng.as_ref(), now: self.now() };
        let record = keeper.keep(key, KeyState::Next).await?;
        tx.record(Entry::new(Event::KeyImported, &by.actor()).key(&record.kid)).await?;
        tx.commit().await?;
        self.reload_keys().await?;
        Ok(record.into())
    }

    /// Publishes the public half of a key that signs nothing here, so that verifiers which read this service's keys
    /// believe the tokens that another program signed with it: until a time, or as long as a key that ceases to sign now.
    ///
    /// # Errors
    /// [`ImportKeyError`].
    pub async fn import_verifying_key(
        &self,
        key: &VerificationKey,
        until: Option<DateTime<Utc>>,
        by: By<'_>,
    ) -> Result<KeySummary, ImportKeyError> {
        let Signing::Generated(_) = self.settings().signing else { return Err(ImportKeyError::SharedSecret) };
        let now = self.now();
        if until.is_some_and(|until| until <= now) {
            return Err(ImportKeyError::Over);
        }
        let (Some(kid), Some(jwk)) = (key.kid(), key.jwk()) else { return Err(ImportKeyError::Kid) };
        let (mut tx, _) = self.begin_key_import(kid).await?;
        let record = SigningKeyRecord {
            kid: kid.to_owned(),
            algorithm: key.algorithm(),
            state: KeyState::Retiring,
            public_jwk: serde_json::to_string(jwk).unwrap_or_default(),
            // There is no private half.
            wrapped_private: Vec::new(),
            created_at: now,
            activated_at: None,
            retired_at: Some(until.map_or(now, |until| until - stays(self.settings()))),
        };
        tx.insert_signing_key(&record).await?;
        tx.record(Entry::new(Event::KeyImported, &by.actor()).key(&record.kid).detail("verify_only", true)).await?;
        tx.commit().await?;
        self.reload_keys().await?;
        Ok(record.into())
    }

    /// A transaction that holds the lock on keys, and the keys, none of which has this id.
    async fn begin_key_import(&self, kid: &str) -> Result<(Tx, Vec<SigningKeyRecord>), ImportKeyError> {
        if kid.is_empty() || kid.len() > MAX_KID || kid.chars().any(char::is_control) {
            return Err(ImportKeyError::Kid);
        }
        let mut tx = self.store().begin().await?;
        master::lock(&mut tx, &self.0.keys.root.load().master).await?;
        // With the lock: whoever revokes a key holds it.
        let revoked = self.store().revocations().await?;
        if revoked.iter().any(|one| one.kind == RevokedKind::Key && one.value == kid) {
            return Err(ImportKeyError::Revoked(kid.to_owned()));
        }
        let records = tx.signing_keys().await?;
        if records.iter().any(|key| key.kid == kid) {
            return Err(ImportKeyError::Exists(kid.to_owned()));
        }
        Ok((tx, records))
    }
}
