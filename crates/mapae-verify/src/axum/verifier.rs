//! What checks the tokens of a router.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Extensions;
use serde::de::DeserializeOwned;

#[cfg(feature = "remote")]
use crate::remote::RemoteVerifier;
use crate::{Claims, Scopes, TokenError, VerifiedToken, Verifier};

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

    /// Like [`Self::verify`], for a token that is to be [checked again](Self::check_again) later.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub async fn verify_token(&self, token: &str) -> Result<VerifiedToken<C>, TokenError> {
        match &self.0 {
            Source::Local(verifier) => Ok(verifier.verify_token(token)?),
            #[cfg(feature = "remote")]
            Source::Remote(verifier) => verifier.verify_token(token).await,
        }
    }

    /// Whether a token is still to be believed: its times, its key, and revocation. Costs no signature and never waits.
    ///
    /// # Errors
    /// Why it is not to be believed any more, or that there is nothing recent enough to check it with.
    pub fn check_again(&self, token: &VerifiedToken<C>) -> Result<(), TokenError> {
        match &self.0 {
            Source::Local(verifier) => Ok(verifier.check_again(token)?),
            #[cfg(feature = "remote")]
            Source::Remote(verifier) => verifier.check_again(token),
        }
    }

    /// How long it is until the token expires.
    pub(super) fn expires_in(&self, token: &VerifiedToken<C>) -> Duration {
        self.inner().expires_in(token)
    }

    /// Lets a request pass as one with this token, whatever headers it has: for a layer of yours that has found out
    /// who is calling in another way, such as by a single-use ticket in the URL of a WebSocket. Extractors and layers
    /// with a clone of this verifier then use the token instead of the `Authorization` header; others do not.
    ///
    /// It goes into the request's extensions, which only code of this program can fill: no client can send it.
    ///
    /// ```
    /// use axum::extract::{Request, State};
    /// use axum::middleware::Next;
    /// use axum::response::Response;
    /// use mapae_verify::VerifiedToken;
    /// use mapae_verify::axum::TokenVerifier;
    ///
    /// # async fn redeem(ticket: &str) -> Option<VerifiedToken<mapae_verify::Claims>> { None }
    /// async fn tickets(State(verifier): State<TokenVerifier>, mut request: Request, next: Next) -> Response {
    ///     // What the ticket stands for was verified when it was made, and it is used up now.
    ///     if let Some(ticket) = request.uri().query().and_then(|query| query.strip_prefix("ticket="))
    ///         && let Some(token) = redeem(ticket).await
    ///     {
    ///         verifier.authenticate(request.extensions_mut(), token);
    ///     }
    ///     next.run(request).await
    /// }
    /// ```
    pub fn authenticate(&self, extensions: &mut Extensions, token: VerifiedToken<C>) {
        extensions.insert(Authenticated { token, by: self.clone() });
    }

    /// The token that this very verifier has let pass already.
    pub(super) fn authenticated(&self, extensions: &Extensions) -> Option<VerifiedToken<C>> {
        let authenticated = extensions.get::<Authenticated<C>>()?;
        Arc::ptr_eq(authenticated.by.inner(), self.inner()).then(|| authenticated.token.clone())
    }

    fn inner(&self) -> &Arc<Verifier<C>> {
        match &self.0 {
            Source::Local(verifier) => verifier,
            #[cfg(feature = "remote")]
            Source::Remote(verifier) => verifier.inner(),
        }
    }
}

/// Among a request's extensions: the token that it passes with, and who says so.
struct Authenticated<C> {
    token: VerifiedToken<C>,
    by: TokenVerifier<C>,
}

impl<C> Clone for Authenticated<C> {
    fn clone(&self) -> Self {
        Self { token: self.token.clone(), by: self.by.clone() }
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
