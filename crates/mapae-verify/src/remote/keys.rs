//! The keys of an issuer.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio::task::AbortHandle;

use super::builder::RemoteKeysBuilder;
use super::connection::RemoteError;
use super::fetch::FetchError;
use super::shared::Shared;
use super::verifier::RemoteVerifier;
use crate::{SharedKeys, VerifierBuilder};

/// The keys of an issuer, kept up to date in the background. Clones share them; when the last one is dropped, verifiers
/// included, the background task stops.
#[derive(Clone)]
pub struct RemoteKeys(pub(super) Arc<Handle>);

pub(super) struct Handle {
    pub(super) shared: Arc<Shared>,
    pub(super) keys: SharedKeys,
    pub(super) task: AbortHandle,
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
    pub fn start(url: impl Into<String>) -> Result<Self, RemoteError> {
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
        self.shared().ready().await
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.0.shared
    }

    pub(super) fn shared_keys(&self) -> &SharedKeys {
        &self.0.keys
    }

    /// A verifier that uses these keys, as `make` wants it.
    #[must_use]
    pub fn verifier<C: DeserializeOwned + Send + Sync + 'static>(
        &self,
        make: impl FnOnce(SharedKeys) -> VerifierBuilder<C>,
    ) -> RemoteVerifier<C> {
        let mut verifier = make(self.shared_keys().clone()).build();
        // Whatever `make` did with them.
        verifier.keys = self.shared_keys().clone();
        RemoteVerifier::new(Some(self.clone()), None, verifier)
    }
}

impl fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RemoteKeys").field(&self.shared_keys()).finish()
    }
}
