//! The master key: checked at the start, and replaced by wrapping anew what it wraps.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use zeroize::Zeroizing;

use super::load::{name_of_secret, shared_secrets};
use super::make::Keeper;
use super::{Service, StartError};
use crate::domain::audit::{Actor, Entry, Event};
use crate::domain::refresh_token::RefreshKey;
use crate::domain::secret::WrapUse;
use crate::domain::{EndReason, MasterKey, Rng};
use crate::service::{By, throttle};
use crate::settings::Signing;
use crate::store::{DataKey, NewRevocation, Sessions, Snapshot, Store, StoreError, Tx};

/// The name of the check value among the data keys. Its row is also the lock that whoever changes keys holds.
const CHECK: &str = "check";
/// The name of the key of refresh tokens among the data keys.
const REFRESH: &str = "refresh-token";
/// How long a leaked shared secret is refused.
const SECRET_REFUSED: TimeDelta = TimeDelta::days(3_650);

/// The master key that this process was given, and what it has opened with it.
pub(super) struct Root {
    pub(super) master: MasterKey,
    pub(super) refresh: Arc<RefreshKey>,
    /// When the key of refresh tokens was made: another one means that this one has leaked.
    refresh_made_at: DateTime<Utc>,
}

/// What a rotation of the master key did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MasterRotation {
    /// Data keys and signing keys that are wrapped by the new master key now.
    pub rewrapped: usize,
    /// Sessions that ended, after a leak.
    pub ended: usize,
}

/// Why the master key was not replaced. Then nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum RotateMasterError {
    /// The new key is the old one.
    #[error("the new master key is the old one; `mapae secret generate` makes another")]
    SameKey,
    /// A data key does not open.
    #[error(
        "the data key {0} does not open with the present master key, so nothing was changed: `mapae` of the version \
             that made it may know it"
    )]
    Unopened(String),
    /// The database failed, or another process has replaced the master key.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl From<StoreError> for RotateMasterError {
    fn from(error: StoreError) -> Self {
        Self::Start(error.into())
    }
}

impl Root {
    /// Opens the key of refresh tokens, which is made if it is missing; and whether it was new.
    pub(super) async fn open(tx: &mut Tx, master: MasterKey, rng: &dyn Rng) -> Result<(Self, bool), StartError> {
        let is_new = tx.data_key(REFRESH).await?.is_none();
        if is_new {
            tx.insert_data_key_if_missing(REFRESH, new_refresh_key(&master, rng)).await?;
        }
        let row = tx.lock_data_key(REFRESH).await?.ok_or(StartError::WrongMasterKey)?;
        let key =
            master.unwrap(WrapUse::RefreshToken, REFRESH, &row.wrapped).map_err(|_| StartError::WrongMasterKey)?;
        let refresh = Arc::new(RefreshKey::new(&key));
        Ok((Self { master, refresh, refresh_made_at: row.created_at }, is_new))
    }

    /// Whether what this process holds was given up as leaked, by another one.
    pub(super) async fn has_leaked(&self, store: &Store) -> Result<bool, StoreError> {
        Ok(store.data_key(REFRESH).await?.is_none_or(|row| row.created_at != self.refresh_made_at))
    }
}

/// A new key of refresh tokens, wrapped.
fn new_refresh_key(master: &MasterKey, rng: &dyn Rng) -> Vec<u8> {
    let mut key = Zeroizing::new([0; 32]);
    rng.fill(key.as_mut());
    master.wrap(rng, WrapUse::RefreshToken, REFRESH, key.as_ref())
}

/// Writes the check value into a new database, and holds the lock on keys; `true` if it was new.
pub(super) async fn check(tx: &mut Tx, master: &MasterKey, rng: &dyn Rng) -> Result<bool, StartError> {
    let is_new = tx.data_key(CHECK).await?.is_none();
    if is_new {
        tx.insert_data_key_if_missing(CHECK, master.wrap(rng, WrapUse::Check, CHECK, b"mapae")).await?;
    }
    lock(tx, master).await?;
    Ok(is_new)
}

/// Waits until no other process changes keys, and keeps all others from it until the transaction ends. Whoever changes
/// keys begins with this, and reads them afterwards. What another master key wraps could not be opened by others, so a
/// process with an old one is refused.
///
/// # Errors
/// [`StartError::WrongMasterKey`].
pub(in crate::service) async fn lock(tx: &mut Tx, master: &MasterKey) -> Result<(), StartError> {
    let row = tx.lock_data_key(CHECK).await?.ok_or(StartError::WrongMasterKey)?;
    master.unwrap(WrapUse::Check, CHECK, &row.wrapped).map_err(|_| StartError::WrongMasterKey)?;
    Ok(())
}

