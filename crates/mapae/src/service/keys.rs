//! Signing keys: made at the first start, published, rotated, dropped.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use chrono::{DateTime, TimeDelta, Utc};
use mapae_verify::{Algorithm, Clock, Jwk, JwkSet, KeySet, SharedKeys, SigningKey, VerificationKey};
use zeroize::Zeroizing;

use super::{By, Service, StartError};
use crate::domain::audit::{Entry, Event};
use crate::domain::refresh_token::RefreshKey;
use crate::domain::secret::WrapUse;
use crate::domain::{KeyState, MasterKey, Rng, SigningKeyRecord};
use crate::settings::{Settings, Signing};
use crate::store::{NewRevocation, Store, StoreError, Tx, now_utc};

/// How long others may keep a copy of the public keys, in seconds.
pub(crate) const JWKS_MAX_AGE: u32 = 300;
/// For how long verifiers keep the public keys at most when they cannot fetch them anew, in seconds.
const JWKS_KEPT: u32 = 24 * 60 * 60;
/// Retiring keys leave by the clock, so the set is looked at again even when nothing changed.
const RELOAD: Duration = Duration::from_secs(60);
/// The name of the check value among the data keys.
const CHECK: &str = "check";
/// The name of the key of refresh tokens among the data keys.
const REFRESH: &str = "refresh-token";
/// What signs the revocation feed where tokens are signed with a shared secret.
const FEED_ALGORITHM: Algorithm = Algorithm::EdDSA;

/// The keys in memory.
pub(crate) struct Keys {
    master: MasterKey,
    rng: Arc<dyn Rng>,
    shared: SharedKeys,
    active: ArcSwap<SigningKey>,
    /// Signs the revocation feed; `None` until a server has made one.
    feed: ArcSwapOption<SigningKey>,
    refresh: RefreshKey,
    /// The public half of everything that verifies, as the JSON that `/.well-known/jwks.json` serves.
    jwks: ArcSwap<String>,
    reloading: tokio::sync::Mutex<()>,
}

/// A signing key, for listings.
#[derive(Clone, Debug)]
pub struct KeySummary {
    /// `kid` of its tokens.
    pub kid: String,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// Where it is in its life.
    pub state: KeyState,
    /// When it was made and published.
    pub created_at: DateTime<Utc>,
    /// When it began to sign.
    pub activated_at: Option<DateTime<Utc>>,
    /// When it ceased to sign.
    pub retired_at: Option<DateTime<Utc>>,
}

/// Why keys were not rotated.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// Tokens are signed with `SECRET_KEY`.
    #[error("tokens are signed with SECRET_KEY here: give another SECRET_KEY to rotate it, or set ALGORITHM=ES256")]
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

impl Keys {
    /// Checks the master key against the database, makes the signing keys that are missing, and loads them. With
    /// `attach` the keys are left to the server, unless there are none at all.
    pub(crate) async fn open(
        store: &Store,
        settings: &Settings,
        master: MasterKey,
        attach: bool,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Result<Self, StartError> {
        let mut tx = store.begin().await?;
        let checked = check_master_key(&mut tx, &master, rng.as_ref()).await?;
        let (refresh, made_refresh) = refresh_key(&mut tx, &master, rng.as_ref()).await?;
        let made = match settings.signing {
            Signing::Generated(_) if attach && !tx.signing_keys().await?.is_empty() => false,
            Signing::Generated(algorithm) => {
                ensure(&mut tx, algorithm, &master, rng.as_ref(), now_utc(clock.as_ref())).await?
            }
            Signing::SharedSecret(..) if attach => false,
            Signing::SharedSecret(..) => {
                ensure_feed_key(&mut tx, &master, rng.as_ref(), now_utc(clock.as_ref())).await?
            }
        };
        if checked || made || made_refresh {
            tx.commit().await?;
        }
        let now = now_utc(clock.as_ref());
        let loaded = load(store.signing_keys().await?, settings, &master, now)?;
        Ok(Self {
            master,
            rng,
            shared: SharedKeys::new(loaded.set),
            active: ArcSwap::new(loaded.active),
            feed: ArcSwapOption::new(loaded.feed),
            refresh,
            jwks: ArcSwap::from_pointee(loaded.jwks),
            reloading: tokio::sync::Mutex::new(()),
        })
    }

    pub(crate) fn shared(&self) -> SharedKeys {
        self.shared.clone()
    }

    pub(crate) fn active(&self) -> Arc<SigningKey> {
        self.active.load_full()
    }

    /// What signs the revocation feed.
    pub(crate) fn feed(&self) -> Option<Arc<SigningKey>> {
        self.feed.load_full()
    }

    pub(crate) fn refresh_key(&self) -> &RefreshKey {
        &self.refresh
    }
}

impl Service {
    /// The public keys that verify this service's tokens, as JSON (RFC 7517 §5).
    pub fn jwks(&self) -> Arc<String> {
        self.0.keys.jwks.load_full()
    }

