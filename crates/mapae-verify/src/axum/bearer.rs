//! The extractor that protects a route.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use axum_core::extract::{FromRef, FromRequestParts, OptionalFromRequestParts};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;

use super::{BearerError, ScopedClaims, TokenVerifier};
use crate::{Claims, ScopeSet, Scopes, VerifiedToken};

const SCHEME: &str = "bearer";

/// A verified token with at least the scopes `S`; dereferences to its claims.
///
/// A handler that takes this is protected: without a token it answers 401, without the scopes 403. As
/// `Option<Bearer<S>>` it welcomes strangers: no `Authorization` header is `None`, anything else is checked as ever.
/// The router's state holds the [`TokenVerifier`]. With feature `openapi` the same type documents the route.
///
/// The token comes from the `Authorization` header, also on the upgrade request of a WebSocket. Where
/// [`TokenVerifier::authenticate`] or the layer [`require`](super::require) has let the request pass before, with the
/// same verifier, it is that token, and nothing is verified again.
pub struct Bearer<S = (), C = Claims> {
    pub(super) token: VerifiedToken<C>,
    pub(super) verifier: TokenVerifier<C>,
    scopes: PhantomData<fn() -> S>,
}

impl<S, C> Bearer<S, C> {
    pub(super) const fn new(token: VerifiedToken<C>, verifier: TokenVerifier<C>) -> Self {
        Self { token, verifier, scopes: PhantomData }
    }

    /// The token's claims.
    pub fn claims(&self) -> &Arc<C> {
        self.token.claims()
    }

    /// The token, for checking it again later.
    pub const fn token(&self) -> &VerifiedToken<C> {
        &self.token
    }
}

impl<S, C> Deref for Bearer<S, C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.token
    }
}

impl<S, C> Clone for Bearer<S, C> {
    fn clone(&self) -> Self {
        Self { token: self.token.clone(), verifier: self.verifier.clone(), scopes: PhantomData }
    }
}

impl<S, C: fmt::Debug> fmt::Debug for Bearer<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bearer").field(self.token.claims()).finish()
    }
}

impl<S, C, State> FromRequestParts<State> for Bearer<S, C>
where
    S: ScopeSet,
    C: ScopedClaims,
    State: Send + Sync,
    TokenVerifier<C>: FromRef<State>,
{
    type Rejection = BearerError;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, BearerError> {
        let verifier = TokenVerifier::<C>::from_ref(state);
        let token = authenticate::<S, C>(parts, &verifier).await?;
        Ok(Self::new(token, verifier))
    }
}

impl<S, C, State> OptionalFromRequestParts<State> for Bearer<S, C>
where
    S: ScopeSet,
    C: ScopedClaims,
    State: Send + Sync,
    TokenVerifier<C>: FromRef<State>,
{
    type Rejection = BearerError;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Option<Self>, BearerError> {
        let is_stranger = !parts.headers.contains_key(AUTHORIZATION)
            && TokenVerifier::<C>::from_ref(state).authenticated(&parts.extensions).is_none();
        if is_stranger {
            return Ok(None);
        }
        <Self as FromRequestParts<State>>::from_request_parts(parts, state).await.map(Some)
    }
}

/// The token of a request, with at least the scopes `S`.
pub(super) async fn authenticate<S: ScopeSet, C: ScopedClaims>(
    parts: &Parts,
    verifier: &TokenVerifier<C>,
) -> Result<VerifiedToken<C>, BearerError> {
    let token = verified::<S, C>(parts, verifier).await?;
    check_scopes::<S>(token.scopes())?;
    Ok(token)
}

/// The token of a request for a route that asks for the scopes `S`, whichever it has.
pub(super) async fn verified<S: ScopeSet, C: ScopedClaims>(
    parts: &Parts,
    verifier: &TokenVerifier<C>,
) -> Result<VerifiedToken<C>, BearerError> {
    match verifier.authenticated(&parts.extensions) {
        Some(token) => Ok(token),
        None => {
            let verified = verifier.verify_token(bearer_token(&parts.headers)?).await;
            verified.map_err(|error| BearerError::refused::<S>(error))
        }
    }
}

pub(super) fn check_scopes<S: ScopeSet>(held: &Scopes) -> Result<(), BearerError> {
    if S::satisfied_by(held) { Ok(()) } else { Err(BearerError::InsufficientScope { scopes: S::names() }) }
}

/// The token of `Authorization: Bearer …` (RFC 6750 §2.1); the scheme's letters may be of any case. The token may be
/// empty or hold spaces: no verifier believes such a one.
///
/// # Errors
/// [`BearerError::NotAuthenticated`] without the header, with another scheme, or if it is not ASCII;
/// [`BearerError::InvalidRequest`] if it comes more than once.
pub fn bearer_token(headers: &HeaderMap) -> Result<&str, BearerError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let header = values.next().ok_or(BearerError::NotAuthenticated)?;
    if values.next().is_some() {
        return Err(BearerError::InvalidRequest);
    }
    // As `to_str` and `is_ascii`, which look at one byte after the other, as these do at many.
    let is_ascii = header.as_bytes().iter().fold(0, |all, byte| all | byte) < 0x80;
    let text = simdutf8::basic::from_utf8(header.as_bytes()).ok().filter(|_| is_ascii);
    let (scheme, rest) =
        text.and_then(|text| text.split_at_checked(SCHEME.len())).ok_or(BearerError::NotAuthenticated)?;
    match rest.strip_prefix(' ') {
        Some(token) if scheme.eq_ignore_ascii_case(SCHEME) => Ok(token.trim_matches(' ')),
        None if rest.is_empty() && scheme.eq_ignore_ascii_case(SCHEME) => Ok(""),
        _ => Err(BearerError::NotAuthenticated),
    }
}
