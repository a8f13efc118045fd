//! A verifier with what is fetched.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::fetch::FetchError;
use super::issuer::RemoteVerifierBuilder;
use super::keys::RemoteKeys;
use super::revocations::RemoteRevocations;
use super::shared::Reason;
use crate::{Claims, RegisteredView, Revocations, TokenError, VerifiedToken, Verifier, VerifyError};

/// A [`Verifier`] with [`RemoteKeys`], [`RemoteRevocations`] or both. Clones share them and the cache.
pub struct RemoteVerifier<C = Claims> {
    keys: Option<RemoteKeys>,
    revocations: Option<RemoteRevocations>,
    verifier: Arc<Verifier<C>>,
}

impl RemoteVerifier {
    /// Settings for the tokens of a Mapae whose base URL is `issuer`: its keys, its feed of revocations, and tokens of
    /// RFC 9068.
    pub fn builder(issuer: impl Into<String>) -> RemoteVerifierBuilder {
        RemoteVerifierBuilder::new(issuer.into())
    }
}

impl<C: DeserializeOwned + Send + Sync + 'static> RemoteVerifier<C> {
    /// The claims of a token that is to be believed now. Waits only while there are no keys or no revocations yet, or
    /// the token's key is unknown and may be new.
    ///
    /// # Errors
    /// The reason not to believe it, or that there is nothing to check it with.
    pub async fn verify(&self, token: &str) -> Result<Arc<C>, TokenError> {
        self.verify_by(|verifier| verifier.verify(token)).await
    }

    /// Like [`Self::verify`], for a token that is to be [checked again](Self::check_again) later.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub async fn verify_token(&self, token: &str) -> Result<VerifiedToken<C>, TokenError> {
        self.verify_by(|verifier| verifier.verify_token(token)).await
    }

    async fn verify_by<T>(&self, verify: impl Fn(&Verifier<C>) -> Result<T, VerifyError>) -> Result<T, TokenError> {
        let Some(keys) = &self.keys else {
            self.wait_for_revocations().await?;
            return Ok(verify(&self.verifier)?);
        };
        let shared = keys.shared();
        let seen = shared.finished();
        if !shared.is_fresh() {
            shared.fetched(Reason::Nothing, seen).await;
            if !shared.is_fresh() {
                return Err(TokenError::Unavailable);
            }
        }
        self.wait_for_revocations().await?;
        match verify(&self.verifier) {
            Err(VerifyError::UnknownKey { .. }) if shared.fetched(Reason::UnknownKey, seen).await => {
                Ok(verify(&self.verifier)?)
            }
            verified => Ok(verified?),
        }
    }

    async fn wait_for_revocations(&self) -> Result<(), TokenError> {
        match &self.revocations {
            Some(revocations) => revocations.wait().await,
            None => Ok(()),
        }
    }

    /// Whether a token is still to be believed, as [`Verifier::check_again`]; never waits.
    ///
    /// # Errors
    /// Why it is not to be believed any more, or that there is nothing recent enough to check it with.
    pub fn check_again(&self, token: &VerifiedToken<C>) -> Result<(), TokenError> {
        if self.keys.as_ref().is_some_and(|keys| !keys.shared().is_fresh()) {
            return Err(TokenError::Unavailable);
        }
        if let Some(revocations) = &self.revocations {
            revocations.check()?;
        }
        Ok(self.verifier.check_again(token)?)
    }
}

impl<C> RemoteVerifier<C> {
    pub(super) fn new(
        keys: Option<RemoteKeys>,
        revocations: Option<RemoteRevocations>,
        mut verifier: Verifier<C>,
    ) -> Self {
        if let Some(remote) = revocations.as_ref().map(RemoteRevocations::last) {
            verifier.revocations = Some(match verifier.revocations.take() {
                Some(own) => Arc::new(Both(own, remote)),
                None => remote,
            });
        }
        Self { keys, revocations, verifier: Arc::new(verifier) }
    }

    /// Waits until there is everything to check tokens with; for programs that do not want to start without it.
    ///
    /// # Errors
    /// Why it could not be fetched just now. It is tried on in the background.
    pub async fn ready(&self) -> Result<(), FetchError> {
        if let Some(keys) = &self.keys {
            keys.ready().await?;
        }
        match &self.revocations {
            Some(revocations) => revocations.ready().await,
            None => Ok(()),
        }
    }

    /// The keys, if tokens are checked with some that are fetched.
    #[must_use]
    pub const fn keys(&self) -> Option<&RemoteKeys> {
        self.keys.as_ref()
    }

    /// The revocations, if they are fetched.
    #[must_use]
    pub const fn revocations(&self) -> Option<&RemoteRevocations> {
        self.revocations.as_ref()
    }

    /// The verifier itself, which never waits and knows nothing of the age of its keys and revocations.
    #[must_use]
    pub const fn inner(&self) -> &Arc<Verifier<C>> {
        &self.verifier
    }
}

/// The application's own revocations and those of the issuer.
struct Both(Arc<dyn Revocations>, Arc<dyn Revocations>);

impl Revocations for Both {
    fn is_revoked(&self, claims: &RegisteredView<'_>) -> bool {
        self.0.is_revoked(claims) || self.1.is_revoked(claims)
    }
}

impl<C> Clone for RemoteVerifier<C> {
    fn clone(&self) -> Self {
        Self { keys: self.keys.clone(), revocations: self.revocations.clone(), verifier: Arc::clone(&self.verifier) }
    }
}

impl<C> fmt::Debug for RemoteVerifier<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteVerifier")
            .field("verifier", &self.verifier)
            .field("revocations", &self.revocations)
            .finish_non_exhaustive()
    }
}
