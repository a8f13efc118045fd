//! Where to fetch from, and how much is believed of who answers there.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Url};

use super::fetch::Fetcher;

const TIMEOUT: Duration = Duration::from_secs(10);

/// Why nothing can be fetched as configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// Not an absolute `http` or `https` URL, or one with a user name or password.
    #[error("not a URL to fetch from: it must be absolute, begin with https:// and hold no password")]
    InvalidUrl,
    /// `http` to another machine: whoever is on the way could bring his own keys.
    #[error("what tokens are checked with must come over https, or over http from this machine")]
    NotEncrypted,
    /// The certificate is not PEM, or TLS cannot be set up here.
    #[error("TLS: {0}")]
    Tls(String),
    /// Not called within a Tokio runtime.
    #[error("fetching goes on in the background, which needs a Tokio runtime")]
    NoRuntime,
}

/// The settings of everything that is fetched.
pub(super) struct Connection {
    pub(super) url: String,
    pub(super) timeout: Duration,
    pub(super) max_bytes: usize,
    pub(super) is_plain_http_allowed: bool,
    pub(super) root_certificates: Vec<String>,
}

impl Connection {
    pub(super) const fn new(url: String, max_bytes: usize) -> Self {
        Self { url, timeout: TIMEOUT, max_bytes, is_plain_http_allowed: false, root_certificates: Vec::new() }
    }

    /// Keeps so many idle connections for the next fetch.
    pub(super) fn fetcher(&self, idle: usize) -> Result<Fetcher, RemoteError> {
        let url = self.checked_url()?;
        let client = self.client(&url, idle)?;
        Ok(Fetcher { client, url, max_bytes: self.max_bytes })
    }

    fn checked_url(&self) -> Result<Url, RemoteError> {
        let url = Url::parse(&self.url).map_err(|_| RemoteError::InvalidUrl)?;
        let host = url.host_str().ok_or(RemoteError::InvalidUrl)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(RemoteError::InvalidUrl);
        }
        match url.scheme() {
            "https" => Ok(url),
            "http" if self.is_plain_http_allowed || is_this_machine(host) => Ok(url),
            "http" => Err(RemoteError::NotEncrypted),
            _ => Err(RemoteError::InvalidUrl),
        }
    }

    fn client(&self, url: &Url, idle: usize) -> Result<Client, RemoteError> {
        let certificates = self.root_certificates.iter().map(|pem| {
            let bundle = Certificate::from_pem_bundle(pem.as_bytes()).map_err(tls)?;
            if bundle.is_empty() { Err(RemoteError::Tls("no certificate in the PEM".to_owned())) } else { Ok(bundle) }
        });
        let certificates = certificates.collect::<Result<Vec<_>, _>>()?.into_iter().flatten();
        let builder = Client::builder()
            .user_agent(concat!("mapae-verify/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            // A library reads no environment.
            .no_proxy()
            .timeout(self.timeout)
            .pool_max_idle_per_host(idle);
        // Without TLS, the system's certificates are neither needed nor required to exist.
        let is_plain = url.scheme() == "http";
        let builder = if is_plain { builder.tls_certs_only([]) } else { builder.tls_certs_merge(certificates) };
        builder.build().map_err(tls)
    }
}

fn tls(error: reqwest::Error) -> RemoteError {
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    RemoteError::Tls(cause.unwrap_or_else(|| error.to_string()))
}

/// Whether a URL's host is this machine itself, so that nobody is on the way.
fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
