//! Talking to the standards' endpoints.

use mapae::domain::{ClientType, GrantType, Lifetimes, SecretText};
use mapae::service::{By, NewClient};
use mapae_verify::Scopes;
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;

use crate::server::{PASSWORD, Server, expect, header, text};

/// Access and refresh token of a sign-in or refresh.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) scope: String,
    pub(crate) expires_in: i64,
}

impl Tokens {
    pub(crate) fn of(body: &Value) -> Self {
        assert_eq!(body["token_type"], "bearer", "{body}");
        Self {
            access: text(&body["access_token"]),
            refresh: text(&body["refresh_token"]),
            scope: text(&body["scope"]),
            expires_in: body["expires_in"].as_i64().unwrap(),
        }
    }
}

/// Signs a user in by the tutorial's route.
pub(crate) async fn sign_in(server: &Server, username: &str, scope: &str) -> Tokens {
    let form = [("username", username), ("password", PASSWORD), ("scope", scope)];
    Tokens::of(&expect(server.post("/token").form(&form).send().await.unwrap(), StatusCode::OK).await)
}

pub(crate) fn refresh_request(server: &Server, refresh_token: &str) -> RequestBuilder {
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token), ("client_id", "mapae")];
    server.post("/oauth2/token").form(&form)
}

/// Refreshes by this service's own client; it must succeed.
#[track_caller]
pub(crate) fn refresh(server: &Server, refresh_token: &str) -> impl Future<Output = Tokens> {
    let request = refresh_request(server, refresh_token);
    async move { Tokens::of(&expect(request.send().await.unwrap(), StatusCode::OK).await) }
}

/// Refreshes by this service's own client; it must be refused. Why.
pub(crate) async fn refused(server: &Server, refresh_token: &str) -> String {
    oauth_error(refresh_request(server, refresh_token).send().await.unwrap(), 400, "invalid_grant").await
}

/// The description of an RFC 6749 error of this status and code, which carries no challenge.
#[track_caller]
pub(crate) fn oauth_error(response: Response, status: u16, code: &'static str) -> impl Future<Output = String> {
    let from = std::panic::Location::caller();
    async move {
        let got = response.status().as_u16();
        let names = ["content-type", "cache-control", "www-authenticate"];
        let [media_type, cache, challenge] = names.map(|name| header(&response, name));
        let body: Value = response.json().await.unwrap();
        assert_eq!((got, &body["error"]), (status, &code.into()), "{from}: {body}");
        assert_eq!((media_type.as_str(), cache.as_str()), ("application/json", "no-store"), "{from}");
        assert_eq!(challenge, "", "{from}: clients skip the body of an answer with a challenge");
        let description = text(&body["error_description"]);
        assert!(description.is_ascii() && !description.contains(['"', '\\']), "{from}: {description}");
        assert_eq!(body.as_object().unwrap().len(), 2, "{from}: {body}");
        description
    }
}

/// A client to be registered; grants and scopes separated by blanks.
pub(crate) fn new_client(id: &str, client_type: ClientType, grants: &str, scopes: &str) -> NewClient {
    NewClient {
        id: id.to_owned(),
        client_type,
        grants: grants.split_whitespace().map(|grant| grant.parse::<GrantType>().unwrap()).collect(),
        scopes: Scopes::parse(scopes).unwrap(),
        audiences: Vec::new(),
        lifetimes: Lifetimes::default(),
        secret: None,
    }
}

/// Registers a confidential client; its secret.
pub(crate) async fn confidential(server: &Server, id: &str, grants: &str, scopes: &str) -> String {
    let new = new_client(id, ClientType::Confidential, grants, scopes);
    server.mapae.add_client(new, By::System).await.unwrap().1.unwrap().expose().to_owned()
}

/// Registers a public client.
pub(crate) async fn public(server: &Server, id: &str, grants: &str, scopes: &str) {
    let new = new_client(id, ClientType::Public, grants, scopes);
    assert!(server.mapae.add_client(new, By::System).await.unwrap().1.is_none());
}

pub(crate) fn secret(text: &str) -> SecretText {
    SecretText::new(text.to_owned())
}

/// `POST /oauth2/token` with this form.
pub(crate) async fn token(server: &Server, form: &[(&str, &str)]) -> Response {
    server.post("/oauth2/token").form(form).send().await.unwrap()
}

/// What introspection says about a token, asked by a confidential client.
pub(crate) async fn introspect(server: &Server, client: (&str, &str), token: &str) -> Value {
    let request = server.post("/oauth2/introspect").basic_auth(client.0, Some(client.1)).form(&[("token", token)]);
    expect(request.send().await.unwrap(), StatusCode::OK).await
}
