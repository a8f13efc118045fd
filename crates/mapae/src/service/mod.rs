//! What the service does, whoever asks: the HTTP interface, the command line, an embedding application.

pub mod account;
mod account_error;
pub mod accounts;
mod audit;
mod authenticate;
mod bearer;
mod breached;
pub mod builder;
mod check;
mod clients;
mod credentials;
mod directory;
mod doctor;
mod feed;
mod grants;
mod grounds;
mod handle;
mod hash_pool;
pub mod hooks;
pub mod import;
pub mod import_source;
mod introspect;
mod keys;
mod mapped_users;
mod minted;
mod minting;
mod noted;
mod observe;
mod passwords;
mod refusal_floor;
mod sessions;
pub mod stateless;
mod table_accounts;
mod throttle;
mod tickets;
mod tokens;
pub mod user_store;
mod user_table;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use mapae_verify::Clock;

use audit::AuditWriter;
pub use audit::By;
pub use authenticate::{AuthenticateError, Principal};
pub use bearer::{Bearer, Thing};
pub use breached::{BreachedFileError, BreachedPasswordFile};
pub use check::RowCheck;
pub use clients::{ClientAuth, ClientError, NewClient};
pub use credentials::CredentialError;
pub(crate) use directory::Abilities;
use directory::Directory;
pub use doctor::Checkup;
pub use feed::{FeedFailure, SignedFeed};
pub use grants::{GrantRequest, TokenError, TokenExchange, TokenRequest};
pub use handle::Mapae;
pub use hash_pool::PoolBusy;
use hooks::DynHooks;
pub use introspect::{Introspection, RevokeError};
use keys::Keys;
pub use keys::{ImportKeyError, KeySummary, MasterRotation, RevokeKeyError, RotateError, RotateMasterError};
use mapped_users::MappedUsers;
pub use minted::{MintedToken, NewToken};
pub use minting::MintError;
use noted::Noted;
pub use passwords::{NewPasswordError, Passwords, Verdict};
pub use sessions::{EndSessionError, Ending};
pub use tickets::{TicketError, TicketResponse};
pub use tokens::{IssueError, SignInError, TokenResponse};
#[cfg(feature = "testing")]
pub(crate) use user_table::Table;

use crate::domain::ids::IdSource;
use crate::domain::scope::ScopeCatalogueError;
use crate::domain::{MasterKey, Rng, SystemRng};
use crate::settings::Settings;
pub use crate::store::StoreError;
use crate::store::{Store, WatchGuard};

/// Stored hashes that show what checking one costs: the oldest and the newest so many.
const HASH_SAMPLE: u64 = 500;

/// The authentication service, whatever its users are. Cheap to clone. Applications hold a [`Mapae`].
#[derive(Clone)]
pub struct Service(Arc<Inner>);

struct Inner {
    settings: Settings,
    store: Store,
    clock: Arc<dyn Clock>,
    ids: IdSource,
    passwords: Passwords,
    throttle: throttle::Throttle,
    directory: Directory,
    hooks: Arc<dyn DynHooks>,
    keys: Keys,
    verifier: mapae_verify::Verifier,
    blocked_origins: Noted,
    feed: feed::FeedCache,
    waiting: audit::Waiting,
    /// What is known of sessions.
    grounds: grounds::KnownGrounds,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mapae")
    }
}

/// What a service is made of.
struct Parts {
    store: Store,
    settings: Settings,
    clock: Arc<dyn Clock>,
    directory: Directory,
    hooks: Arc<dyn DynHooks>,
}

impl Parts {
    /// With accounts of its own, and no hooks.
    fn new(store: Store, settings: Settings, clock: Arc<dyn Clock>) -> Self {
        Self { store, settings, clock, directory: Directory::Own, hooks: Arc::new(()) }
    }
}

