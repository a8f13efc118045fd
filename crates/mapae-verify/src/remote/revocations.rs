//! The feed of an issuer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::runtime::Handle as Runtime;
use tokio::task::AbortHandle;

use super::connection::{Connection, RemoteError};
use super::fetch::FetchError;
use super::poll::{self, FeedKeys};
use super::schedule::Schedule;
use super::shared::{Reason, Shared};
use crate::revocations::{Feed, MAX_FEED_LENGTH};
use crate::{Clock, RegisteredView, Revocations, SystemClock, TokenError};

const INTERVAL: Duration = Duration::from_secs(5);
const KEPT: Duration = Duration::from_secs(300);

/// What happens to good tokens while the feed of revocations cannot be fetched, once the last one is too old.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailureMode {
    /// They are refused, with [`TokenError::Unavailable`]: nobody who was logged out gets in.
    #[default]
    Closed,
    /// They are believed unless the last feed revokes them: nobody is kept out because the issuer is away.
    Open,
}

/// The revocations of an issuer, kept up to date in the background. Clones share them; when the last one is dropped,
/// verifiers included, the background task stops.
///
/// As [`Revocations`] of a verifier that never waits, it revokes every token where [`FailureMode::Closed`] refuses it.
#[derive(Clone)]
pub struct RemoteRevocations(Arc<Handle>);

struct Handle {
    state: Arc<State>,
    task: AbortHandle,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What requests and the background task share.
pub(super) struct State {
    pub(super) shared: Shared,
    pub(super) feed: ArcSwapOption<Feed>,
    pub(super) issuer: String,
    /// For how long a feed counts that cannot be fetched anew.
    pub(super) kept: Duration,
    pub(super) failure_mode: FailureMode,
}

impl RemoteRevocations {
    /// Begins to fetch the feed at `url`, with the defaults of [`RemoteRevocationsBuilder`]. Does not wait for it.
    /// `issuer` is whose feed it must be, `keys` may sign it: [`RemoteKeys`](super::RemoteKeys) or some that are at
    /// hand.
    ///
    /// # Errors
    /// As [`RemoteRevocationsBuilder::start`].
    pub fn start(
        url: impl Into<String>,
        issuer: impl Into<String>,
        keys: impl Into<FeedKeys>,
    ) -> Result<Self, RemoteError> {
        Self::builder(url, issuer, keys).start()
    }

    /// Settings for the feed at `url`; see [`Self::start`].
    pub fn builder(
        url: impl Into<String>,
        issuer: impl Into<String>,
        keys: impl Into<FeedKeys>,
    ) -> RemoteRevocationsBuilder {
        RemoteRevocationsBuilder::new(url.into(), issuer.into()).keys(keys)
    }

    /// Waits until there is a feed; for programs that do not want to start without it.
    ///
    /// # Errors
    /// Why it could not be fetched just now. The background task goes on trying.
    pub async fn ready(&self) -> Result<(), FetchError> {
        self.0.state.shared.ready().await
    }

    /// The last feed that was fetched, however old.
    #[must_use]
    pub fn feed(&self) -> Option<Arc<Feed>> {
        self.0.state.feed.load_full()
    }

    /// Whether tokens can be judged now. Never waits.
    pub(super) fn check(&self) -> Result<(), TokenError> {
        let state = &self.0.state;
        match state.failure_mode {
            FailureMode::Closed if !state.shared.is_fresh() => Err(TokenError::Unavailable),
            FailureMode::Closed | FailureMode::Open => Ok(()),
        }
    }

    /// The same after waiting for a feed, where there is none yet.
    pub(super) async fn wait(&self) -> Result<(), TokenError> {
        let shared = &self.0.state.shared;
        let seen = shared.finished();
        let is_missing = match self.0.state.failure_mode {
            FailureMode::Closed => !shared.is_fresh(),
            FailureMode::Open => seen == 0,
        };
        if !is_missing {
            return Ok(());
        }
        shared.fetched(Reason::Nothing, seen).await;
        self.check()
    }

