//! The service's routers, for applications that mount them one by one, and the whole of them for the binary.

use std::convert::Infallible;

use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse;
use axum::routing::Route;
use axum::routing::future::RouteFuture;
use tower::util::option_layer;
use tower::{Layer, ServiceBuilder};

use super::api::{ApiRouter, Routes};
use super::request::{self, AroundLayer};
use super::style::{ErrorStyle, error_style};
use super::{
    admin, audit, clients, error, health, minted, oauth, refresh_cookie, revocations, sessions, tickets, token, users,
    verify, well_known,
};
#[cfg(feature = "openapi")]
use super::{docs, openapi};
use crate::service::Abilities;
use crate::service::account::Account;
use crate::{Mapae, Service};

/// The whole stand-alone service.
pub fn app(service: impl Into<Service>) -> Router {
    let service = service.into();
    let abilities = service.abilities();
    let api = ApiRouter::new()
        .merge(token::signin_router())
        .merge(form_router(&Mapae::<crate::domain::User>::from(service.clone())))
        .merge(users::signup_router(abilities))
        .merge(users::router(abilities))
        .merge(tickets::router())
        .merge(sessions_router())
        .merge(minted::router())
        .merge(admin_router(abilities))
        .merge(oauth::router(&service))
        .merge(verify::router())
        .merge(well_known_router())
        .merge(health::router());
    #[cfg(feature = "openapi")]
    let router = {
        let mut document = openapi::document(&service, "Mapae", crate::VERSION);
        let router = api.finish_api(&mut document);
        openapi::finish(&mut document);
        if service.settings().http.docs { router.merge(docs::router(&document)) } else { router }
    };
    #[cfg(not(feature = "openapi"))]
    let router: Router<Service> = api.into();
    #[cfg(feature = "pages")]
    let router = router.merge(crate::pages::router());
    router
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(around(&service))
        .with_state(service)
}

/// What surrounds every route: a request id, bounds of time and size, log lines, and answers that nobody keeps.
/// One layer of three parts: each layer of a router costs every request an allocation of its own.
fn around(
    service: &Service,
) -> impl Layer<
    Route,
    Service: tower::Service<Request, Response: IntoResponse, Error = Infallible, Future: Send>
                 + Clone
                 + Send
                 + Sync
                 + 'static,
> + Clone
+ Send
+ Sync
+ 'static {
    ServiceBuilder::new()
        .layer(AroundLayer::new(service.clone()))
        .layer(option_layer(request::cors(service)))
        .map_future(error::catch_panics::<RouteFuture<Infallible>>)
        .into_inner()
}

fn admin_router(abilities: Abilities) -> ApiRouter<Service> {
    admin::router(abilities).merge(sessions::admin_router()).merge(clients::router()).merge(audit::router())
}

fn sessions_router() -> ApiRouter<Service> {
    sessions::router().merge(refresh_cookie::router())
}

fn well_known_router() -> ApiRouter<Service> {
    well_known::router().merge(revocations::router())
}

fn form_router<U: Account, S: Clone + Send + Sync + 'static>(mapae: &Mapae<U>) -> ApiRouter<S> {
    token::form_router::<U>().layer(error_style(ErrorStyle::Detail)).with_state(mapae.clone())
}