    /// The signing keys, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn list_keys(&self) -> Result<Vec<KeySummary>, StoreError> {
        let records = self.store().signing_keys().await?;
        Ok(records
            .into_iter()
            .map(|record| KeySummary {
                kid: record.kid,
                algorithm: record.algorithm,
                state: record.state,
                created_at: record.created_at,
                activated_at: record.activated_at,
                retired_at: record.retired_at,
            })
            .collect())
    }

    /// Lets the next key sign from now on. The old one still verifies until its last token has expired, so nobody is
    /// logged out; then the server removes it. `at_once` does not wait until every verifier has seen the next key.
    ///
    /// # Errors
    /// [`RotateError`] says when it will be possible.
    pub async fn rotate_keys(&self, at_once: bool, by: By<'_>) -> Result<(), RotateError> {
        if let Signing::SharedSecret(..) = self.settings().signing {
            return Err(RotateError::SharedSecret);
        }
        let keys = &self.0.keys;
        let algorithm = keys.active().algorithm();
        let now = self.now();
        let mut tx = self.store().begin().await?;
        let records = tx.signing_keys().await?;
        let of_state = |state| records.iter().find(move |key| key.algorithm == algorithm && key.state == state);
        let next = of_state(KeyState::Next);
        if let (Some(next), false) = (next, at_once) {
            let from = next.created_at + TimeDelta::seconds(i64::from(self.settings().next_key_min_age));
            if now < from {
                return Err(RotateError::TooYoung { published: next.created_at, from });
            }
        }
        if let Some(active) = of_state(KeyState::Active) {
            tx.retire_signing_key(&active.kid).await?;
        }
        match next {
            Some(next) => {
                tx.activate_signing_key(&next.kid).await?;
            }
            None => insert(&mut tx, algorithm, KeyState::Active, &keys.master, keys.rng.as_ref(), now).await?,
        }
        insert(&mut tx, algorithm, KeyState::Next, &keys.master, keys.rng.as_ref(), now).await?;
        let signing = tx.signing_keys().await?;
        let signing = signing.iter().find(|key| key.algorithm == algorithm && key.state == KeyState::Active);
        if let Some(signing) = signing {
            tx.record(Entry::new(Event::KeyRotated, &by.actor()).key(&signing.kid).detail("at_once", at_once)).await?;
        }
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
        let keys = &self.0.keys;
        let now = self.now();
        let mut tx = self.store().begin().await?;
        let records = tx.signing_keys().await?;
        let found = records.iter().find(|key| key.kid == kid);
        let revoked = found.ok_or_else(|| RevokeKeyError::NotFound(kid.to_owned()))?;
        tx.remove_signing_key(kid).await?;
        // Whoever has the key writes any `exp`: it ends when nobody knows the public half any more.
        let last = now + TimeDelta::seconds(self.settings().access_token_lifetime.max(JWKS_KEPT + JWKS_MAX_AGE).into());
        tx.revoke(vec![NewRevocation::key(kid, last)]).await?;
        match self.settings().signing {
            Signing::Generated(algorithm) => {
                let mut next = records.iter().find(|key| key.algorithm == algorithm && key.state == KeyState::Next);
                next = next.filter(|next| next.kid != kid && revoked.state == KeyState::Active);
                if let Some(next) = next {
                    tx.activate_signing_key(&next.kid).await?;
                }
                ensure(&mut tx, algorithm, &keys.master, keys.rng.as_ref(), now).await?;
            }
            Signing::SharedSecret(..) => {
                ensure_feed_key(&mut tx, &keys.master, keys.rng.as_ref(), now).await?;
            }
        }
        tx.record(Entry::new(Event::KeyRevoked, &by.actor()).key(kid)).await?;
        tx.commit().await?;
        tracing::warn!(kid, "signing key revoked");
        Ok(self.reload_keys().await?)
    }

