//! From plain settings to a running service.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use mapae_verify::{Clock, DeclaredKind, DeclaredScope};

use super::account::Account;
use super::directory::{Directory, UserRows};
use super::hooks::{DynHooks, Hooks};
use super::user_store::{UserStore, UserTable};
use super::user_table::Table;
use super::{Mapae, Parts, Service, StartError};
use crate::domain::scope::ScopeCatalogueError;
use crate::domain::{BaseUrl, MasterKey, User, UserMapping};
use crate::settings::{Settings, Signup};
use crate::store::{DatabaseOptions, Migrate, NodeClock, OpenError, Store};

/// The settings of a service, begun by [`Mapae::builder`]. Reads neither environment nor files: what is not given here
/// is as [`Settings::new`] has it.
///
/// ```no_run
/// use mapae::domain::{BaseUrl, MasterKey};
/// use mapae::Mapae;
///
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// let mapae = Mapae::builder(BaseUrl::parse("https://api.example.com")?)
///     .database("sqlite://app.db")
///     .master_key(MasterKey::new(std::fs::read("master.key")?)?)
///     .build()
///     .await?;
/// // Follows what other processes change; keep it as long as you serve.
/// let _background = mapae.watch().await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "it does nothing until it is built"]
pub struct Builder<U: Account = User> {
    settings: Settings,
    place: Option<Place>,
    migrate: Migrate,
    master_key: Option<MasterKey>,
    /// The node's own unless another is given.
    clock: Option<Arc<dyn Clock>>,
    hooks: Arc<dyn DynHooks>,
    table: Option<Arc<dyn Table>>,
    staleness: Duration,
    scope_error: Option<ScopeCatalogueError>,
    users: PhantomData<fn() -> U>,
}

/// Where the tables are.
enum Place {
    Url(DatabaseOptions),
    Store(Store),
}

/// Why a service was not built. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No database was named.
    #[error("name the database of the service's own tables: .database(\"sqlite://app.db\") or .store(…)")]
    NoDatabase,
    /// No master key was given.
    #[error(
        "give the master key, which wraps the secrets in the database: .master_key(…) with 32 random bytes that stay \
         the same from start to start, as `mapae secret generate` makes them"
    )]
    NoMasterKey,
    /// A scope cannot be declared.
    #[error(transparent)]
    Scope(#[from] ScopeCatalogueError),
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The service cannot start.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl Builder {
    pub(super) fn new(base_url: BaseUrl) -> Self {
        Self {
            settings: Settings::new(base_url),
            place: None,
            // An application has tables of its own in the same database.
            migrate: Migrate::Adopt,
            master_key: None,
            clock: None,
            hooks: Arc::new(()),
            table: None,
            staleness: Duration::ZERO,
            scope_error: None,
            users: PhantomData,
        }
    }

    /// Accounts are in this table of another application, in the same database as this service's own tables. New hashes
    /// are written as the settings' `passwords` say, in a format that the other application reads.
    pub fn mapped_users(mut self, mapping: UserMapping) -> Self {
        self.settings.mapped_users = Some(mapping);
        self
    }

    /// Accounts are in the application's own table.
    pub fn users<S: UserStore>(self, table: impl Into<UserTable<S>>) -> Builder<S::User> {
        let Self { settings, place, migrate, master_key, clock, hooks, staleness, scope_error, .. } = self;
        let table = Some(Arc::new(table.into()) as Arc<dyn Table>);
        let users = PhantomData;
        Builder { settings, place, migrate, master_key, clock, hooks, table, staleness, scope_error, users }
    }
}

impl<U: Account> Builder<U> {
    /// The database of this service's own tables, all named `mapae_…`; it may be the application's. A SQLite file is made
    /// if it is missing; the tables are brought up to date.
    pub fn database(mut self, database: impl Into<DatabaseOptions>) -> Self {
        self.place = Some(Place::Url(database.into()));
        self
    }

    /// The same, opened already.
    pub fn store(mut self, store: Store) -> Self {
        self.place = Some(Place::Store(store));
        self
    }

    /// What [`Self::database`] may do about tables that are missing or not up to date; whatever is needed unless set.
    pub const fn migrate(mut self, migrate: Migrate) -> Self {
        self.migrate = migrate;
        self
    }

    /// The key that wraps the secrets in the database. It must be the same at every start.
    pub fn master_key(mut self, key: MasterKey) -> Self {
        self.master_key = Some(key);
        self
    }

    /// Declares a scope.
    pub fn scope<S: DeclaredScope>(mut self) -> Self {
        if let Err(error) = self.settings.scopes.declare_type::<S>() {
            self.scope_error.get_or_insert(error);
        }
        self
    }

    /// Declares a kind of thing, for which administrators may then have tokens minted. Who else may is for
    /// [`Hooks::may_speak_for`] to say.
    pub fn subject_kind<K: DeclaredKind>(mut self) -> Self {
        self.settings.subject_kinds.insert(K::KIND.to_owned());
        self
    }

    /// Who may make an account over HTTP; nobody unless set.
    pub fn signup(mut self, signup: Signup) -> Self {
        self.settings.signup = signup;
        self
    }

    /// Changes any of the settings.
    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Code that runs when something happens to an account.
    pub fn hooks(mut self, hooks: impl Hooks) -> Self {
        self.hooks = Arc::new(hooks);
        self
    }

    /// The clock; unless set the system's, or on PostgreSQL that of the database's server ([`NodeClock`]).
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// How long a row of the application's own table may be used without asking the table again; not at all unless set.
    /// Until then a user whom the application itself disables is let in, unless it calls [`Mapae::invalidate`].
    pub const fn remember_users(mut self, staleness: Duration) -> Self {
        self.staleness = staleness;
        self
    }

    /// Opens the database and starts the service on it.
    ///
    /// # Errors
    /// [`BuildError`]; its text says what to do.
    pub async fn build(self) -> Result<Mapae<U>, BuildError> {
        if let Some(error) = self.scope_error {
            return Err(error.into());
        }
        let master_key = self.master_key.ok_or(BuildError::NoMasterKey)?;
        let own = Arc::new(NodeClock::default());
        let clock = self.clock.clone().unwrap_or_else(|| own.clone());
        let store = match self.place.ok_or(BuildError::NoDatabase)? {
            Place::Store(store) => store,
            Place::Url(options) => Store::open(options, true, self.migrate, Arc::clone(&clock)).await?,
        };
        if self.clock.is_none() {
            store.keep_time(own).await.map_err(StartError::from)?;
        }
        let directory = match self.table {
            None => Directory::Own,
            Some(table) => Directory::Table(UserRows::new(table, self.staleness)),
        };
        let parts = Parts { store, settings: self.settings, clock, directory, hooks: self.hooks };
        Ok(Mapae(U::authority(Service::open(parts, master_key, false).await?)))
    }
}

impl<U: Account> std::fmt::Debug for Builder<U> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("settings", &self.settings).finish_non_exhaustive()
    }
}