    /// The revocations without regard to their age.
    pub(super) fn last(&self) -> Arc<dyn Revocations> {
        Arc::clone(&self.0.state) as Arc<dyn Revocations>
    }
}

impl Revocations for State {
    fn is_revoked(&self, claims: &RegisteredView<'_>) -> bool {
        self.feed.load().as_ref().is_some_and(|feed| feed.entries.is_revoked(claims))
    }
}

impl Revocations for RemoteRevocations {
    fn is_revoked(&self, claims: &RegisteredView<'_>) -> bool {
        self.check().is_err() || self.0.state.is_revoked(claims)
    }
}

impl fmt::Debug for RemoteRevocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let feed = self.feed();
        let (seq, entries) = (feed.as_ref().map(|feed| feed.seq), feed.as_ref().map(|feed| feed.entries.len()));
        f.debug_struct("RemoteRevocations").field("seq", &seq).field("entries", &entries).finish_non_exhaustive()
    }
}

/// Makes [`RemoteRevocations`]; from [`RemoteRevocations::builder`].
#[must_use]
pub struct RemoteRevocationsBuilder {
    pub(super) connection: Connection,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) keys: Option<FeedKeys>,
    issuer: String,
    interval: Duration,
    kept: Duration,
    failure_mode: FailureMode,
}

impl RemoteRevocationsBuilder {
    pub(super) fn new(url: String, issuer: String) -> Self {
        Self {
            connection: Connection::new(url, MAX_FEED_LENGTH),
            clock: Arc::new(SystemClock),
            keys: None,
            issuer,
            interval: INTERVAL,
            kept: KEPT,
            failure_mode: FailureMode::default(),
        }
    }

    /// Fetches from this address instead.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.connection.url = url.into();
        self
    }

    /// The keys that may sign the feed.
    pub fn keys(mut self, keys: impl Into<FeedKeys>) -> Self {
        self.keys = Some(keys.into());
        self
    }

    /// Asks this often (0.1 s at least); 5 s unless set. After a failure it is tried again after 1 s, then more rarely,
    /// up to this.
    pub const fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How long the last feed counts while it cannot be fetched anew; 5 minutes unless set.
    pub const fn keep_for(mut self, time: Duration) -> Self {
        self.kept = time;
        self
    }

    /// What happens after that; [`FailureMode::Closed`] unless set.
    pub const fn failure_mode(mut self, mode: FailureMode) -> Self {
        self.failure_mode = mode;
        self
    }

    /// How long a fetch may take in all; 10 s unless set. A request that has to wait for the feed waits no longer.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.connection.timeout = timeout;
        self
    }

    /// Allows `http` to other machines too, as in a private network that is itself protected. The feed is signed, but
    /// whoever can hold it back can keep a revocation from here for as long as [`Self::keep_for`] says, or for good
    /// with [`FailureMode::Open`].
    pub const fn allow_plain_http(mut self) -> Self {
        self.connection.is_plain_http_allowed = true;
        self
    }

    /// Trusts this certificate authority (PEM) besides those of the system.
    pub fn root_certificate(mut self, pem: impl Into<String>) -> Self {
        self.connection.root_certificates.push(pem.into());
        self
    }

    /// Where the time comes from that says how old the feed is; the system's clock unless set.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Begins to fetch in the background, in the Tokio runtime that this is called in. Does not wait for the feed.
    ///
    /// # Errors
    /// When the URL or a certificate cannot be used, or outside a Tokio runtime.
    pub fn start(self) -> Result<RemoteRevocations, RemoteError> {
        let runtime = Runtime::try_current().map_err(|_| RemoteError::NoRuntime)?;
        let fetcher = self.connection.fetcher(1)?;
        let (shared, ends) = Shared::new(self.clock, Duration::ZERO);
        let state = State {
            shared,
            feed: ArcSwapOption::empty(),
            issuer: self.issuer,
            kept: self.kept,
            failure_mode: self.failure_mode,
        };
        let state = Arc::new(state);
        let schedule = Schedule { interval: Some(self.interval) };
        let keys = self.keys.unwrap_or_default();
        let task = runtime.spawn(poll::run(Arc::clone(&state), keys, fetcher, schedule, ends));
        Ok(RemoteRevocations(Arc::new(Handle { state, task: task.abort_handle() })))
    }
}

impl fmt::Debug for RemoteRevocationsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteRevocationsBuilder")
            .field("issuer", &self.issuer)
            .field("interval", &self.interval)
            .field("failure_mode", &self.failure_mode)
            .finish_non_exhaustive()
    }
}
