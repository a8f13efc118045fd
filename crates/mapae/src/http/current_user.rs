//! The extractor that protects a route, and documents that it does.

use std::marker::PhantomData;
use std::ops::Deref;

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::{Operation, Response as ApiResponse, StatusCode as ApiStatus};
use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;

use mapae_verify::axum::bearer_token;

use super::error::ApiError;
use super::openapi;
use crate::Mapae;
use crate::domain::{ScopeSet, User};
use crate::service::Principal;
use crate::service::stateless::{Known, Stateless};
use crate::service::user_store::StoredUser;

/// Whoever a token can speak for: this service's own [`User`], or a row of the application's own table
/// ([`StoredUser`]).
pub trait Account: Send + Sync + Sized + 'static {
    /// What checks tokens for such accounts; the application's state holds it.
    type Service: Send + Sync;
    /// The account with what the token says about it.
    type Identity: Clone + Send + Sync + 'static;

    /// Checks a token on a route that asks for the scopes `S`.
    fn identify<S: ScopeSet>(
        service: &Self::Service,
        token: &str,
    ) -> impl Future<Output = Result<Self::Identity, ApiError>> + Send;

    /// The account itself.
    fn account(identity: &Self::Identity) -> &Self;

    /// Whether the account is active.
    fn is_active(identity: &Self::Identity) -> bool;
}

impl Account for User {
    type Service = Mapae;
    type Identity = Principal;

    async fn identify<S: ScopeSet>(service: &Mapae, token: &str) -> Result<Principal, ApiError> {
        let found = service.authenticate(token).await;
        let principal = found.map_err(|error| ApiError::from_authenticate(error, S::names()))?;
        // A scope withdrawn from the account is gone from its tokens here at once.
        if !S::satisfied_by(&principal.claims.scope) || !S::satisfied_by(&principal.user.scopes) {
            return Err(ApiError::insufficient_scope(S::names()));
        }
        Ok(principal)
    }

    fn account(principal: &Principal) -> &Self {
        &principal.user
    }

    fn is_active(principal: &Principal) -> bool {
        !principal.user.disabled
    }
}

impl<U: StoredUser> Account for U {
    type Service = Stateless<U>;
    type Identity = Known<U>;

    async fn identify<S: ScopeSet>(service: &Stateless<U>, token: &str) -> Result<Known<U>, ApiError> {
        let found = service.authenticate(token).await;
        let known = found.map_err(|error| ApiError::from_stateless(error, S::names()))?;
        if !S::satisfied_by(&known.scopes) {
            return Err(ApiError::insufficient_scope(S::names()));
        }
        Ok(known)
    }

    fn account(known: &Known<U>) -> &Self {
        &known.user
    }

    fn is_active(known: &Known<U>) -> bool {
        known.user.is_active()
    }
}

/// The active account that the request's bearer token speaks for, with at least the scopes `S`.
///
/// A handler that takes this is protected: without a token it answers 401, without the scopes 403, for a disabled
/// account of the application's own table 403. The same type writes `security`, the scopes and those answers into the
/// OpenAPI document. `U` is this service's own account unless the application brings its own table.
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
    U::Service: FromRef<State>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, ApiError> {
        let KnownUser { identity, scopes } = KnownUser::<S, U>::from_request_parts(parts, state).await?;
        if U::is_active(&identity) { Ok(Self { identity, scopes }) } else { Err(ApiError::inactive_user()) }
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
    U::Service: FromRef<State>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, ApiError> {
        let token = bearer_token(&parts.headers)?;
        let identity = U::identify::<S>(&U::Service::from_ref(state), token).await?;
        Ok(Self { identity, scopes: PhantomData })
    }
}

impl<S: ScopeSet, U: Account> OperationInput for KnownUser<S, U> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        CurrentUser::<S, U>::operation_input(ctx, operation);
    }

    fn inferred_early_responses(
        ctx: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<ApiStatus>, ApiResponse)> {
        CurrentUser::<S, U>::inferred_early_responses(ctx, operation)
    }
}

impl<S: ScopeSet, U: Account> OperationInput for CurrentUser<S, U> {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        openapi::require::<S>(operation);
    }

    fn inferred_early_responses(
        ctx: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<ApiStatus>, ApiResponse)> {
        openapi::protected_responses::<S>(ctx, operation)
    }
}
