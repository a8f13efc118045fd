//! `/.well-known/oauth-authorization-server` (RFC 8414) and `/.well-known/openid-configuration`: what is true today.

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderName, HeaderValue};
use axum::routing::get;
use schemars::JsonSchema;
use serde::Serialize;

use crate::Service;
use crate::domain::{BaseUrl, GrantType};
use crate::http::api::{ApiRouter, get_with};

const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

/// How a client may say who it is; the first only for public ones.
const AUTH_METHODS: [&str; 3] = ["none", "client_secret_basic", "client_secret_post"];

const CACHE: (HeaderName, HeaderValue) = (CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));

/// Authorization server metadata (RFC 8414 §2).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AuthorizationServerMetadata")]
struct Metadata {
    issuer: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: String,
    revocation_endpoint: String,
    introspection_endpoint: String,
    scopes_supported: Vec<String>,
    /// None: there is no authorization endpoint.
    response_types_supported: Vec<&'static str>,
    grant_types_supported: Vec<&'static str>,
    token_endpoint_auth_methods_supported: Vec<&'static str>,
    revocation_endpoint_auth_methods_supported: Vec<&'static str>,
    introspection_endpoint_auth_methods_supported: Vec<&'static str>,
}

/// OpenID Provider metadata (OpenID Connect Discovery §3).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OpenIdConfiguration")]
struct OpenIdConfiguration {
    #[serde(flatten)]
    oauth: Metadata,
    subject_types_supported: Vec<&'static str>,
    /// None: there are no ID tokens.
    id_token_signing_alg_values_supported: Vec<&'static str>,
    claims_supported: Vec<&'static str>,
}

pub(super) fn router(base_url: &BaseUrl) -> ApiRouter<Service> {
    let mut router = ApiRouter::new()
        .api_route(
            OAUTH,
            get_with(oauth, |op| {
                op.id("oauth_authorization_server")
                    .tag("oauth2")
                    .summary("What this server can do (RFC 8414)")
                    .response::<200, Json<Metadata>>()
            }),
        )
        .api_route(
            OPENID,
            get_with(openid, |op| {
                op.id("openid_configuration")
                    .tag("oauth2")
                    .summary("What this server can do (OpenID Connect)")
                    .response::<200, Json<OpenIdConfiguration>>()
            }),
        );
    // RFC 8414 §3.1: clients put the issuer's path behind the well-known one.
    let path = base_url.path();
    if !path.is_empty() {
        router = router.route(&format!("{OAUTH}{path}"), get(oauth)).route(&format!("{OPENID}{path}"), get(openid));
    }
    router
}

async fn oauth(State(service): State<Service>) -> ([(HeaderName, HeaderValue); 1], Json<Metadata>) {
    ([CACHE], Json(metadata(&service)))
}

async fn openid(State(service): State<Service>) -> ([(HeaderName, HeaderValue); 1], Json<OpenIdConfiguration>) {
    let configuration = OpenIdConfiguration {
        oauth: metadata(&service),
        subject_types_supported: vec!["public"],
        id_token_signing_alg_values_supported: Vec::new(),
        claims_supported: vec!["sub", "name", "preferred_username", "email"],
    };
    ([CACHE], Json(configuration))
}

fn metadata(service: &Service) -> Metadata {
    let settings = service.settings();
    let at = |path: &str| format!("{}{path}", settings.base_url);
    Metadata {
        issuer: settings.base_url.to_string(),
        token_endpoint: at("/oauth2/token"),
        jwks_uri: at("/.well-known/jwks.json"),
        userinfo_endpoint: at("/oauth2/userinfo"),
        revocation_endpoint: at("/oauth2/revoke"),
        introspection_endpoint: at("/oauth2/introspect"),
        scopes_supported: settings.scopes.iter().map(|(name, _)| name.to_owned()).collect(),
        response_types_supported: Vec::new(),
        grant_types_supported: GrantType::ALL.map(GrantType::as_str).to_vec(),
        token_endpoint_auth_methods_supported: AUTH_METHODS.to_vec(),
        revocation_endpoint_auth_methods_supported: AUTH_METHODS.to_vec(),
        introspection_endpoint_auth_methods_supported: AUTH_METHODS[1..].to_vec(),
    }
}
