//! What was taken away is given out by no endpoint: disabled, deleted, password changed, scope withdrawn, client removed.

use mapae::domain::{SecretText, UserId};
use mapae::service::By;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::oauth::{Tokens, confidential, introspect, token};
use crate::server::{PASSWORD, Server, disable, expect, header, text, withdraw};

/// Everything that a person and two clients have in hand before it is taken away.
struct InHand {
    id: UserId,
    /// Of this service's own client.
    own: Tokens,
    /// In the refresh cookie.
    cookie: String,
    /// Of the confidential client `web`.
    web: Tokens,
    web_secret: String,
    /// The client's own token.
    job: String,
}

async fn in_hand(server: &Server) -> InHand {
    let id = server.sign_up_with_scopes("ann", "me items").await;
    let own = crate::oauth::sign_in(server, "ann", "").await;
    let body = json!({ "username": "ann", "password": PASSWORD, "refresh_cookie": true });
    let page = server.post("/users/signin").header("origin", &server.url).json(&body).send().await.unwrap();
    let cookie = header(&page, "set-cookie").split(';').next().unwrap().to_owned();
    let web_secret = confidential(server, "web", "password refresh_token client_credentials", "me items").await;
    let ask = async |form: &[(&str, &str)]| {
        let request = server.post("/oauth2/token").basic_auth("web", Some(&web_secret)).form(form);
        expect(request.send().await.unwrap(), StatusCode::OK).await
    };
    let web = Tokens::of(&ask(&[("grant_type", "password"), ("username", "ann"), ("password", PASSWORD)]).await);
    let job = text(&ask(&[("grant_type", "client_credentials")]).await["access_token"]);
    InHand { id, own, cookie, web, web_secret, job }
}

/// Every request that would hand something out, by name.
fn requests(server: &Server, hand: &InHand, password: &str) -> Vec<(&'static str, RequestBuilder)> {
    let oauth = |form: &[(&str, &str)]| server.post("/oauth2/token").form(form);
    let web = |form: &[(&str, &str)]| oauth(form).basic_auth("web", Some(&hand.web_secret));
    let refresh = |token: &str| {
        vec![("grant_type".to_owned(), "refresh_token".to_owned()), ("refresh_token".into(), token.into())]
    };
    let mut own_refresh = refresh(&hand.own.refresh);
    own_refresh.push(("client_id".into(), "mapae".into()));
    let credentials = [("grant_type", "password"), ("username", "ann"), ("password", password)];
    vec![
        ("token", server.post("/token").form(&credentials)),
        ("signin", server.post("/users/signin").json(&json!({ "username": "ann", "password": password }))),
        ("password", oauth(&[&credentials[..], &[("client_id", "mapae")]].concat())),
        ("web password", web(&credentials)),
        ("refresh", server.post("/oauth2/token").form(&own_refresh)),
        (
            "web refresh",
            server.post("/oauth2/token").form(&refresh(&hand.web.refresh)).basic_auth("web", Some(&hand.web_secret)),
        ),
        ("cookie", server.post("/users/refresh").header("cookie", &hand.cookie).header("origin", &server.url)),
        ("me", server.get("/users/me").bearer_auth(&hand.own.access)),
        ("userinfo", server.get("/oauth2/userinfo").bearer_auth(&hand.own.access)),
        ("web userinfo", server.get("/oauth2/userinfo").bearer_auth(&hand.web.access)),
        ("sessions", server.get("/users/me/sessions").bearer_auth(&hand.own.access)),
        ("verify", server.get("/verify").bearer_auth(&hand.own.access)),
        ("web verify", server.get("/verify").bearer_auth(&hand.web.access)),
        ("job", web(&[("grant_type", "client_credentials")])),
        ("job verify", server.get("/verify").bearer_auth(&hand.job)),
    ]
}

/// The names of those requests that are answered 200.
async fn answered(server: &Server, hand: &InHand, password: &str) -> Vec<&'static str> {
    let mut names = Vec::new();
    for (name, request) in requests(server, hand, password) {
        let response = request.send().await.unwrap();
        if response.status().is_success() {
            names.push(name);
        } else {
            assert!(matches!(response.status().as_u16(), 400 | 401), "{name}: {}", response.status());
            assert_eq!(header(&response, "set-cookie"), "", "{name}");
        }
    }
    names
}

const JOB: [&str; 2] = ["job", "job verify"];

#[tokio::test]
async fn before_anything_is_taken_away_everything_is_given() {
    let server = Server::start().await;
    let hand = in_hand(&server).await;
    let all: Vec<_> = requests(&server, &hand, PASSWORD).into_iter().map(|(name, _)| name).collect();
    assert_eq!(answered(&server, &hand, PASSWORD).await, all);
}