/// Why the service cannot start. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database was made with another master key.
    #[error(
        "this master key is not the one that the database was made with: bring the right one (master.key in the data \
         directory, or MAPAE_MASTER_KEY), for example from the backup, or the one that `mapae secret rotate` has put in \
         its place"
    )]
    WrongMasterKey,
    /// The key that this process was started with was given up as leaked, and replaced.
    #[error("the master key was replaced after a leak: start again with the new one")]
    MasterKeyLeaked,
    /// The shared secret was given up as leaked.
    #[error(
        "SECRET_KEY, or one of old_secret_keys, was given up as leaked: set SECRET_KEY to what `mapae secret generate` \
         prints, and do not keep the leaked one among the old"
    )]
    SecretLeaked,
    /// A setting names a scope that nobody declared.
    #[error("default scopes: {0}")]
    Scopes(#[from] ScopeCatalogueError),
    /// The configured key or algorithm cannot be used.
    #[error("the signing key cannot be used: {0}")]
    Key(#[from] mapae_verify::KeyError),
    /// The password hashing settings cannot be used.
    #[error("the password hashing settings cannot be used: {0}")]
    Hashing(mapae_password::HashError),
    /// A shared table's hashes must be readable without a key of ours.
    #[error(
        "a pepper cannot be used together with another application's user table, which could not check such hashes: \
         leave one of the two out"
    )]
    Pepper,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Service {
    /// Starts the service on an open store. Signing keys that are missing are made, and those of another algorithm
    /// than the configured one are retired.
    ///
    /// # Errors
    /// [`StartError`]; its text says what to do.
    pub async fn start(
        store: Store,
        settings: Settings,
        master_key: MasterKey,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        Self::open(Parts::new(store, settings, clock), master_key, false).await
    }

    /// Works on the database of a server that may be running, with its keys as they are: for the command line.
    ///
    /// # Errors
    /// [`StartError`]; its text says what to do.
    pub async fn attach(
        store: Store,
        settings: Settings,
        master_key: MasterKey,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        Self::open(Parts::new(store, settings, clock), master_key, true).await
    }

    async fn open(parts: Parts, master_key: MasterKey, attach: bool) -> Result<Self, StartError> {
        let Parts { store, settings, clock, directory, hooks } = parts;
        let rng: Arc<dyn Rng> = Arc::new(SystemRng);
        let ids = IdSource::new(clock.clone(), rng.clone());
        settings.scopes.check(&settings.default_scopes)?;
        let (context, hmac_key) = (settings.passwords.clone(), settings.password_hmac_key.clone());
        let passwords = Passwords::with_hmac_key(context, settings.hash_pool, rng.clone(), hmac_key)
            .map_err(StartError::Hashing)?;
        let keys = Keys::open(&store, &settings, master_key.clone(), attach, clock.clone(), rng.clone()).await?;
        let throttle =
            throttle::Throttle::open(&store, settings.throttle, &master_key, clock.clone(), rng.as_ref()).await?;
        let directory = match (directory, &settings.mapped_users) {
            (Directory::Own, Some(_)) if !settings.passwords.peppers.is_empty() => return Err(StartError::Pepper),
            (Directory::Own, Some(mapping)) => {
                let mapped = MappedUsers::open(&store, mapping.clone(), &master_key, rng.as_ref()).await?;
                Directory::Mapped(Box::new(mapped))
            }
            (directory, _) => directory,
        };
        let mut builder =
            mapae_verify::VerifierBuilder::rfc9068(keys.shared(), settings.base_url.as_str(), settings.audiences()[0]);
        for audience in settings.audiences().into_iter().skip(1) {
            builder = builder.audience(audience);
        }
        let verifier =
            builder.leeway(settings.leeway).clock(clock.clone()).cache_bytes(settings.token_cache_bytes).build();
        let blocked_origins = Noted::default();
        Ok(Self(Arc::new(Inner {
            settings,
            store,
            clock,
            ids,
            passwords,
            throttle,
            directory,
            hooks,
            keys,
            verifier,
            blocked_origins,
            feed: feed::FeedCache::default(),
            waiting: audit::Waiting::default(),
            grounds: grounds::KnownGrounds::default(),
        })))
    }

    /// Follows what other processes change, removes keys that are gone, measures how late refused sign-ins must be
    /// answered, and gathers what they leave in the audit trail, until the guard is stopped or dropped. A server calls
    /// this once; short commands do without, and then nothing is read from caches.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn watch(&self) -> Result<Background, StoreError> {
        // Before the log is followed, so that no change falls between.
        let changed = self.store().keys_changed();
        let store = self.0.store.watch(self.audit_retention()).await?;
        let service = self.clone();
        let keys = tokio::spawn(async move { service.follow_keys(changed).await });
        let sampled = self.clone();
        let priming = self.0.passwords.prime(async move {
            sampled.sample_hashes(HASH_SAMPLE).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "stored password hashes could not be looked at");
                Vec::new()
            })
        });
        let priming = priming.await;
        let (priming_handle, signing) = (priming.abort_handle(), self.clone());
        let warming = tokio::spawn(async move {
            // Not beside the hashes: whoever starts with one core would wait for both.
            let _ = priming.await;
            signing.warm_up().await;
        });
        let tasks = [keys.abort_handle(), priming_handle, warming.abort_handle()];
        Ok(Background { _store: store, tasks, audit: Some(self.write_audit()), service: self.clone() })
    }

    /// Signs something once. The first signature of a process seeds AWS-LC's generator, which takes 40 ms: here nobody waits
    /// for that, and no thread that serves requests is held up.
    async fn warm_up(&self) {
        if let Some(key) = self.0.keys.active() {
            let _ = tokio::task::spawn_blocking(move || key.sign_bytes(b"")).await;
        }
    }

    /// The settings that the service runs with.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// What decides whether a token is to be believed, sessions and accounts aside.
    pub fn verifier(&self) -> &mapae_verify::Verifier {
        &self.0.verifier
    }

    /// Whether the other one is a clone of this one.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn passwords(&self) -> &Passwords {
        &self.0.passwords
    }

    /// How many password checks and hashes were computed since the start.
    pub fn hashes_computed(&self) -> u64 {
        self.0.passwords.computed()
    }

    fn hooks(&self) -> &dyn DynHooks {
        self.0.hooks.as_ref()
    }

    pub(crate) fn ids(&self) -> &IdSource {
        &self.0.ids
    }

    /// Origins whose pages called in vain and that the log names already.
    pub(crate) fn blocked_origins(&self) -> &Noted {
        &self.0.blocked_origins
    }

    /// How long rows of the audit trail are kept; `None` for good.
    fn audit_retention(&self) -> Option<TimeDelta> {
        let days = self.settings().audit_retention_days;
        (days > 0).then(|| TimeDelta::days(days.into()))
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        crate::store::now_utc(self.0.clock.as_ref())
    }
}

/// Keeps the service's background work running.
#[derive(Debug)]
pub struct Background {
    _store: WatchGuard,
    tasks: [tokio::task::AbortHandle; 3],
    audit: Option<AuditWriter>,
    service: Service,
}

impl Background {
    /// Stops it, when everything that waited for the audit trail is written, and what is counted of sign-ins. Dropping it
    /// writes that too, without anybody who waits: the database may be closed by then.
    pub async fn stop(mut self) {
        self.service.0.throttle.settle().await;
        if let Some(audit) = self.audit.take() {
            audit.stop().await;
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
