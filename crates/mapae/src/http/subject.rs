//! The extractor that protects a route for things.

use std::fmt;
use std::marker::PhantomData;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use futures_util::{Stream, StreamExt};
use mapae_verify::axum::until_refused;
use mapae_verify::{Actor, Claims, SubjectKind};

use super::caller::Caller;
use super::ended::Ended;
use super::error::ApiError;
use crate::domain::{ScopeSet, SubjectSet, User};
use crate::service::account::Account;
use crate::service::{AuthenticateError, Bearer, Mapae, Service};

/// Whatever the request's bearer token speaks for, one of the subjects `K`, with at least the scopes `S`: "drive this
/// car", "edit this post".
///
/// ```
/// use mapae::domain::{AnyOf, DeclaredKind, DeclaredScope, UserSubject};
/// use mapae::Subject;
///
/// struct Car;
/// impl DeclaredKind for Car {
///     const KIND: &'static str = "car";
/// }
///
/// struct Drive;
/// impl DeclaredScope for Drive {
///     const NAME: &'static str = "drive";
///     const DESCRIPTION: &'static str = "Drive a car.";
/// }
///
/// async fn drive(car: Subject<Car, Drive>) -> String {
///     format!("car {} drives, by the word of {:?}", car.id(), car.act())
/// }
///
/// // People may, too.
/// async fn locate(who: Subject<AnyOf<(Car, UserSubject)>, Drive>) -> String {
///     who.claims().sub.to_string()
/// }
/// ```
///
/// A token for anything else is answered 403 with the reason: a user's token does not pass for a car, and a car's never
/// for a [`CurrentUser`](crate::CurrentUser). The account that answers for a thing's token is active and holds the scopes,
/// as with its own tokens. Such tokens are minted ([`Mapae::delegation_router`], `/oauth2/token`) for whom
/// [`Hooks::may_speak_for`](crate::service::hooks::Hooks::may_speak_for) lets. `U` is as with `CurrentUser`. The token is
/// in the `Authorization` header; a person's may be in the cookie. There are none without sessions
/// ([`Mapae::stateless`]): then nothing passes.
pub struct Subject<K, S = (), U: Account = User> {
    service: Service,
    bearer: Bearer,
    kinds: Marker<K, S, U>,
}

type Marker<K, S, U> = PhantomData<fn() -> (K, S, U)>;

impl<K, S, U: Account> Subject<K, S, U> {
    /// Which one: `42` of `car:42`, an account's id of a user.
    pub fn id(&self) -> &str {
        match self.claims().sub.kind() {
            SubjectKind::User(id) | SubjectKind::Client(id) | SubjectKind::Other { id, .. } => id,
        }
    }

    /// The token's claims: `sub`, `scope` and the others.
    pub fn claims(&self) -> &Claims {
        self.bearer.claims()
    }

    /// Who acts; none with a token of a sign-in.
    pub fn act(&self) -> Option<&Actor> {
        self.claims().act.as_ref()
    }

    /// The account that answers for the token: it is whose token it is, or who had it minted.
    pub fn grantor(&self) -> Option<&User> {
        match &self.bearer {
            Bearer::User(principal) => Some(&principal.user),
            Bearer::Thing(thing) => Some(&thing.grantor),
            Bearer::Client { .. } => None,
        }
    }
}

impl<K: SubjectSet, S: ScopeSet, U: Account> Subject<K, S, U> {
    /// Waits until the token would not be let in any more; see [`CurrentUser::ended`](crate::CurrentUser::ended).
    pub fn ended(&self) -> impl Future<Output = Ended> + Send + 'static + use<K, S, U> {
        let (service, bearer) = (self.service.clone(), self.bearer.clone());
        let check = move || {
            let (service, bearer) = (service.clone(), bearer.clone());
            async move {
                let again = service.bearer_again(&bearer).await;
                let (bearer, left) = again.map_err(|error| ApiError::from_authenticate(error, S::names()))?;
                check::<K, S>(&bearer).map(|()| left)
            }
        };
        async move { Ended::new(until_refused(check).await) }
    }

    /// A stream that ends when the token would not be let in any more.
    pub fn until_end<T: Stream>(&self, stream: T) -> impl Stream<Item = T::Item> + use<T, K, S, U> {
        stream.take_until(self.ended())
    }
}

impl<K, S, U: Account> Clone for Subject<K, S, U> {
    fn clone(&self) -> Self {
        Self { service: self.service.clone(), bearer: self.bearer.clone(), kinds: PhantomData }
    }
}

impl<K, S, U: Account> fmt::Debug for Subject<K, S, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subject").field(self.claims()).finish()
    }
}

fn check<K: SubjectSet, S: ScopeSet>(bearer: &Bearer) -> Result<(), ApiError> {
    if !K::takes(&bearer.claims().sub) {
        return Err(ApiError::wrong_subject(&K::names(), bearer.kind()));
    }
    if bearer.allows::<S>() { Ok(()) } else { Err(ApiError::insufficient_scope(S::names())) }
}

impl<K, S, U, State> FromRequestParts<State> for Subject<K, S, U>
where
    K: SubjectSet,
    S: ScopeSet,
    U: Account,
    State: Send + Sync,
    Mapae<U>: FromRef<State>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, ApiError> {
        let authority = Mapae::<U>::from_ref(state).0;
        let token = Caller::<U>::token(parts, &authority)?;
        let refused = |error| ApiError::from_authenticate(error, S::names());
        // Without sessions nothing is minted.
        let service = U::service(&authority).ok_or(AuthenticateError::NoSuchUser).map_err(refused)?;
        let bearer = service.authenticate_bearer(token.as_str()).await.map_err(refused)?;
        check::<K, S>(&bearer)?;
        Ok(Self { service: service.clone(), bearer, kinds: PhantomData })
    }
}
