//! axum's routers under the names of aide's; what documents a route is dropped.

#![expect(clippy::extra_unused_type_parameters, reason = "the signatures are aide's")]

use std::convert::Infallible;
use std::marker::PhantomData;

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, Route, delete, get, patch, post};
use tower::{Layer, Service};

pub(crate) struct ApiRouter<S = ()>(Router<S>);

impl<S: Clone + Send + Sync + 'static> ApiRouter<S> {
    pub(crate) fn new() -> Self {
        Self(Router::new())
    }

    pub(crate) fn api_route(self, path: &str, methods: MethodRouter<S>) -> Self {
        self.route(path, methods)
    }

    pub(crate) fn route(self, path: &str, methods: MethodRouter<S>) -> Self {
        Self(self.0.route(path, methods))
    }

    pub(crate) fn merge(self, other: Self) -> Self {
        Self(self.0.merge(other.0))
    }

    pub(crate) fn layer<L>(self, layer: L) -> Self
    where
        L: Layer<Route> + Clone + Send + Sync + 'static,
        L::Service: Service<Request, Response: IntoResponse + 'static, Error: Into<Infallible> + 'static, Future: Send>
            + Clone
            + Send
            + Sync
            + 'static,
    {
        Self(self.0.layer(layer))
    }

    pub(crate) fn with_state<S2>(self, state: S) -> ApiRouter<S2> {
        ApiRouter(self.0.with_state(state))
    }
}

impl<S> From<ApiRouter<S>> for Router<S> {
    fn from(router: ApiRouter<S>) -> Self {
        router.0
    }
}

/// What is said about an operation.
pub(crate) struct Operation<'t>(PhantomData<&'t ()>);

/// What is said about an answer.
pub(crate) struct Answer;

impl Answer {
    pub(crate) fn description(self, _: &str) -> Self {
        self
    }
}

impl Operation<'_> {
    pub(crate) fn id(self, _: &str) -> Self {
        self
    }

    pub(crate) fn tag(self, _: &str) -> Self {
        self
    }

    pub(crate) fn summary(self, _: &str) -> Self {
        self
    }

    pub(crate) fn description(self, _: &str) -> Self {
        self
    }

    pub(crate) fn response<const N: u16, T>(self) -> Self {
        self
    }

    pub(crate) fn response_with<const N: u16, T, F: FnOnce(Answer) -> Answer>(self, _: F) -> Self {
        self
    }
}

pub(crate) fn answers_as<'t, const N: u16, T>(operation: Operation<'t>, _: &'static str) -> Operation<'t> {
    operation
}

macro_rules! methods {
    ($($name:ident = $method:ident;)*) => {
        $(pub(crate) fn $name<H, T, S>(
            handler: H,
            _: impl FnOnce(Operation<'_>) -> Operation<'_>,
        ) -> MethodRouter<S>
        where
            H: Handler<T, S>,
            T: 'static,
            S: Clone + Send + Sync + 'static,
        {
            $method(handler)
        })*
    };
}

methods! {
    delete_with = delete;
    get_with = get;
    patch_with = patch;
    post_with = post;
}
