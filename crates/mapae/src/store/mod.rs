//! Durable state: one body of code over SeaORM. The only place that names the ORM.
//!
//! Reads take `&Store`; writes take a [`Tx`], so that what belongs together is committed together. Every change to
//! something that is cached leaves a row for other processes in the same transaction.

mod audit;
mod cache;
mod check;
mod clients;
mod copy;
mod data_keys;
mod engine;
mod entity;
mod error;
mod import;
mod keyed;
mod keys;
mod mapped_check;
mod mapped_list;
mod mapped_names;
mod mapped_table;
mod mapped_users;
mod mapped_writes;
mod migrations;
mod minted;
mod node_clock;
mod open;
mod options;
mod pools;
mod revocations;
mod seen;
mod sessions;
mod snapshot;
mod tables;
mod throttle;
mod tickets;
mod tidy;
mod user_source;
mod users;
mod watch;

use std::path::Path;
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};
use mapae_verify::Clock;
use metrics::counter;
use sea_orm::{ActiveValue::Set, DbErr, EntityTrait};
use tokio::sync::watch as watch_channel;
use tracing::Span;

pub use audit::Stamped;
use cache::Cache;
pub use check::{HashProblem, Judge, RowFault};
pub use clients::RegisteredClient;
pub use copy::{Copied, CopiedTable, CopyError, CopyProgress, CopyStep};
pub use data_keys::DataKey;
use engine::{Connections, LimitedPool, LimitedTransaction, Turn};
pub use error::{OpenError, StoreError};
pub use import::{Identity, ImportedUser};
pub use mapped_check::{TableColumn, TableShape};
use mapped_table::ColumnTypes;
pub use mapped_users::MappedUser;
pub use mapped_writes::NewMappedUser;
pub use node_clock::NodeClock;
pub use open::{Migrate, SchemaStatus};
pub use options::{DatabaseOptions, without_password};
pub use pools::Pool;
pub use revocations::{NewRevocation, Revocation, RevokedKind};
pub use sessions::{Advance, Sessions};
pub use snapshot::Snapshot;
pub use tables::TableSum;
pub use user_source::{SourceAccount, SourceUser, UserSource};
pub use users::{Credential, Login, Taken, UserPage};
use watch::LastLook;
pub use watch::WatchGuard;

use crate::TRACES;
use crate::domain::audit::Event;
use crate::domain::ids::{IdSource, RisingIds};
use crate::domain::{SystemRng, UserId};

/// A thing that was changed and may be cached somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    User(String),
    Session(String),
    /// One revoked token, by its `jti`.
    Token(String),
    Client(String),
    SigningKeys,
}

impl Change {
    fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Session(_) => "session",
            Self::Token(_) => "token",
            Self::Client(_) => "client",
            Self::SigningKeys => "signing-keys",
        }
    }

    fn subject(&self) -> &str {
        match self {
            Self::User(id) | Self::Session(id) | Self::Token(id) | Self::Client(id) => id,
            Self::SigningKeys => "",
        }
    }
}

