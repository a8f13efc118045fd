//! Making signing keys, keeping them, and letting the next one sign.

use chrono::{DateTime, Utc};
use mapae_verify::{Algorithm, KeyError, SigningKey};

use super::StartError;
use crate::domain::secret::WrapUse;
use crate::domain::{KeyState, MasterKey, Rng, SigningKeyRecord};
use crate::store::Tx;

/// What signs the revocation feed where tokens are signed with a shared secret.
const FEED_ALGORITHM: Algorithm = Algorithm::EdDSA;

/// A new key pair. RSA takes its time, so a running server makes it before it begins a transaction.
pub(super) async fn generate(algorithm: Algorithm) -> Result<SigningKey, StartError> {
    let made = tokio::task::spawn_blocking(move || SigningKey::generate(algorithm)).await;
    Ok(made.map_err(|_| KeyError::Refused)??)
}

pub(super) fn is_feed_key(key: &SigningKeyRecord) -> bool {
    key.algorithm == FEED_ALGORITHM && key.state == KeyState::Active
}

/// Writes keys in a transaction that holds the lock on them, so of several processes one does it.
pub(super) struct Keeper<'a> {
    pub(super) tx: &'a mut Tx,
    pub(super) master: &'a MasterKey,
    pub(super) rng: &'a dyn Rng,
    pub(super) now: DateTime<Utc>,
}

impl Keeper<'_> {
    /// Keeps a key pair, its private half wrapped.
    pub(super) async fn keep(&mut self, key: &SigningKey, state: KeyState) -> Result<SigningKeyRecord, StartError> {
        let kid = key.kid().map(str::to_owned).ok_or(KeyError::Symmetric)?;
        let jwk = key.public_jwk().ok_or(KeyError::Symmetric)?;
        let record = SigningKeyRecord {
            public_jwk: serde_json::to_string(&jwk).unwrap_or_default(),
            wrapped_private: self.master.wrap(self.rng, WrapUse::SigningKey, &kid, &key.to_pkcs8()?),
            kid,
            algorithm: key.algorithm(),
            state,
            created_at: self.now,
            activated_at: (state == KeyState::Active).then_some(self.now),
            retired_at: None,
        };
        self.tx.insert_signing_key(&record).await?;
        Ok(record)
    }

    /// The next key of `records` signs from now on, and `successor` is published as the next. Which one signs.
    pub(super) async fn promote(
        &mut self,
        records: &[SigningKeyRecord],
        successor: &SigningKey,
    ) -> Result<Option<String>, StartError> {
        let next = records.iter().find(|key| key.state == KeyState::Next);
        if let Some(next) = next {
            for active in records.iter().filter(|key| key.state == KeyState::Active) {
                self.tx.retire_signing_key(&active.kid).await?;
            }
            self.tx.activate_signing_key(&next.kid).await?;
        }
        self.keep(successor, KeyState::Next).await?;
        Ok(next.map(|next| next.kid.clone()))
    }

    /// Makes the active and the next key if they are missing; `true` if anything was done. Where another algorithm signed
    /// so far, the next key alone is of this one, and takes over when every verifier knows it.
    pub(super) async fn ensure(&mut self, algorithm: Algorithm) -> Result<bool, StartError> {
        let records = self.tx.signing_keys().await?;
        let of_state = |state| records.iter().filter(move |key| key.state == state);
        let has_active = of_state(KeyState::Active).any(|key| key.algorithm == algorithm);
        // The key of the feed beside a shared secret has none to follow it, and never signed a token.
        let goes_on =
            !has_active && of_state(KeyState::Active).next().is_some() && of_state(KeyState::Next).next().is_some();
        let mut changed = false;
        for other in of_state(KeyState::Active).filter(|key| key.algorithm != algorithm && !goes_on) {
            changed |= self.tx.retire_signing_key(&other.kid).await?;
        }
        for other in of_state(KeyState::Next).filter(|key| key.algorithm != algorithm) {
            changed |= self.tx.remove_signing_key(&other.kid).await?;
        }
        let has_next = of_state(KeyState::Next).any(|key| key.algorithm == algorithm);
        for (state, is_there) in [(KeyState::Active, has_active || goes_on), (KeyState::Next, has_next)] {
            if !is_there {
                self.keep(&SigningKey::generate(algorithm)?, state).await?;
                changed = true;
            }
        }
        Ok(changed)
    }

    /// Makes the key that signs the revocation feed beside a shared secret; `true` if it was missing.
    pub(super) async fn ensure_feed_key(&mut self) -> Result<bool, StartError> {
        if self.tx.signing_keys().await?.iter().any(is_feed_key) {
            return Ok(false);
        }
        self.keep(&SigningKey::generate(FEED_ALGORITHM)?, KeyState::Active).await?;
        Ok(true)
    }
}