/// Routers to be mounted one by one. What cannot be done where accounts are is not mounted; without sessions
/// ([`Mapae::stateless`]) there is only [`Self::token_router`].
impl<U: Account> Mapae<U> {
    /// `POST /token`, the tutorials' OAuth2 password form with FastAPI's errors, and `POST /users/signin` with JSON.
    pub fn token_router<S: Clone + Send + Sync + 'static>(&self) -> Routes<S> {
        match U::service(&self.0) {
            Some(service) => Self::routes(service, token::signin_router().merge(form_router(self))),
            None => Routes(form_router(self)),
        }
    }

    /// `POST /users/signup`.
    pub fn signup_router<S: Clone + Send + Sync + 'static>(&self) -> Routes<S> {
        self.mounted(|service| users::signup_router(service.abilities()))
    }

    /// `/users/me` and what is below it: one's own account.
    pub fn users_router<S: Clone + Send + Sync + 'static>(&self) -> Routes<S> {
        self.mounted(|service| users::router(service.abilities()))
    }

    /// `POST /users/me/tickets`: single-use tickets, for the WebSockets and server-sent events of browsers.
    pub fn tickets_router<S: Clone + Send + Sync + 'static>(&self) -> Routes<S> {
        self.mounted(|_| tickets::router())
    }

    /// `/admin`: everybody's accounts and sessions, the OAuth clients, and the audit trail, for holders of `mapae:admin`.
    pub fn admin_router<S: Clone + Send + Sync + 'static>(&self) -> Routes<S> {
        self.mounted(|service| admin_router(service.abilities()))
    }

    /// `/.well-known`: the public keys and the revocation feed. Mount it at the root of the base URL.
    pub fn well_known_router<S: Clone + Send + Sync + 'static>(&self) -> Routes<S> {
        self.mounted(|_| well_known_router())
    }

    /// `/users/me/sessions`, `/users/signout`, and `/users/refresh` for pages that keep the refresh token in a cookie.
    pub fn sessions_router<S: Clone + Send + Sync + 'static>(&self) -> Routes<S> {
        self.mounted(|_| sessions_router())
    }

    /// `/users/me/tokens`: weaker tokens, for programs and for things of the application's own. They are exchanged at
    /// `/oauth2/token` ([`Self::oauth_router`]).
    pub fn delegation_router<S: Clone + Send + Sync + 'static>(&self) -> Routes<S> {
        self.mounted(|_| minted::router())
    }

    /// `/oauth2` and its metadata: the standards' endpoints. Mount it at the root of the base URL.
    pub fn oauth_router<S: Clone + Send + Sync + 'static>(&self) -> Routes<S> {
        self.mounted(oauth::router)
    }

    /// `/verify`, for a proxy that asks about each request.
    pub fn verify_router<S: Clone + Send + Sync + 'static>(&self) -> Routes<S> {
        self.mounted(|_| verify::router())
    }

    /// `/health` and `/version`.
    pub fn health_router<S: Clone + Send + Sync + 'static>(&self) -> Routes<S> {
        self.mounted(|_| health::router())
    }

    /// Gives routes of the application's own what surrounds those of the service: a request id, bounds of time and size,
    /// log lines, metrics, and answers that nobody keeps unless their route says otherwise. It protects none of them.
    /// Without sessions ([`Mapae::stateless`]) the routes stay as they are.
    pub fn surround<S: Clone + Send + Sync + 'static>(&self, routes: Router<S>) -> Router<S> {
        match U::service(&self.0) {
            Some(service) => routes.layer(around(service)),
            None => routes,
        }
    }

    fn mounted<S: Clone + Send + Sync + 'static>(
        &self,
        router: impl FnOnce(&Service) -> ApiRouter<Service>,
    ) -> Routes<S> {
        match U::service(&self.0) {
            Some(service) => Self::routes(service, router(service)),
            None => Routes(ApiRouter::new()),
        }
    }

    fn routes<S: Clone + Send + Sync + 'static>(service: &Service, router: ApiRouter<Service>) -> Routes<S> {
        Routes(router.layer(around(service)).with_state(service.clone()))
    }

    /// An OpenAPI document with the security scheme and the scopes of this service, for aide's `finish_api`; hand it to
    /// [`docs_router`](super::docs_router) then.
    #[cfg(feature = "openapi")]
    pub fn openapi(&self, title: &str, version: &str) -> aide::openapi::OpenApi {
        match U::service(&self.0) {
            Some(service) => openapi::document(service, title, version),
            None => openapi::bare_document(title, version),
        }
    }
}