/// The database, its caches, and the watch over changes that other processes make. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    connections: Connections,
    /// That of `connections`.
    read: LimitedPool,
    clock: Arc<dyn Clock>,
    audit_ids: RisingIds,
    cache: Cache,
    last_look: LastLook,
    keys_changed: watch_channel::Sender<u64>,
    /// Kept to the database's time.
    node_clock: OnceLock<Arc<NodeClock>>,
    /// Of the one table of another application that accounts may be in.
    mapped_types: OnceLock<ColumnTypes>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    /// Opens a database, makes its file when `create`, and brings its schema up to date as `migrate` allows.
    ///
    /// # Errors
    /// [`OpenError`]; its text says what to do.
    pub async fn open(
        database: impl Into<DatabaseOptions>,
        create: bool,
        migrate: Migrate,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let connections = open::open(&database.into(), create, migrate).await?;
        Ok(Self(Arc::new(Inner {
            read: connections.read.clone(),
            connections,
            audit_ids: RisingIds::new(IdSource::new(clock.clone(), Arc::new(SystemRng))),
            clock,
            cache: Cache::new(),
            last_look: LastLook::default(),
            keys_changed: watch_channel::Sender::new(0),
            node_clock: OnceLock::new(),
            mapped_types: OnceLock::new(),
        })))
    }

    /// Applies missing migrations and reports what was there and what was missing before.
    ///
    /// # Errors
    /// [`OpenError`]; its text says what to do.
    pub async fn migrate(
        database: impl Into<DatabaseOptions>,
        create: bool,
        migrate: Migrate,
    ) -> Result<SchemaStatus, OpenError> {
        open::migrate(&database.into(), create, migrate).await
    }

    /// Writes a copy of a SQLite database, as of one moment, into an empty file, while others write to the database. The
    /// copy is not on disk yet when this returns: sync it.
    ///
    /// # Errors
    /// [`OpenError`]; its text says what to do.
    pub async fn back_up(database: impl Into<DatabaseOptions>, into: &Path) -> Result<(), OpenError> {
        open::back_up(&database.into(), into).await
    }

    /// The SQL that [`Self::migrate`] would run, and the schema's state; changes nothing.
    ///
    /// # Errors
    /// [`OpenError`] if the database cannot be read.
    pub async fn migration_sql(database: impl Into<DatabaseOptions>) -> Result<String, OpenError> {
        open::pending_sql(&database.into()).await
    }

    /// Keeps this clock to the time of the database's server, from now on and with every look of [`Self::watch`]. On SQLite
    /// it stays the system's.
    ///
    /// # Errors
    /// [`StoreError`] if the server does not say its time.
    pub async fn keep_time(&self, clock: Arc<NodeClock>) -> Result<(), StoreError> {
        // One is kept; another would be a mistake of whoever calls.
        let _ = self.0.node_clock.set(clock);
        self.read_server().await.map(drop)
    }

    /// Which database the server has now; its time is taken over.
    async fn read_server(&self) -> Result<Option<String>, StoreError> {
        let asked = node_clock::monotonic_millis();
        let Some(now) = self.0.connections.engine.server_now(&self.0.connections.watch).await? else { return Ok(None) };
        if let Some(clock) = self.0.node_clock.get() {
            clock.set(now.millis, asked, node_clock::monotonic_millis());
        }
        Ok(Some(now.database))
    }

    /// Asks the engine for a look at its own structures (`PRAGMA integrity_check`); the problems found.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be asked.
    pub async fn check_integrity(&self) -> Result<Vec<String>, StoreError> {
        self.0.connections.engine.check_integrity(&self.0.read).await
    }

    /// Whether the database takes writes, which a stand-by does not.
    ///
    /// # Errors
    /// [`StoreError`] if it does not answer.
    pub async fn takes_writes(&self) -> Result<bool, StoreError> {
        self.0.connections.engine.takes_writes(&self.0.read).await
    }

    /// Closes every connection; on SQLite this folds the write-ahead log into the database file.
    pub async fn close(&self) {
        self.0.connections.close().await;
    }

    /// Begins a write transaction; dropping it undoes everything. See [`Tx`] for what others may do meanwhile.
    ///
    /// # Errors
    /// [`StoreError`] if the writer, or a connection that may write, is not free in time.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        self.begun(self.0.connections.begin()).await
    }

    /// As [`Self::begin`], for a short transaction that waits for nothing but the database, and that many do at once. On
    /// SQLite it shares one sync of the disk with others, and sees what those before it did, which is not durable yet. So
    /// whoever hands out what it saw commits first, even where it changed nothing. One that stands still is undone.
    ///
    /// # Errors
    /// [`StoreError`] if the writer, or a connection that may write, is not free in time.
    pub async fn begin_in_group(&self) -> Result<Tx, StoreError> {
        self.begun(self.0.connections.begin_in_group()).await
    }

    async fn begun(&self, begin: impl Future<Output = Result<LimitedTransaction, DbErr>>) -> Result<Tx, StoreError> {
        let span = tracing::trace_span!(target: TRACES, "transaction", committed = false);
        let inner = begin.await?;
        Ok(Tx { inner, store: self.clone(), changes: Vec::new(), revoked: Vec::new(), recorded: Vec::new(), span })
    }

    /// As [`Self::begin`], for what others queue behind: a statement that is not answered is given up sooner.
    ///
    /// # Errors
    /// [`StoreError`] if the writer, or a connection that may write, is not free in time.
    pub async fn begin_brief(&self) -> Result<Tx, StoreError> {
        let mut tx = self.begin().await?;
        tx.inner.be_brief();
        Ok(tx)
    }

    /// Woken when a signing key changed, here or in another process.
    pub(crate) fn keys_changed(&self) -> watch_channel::Receiver<u64> {
        self.0.keys_changed.subscribe()
    }

    fn now(&self) -> DateTime<Utc> {
        now_utc(self.0.clock.as_ref())
    }

    /// Drops what changed from this process's caches.
    fn apply(&self, change: &Change) {
        match change {
            Change::User(id) => self.0.cache.forget_user(id),
            Change::Session(id) => self.0.cache.forget_session(id),
            Change::Token(jti) => self.0.cache.add_revoked_token(jti),
            Change::Client(id) => self.0.cache.forget_client(id),
            Change::SigningKeys => {
                self.0.cache.forget_nothing();
                self.0.keys_changed.send_modify(|count| *count += 1);
            }
        }
    }
}

