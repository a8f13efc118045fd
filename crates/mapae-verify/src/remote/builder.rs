//! How keys are to be fetched.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Url};
use tokio::runtime::Handle as Runtime;

use super::fetch::Fetcher;
use super::schedule::Schedule;
use super::shared::Shared;
use super::{Handle, RemoteKeys, task};
use crate::{Clock, SystemClock};

const UNKNOWN_KEY_INTERVAL: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_BYTES: usize = 256 * 1024;

/// Why keys cannot be fetched as configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteKeysError {
    /// Not an absolute `http` or `https` URL, or one with a user name or password.
    #[error("not a URL to fetch keys from: it must be absolute, begin with https:// and hold no password")]
    InvalidUrl,
    /// `http` to another machine: whoever is on the way could bring his own keys.
    #[error("keys must come over https, or over http from this machine")]
    NotEncrypted,
    /// The certificate is not PEM, or TLS cannot be set up here.
    #[error("TLS: {0}")]
    Tls(String),
    /// Not called within a Tokio runtime.
    #[error("keys are fetched in the background, which needs a Tokio runtime")]
    NoRuntime,
}

/// Makes [`RemoteKeys`]; from [`RemoteKeys::builder`].
#[must_use]
pub struct RemoteKeysBuilder {
    url: String,
    schedule: Schedule,
    unknown_key_interval: Duration,
    timeout: Duration,
    max_bytes: usize,
    is_plain_http_allowed: bool,
    root_certificates: Vec<String>,
    clock: Arc<dyn Clock>,
}

impl RemoteKeysBuilder {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            schedule: Schedule { interval: None },
            unknown_key_interval: UNKNOWN_KEY_INTERVAL,
            timeout: TIMEOUT,
            max_bytes: MAX_BYTES,
            is_plain_http_allowed: false,
            root_certificates: Vec::new(),
            clock: Arc::new(SystemClock),
        }
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
        self.timeout = timeout;
        self
    }

    /// The most that an answer may hold, in bytes; 256 KiB unless set.
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Allows `http` to other machines too, as in a private network that is itself protected. Whoever can change what
    /// comes over it can make tokens.
    pub const fn allow_plain_http(mut self) -> Self {
        self.is_plain_http_allowed = true;
        self
    }

    /// Trusts this certificate authority (PEM) besides those of the system.
    pub fn root_certificate(mut self, pem: impl Into<String>) -> Self {
        self.root_certificates.push(pem.into());
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
    pub fn start(self) -> Result<RemoteKeys, RemoteKeysError> {
        let runtime = Runtime::try_current().map_err(|_| RemoteKeysError::NoRuntime)?;
        let url = self.checked_url()?;
        let client = self.client(&url)?;
        let fetcher = Fetcher { client, url, max_bytes: self.max_bytes };
        let (shared, ends) = Shared::new(self.clock, self.unknown_key_interval);
        let shared = Arc::new(shared);
        let task = runtime.spawn(task::run(Arc::clone(&shared), fetcher, self.schedule, ends));
        Ok(RemoteKeys(Arc::new(Handle { shared, task: task.abort_handle() })))
    }

    fn checked_url(&self) -> Result<Url, RemoteKeysError> {
        let url = Url::parse(&self.url).map_err(|_| RemoteKeysError::InvalidUrl)?;
        let host = url.host_str().ok_or(RemoteKeysError::InvalidUrl)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(RemoteKeysError::InvalidUrl);
        }
        match url.scheme() {
            "https" => Ok(url),
            "http" if self.is_plain_http_allowed || is_this_machine(host) => Ok(url),
            "http" => Err(RemoteKeysError::NotEncrypted),
            _ => Err(RemoteKeysError::InvalidUrl),
        }
    }

    fn client(&self, url: &Url) -> Result<Client, RemoteKeysError> {
        let certificates = self.root_certificates.iter().map(|pem| {
            let bundle = Certificate::from_pem_bundle(pem.as_bytes()).map_err(tls)?;
            if bundle.is_empty() {
                Err(RemoteKeysError::Tls("no certificate in the PEM".to_owned()))
            } else {
                Ok(bundle)
            }
        });
        let certificates = certificates.collect::<Result<Vec<_>, _>>()?.into_iter().flatten();
        let builder = Client::builder()
            .user_agent(concat!("mapae-verify/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            // A library reads no environment.
            .no_proxy()
            .timeout(self.timeout)
            // Minutes lie between two fetches: a kept connection would be stale.
            .pool_max_idle_per_host(0);
        // Without TLS, the system's certificates are neither needed nor required to exist.
        let is_plain = url.scheme() == "http";
        let builder = if is_plain { builder.tls_certs_only([]) } else { builder.tls_certs_merge(certificates) };
        builder.build().map_err(tls)
    }
}

fn tls(error: reqwest::Error) -> RemoteKeysError {
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    RemoteKeysError::Tls(cause.unwrap_or_else(|| error.to_string()))
}

/// Whether a URL's host is this machine itself, so that nobody is on the way.
fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

impl fmt::Debug for RemoteKeysBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteKeysBuilder").field("schedule", &self.schedule).finish_non_exhaustive()
    }
}
