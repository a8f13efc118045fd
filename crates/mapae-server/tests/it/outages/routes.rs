//! Each route while there is no database, and a verifier elsewhere.

use std::time::Duration;

use futures_util::future::join_all;
use mapae_verify::remote::RemoteVerifier;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::Proxied;
use super::fleet::{Fleet, REQUEST_LIMIT, Target};
use super::ledger::since;
use crate::server::{BASE_URL, PASSWORD, now};

/// Routes that need no database.
const FROM_MEMORY: &[&str] = &[
    "/.well-known/jwks.json",
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/health/live",
    "/version",
];
/// Those that tell of the caller, whose account and session are remembered.
const OF_THE_CALLER: &[(Method, &str)] = &[
    (Method::GET, "/users/me"),
    (Method::GET, "/verify"),
    (Method::GET, "/oauth2/userinfo"),
    (Method::POST, "/oauth2/userinfo"),
];

/// A service elsewhere that verifies tokens by itself.
pub(super) struct Elsewhere {
    verifier: RemoteVerifier,
    token: String,
}

impl Elsewhere {
    /// Follows the first node.
    pub(super) async fn new(fleet: &Fleet) -> Self {
        let url = fleet.balancer.pick(0).url;
        let verifier = RemoteVerifier::builder(BASE_URL.1)
            .allow_plain_http()
            .keys(|keys| keys.url(format!("{url}/.well-known/jwks.json")))
            .revocations(|feed| feed.url(format!("{url}/.well-known/revocations")))
            .start()
            .expect("it starts");
        verifier.ready().await.expect("it has keys and the feed");
        Self { verifier, token: fleet.admin.clone() }
    }

    /// Tokens are still told apart.
    pub(super) async fn verifies(&self) {
        self.verifier.verify(&self.token).await.expect("a good token");
        let mut forged = self.token.clone();
        let last = forged.pop();
        forged.push(if last == Some('A') { 'Q' } else { 'A' });
        self.verifier.verify(&forged).await.expect_err("a forged one");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_says_that_there_is_no_database() {
    let Some((proxied, fleet)) = Proxied::new("fault_routes").await else { return };
    let target = fleet.balancer.pick(0);
    let document: Value = fleet
        .client
        .get(format!("{}/openapi.json", target.url))
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    let routes: Vec<_> = document["paths"].as_object().expect("paths").iter().flat_map(operations).collect();
    assert!(routes.len() > 30, "too few: {routes:?}");
    // The token's session is remembered, so that within the next second handlers are reached.
    let me = fleet.client.get(format!("{}/users/me", target.url)).bearer_auth(&fleet.admin).send().await;
    assert_eq!(me.expect("an answer").status(), 200);
    proxied.proxies[0].refuse().await;
    let reached = ask_all(&fleet, &target, &routes).await;
    // From then on the token itself cannot be judged.
    let stopped = ask_all(&fleet, &target, &routes).await;
    let mut wrong = Vec::new();
    for (when, answers) in [("at once", reached), ("later", stopped)] {
        for (route, status, problem) in answers {
            let is_remembered = OF_THE_CALLER.contains(&(route.method.clone(), route.path.as_str()));
            let from_memory = FROM_MEMORY.contains(&route.path.as_str()) || when == "at once" && is_remembered;
            let expected = if from_memory { 200 } else { 503 };
            if (status, problem.as_str()) != (expected, "") {
                wrong.push(format!("{when}: {} {}: {status} {problem}", route.method, route.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    proxied.proxies[0].restore().await;
    proxied.end(fleet).await;
}

#[derive(Clone, Debug)]
struct Route {
    method: Method,
    path: String,
}

fn operations((path, item): (&String, &Value)) -> Vec<Route> {
    let methods = item.as_object().expect("operations").keys();
    let methods = methods.filter_map(|method| Method::from_bytes(method.to_uppercase().as_bytes()).ok());
    methods.map(|method| Route { method, path: path.clone() }).collect()
}

/// Asks for all of them at once: route, status, and what is wrong with the answer.
async fn ask_all(fleet: &Fleet, target: &Target, routes: &[Route]) -> Vec<(Route, u16, String)> {
    join_all(routes.iter().map(async |route| {
        let began = now();
        let answer = request(fleet, target, route).send().await.expect("an answer");
        let (status, retry) = (answer.status().as_u16(), answer.headers().get("retry-after").cloned());
        let body: Value = answer.json().await.unwrap_or_default();
        let mut problem = String::new();
        if status == 503 && retry.is_none() {
            problem.push_str("without Retry-After ");
        }
        let is_oauth = route.path.starts_with("/oauth2/") && route.path != "/oauth2/userinfo";
        let says = if is_oauth { body["error"] == "temporarily_unavailable" } else { body != Value::Null };
        if status == 503 && !says {
            problem.push_str(&format!("with the body {body} "));
        }
        if ![200, 503].contains(&status) {
            problem.push_str(&body.to_string());
        }
        if since(began) > REQUEST_LIMIT + Duration::from_secs(1) {
            problem.push_str("too late");
        }
        (route.clone(), status, problem)
    }))
    .await
}

fn request(fleet: &Fleet, target: &Target, route: &Route) -> RequestBuilder {
    let id = "0198f000-0000-7000-8000-000000000000";
    let path = ["id", "session", "token", "client"]
        .iter()
        .fold(route.path.clone(), |path, name| path.replace(&format!("{{{name}}}"), id));
    let request = fleet.client.request(route.method.clone(), format!("{}{path}", target.url));
    let form = |pairs: &[(&str, &str)]| fleet.client.post(format!("{}{path}", target.url)).form(pairs);
    let credentials = [("username", "ada"), ("password", PASSWORD)];
    let sign_in = json!({ "username": "ada", "password": PASSWORD });
    let request = match (route.method.as_str(), route.path.as_str()) {
        ("POST", "/token") => return form(&credentials),
        ("POST", "/users/signin" | "/users/signup") => return request.json(&sign_in),
        ("POST", "/users/refresh") => {
            return request
                .header("origin", BASE_URL.1)
                .header("cookie", format!("__Host-mapae-refresh={}", fleet.refresh));
        }
        ("POST", "/oauth2/token") => {
            return form(&[("grant_type", "client_credentials"), ("client_id", "web"), ("client_secret", "secret")]);
        }
        ("POST", "/oauth2/introspect") => {
            return form(&[("token", &fleet.admin), ("client_id", "web"), ("client_secret", "secret")]);
        }
        ("POST", "/oauth2/revoke") => return form(&[("token", &fleet.admin), ("client_id", "mapae")]),
        ("POST", "/users/me/password") => {
            request.json(&json!({ "current_password": PASSWORD, "new_password": format!("{PASSWORD}!") }))
        }
        ("PATCH", "/users/me") => request.json(&json!({ "full_name": "Ada" })),
        ("DELETE", "/users/me") => request.json(&json!({ "password": PASSWORD })),
        ("PATCH", "/admin/users/{id}") => request.json(&json!({ "disabled": true })),
        ("POST", "/admin/clients") => request.json(&json!({ "client_id": "web" })),
        ("POST", "/users/me/tokens") => request.json(&json!({ "kind": "access_token", "scope": "me" })),
        ("POST", "/users/me/tickets" | "/admin/clients/{client}/secret") => request.json(&json!({})),
        _ => request,
    };
    request.bearer_auth(&fleet.admin)
}
