//! The extractor that protects a route, and documents that it does.

use std::marker::PhantomData;
use std::ops::Deref;

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::{Operation, Response as ApiResponse, StatusCode as ApiStatus};
use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::error::{ApiError, ErrorCode};
use super::openapi;
use crate::Mapae;
use crate::domain::{ScopeSet, User};
use crate::service::Principal;

/// The active account that the request's bearer token speaks for, with at least the scopes `S`.
///
/// A handler that takes this is protected: without a token it answers 401, without the scopes 403. The same type
/// writes `security`, the scopes and those answers into the OpenAPI document.
#[derive(Clone, Debug)]
pub struct CurrentUser<S = ()> {
    principal: Principal,
    scopes: PhantomData<fn() -> S>,
}

impl<S> CurrentUser<S> {
    /// The account with its session and the token's claims.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }
}

impl<S> Deref for CurrentUser<S> {
    type Target = User;

    fn deref(&self) -> &User {
        &self.principal.user
    }
}

impl<S, State> FromRequestParts<State> for CurrentUser<S>
where
    S: ScopeSet,
    State: Send + Sync,
    Mapae: FromRef<State>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, ApiError> {
        let token = bearer_token(parts)?;
        let principal = Mapae::from_ref(state)
            .authenticate(token)
            .await
            .map_err(|error| ApiError::from_authenticate(error, S::names()))?;
        // A scope withdrawn from the account is gone from its tokens here at once.
        if !S::satisfied_by(&principal.claims.scope) || !S::satisfied_by(&principal.user.scopes) {
            return Err(ApiError::insufficient_scope(S::names()));
        }
        Ok(Self { principal, scopes: PhantomData })
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750 §2.1); the scheme's letters may be of any case.
fn bearer_token(parts: &Parts) -> Result<&str, ApiError> {
    let mut headers = parts.headers.get_all(AUTHORIZATION).iter();
    let header = headers.next().ok_or_else(ApiError::not_authenticated)?;
    if headers.next().is_some() {
        return Err(ApiError::new(ErrorCode::InvalidRequest, "Send one Authorization header, not several."));
    }
    let text = header.to_str().map_err(|_| ApiError::not_authenticated())?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim_matches(' ')),
        _ if text.eq_ignore_ascii_case("bearer") => Ok(""),
        _ => Err(ApiError::not_authenticated()),
    }
}

impl<S: ScopeSet> OperationInput for CurrentUser<S> {
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