/// The clock's time with millisecond precision.
pub(crate) fn now_utc(clock: &dyn Clock) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(clock.now_millis()).unwrap_or(DateTime::UNIX_EPOCH)
}

/// A write transaction. Commit it, or everything in it is undone.
///
/// On SQLite there is one at a time. On PostgreSQL they run side by side, on whatever node, and each statement sees what
/// was committed before it (`READ COMMITTED`). So that both come to the same:
///
/// - [`Self::user`], [`Self::credential`] and [`Self::signing_keys`] lock what they read until the end: nobody else
///   changes it meanwhile, and a sign-in and the disabling of the account happen one after the other.
///   [`Self::mapped_user`] does so among the nodes of this service; of the other application's changes its fingerprint
///   tells.
/// - [`Self::client`] keeps the client from being removed; [`Self::client_to_change`] locks it.
/// - What is consumed or advanced is written on condition, and the answer says whether it was.
/// - Names that two want are told apart by unique indexes ([`StoreError::UsernameTaken`]).
/// - Locks are taken in one order, accounts (by id) before clients before sessions (by id) before keys, so that no two
///   wait for each other. Where two do all the same, one fails with [`StoreError::Conflict`] and may be tried again.
/// - What other processes must hear of, and revocations, are written by [`Self::commit`], last of all. Revocations are
///   numbered one transaction at a time, so that they come to sight in the order of their numbers.
#[must_use = "dropping a transaction undoes it"]
pub struct Tx {
    inner: LimitedTransaction,
    store: Store,
    changes: Vec<Change>,
    revoked: Vec<NewRevocation>,
    recorded: Vec<Event>,
    /// It ends with the transaction.
    span: Span,
}

impl Tx {
    /// Makes everything in this transaction durable, then drops what changed from this process's caches.
    ///
    /// # Errors
    /// [`StoreError`] if the database refuses; then nothing of it happened, unless the connection was lost on the way or
    /// no answer came in time.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        self.write_revocations().await?;
        self.write_changes().await?;
        self.inner.commit().await?;
        self.span.record("committed", true);
        for change in &self.changes {
            self.store.apply(change);
        }
        for event in &self.recorded {
            counter!("mapae_events_total", "event" => event.as_str()).increment(1);
        }
        Ok(())
    }

    fn now(&self) -> DateTime<Utc> {
        self.store.now()
    }

    /// Waits for its turn, which lasts until the end of this transaction.
    async fn take_turn(&self, turn: Turn<'_>) -> Result<(), StoreError> {
        Ok(self.store.0.connections.engine.take_turn(turn, &self.inner).await?)
    }

    /// Notes that an account of the application's own table changed.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub(crate) async fn user_changed(&mut self, id: &UserId) -> Result<(), StoreError> {
        self.changed(Change::User(id.to_string())).await
    }

    /// Notes a change for every process's cache.
    async fn changed(&mut self, change: Change) -> Result<(), StoreError> {
        self.changed_all(vec![change]).await
    }

    /// Notes several changes at once.
    async fn changed_all(&mut self, changes: Vec<Change>) -> Result<(), StoreError> {
        self.changes.extend(changes);
        Ok(())
    }

    /// Writes what changed into the log that every process reads.
    async fn write_changes(&mut self) -> Result<(), StoreError> {
        let now = self.now();
        // Statements have a limited number of parameters.
        for some in self.changes.chunks(1_000) {
            let rows = some.iter().map(|change| entity::invalidation::ActiveModel {
                kind: Set(change.kind().to_owned()),
                subject: Set(change.subject().to_owned()),
                created_at: Set(now),
                ..Default::default()
            });
            entity::invalidation::Entity::insert_many(rows).exec_without_returning(&self.inner).await?;
        }
        if !self.changes.is_empty() {
            self.store.0.connections.engine.announce(&self.inner).await?;
        }
        Ok(())
    }
}
