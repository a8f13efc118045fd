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
use crate::{Claims, ScopeSet};

/// A verified token with at least the scopes `S`; dereferences to its claims.
///
/// A handler that takes this is protected: without a token it answers 401, without the scopes 403. As
/// `Option<Bearer<S>>` it welcomes strangers: no `Authorization` header is `None`, anything else is checked as ever.
/// The router's state holds the [`TokenVerifier`]. With feature `openapi` the same type documents the route.
pub struct Bearer<S = (), C = Claims> {
    claims: Arc<C>,
    scopes: PhantomData<fn() -> S>,
}

impl<S, C> Bearer<S, C> {
    /// The token's claims.
    pub const fn claims(&self) -> &Arc<C> {
        &self.claims
    }
}

impl<S, C> Deref for Bearer<S, C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.claims
    }
}

impl<S, C> Clone for Bearer<S, C> {
    fn clone(&self) -> Self {
        Self { claims: Arc::clone(&self.claims), scopes: PhantomData }
    }
}

impl<S, C: fmt::Debug> fmt::Debug for Bearer<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bearer").field(&self.claims).finish()
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
        let token = bearer_token(&parts.headers)?;
        let verified = TokenVerifier::<C>::from_ref(state).verify(token).await;
        let claims = verified.map_err(|error| BearerError::refused::<S>(error))?;
        if !S::satisfied_by(claims.scopes()) {
            return Err(BearerError::InsufficientScope { scopes: S::names() });
        }
        Ok(Self { claims, scopes: PhantomData })
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
        if !parts.headers.contains_key(AUTHORIZATION) {
            return Ok(None);
        }
        <Self as FromRequestParts<State>>::from_request_parts(parts, state).await.map(Some)
    }
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
    let text = header.to_str().map_err(|_| BearerError::NotAuthenticated)?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim_matches(' ')),
        _ if text.eq_ignore_ascii_case("bearer") => Ok(""),
        _ => Err(BearerError::NotAuthenticated),
    }
}
