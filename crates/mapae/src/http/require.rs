//! A layer that protects whole sub-trees.

use std::marker::PhantomData;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::middleware::{FromExtractorLayer, from_extractor_with_state};

use super::caller::{Caller, Disabled};
use super::error::ApiError;
use crate::Mapae;
use crate::domain::ScopeSet;
use crate::service::account::Account;

/// What [`Mapae::require`] puts around a router.
pub type RequireLayer<S, U> = FromExtractorLayer<Required<S, U>, Mapae<U>>;

/// Lets requests of active accounts with the scopes `S` pass, and keeps with them who sent them.
#[derive(Debug)]
pub struct Required<S, U>(PhantomData<fn() -> (S, U)>);

impl<U: Account> Mapae<U> {
    /// A layer that lets only requests of an active account with at least the scopes `S` pass. Everything behind it is
    /// protected: routes, nested routers with their fallbacks, WebSockets, files.
    ///
    /// Refusals are those of [`CurrentUser`](crate::CurrentUser), and are rendered by
    /// [`error_style`](crate::http::error_style) and [`on_error`](crate::http::on_error) if these are put around it, that
    /// is, after it. An extractor behind it, or a layer that asks for further scopes, does not look the account up again.
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use mapae::domain::scope::Admin;
    /// use mapae::{CurrentUser, Mapae};
    ///
    /// fn routes(mapae: Mapae, files: Router<Mapae>) -> Router {
    ///     let office = Router::new()
    ///         .route("/who", get(async |user: CurrentUser| user.id.to_string()))
    ///         .nest("/files", files)
    ///         .fallback(async || "nothing here, but only administrators learn that")
    ///         .layer(mapae.require::<Admin>());
    ///     Router::new().nest("/office", office).with_state(mapae)
    /// }
    /// ```
    ///
    /// As every layer it covers what the router has when it is added, and no route that is added later. It asks every
    /// method for a token, `OPTIONS` too: a CORS layer, which answers those, goes around it. A router without a fallback
    /// of its own leaves unknown paths to the router that it is nested in, whose 404 needs no token.
    pub fn require<S: ScopeSet>(&self) -> RequireLayer<S, U> {
        from_extractor_with_state(self.clone())
    }

    /// Protects the routes that aide's router has so far by [`Self::require`], and documents them so: each asks for the
    /// scopes `S` beside its own.
    #[cfg(feature = "openapi")]
    pub fn protect<S, State>(&self, router: aide::axum::ApiRouter<State>) -> aide::axum::ApiRouter<State>
    where
        S: ScopeSet,
        State: Clone + Send + Sync + 'static,
    {
        mapae_verify::axum::document_required::<S, State>(router).layer(self.require::<S>())
    }
}

impl<S: ScopeSet, U: Account> FromRequestParts<Mapae<U>> for Required<S, U> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, mapae: &Mapae<U>) -> Result<Self, ApiError> {
        let caller = Caller::<U>::of::<S>(parts, &mapae.0).await?;
        caller.check::<S>(Disabled::Refused)?;
        caller.keep(&mut parts.extensions);
        Ok(Self(PhantomData))
    }
}
