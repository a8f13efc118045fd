//! Signing keys: made at the first start, published, rotated on a schedule, dropped; and the master key, which wraps
//! them in the database.

mod change;
mod load;
mod make;
mod master;
mod schedule;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use chrono::{DateTime, Utc};
use mapae_verify::{Algorithm, Clock, KeySet, SharedKeys, SigningKey};

use super::{Service, StartError};
use crate::domain::refresh_token::{RefreshKey, RefreshToken};
use crate::domain::{KeyState, MasterKey, Rng, SecretText, SigningKeyRecord};
use crate::settings::{Settings, Signing};
use crate::store::{Store, StoreError, now_utc};

pub use change::{ImportKeyError, RevokeKeyError, RotateError};
use load::{Loaded, Pairs};
use make::Keeper;
use master::Root;
pub(super) use master::lock;
pub use master::{MasterRotation, RotateMasterError};

/// How long others may keep a copy of the public keys, in seconds.
pub(crate) const JWKS_MAX_AGE: u32 = 300;

/// The keys in memory.
pub(crate) struct Keys {
    rng: Arc<dyn Rng>,
    root: ArcSwap<Root>,
    shared: SharedKeys,
    /// Signs tokens; `None` once this process has been shut out, see [`Keys::shut_out`].
    active: ArcSwapOption<SigningKey>,
    /// Signs the revocation feed; `None` until a server has made one.
    feed: ArcSwapOption<SigningKey>,
    /// The public half of everything that verifies, as the JSON that `/.well-known/jwks.json` serves.
    jwks: ArcSwap<String>,
    /// What was unwrapped before. Held while keys are reloaded: what was read first must not be stored last.
    pairs: tokio::sync::Mutex<Pairs>,
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

impl From<SigningKeyRecord> for KeySummary {
    fn from(record: SigningKeyRecord) -> Self {
        let SigningKeyRecord { kid, algorithm, state, created_at, activated_at, retired_at, .. } = record;
        Self { kid, algorithm, state, created_at, activated_at, retired_at }
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
        let now = now_utc(clock.as_ref());
        let mut tx = store.begin().await?;
        let checked = master::check(&mut tx, &master, rng.as_ref()).await?;
        let (root, made_refresh) = Root::open(&mut tx, master, rng.as_ref()).await?;
        let mut keeper = Keeper { tx: &mut tx, master: &root.master, rng: rng.as_ref(), now };
        let made = match settings.signing {
            Signing::Generated(_) if attach && !keeper.tx.signing_keys().await?.is_empty() => false,
            Signing::Generated(algorithm) => keeper.ensure(algorithm).await?,
            Signing::SharedSecret(..) if attach => false,
            Signing::SharedSecret(..) => keeper.ensure_feed_key().await?,
        };
        // As this transaction sees them: the master key cannot be replaced meanwhile.
        let records = tx.signing_keys().await?;
        load::check_secrets(store, settings).await?;
        let mut pairs = HashMap::new();
        let loaded = load::load(records, settings, &root.master, now, &mut pairs)?;
        let signers = loaded.signing?;
        if checked || made || made_refresh {
            tx.commit().await?;
        }
        Ok(Self {
            rng,
            root: ArcSwap::from_pointee(root),
            shared: SharedKeys::new(loaded.set),
            active: ArcSwapOption::from(Some(signers.active)),
            feed: ArcSwapOption::new(signers.feed),
            jwks: ArcSwap::from_pointee(loaded.jwks),
            pairs: tokio::sync::Mutex::new(pairs),
        })
    }

    pub(crate) fn shared(&self) -> SharedKeys {
        self.shared.clone()
    }

    /// What signs tokens. `None` in a process that was shut out after a leak.
    pub(crate) fn active(&self) -> Option<Arc<SigningKey>> {
        self.active.load_full()
    }

    /// What signs the revocation feed.
    pub(crate) fn feed(&self) -> Option<Arc<SigningKey>> {
        self.feed.load_full()
    }

    /// Reads a refresh token that this service made; `None` for anything else.
    pub(crate) fn read_refresh_token(&self, token: &str) -> Option<RefreshToken> {
        self.refresh_key()?.read(token)
    }

    /// The refresh token of this session and generation.
    pub(crate) fn refresh_token(&self, session: &str, generation: i64) -> Option<SecretText> {
        self.refresh_key()?.token(session, generation)
    }

    fn refresh_key(&self) -> Option<Arc<RefreshKey>> {
        self.active().map(|_| Arc::clone(&self.root.load().refresh))
    }

    fn take_over(&self, loaded: Loaded) -> Result<(), StartError> {
        let Loaded { set, jwks, signing } = loaded;
        let still_verifies = |key: &SigningKey| set.get(key.kid()).is_some();
        // A process that cannot open the key that signs now goes on with its own for as long as that verifies.
        let goes_on = self.active().is_some_and(|key| still_verifies(&key));
        // First make the new key known, then let it sign.
        self.shared.store(set);
        self.jwks.store(Arc::new(jwks));
        match signing {
            Ok(signers) => {
                self.active.store(Some(signers.active));
                self.feed.store(signers.feed);
                Ok(())
            }
            Err(error) => {
                if !goes_on {
                    self.active.store(None);
                    self.feed.store(None);
                }
                Err(error)
            }
        }
    }

    /// Believes nothing and signs nothing from now on: what this process holds has leaked, and what has taken its place
    /// opens only with a key that it was not given.
    fn shut_out(&self) {
        self.active.store(None);
        self.feed.store(None);
        self.shared.store(KeySet::default());
        self.jwks.store(Arc::new(r#"{"keys":[]}"#.to_owned()));
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
        Ok(self.store().signing_keys().await?.into_iter().map(KeySummary::from).collect())
    }

    /// Reads the keys as the database has them now.
    async fn reload_keys(&self) -> Result<(), StartError> {
        let keys = &self.0.keys;
        let mut pairs = keys.pairs.lock().await;
        let root = keys.root.load_full();
        let shut_out = if root.has_leaked(self.store()).await? {
            Some(StartError::MasterKeyLeaked)
        } else {
            load::check_secrets(self.store(), self.settings()).await.err()
        };
        match shut_out {
            Some(StartError::Store(error)) => return Err(error.into()),
            Some(reason) => {
                keys.shut_out();
                return Err(reason);
            }
            None => {}
        }
        let records = self.store().signing_keys().await?;
        keys.take_over(load::load(records, self.settings(), &root.master, self.now(), &mut pairs)?)
    }
}