fn opens_check(master: &MasterKey, row: &DataKey) -> bool {
    master.unwrap(WrapUse::Check, CHECK, &row.wrapped).is_ok()
}

impl Service {
    /// Whether this is the master key of the database; `None` if there are no keys in it yet.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn is_master_key(store: &Store, master: &MasterKey) -> Result<Option<bool>, StoreError> {
        Ok(store.data_key(CHECK).await?.map(|row| opens_check(master, &row)))
    }

    /// The same of a database that is only looked at.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn is_master_key_of(snapshot: &Snapshot, master: &MasterKey) -> Result<Option<bool>, StoreError> {
        Ok(snapshot.data_key(CHECK).await?.map(|row| opens_check(master, &row)))
    }

    /// Wraps everything in the database with another master key, in one transaction. The data keys stay, so nobody is
    /// logged out; other processes go on, make no new keys, and need the new master key at their next start.
    ///
    /// After a leak of the old one (`leaked`) what it could open is replaced too: the key of refresh tokens and every
    /// signing key; every session ends; and a shared secret (`SECRET_KEY`, and old ones) is refused from then on. Other
    /// processes then accept and issue nothing until they are started with the new key.
    ///
    /// # Errors
    /// [`RotateMasterError`]; then nothing has changed.
    pub async fn rotate_master_key(
        &self,
        new: MasterKey,
        leaked: bool,
        by: By<'_>,
    ) -> Result<MasterRotation, RotateMasterError> {
        let keys = &self.0.keys;
        let old = keys.root.load_full();
        let (rng, actor) = (keys.rng.as_ref(), by.actor());
        let mut tx = self.store().begin().await?;
        lock(&mut tx, &old.master).await?;
        if lock(&mut tx, &new).await.is_ok() {
            return Err(RotateMasterError::SameKey);
        }
        let mut rewrapped = 0;
        for (name, row) in tx.data_keys().await? {
            let opened = WrapUse::ALL.into_iter().find_map(|kind| {
                let plain = old.master.unwrap(kind, &name, &row.wrapped).ok()?;
                Some(new.wrap(rng, kind, &name, &plain))
            });
            let wrapped = opened.ok_or_else(|| RotateMasterError::Unopened(name.clone()))?;
            tx.rewrap_data_key(&name, wrapped).await?;
            rewrapped += 1;
        }
        for key in tx.signing_keys().await?.iter().filter(|key| !key.wrapped_private.is_empty()) {
            let plain = old.master.unwrap(WrapUse::SigningKey, &key.kid, &key.wrapped_private);
            let plain = plain.map_err(|_| RotateMasterError::Unopened(key.kid.clone()))?;
            tx.rewrap_signing_key(&key.kid, new.wrap(rng, WrapUse::SigningKey, &key.kid, &plain)).await?;
            rewrapped += 1;
        }
        let ended = if leaked { self.replace_leaked(&mut tx, &new, &actor).await? } else { 0 };
        tx.record(Entry::new(Event::MasterKeyRotated, &actor).detail("leaked", leaked)).await?;
        tx.keys_changed().await?;
        let (root, _) = Root::open(&mut tx, new, rng).await?;
        tx.commit().await?;
        keys.root.store(Arc::new(root));
        tracing::warn!(rewrapped, leaked, ended, "master key rotated");
        // It is done, whatever becomes of what this process holds.
        match self.reload_keys().await {
            // Among what was given up.
            Ok(()) | Err(StartError::SecretLeaked) => {}
            Err(error) => tracing::error!(%error, "signing keys could not be reloaded; those in memory stay"),
        }
        Ok(MasterRotation { rewrapped, ended })
    }

    /// Replaces what a leaked master key could open, and ends what could be forged with it; how many sessions.
    async fn replace_leaked(&self, tx: &mut Tx, new: &MasterKey, by: &Actor) -> Result<usize, StartError> {
        let rng = self.0.keys.rng.as_ref();
        tx.replace_data_key(REFRESH, new_refresh_key(new, rng)).await?;
        tx.replace_data_key(throttle::KEY, throttle::new_key(new, rng).0).await?;
        for key in tx.signing_keys().await? {
            self.revoke_in(tx, &key.kid).await?;
        }
        let now = self.now();
        let secrets = shared_secrets(self.settings());
        tx.revoke(secrets.map(|secret| NewRevocation::key(&name_of_secret(secret), now + SECRET_REFUSED)).collect())
            .await?;
        let mut keeper = Keeper { tx: &mut *tx, master: new, rng, now };
        match self.settings().signing {
            Signing::Generated(algorithm) => keeper.ensure(algorithm).await?,
            Signing::SharedSecret(..) => keeper.ensure_feed_key().await?,
        };
        Ok(tx.end(Sessions::All, EndReason::Leaked, by).await?)
    }
}
