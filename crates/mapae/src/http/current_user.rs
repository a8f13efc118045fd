//! The extractors that protect a route, and document that they do.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use axum::extract::{FromRef, FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;

use super::caller::{Caller, Disabled};
use super::error::ApiError;
use super::sent_from;
use crate::domain::{ScopeSet, User};
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
/// sign-in, in a cookie; then requests that may change something are refused if they come from elsewhere. A request that
/// opens a WebSocket or asks for server-sent events may show a single-use ticket instead, in the query: `?ticket=…`
/// ([`Mapae::tickets_router`]). [`Self::ended`] and [`Self::until_end`] close such connections in time. Behind
/// [`Mapae::require`] nothing is looked up again.
pub struct CurrentUser<S = (), U: Account = User> {
    pub(super) caller: Caller<U>,
    scopes: PhantomData<fn() -> S>,
}

impl<S> CurrentUser<S> {
    /// The account with its session and the token's claims.
    pub fn principal(&self) -> &Principal {
        &self.caller.identity
    }
}

impl<S, U: StoredUser> CurrentUser<S, U> {
    /// The user with what the token says.
    pub fn known(&self) -> &Known<U> {
        &self.caller.identity
    }
}

impl<S, U: Account> Deref for CurrentUser<S, U> {
    type Target = U;

    fn deref(&self) -> &U {
        U::account(&self.caller.identity)
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
        let caller = Caller::of::<S>(parts, &Mapae::<U>::from_ref(state).0).await?;
        caller.check::<S>(Disabled::Refused)?;
        Ok(Self { caller, scopes: PhantomData })
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
        if Caller::<U>::is_stranger(parts, &Mapae::<U>::from_ref(state).0) {
            return Ok(None);
        }
        <Self as FromRequestParts<State>>::from_request_parts(parts, state).await.map(Some)
    }
}

/// As [`CurrentUser`], but a disabled account of the application's own table passes too: `get_current_user` of the
/// tutorials, beside `get_current_active_user`.
pub struct KnownUser<S = (), U: Account = User> {
    pub(super) caller: Caller<U>,
    scopes: PhantomData<fn() -> S>,
}

impl<S, U: Account> Deref for KnownUser<S, U> {
    type Target = U;

    fn deref(&self) -> &U {
        U::account(&self.caller.identity)
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
        let caller = Caller::of::<S>(parts, &Mapae::<U>::from_ref(state).0).await?;
        caller.check::<S>(Disabled::Passes)?;
        Ok(Self { caller, scopes: PhantomData })
    }
}

macro_rules! as_its_caller {
    ($($name:ident)*) => {
        $(
            impl<S, U: Account> Clone for $name<S, U> {
                fn clone(&self) -> Self {
                    Self { caller: self.caller.clone(), scopes: PhantomData }
                }
            }

            impl<S, U: Account<Identity: fmt::Debug>> fmt::Debug for $name<S, U> {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.debug_tuple(stringify!($name)).field(&self.caller.identity).finish()
                }
            }
        )*
    };
}

as_its_caller! { CurrentUser KnownUser }

/// Whoever signed in, on this service's own routes, which serve any kind of account and no streams. Here is the one rule
/// that keeps delegated tokens from accounts, sessions, tokens and administration: none passes unless the route says
/// [`OrDelegated`].
pub(super) struct SignedIn<S, D = OwnToken>(Principal, PhantomData<fn() -> (S, D)>);

/// Which tokens pass.
pub(super) trait Passes: 'static {
    /// Whether those that were minted from others are among them.
    const DELEGATED: bool;
}

/// Those of a sign-in alone.
pub(super) struct OwnToken;

impl Passes for OwnToken {
    const DELEGATED: bool = false;
}

/// Those that were minted from others, too.
pub(super) struct OrDelegated;

impl Passes for OrDelegated {
    const DELEGATED: bool = true;
}

impl<S, D> Deref for SignedIn<S, D> {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        &self.0
    }
}

impl<S: ScopeSet, D: Passes> FromRequestParts<Service> for SignedIn<S, D> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, ApiError> {
        let mut caller = Caller::<User>::without_ticket::<S>(parts, service).await?;
        if !D::DELEGATED && caller.identity.is_delegated() {
            return Err(ApiError::delegated_token());
        }
        caller.check::<S>(Disabled::Refused)?;
        caller.identity.source = sent_from::source(&parts.extensions);
        Ok(Self(caller.identity, PhantomData))
    }
}
