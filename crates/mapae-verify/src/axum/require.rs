//! A layer that protects whole sub-trees.

use std::fmt;
use std::marker::PhantomData;
use std::task::{Context, Poll};

use axum_core::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use http::Request;
use tower::{Layer, Service};

use super::bearer::authenticate;
use super::{ScopedClaims, TokenVerifier};
use crate::{Claims, ScopeSet};

/// A layer that lets only requests with a token pass that has at least the scopes `S`. Everything behind it is
/// protected: routes, nested routers with their fallbacks, WebSockets, files.
///
/// Refusals are those of [`Bearer`](super::Bearer), and are rendered by [`error_style`](super::error_style) and
/// [`on_error`](super::on_error) if these are put around it, that is, after it. An extractor behind it with a clone of
/// the same verifier finds the token verified. So does a layer that asks for further scopes.
///
/// ```
/// use axum::{Router, routing::get};
/// use mapae_verify::axum::{Bearer, ErrorStyle, TokenVerifier, error_style, require};
/// # use mapae_verify::DeclaredScope;
/// # struct Admin;
/// # impl DeclaredScope for Admin {
/// #     const NAME: &'static str = "admin";
/// #     const DESCRIPTION: &'static str = "";
/// # }
///
/// fn routes(verifier: TokenVerifier, files: Router<TokenVerifier>) -> Router {
///     let admin = Router::new()
///         .route("/who", get(async |caller: Bearer| caller.sub.to_string()))
///         .nest("/files", files)
///         .fallback(async || "nothing here, but only administrators learn that")
///         .layer(require::<Admin, _>(verifier.clone()))
///         .layer(error_style(ErrorStyle::Detail));
///     Router::new().nest("/admin", admin).with_state(verifier)
/// }
/// ```
///
/// As every layer it covers what the router has when it is added, and no route that is added later. It asks every
/// method for a token, `OPTIONS` too: a CORS layer, which answers those, goes around it. A router without a fallback of
/// its own leaves unknown paths to the router that it is nested in, whose 404 needs no token.
pub fn require<S: ScopeSet, C: ScopedClaims>(verifier: impl Into<TokenVerifier<C>>) -> RequireLayer<S, C> {
    RequireLayer { verifier: verifier.into(), scopes: PhantomData }
}

/// Made by [`require`].
pub struct RequireLayer<S = (), C = Claims> {
    verifier: TokenVerifier<C>,
    scopes: PhantomData<fn() -> S>,
}

impl<S, C, Inner> Layer<Inner> for RequireLayer<S, C> {
    type Service = Require<Inner, S, C>;

    fn layer(&self, inner: Inner) -> Self::Service {
        Require { inner, layer: self.clone() }
    }
}

impl<S, C> Clone for RequireLayer<S, C> {
    fn clone(&self) -> Self {
        Self { verifier: self.verifier.clone(), scopes: PhantomData }
    }
}

impl<S, C> fmt::Debug for RequireLayer<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireLayer").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

/// A service behind [`require`].
pub struct Require<Inner, S = (), C = Claims> {
    inner: Inner,
    layer: RequireLayer<S, C>,
}

impl<Inner: Clone, S, C> Clone for Require<Inner, S, C> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), layer: self.layer.clone() }
    }
}

impl<Inner: fmt::Debug, S, C> fmt::Debug for Require<Inner, S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Require").field("inner", &self.inner).field("layer", &self.layer).finish()
    }
}

impl<Inner, Body, S, C> Service<Request<Body>> for Require<Inner, S, C>
where
    Inner: Service<Request<Body>> + Clone + Send + 'static,
    Inner::Response: IntoResponse,
    Inner::Future: Send,
    Body: Send + 'static,
    S: ScopeSet,
    C: ScopedClaims,
{
    type Response = Response;
    type Error = Inner::Error;
    type Future = BoxFuture<'static, Result<Response, Inner::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Inner::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let verifier = self.layer.verifier.clone();
        // The one that is ready goes along; a clone need not be.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            match authenticate::<S, C>(&parts, &verifier).await {
                Ok(token) => {
                    verifier.authenticate(&mut parts.extensions, token);
                    let response = inner.call(Request::from_parts(parts, body)).await?;
                    Ok(response.into_response())
                }
                Err(error) => Ok(error.into_response()),
            }
        })
    }
}