#[tokio::test]
async fn a_disabled_or_deleted_account_gets_nothing() {
    for deleted in [false, true] {
        let server = Server::start().await;
        let hand = in_hand(&server).await;
        if deleted {
            server.mapae.delete_account(&hand.id, By::System).await.unwrap();
        } else {
            server.mapae.administer(&hand.id, disable(true), By::System).await.unwrap();
        }
        assert_eq!(answered(&server, &hand, PASSWORD).await, JOB, "what is the client's own stays");
        for gone in [&hand.web.access, &hand.web.refresh] {
            assert_eq!(introspect(&server, ("web", &hand.web_secret), gone).await, json!({ "active": false }));
        }
        if !deleted {
            // Enabled again, old tokens stay dead: only a password gives new ones.
            server.mapae.administer(&hand.id, disable(false), By::System).await.unwrap();
            let fresh = ["token", "signin", "password", "web password", "job", "job verify"];
            assert_eq!(answered(&server, &hand, PASSWORD).await, fresh);
        }
    }
}

#[tokio::test]
async fn a_changed_password_ends_what_the_old_one_began() {
    let new = "seven purple elephants";
    let server = Server::start().await;
    let hand = in_hand(&server).await;
    server.mapae.set_password(&hand.id, &SecretText::new(new.to_owned()), By::System).await.unwrap();
    assert_eq!(answered(&server, &hand, PASSWORD).await, JOB);
    let fresh = ["token", "signin", "password", "web password", "job", "job verify"];
    assert_eq!(answered(&server, &hand, new).await, fresh);

    // Changed by its owner: the session in which that was done stays.
    let server = Server::start().await;
    let hand = in_hand(&server).await;
    let body = json!({ "current_password": PASSWORD, "new_password": new });
    let changed = server.post("/users/me/password").bearer_auth(&hand.own.access).json(&body).send().await.unwrap();
    assert_eq!(changed.status(), 204);
    let own = ["refresh", "me", "userinfo", "sessions", "verify", "job", "job verify"];
    assert_eq!(answered(&server, &hand, PASSWORD).await, own);
}

#[tokio::test]
async fn a_withdrawn_scope_is_in_nothing_that_is_given() {
    let server = Server::start().await;
    let hand = in_hand(&server).await;
    server.mapae.administer(&hand.id, withdraw("items"), By::System).await.unwrap();
    let mut seen = 0;
    for (name, request) in requests(&server, &hand, PASSWORD) {
        let response = request.send().await.unwrap();
        let (told, body) = (header(&response, "x-auth-scope"), response.text().await.unwrap());
        if name.starts_with("job") || name == "sessions" {
            continue;
        }
        let body: Value = serde_json::from_str(&body).unwrap_or(Value::Null);
        if let Some(access) = body.get("access_token") {
            let claims = crate::forge::parts(&text(access)).1;
            assert_eq!((&body["scope"], &claims["scope"]), (&json!("me"), &json!("me")), "{name}");
            seen += 1;
        }
        assert!(!told.contains("items"), "{name}");
    }
    assert_eq!(seen, 7);
    let told = introspect(&server, ("web", &hand.web_secret), &hand.web.access).await;
    assert_eq!(told["scope"], "me");
}

#[tokio::test]
async fn a_removed_client_gets_nothing() {
    let server = Server::start().await;
    let hand = in_hand(&server).await;
    server.mapae.remove_client("web", By::System).await.unwrap();
    let left = ["token", "signin", "password", "refresh", "cookie", "me", "userinfo", "sessions", "verify"];
    assert_eq!(answered(&server, &hand, PASSWORD).await, left);
    for path in ["/oauth2/introspect", "/oauth2/revoke"] {
        let form = [("token", hand.own.access.as_str())];
        let request = server.post(path).basic_auth("web", Some(&hand.web_secret)).form(&form);
        assert_eq!(request.send().await.unwrap().status(), 401);
    }
    // Registered again, it has none of what the old one had.
    server.clock.advance(1);
    let secret = confidential(&server, "web", "password refresh_token client_credentials", "me items").await;
    let hand = InHand { web_secret: secret, ..hand };
    let fresh = answered(&server, &hand, PASSWORD).await;
    for old in ["web refresh", "web userinfo", "web verify", "job verify"] {
        assert!(!fresh.contains(&old), "{old}");
    }
    assert!(fresh.contains(&"web password") && fresh.contains(&"job"));
    let form = [("grant_type", "client_credentials"), ("client_id", "web"), ("client_secret", "wrong")];
    assert_eq!(token(&server, &form).await.status(), 401);
}