    /// Removes retired keys whose last token has expired. Only who issues the tokens knows when that is: a command may
    /// have been given another lifetime than the server.
    async fn remove_gone_keys(&self) -> Result<(), StoreError> {
        let now = self.now();
        let mut gone = self.store().signing_keys().await?;
        gone.retain(|key| !still_verifies(key, self.settings(), now));
        if gone.is_empty() {
            return Ok(());
        }
        let mut tx = self.store().begin().await?;
        for key in &gone {
            tx.remove_signing_key(&key.kid).await?;
        }
        tx.commit().await
    }

    async fn reload_keys(&self) -> Result<(), StartError> {
        let keys = &self.0.keys;
        // One at a time: what was read first must not be stored last.
        let _reloading = keys.reloading.lock().await;
        let loaded = load(self.store().signing_keys().await?, self.settings(), &keys.master, self.now())?;
        // First make the new key known, then let it sign.
        keys.shared.store(loaded.set);
        keys.jwks.store(Arc::new(loaded.jwks));
        keys.active.store(loaded.active);
        keys.feed.store(loaded.feed);
        Ok(())
    }

    /// Reloads the keys now and whenever they change, here or elsewhere, and removes those that are gone.
    pub(super) async fn follow_keys(&self, mut changed: tokio::sync::watch::Receiver<u64>) {
        loop {
            if let Err(error) = self.reload_keys().await {
                tracing::error!(%error, "signing keys could not be reloaded; those in memory stay");
            }
            if let Err(error) = self.remove_gone_keys().await {
                tracing::warn!(%error, "expired signing keys could not be removed; the next round tries again");
            }
            tokio::select! {
                alive = changed.changed() => if alive.is_err() { return },
                () = tokio::time::sleep(RELOAD) => {}
            }
        }
    }
}

/// Whether tokens of this key can still be good: a retiring key stays for the life of its last token, the leeway,
/// and the time for which others keep a copy.
fn still_verifies(key: &SigningKeyRecord, settings: &Settings, now: DateTime<Utc>) -> bool {
    let stays = i64::from(settings.access_token_lifetime) + i64::from(settings.leeway) + i64::from(JWKS_MAX_AGE);
    key.retired_at.is_none_or(|retired| now < retired + TimeDelta::seconds(stays))
}

/// Writes the check value into a new database; `true` if it was new.
async fn check_master_key(tx: &mut Tx, master: &MasterKey, rng: &dyn Rng) -> Result<bool, StartError> {
    match tx.data_key(CHECK).await? {
        Some(blob) => {
            master.unwrap(WrapUse::Check, CHECK, &blob).map_err(|_| StartError::WrongMasterKey)?;
            Ok(false)
        }
        None => {
            tx.insert_data_key(CHECK, master.wrap(rng, WrapUse::Check, CHECK, b"mapae")).await?;
            Ok(true)
        }
    }
}

/// The key of refresh tokens, made if it is missing; and whether it was new.
async fn refresh_key(tx: &mut Tx, master: &MasterKey, rng: &dyn Rng) -> Result<(RefreshKey, bool), StartError> {
    if let Some(blob) = tx.data_key(REFRESH).await? {
        let key = master.unwrap(WrapUse::RefreshToken, REFRESH, &blob).map_err(|_| StartError::WrongMasterKey)?;
        return Ok((RefreshKey::new(&key), false));
    }
    let mut key = Zeroizing::new([0; 32]);
    rng.fill(key.as_mut());
    tx.insert_data_key(REFRESH, master.wrap(rng, WrapUse::RefreshToken, REFRESH, key.as_ref())).await?;
    Ok((RefreshKey::new(key.as_ref()), true))
}

/// Makes the key that signs the revocation feed beside a shared secret; `true` if it was missing.
async fn ensure_feed_key(
    tx: &mut Tx,
    master: &MasterKey,
    rng: &dyn Rng,
    now: DateTime<Utc>,
) -> Result<bool, StartError> {
    if tx.signing_keys().await?.iter().any(is_feed_key) {
        return Ok(false);
    }
    insert(tx, FEED_ALGORITHM, KeyState::Active, master, rng, now).await?;
    Ok(true)
}

fn is_feed_key(key: &SigningKeyRecord) -> bool {
    key.algorithm == FEED_ALGORITHM && key.state == KeyState::Active
}

