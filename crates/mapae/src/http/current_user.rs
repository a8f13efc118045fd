//! The extractors that protect a route, and document that they do.

use std::marker::PhantomData;
use std::ops::Deref;

use axum::extract::{FromRef, FromRequestParts, OptionalFromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use mapae_verify::axum::bearer_token;

use super::cookies::{self, SameOrigin};
use super::error::ApiError;
use crate::domain::{ScopeSet, SecretText, User};
use crate::service::account::{Account, Known};
use crate::service::user_store::StoredUser;
use crate::service::{Mapae, Principal, Service};

/// The active account that the request's bearer token speaks for, with at least the scopes `S`.
///
/// A handler that takes this is protected: without a token it answers 401, without the scopes 403, for a disabled
/// account of the application's own table 403. The same type writes `security`, the scopes and those answers into the
/// OpenAPI document. `U` is this service's own account unless the application brings its own table. As
/// `Option<CurrentUser<S>>` it welcomes strangers: no token is `None`, anything else is checked as ever.
///
/// The token is in the `Authorization` header or, for pages of the service's own origin that asked for that at their
/// sign-in, in a cookie; then requests that may change something are refused if they come from elsewhere.
#[derive(Clone, Debug)]
pub struct CurrentUser<S = (), U: Account = User> {
    identity: U::Identity,
    scopes: PhantomData<fn() -> S>,
}

impl<S> CurrentUser<S> {
    /// The account with its session and the token's claims.
    pub fn principal(&self) -> &Principal {
        &self.identity
    }
}

impl<S, U: StoredUser> CurrentUser<S, U> {
    /// The user with what the token says.
    pub fn known(&self) -> &Known<U> {
        &self.identity
    }
}

impl<S, U: Account> Deref for CurrentUser<S, U> {
    type Target = U;

    fn deref(&self) -> &U {
        U::account(&self.identity)
    }
}

impl<S, U, State> FromRequestParts<State> for CurrentUser<S, U>
where
    S: ScopeSet,
    U: Account,
    State: Send + Sync,
    Mapae<U>: FromRef<State>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, ApiError> {
        let KnownUser { identity, scopes } =
            <KnownUser<S, U> as FromRequestParts<State>>::from_request_parts(parts, state).await?;
        if U::is_active(&identity) { Ok(Self { identity, scopes }) } else { Err(ApiError::inactive_user()) }
    }
}

impl<S, U, State> OptionalFromRequestParts<State> for CurrentUser<S, U>
where
    S: ScopeSet,
    U: Account,
    State: Send + Sync,
    Mapae<U>: FromRef<State>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Option<Self>, ApiError> {
        if !cookies::shows_token(&parts.headers) {
            return Ok(None);
        }
        <Self as FromRequestParts<State>>::from_request_parts(parts, state).await.map(Some)
    }
}

/// As [`CurrentUser`], but a disabled account of the application's own table passes too: `get_current_user` of the
/// tutorials, beside `get_current_active_user`.
#[derive(Clone, Debug)]
pub struct KnownUser<S = (), U: Account = User> {
    identity: U::Identity,
    scopes: PhantomData<fn() -> S>,
}

impl<S, U: Account> Deref for KnownUser<S, U> {
    type Target = U;

    fn deref(&self) -> &U {
        U::account(&self.identity)
    }
}

impl<S, U, State> FromRequestParts<State> for KnownUser<S, U>
where
    S: ScopeSet,
    U: Account,
    State: Send + Sync,
    Mapae<U>: FromRef<State>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, ApiError> {
        let identity = identify::<S, U>(&Mapae::from_ref(state).0, parts).await?;
        Ok(Self { identity, scopes: PhantomData })
    }
}

/// Whoever signed in, on this service's own routes, which serve any kind of account.
pub(super) struct SignedIn<S>(Principal, PhantomData<fn() -> S>);

impl<S> Deref for SignedIn<S> {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        &self.0
    }
}

impl<S: ScopeSet> FromRequestParts<Service> for SignedIn<S> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, ApiError> {
        Ok(Self(identify::<S, User>(service, parts).await?, PhantomData))
    }
}

/// The access token in a cookie. The header, which no page of another site can send, goes before it.
fn in_cookie<U: Account>(authority: &U::Authority, parts: &Parts) -> Result<Option<SecretText>, ApiError> {
    let Some(service) = U::service(authority).filter(|_| !parts.headers.contains_key(AUTHORIZATION)) else {
        return Ok(None);
    };
    let token = cookies::access_token(&parts.headers);
    if token.is_some() {
        SameOrigin::check_if_unsafe(parts, service)?;
    }
    Ok(token)
}

/// Whose token the request carries, and whether it carries the scopes `S`.
async fn identify<S: ScopeSet, U: Account>(authority: &U::Authority, parts: &Parts) -> Result<U::Identity, ApiError> {
    let found = match in_cookie::<U>(authority, parts)? {
        Some(token) => U::identify(authority, token.expose()).await,
        None => U::identify(authority, bearer_token(&parts.headers)?).await,
    };
    let identity = found.map_err(|error| ApiError::from_authenticate(error, S::names()))?;
    if U::allows::<S>(&identity) { Ok(identity) } else { Err(ApiError::insufficient_scope(S::names())) }
}
