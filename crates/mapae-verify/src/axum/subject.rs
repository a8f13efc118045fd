//! The extractor that protects a route for things.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use axum_core::extract::{FromRef, FromRequestParts};
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::bearer::{check_scopes, verified};
use super::{Bearer, BearerError, TokenVerifier};
use crate::{Claims, NoExtra, ScopeSet, SubjectKind, SubjectSet};

/// A verified token that speaks for one of the subjects `K`, with at least the scopes `S`; dereferences to its
/// [`Bearer`], and so to its claims: `sub`, `scope`, and `act`, who acts.
///
/// A token for anything else is answered 403 with the reason: a user's token does not pass for a car, nor a car's for a
/// user, unless the route says so with [`AnyOf`](crate::AnyOf).
///
/// ```
/// use axum::{Router, routing::post};
/// use mapae_verify::axum::{Subject, TokenVerifier};
/// use mapae_verify::{AnyOf, DeclaredKind, UserSubject, Verifier};
/// # use mapae_verify::DeclaredScope;
/// # struct Drive;
/// # impl DeclaredScope for Drive {
/// #     const NAME: &'static str = "drive";
/// #     const DESCRIPTION: &'static str = "Drive a car.";
/// # }
///
/// struct Car;
/// impl DeclaredKind for Car {
///     const KIND: &'static str = "car";
/// }
///
/// async fn drive(car: Subject<Car, Drive>) -> String {
///     format!("car {} drives", car.id())
/// }
///
/// // Its owner may, too.
/// async fn locate(subject: Subject<AnyOf<(Car, UserSubject)>, Drive>) -> String {
///     subject.sub.to_string()
/// }
///
/// fn routes(verifier: Verifier) -> Router {
///     Router::new()
///         .route("/drive", post(drive))
///         .route("/locate", post(locate))
///         .with_state(TokenVerifier::from(verifier))
/// }
/// ```
pub struct Subject<K, S = (), E = NoExtra> {
    bearer: Bearer<S, Claims<E>>,
    kinds: PhantomData<fn() -> K>,
}

impl<K, S, E> Subject<K, S, E> {
    /// Which one: `42` of `car:42`, a user's id of a user.
    pub fn id(&self) -> &str {
        match self.bearer.claims().sub.kind() {
            SubjectKind::User(id) | SubjectKind::Client(id) | SubjectKind::Other { id, .. } => id,
        }
    }
}

impl<K, S, E> Deref for Subject<K, S, E> {
    type Target = Bearer<S, Claims<E>>;

    fn deref(&self) -> &Bearer<S, Claims<E>> {
        &self.bearer
    }
}

impl<K, S, E> Clone for Subject<K, S, E> {
    fn clone(&self) -> Self {
        Self { bearer: self.bearer.clone(), kinds: PhantomData }
    }
}

impl<K, S, E: fmt::Debug> fmt::Debug for Subject<K, S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subject").field(self.bearer.claims()).finish()
    }
}

impl<K, S, E, State> FromRequestParts<State> for Subject<K, S, E>
where
    K: SubjectSet,
    S: ScopeSet,
    E: DeserializeOwned + Send + Sync + 'static,
    State: Send + Sync,
    TokenVerifier<Claims<E>>: FromRef<State>,
{
    type Rejection = BearerError;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, BearerError> {
        let verifier = TokenVerifier::<Claims<E>>::from_ref(state);
        let token = verified::<S, Claims<E>>(parts, &verifier).await?;
        if !K::takes(&token.sub) {
            return Err(BearerError::wrong_subject::<K>(&token.sub));
        }
        check_scopes::<S>(&token.scope)?;
        Ok(Self { bearer: Bearer::new(token, verifier), kinds: PhantomData })
    }
}
