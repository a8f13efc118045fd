//! Public keys from elsewhere: a JWK Set (RFC 7517 §5) behind a URL (feature `remote`).
//!
//! [`RemoteKeys`] fetches the keys of an issuer in the background, [`RemoteVerifier`] checks tokens with them:
//!
//! ```no_run
//! use mapae_verify::VerifierBuilder;
//! use mapae_verify::remote::{RemoteKeys, RemoteVerifier};
//!
//! # async fn start(token: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let keys = RemoteKeys::start("https://auth.example/.well-known/jwks.json")?;
//! let verifier: RemoteVerifier =
//!     keys.verifier(|keys| VerifierBuilder::rfc9068(keys, "https://auth.example", "https://api.example"));
//! let claims = verifier.verify(token).await?;
//! # Ok(())
//! # }
//! ```
//!
//! - Keys are fetched at once and then anew every few minutes, as the answer's `Cache-Control: max-age` says; so a key
//!   that the issuer withdraws stops counting here too.
//! - A token with an unknown `kid` makes them be fetched at once, but only once in ten seconds, however many such
//!   tokens come; all of them wait for the same fetch.
//! - When the issuer cannot be reached, or answers anything but a sound set, the keys are kept for up to
//!   [`KEPT`] seconds. After that no token is believed ([`TokenError::Unavailable`]) until it answers again.
//! - Only `https`, or `http` to this machine; redirects are not followed; size and time of an answer are bounded; keys
//!   that cannot be used are skipped and named in the log; a shared secret is never taken from a URL.

mod builder;
mod fetch;
mod schedule;
mod shared;
mod task;

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio::task::AbortHandle;

pub use builder::{RemoteKeysBuilder, RemoteKeysError};
pub use fetch::FetchError;

use self::shared::{Reason, Shared};
use crate::{Claims, SharedKeys, TokenError, Verifier, VerifierBuilder, VerifyError};

/// How long keys are kept while they cannot be fetched anew, in seconds.
pub const KEPT: u32 = 24 * 60 * 60;

/// The keys of an issuer, kept up to date in the background. Clones share them; when the last one is dropped, verifiers
/// included, the background task stops.
#[derive(Clone)]
pub struct RemoteKeys(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl RemoteKeys {
    /// Begins to fetch the JWK Set at `url`, with the defaults of [`RemoteKeysBuilder`]. Does not wait for it.
    ///
    /// # Errors
    /// As [`RemoteKeysBuilder::start`].
    pub fn start(url: impl Into<String>) -> Result<Self, RemoteKeysError> {
        Self::builder(url).start()
    }

    /// Settings for the JWK Set at `url`.
    pub fn builder(url: impl Into<String>) -> RemoteKeysBuilder {
        RemoteKeysBuilder::new(url.into())
    }

    /// Waits until there are keys; for programs that do not want to start without them.
    ///
    /// # Errors
    /// Why they could not be fetched just now. The background task goes on trying.
    pub async fn ready(&self) -> Result<(), FetchError> {
        let shared = &self.0.shared;
        let seen = shared.finished();
        if shared.is_fresh() {
            return Ok(());
        }
        shared.fetched(Reason::NoKeys, seen).await;
        if shared.is_fresh() { Ok(()) } else { Err(shared.last_error()) }
    }

    /// A verifier that uses these keys, as `make` wants it.
    #[must_use]
    pub fn verifier<C: DeserializeOwned + Send + Sync + 'static>(
        &self,
        make: impl FnOnce(SharedKeys) -> VerifierBuilder<C>,
    ) -> RemoteVerifier<C> {
        let mut verifier = make(self.0.shared.keys().clone()).build();
        // Whatever `make` did with them.
        verifier.keys = self.0.shared.keys().clone();
        RemoteVerifier { keys: self.clone(), verifier: Arc::new(verifier) }
    }
}

impl fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RemoteKeys").field(&self.0.shared.keys()).finish()
    }
}

/// A [`Verifier`] with [`RemoteKeys`]. Clones share keys and cache.
pub struct RemoteVerifier<C = Claims> {
    keys: RemoteKeys,
    verifier: Arc<Verifier<C>>,
}

impl<C: DeserializeOwned + Send + Sync + 'static> RemoteVerifier<C> {
    /// The claims of a token that is to be believed now. Waits only while there are no keys yet, or the token's key is
    /// unknown and may be new.
    ///
    /// # Errors
    /// The reason not to believe it, or that there are no keys to check it with.
    pub async fn verify(&self, token: &str) -> Result<Arc<C>, TokenError> {
        let shared = &self.keys.0.shared;
        let seen = shared.finished();
        if !shared.is_fresh() {
            shared.fetched(Reason::NoKeys, seen).await;
            if !shared.is_fresh() {
                return Err(TokenError::Unavailable);
            }
        }
        match self.verifier.verify(token) {
            Err(VerifyError::UnknownKey { .. }) if shared.fetched(Reason::UnknownKey, seen).await => {
                Ok(self.verifier.verify(token)?)
            }
            verified => Ok(verified?),
        }
    }
}

impl<C> RemoteVerifier<C> {
    /// The keys.
    #[must_use]
    pub const fn keys(&self) -> &RemoteKeys {
        &self.keys
    }

    /// The verifier itself, which never waits and knows nothing of the age of its keys.
    #[must_use]
    pub const fn inner(&self) -> &Arc<Verifier<C>> {
        &self.verifier
    }
}

impl<C> Clone for RemoteVerifier<C> {
    fn clone(&self) -> Self {
        Self { keys: self.keys.clone(), verifier: Arc::clone(&self.verifier) }
    }
}

impl<C> fmt::Debug for RemoteVerifier<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RemoteVerifier").field(&self.verifier).finish()
    }
}
