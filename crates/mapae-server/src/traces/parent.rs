//! The trace that a request belongs to already (W3C Trace Context).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use axum::extract::{ConnectInfo, Request};
use axum::http::HeaderMap;
use ipnet::IpNet;
use opentelemetry::Context;
use opentelemetry::context::{FutureExt as _, WithContext};
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tower::{Layer, Service};

/// Takes `traceparent` from trusted proxies. A stranger's is ignored: it could have each of its requests recorded, and
/// mix them into the traces of others.
#[derive(Clone)]
pub(crate) struct ParentLayer(Arc<[IpNet]>);

impl ParentLayer {
    pub(crate) fn new(trusted: &[IpNet]) -> Self {
        Self(trusted.into())
    }
}

impl<I> Layer<I> for ParentLayer {
    type Service = Parent<I>;

    fn layer(&self, inner: I) -> Parent<I> {
        Parent { trusted: self.clone(), inner }
    }
}

/// Made by [`ParentLayer`].
#[derive(Clone)]
pub(crate) struct Parent<I> {
    trusted: ParentLayer,
    inner: I,
}

impl<I: Service<Request>> Service<Request> for Parent<I> {
    type Response = I::Response;
    type Error = I::Error;
    type Future = WithContext<I::Future>;

    fn poll_ready(&mut self, context: &mut TaskContext<'_>) -> Poll<Result<(), I::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let context = self.trusted.context(&request);
        let _attached = context.clone().attach();
        self.inner.call(request).with_context(context)
    }
}

impl ParentLayer {
    /// What the request's spans belong to; nothing if it does not say so, or may not.
    fn context(&self, request: &Request) -> Context {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_canonical());
        let is_trusted = |peer: IpAddr| self.0.iter().any(|network| network.contains(&peer));
        if peer.is_some_and(is_trusted) {
            TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(request.headers()))
        } else {
            Context::new()
        }
    }
}

struct Headers<'h>(&'h HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }
}
