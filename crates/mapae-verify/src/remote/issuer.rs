//! Keys, revocations and verifier of one issuer at once.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::builder::RemoteKeysBuilder;
use super::connection::RemoteError;
use super::revocations::RemoteRevocationsBuilder;
use super::verifier::RemoteVerifier;
use crate::{Clock, SharedKeys, SystemClock, VerifierBuilder};

const KEYS_PATH: &str = "/.well-known/jwks.json";
const REVOCATIONS_PATH: &str = "/.well-known/revocations";
const CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// Makes a [`RemoteVerifier`]; from [`RemoteVerifier::builder`].
#[must_use]
pub struct RemoteVerifierBuilder {
    issuer: String,
    audience: String,
    keys: RemoteKeysBuilder,
    revocations: Option<RemoteRevocationsBuilder>,
    token_keys: Option<SharedKeys>,
    clock: Arc<dyn Clock>,
}

impl RemoteVerifierBuilder {
    pub(super) fn new(issuer: String) -> Self {
        let base = issuer.trim_end_matches('/');
        let keys = RemoteKeysBuilder::new(format!("{base}{KEYS_PATH}"));
        let revocations = RemoteRevocationsBuilder::new(format!("{base}{REVOCATIONS_PATH}"), issuer.clone());
        Self {
            audience: issuer.clone(),
            issuer,
            keys,
            revocations: Some(revocations),
            token_keys: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// Who this service is: its name among the token's audiences. The issuer itself unless set, as Mapae does.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = audience.into();
        self
    }

    /// Changes how keys are fetched: from `/.well-known/jwks.json` below the issuer, with the defaults of
    /// [`RemoteKeysBuilder`], unless set.
    pub fn keys(mut self, change: impl FnOnce(RemoteKeysBuilder) -> RemoteKeysBuilder) -> Self {
        self.keys = change(self.keys);
        self
    }

    /// Changes how revocations are fetched: from `/.well-known/revocations` below the issuer, with the defaults of
    /// [`RemoteRevocationsBuilder`], unless set.
    pub fn revocations(mut self, change: impl FnOnce(RemoteRevocationsBuilder) -> RemoteRevocationsBuilder) -> Self {
        self.revocations = self.revocations.map(change);
        self
    }

    /// Asks nobody for revocations: every token is good until it expires.
    pub fn without_revocations(mut self) -> Self {
        self.revocations = None;
        self
    }

    /// Checks tokens with these keys, such as the shared secret of an issuer that signs with HS256. What is fetched
    /// then only serves to check the feed of revocations.
    pub fn token_keys(mut self, keys: impl Into<SharedKeys>) -> Self {
        self.token_keys = Some(keys.into());
        self
    }

    /// Allows `http` to other machines too; see [`RemoteKeysBuilder::allow_plain_http`].
    pub fn allow_plain_http(mut self) -> Self {
        self.keys = self.keys.allow_plain_http();
        self.revocations(RemoteRevocationsBuilder::allow_plain_http)
    }

    /// Trusts this certificate authority (PEM) besides those of the system.
    pub fn root_certificate(mut self, pem: impl Into<String>) -> Self {
        let pem = pem.into();
        self.keys = self.keys.root_certificate(pem.clone());
        self.revocations(|settings| settings.root_certificate(pem))
    }

    /// Where the time comes from; the system's clock unless set.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        let clock = Arc::clone(&self.clock);
        self.keys = self.keys.clock(Arc::clone(&clock));
        self.revocations(|settings| settings.clock(clock))
    }

    /// Begins to fetch in the background, in the Tokio runtime that this is called in. Does not wait for it. The
    /// verifier is that of [`VerifierBuilder::rfc9068`], and remembers verified tokens in 16 MiB.
    ///
    /// # Errors
    /// When a URL or a certificate cannot be used, or outside a Tokio runtime.
    pub fn start(self) -> Result<RemoteVerifier, RemoteError> {
        self.start_with(|verifier| verifier)
    }

    /// Like [`Self::start`], with a verifier changed by `change`: to read claims of your own, say.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with<C: DeserializeOwned + Send + Sync + 'static>(
        self,
        change: impl FnOnce(VerifierBuilder) -> VerifierBuilder<C>,
    ) -> Result<RemoteVerifier<C>, RemoteError> {
        let feed_needs_keys = self.revocations.as_ref().is_some_and(|settings| settings.keys.is_none());
        let keys = (feed_needs_keys || self.token_keys.is_none()).then(|| self.keys.start()).transpose()?;
        let revocations = match (self.revocations, &keys) {
            (Some(settings), Some(keys)) if settings.keys.is_none() => Some(settings.keys(keys.clone()).start()?),
            (Some(settings), _) => Some(settings.start()?),
            (None, _) => None,
        };
        let fetched = keys.filter(|_| self.token_keys.is_none());
        let token_keys = self.token_keys.or_else(|| fetched.as_ref().map(|keys| keys.shared_keys().clone()));
        let token_keys = token_keys.expect("keys are fetched unless they are given");
        let verifier = VerifierBuilder::rfc9068(token_keys.clone(), self.issuer, self.audience);
        let mut verifier = change(verifier.clock(self.clock).cache_bytes(CACHE_BYTES)).build();
        // Whatever `change` did with them.
        verifier.keys = token_keys;
        Ok(RemoteVerifier::new(fetched, revocations, verifier))
    }
}

impl fmt::Debug for RemoteVerifierBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteVerifierBuilder")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .field("revocations", &self.revocations)
            .finish_non_exhaustive()
    }
}
