//! What checks the tokens of a router.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

#[cfg(feature = "remote")]
use crate::remote::RemoteVerifier;
use crate::{Claims, Scopes, TokenError, Verifier};

/// Claims that tell a route what they allow. Implement it for a claims type of your own.
pub trait ScopedClaims: DeserializeOwned + Send + Sync + 'static {
    /// The scopes that the token carries.
    fn scopes(&self) -> &Scopes;
}

impl<E: DeserializeOwned + Send + Sync + 'static> ScopedClaims for Claims<E> {
    fn scopes(&self) -> &Scopes {
        &self.scope
    }
}

/// Checks tokens for [`Bearer`](super::Bearer); part of a router's state. Clones are cheap and share keys and cache.
pub struct TokenVerifier<C = Claims>(Source<C>);

enum Source<C> {
    Local(Arc<Verifier<C>>),
    #[cfg(feature = "remote")]
    Remote(RemoteVerifier<C>),
}

impl<C: DeserializeOwned + Send + Sync + 'static> TokenVerifier<C> {
    /// The claims of a token that is to be believed now. Waits only where keys have to be fetched.
    ///
    /// # Errors
    /// Why it is not to be believed, or that there is nothing to check it with.
    pub async fn verify(&self, token: &str) -> Result<Arc<C>, TokenError> {
        match &self.0 {
            Source::Local(verifier) => Ok(verifier.verify(token)?),
            #[cfg(feature = "remote")]
            Source::Remote(verifier) => verifier.verify(token).await,
        }
    }
}

impl<C> From<Verifier<C>> for TokenVerifier<C> {
    fn from(verifier: Verifier<C>) -> Self {
        Arc::new(verifier).into()
    }
}

impl<C> From<Arc<Verifier<C>>> for TokenVerifier<C> {
    fn from(verifier: Arc<Verifier<C>>) -> Self {
        Self(Source::Local(verifier))
    }
}

#[cfg(feature = "remote")]
impl<C> From<RemoteVerifier<C>> for TokenVerifier<C> {
    fn from(verifier: RemoteVerifier<C>) -> Self {
        Self(Source::Remote(verifier))
    }
}

impl<C> Clone for TokenVerifier<C> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Source::Local(verifier) => Source::Local(Arc::clone(verifier)),
            #[cfg(feature = "remote")]
            Source::Remote(verifier) => Source::Remote(verifier.clone()),
        })
    }
}

impl<C> fmt::Debug for TokenVerifier<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tuple = f.debug_tuple("TokenVerifier");
        match &self.0 {
            Source::Local(verifier) => tuple.field(verifier),
            #[cfg(feature = "remote")]
            Source::Remote(verifier) => tuple.field(verifier),
        };
        tuple.finish()
    }
}