/// Makes the active and the next key of this algorithm if they are missing, and retires those of another; `true` if
/// anything was done.
async fn ensure(
    tx: &mut Tx,
    algorithm: Algorithm,
    master: &MasterKey,
    rng: &dyn Rng,
    now: DateTime<Utc>,
) -> Result<bool, StartError> {
    let records = tx.signing_keys().await?;
    let mut changed = false;
    for other in records.iter().filter(|key| key.algorithm != algorithm && key.state != KeyState::Retiring) {
        match other.state {
            KeyState::Active => tx.retire_signing_key(&other.kid).await?,
            KeyState::Next | KeyState::Retiring => tx.remove_signing_key(&other.kid).await?,
        };
        changed = true;
    }
    for state in [KeyState::Active, KeyState::Next] {
        if !records.iter().any(|key| key.algorithm == algorithm && key.state == state) {
            insert(tx, algorithm, state, master, rng, now).await?;
            changed = true;
        }
    }
    Ok(changed)
}

async fn insert(
    tx: &mut Tx,
    algorithm: Algorithm,
    state: KeyState,
    master: &MasterKey,
    rng: &dyn Rng,
    now: DateTime<Utc>,
) -> Result<(), StartError> {
    let key = SigningKey::generate(algorithm)?;
    let kid = key.kid().map(str::to_owned).ok_or(mapae_verify::KeyError::Symmetric)?;
    let jwk = key.public_jwk().ok_or(mapae_verify::KeyError::Symmetric)?;
    let record = SigningKeyRecord {
        public_jwk: serde_json::to_string(&jwk).unwrap_or_default(),
        wrapped_private: master.wrap(rng, WrapUse::SigningKey, &kid, &key.to_pkcs8()?),
        kid,
        algorithm,
        state,
        created_at: now,
        activated_at: (state == KeyState::Active).then_some(now),
        retired_at: None,
    };
    Ok(tx.insert_signing_key(&record).await?)
}

struct Loaded {
    set: KeySet,
    active: Arc<SigningKey>,
    feed: Option<Arc<SigningKey>>,
    jwks: String,
}

/// Turns records into keys that sign and verify.
fn load(
    records: Vec<SigningKeyRecord>,
    settings: &Settings,
    master: &MasterKey,
    now: DateTime<Utc>,
) -> Result<Loaded, StartError> {
    let corrupt =
        |kid: &str, why: String| StoreError::Corrupt { table: "mapae_signing_key", why: format!("{kid}: {why}") };
    let private = |record: &SigningKeyRecord| {
        let pkcs8 = master
            .unwrap(WrapUse::SigningKey, &record.kid, &record.wrapped_private)
            .map_err(|error| corrupt(&record.kid, error.to_string()))?;
        Ok::<_, StartError>(Arc::new(SigningKey::from_pkcs8(record.algorithm, &pkcs8)?.with_kid(&record.kid)))
    };
    if let Signing::SharedSecret(algorithm, secret) = &settings.signing {
        let active = SigningKey::hmac(None, *algorithm, secret.expose().as_bytes())?;
        // Tokens are verified with the secret alone.
        let set = KeySet::from_keys([active.verification_key()])?;
        let feed = records.iter().find(|key| is_feed_key(key)).map(private).transpose()?;
        let keys = feed.iter().filter_map(|key| key.public_jwk()).collect();
        let jwks = serde_json::to_string(&JwkSet { keys }).unwrap_or_default();
        return Ok(Loaded { set, active: Arc::new(active), feed, jwks });
    }
    let mut verifying = Vec::new();
    let mut public = JwkSet { keys: Vec::new() };
    let mut active = None;
    for record in records.iter().filter(|key| still_verifies(key, settings, now)) {
        let jwk: Jwk =
            serde_json::from_str(&record.public_jwk).map_err(|error| corrupt(&record.kid, error.to_string()))?;
        verifying.push(VerificationKey::from_jwk_with_algorithm(&jwk, record.algorithm)?);
        public.keys.push(jwk);
        let configured = record.algorithm == settings.signing.algorithm();
        if record.state == KeyState::Active && (configured || active.is_none()) {
            active = Some(private(record)?);
        }
    }
    let active = active.ok_or_else(|| corrupt("(none)", "no key is active".to_owned()))?;
    Ok(Loaded {
        set: KeySet::from_keys(verifying)?,
        feed: Some(Arc::clone(&active)),
        active,
        jwks: serde_json::to_string(&public).unwrap_or_default(),
    })
}
