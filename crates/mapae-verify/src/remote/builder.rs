//! How keys are to be fetched.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle as Runtime;

use super::connection::{Connection, RemoteError};
use super::keys::{Handle, RemoteKeys};
use super::schedule::Schedule;
use super::shared::Shared;
use super::task;
use crate::{Clock, KeySet, SharedKeys, SystemClock};

const UNKNOWN_KEY_INTERVAL: Duration = Duration::from_secs(10);
const MAX_BYTES: usize = 256 * 1024;

/// Makes [`RemoteKeys`]; from [`RemoteKeys::builder`].
#[must_use]
pub struct RemoteKeysBuilder {
    connection: Connection,
    schedule: Schedule,
    unknown_key_interval: Duration,
    clock: Arc<dyn Clock>,
}

impl RemoteKeysBuilder {
    pub(super) fn new(url: String) -> Self {
        Self {
            connection: Connection::new(url, MAX_BYTES),
            schedule: Schedule { interval: None },
            unknown_key_interval: UNKNOWN_KEY_INTERVAL,
            clock: Arc::new(SystemClock),
        }
    }

    /// Fetches from this address instead.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.connection.url = url.into();
        self
    }

    /// Fetches anew this often (0.1 s at least), whatever the issuer says. Unless set, `Cache-Control: max-age` of its
    /// answer decides, between 30 s and an hour, and 300 s where it says nothing. After a failure it is tried again
    /// after 1 s, then more rarely, up to 30 s.
    pub const fn interval(mut self, interval: Duration) -> Self {
        self.schedule.interval = Some(interval);
        self
    }

    /// The least time between two fetches for the sake of tokens with an unknown `kid`; 10 s unless set.
    pub const fn unknown_key_interval(mut self, interval: Duration) -> Self {
        self.unknown_key_interval = interval;
        self
    }

    /// How long a fetch may take in all; 10 s unless set. A request that has to wait for keys waits no longer.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.connection.timeout = timeout;
        self
    }

    /// The most that an answer may hold, in bytes; 256 KiB unless set.
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.connection.max_bytes = bytes;
        self
    }

    /// Allows `http` to other machines too, as in a private network that is itself protected. Whoever can change what
    /// comes over it can make tokens.
    pub const fn allow_plain_http(mut self) -> Self {
        self.connection.is_plain_http_allowed = true;
        self
    }

    /// Trusts this certificate authority (PEM) besides those of the system.
    pub fn root_certificate(mut self, pem: impl Into<String>) -> Self {
        self.connection.root_certificates.push(pem.into());
        self
    }

    /// Where the time comes from that says how old keys are; the system's clock unless set.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Begins to fetch in the background, in the Tokio runtime that this is called in. Does not wait for the keys.
    ///
    /// # Errors
    /// When the URL or a certificate cannot be used, or outside a Tokio runtime.
    pub fn start(self) -> Result<RemoteKeys, RemoteError> {
        let runtime = Runtime::try_current().map_err(|_| RemoteError::NoRuntime)?;
        // Minutes lie between two fetches: a kept connection would be stale.
        let fetcher = self.connection.fetcher(0)?;
        let (shared, ends) = Shared::new(self.clock, self.unknown_key_interval);
        let (shared, keys) = (Arc::new(shared), SharedKeys::new(KeySet::default()));
        let task = runtime.spawn(task::run(Arc::clone(&shared), keys.clone(), fetcher, self.schedule, ends));
        Ok(RemoteKeys(Arc::new(Handle { shared, keys, task: task.abort_handle() })))
    }
}

impl fmt::Debug for RemoteKeysBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteKeysBuilder").field("schedule", &self.schedule).finish_non_exhaustive()
    }
}
