//! `/oauth2/token`: grants, and how clients say who they are.

use mapae::domain::{ClientType, Lifetimes};
use mapae::service::By;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::forge::parts;
use crate::oauth::{Tokens, confidential, new_client, oauth_error, public, secret, sign_in, token};
use crate::server::{PASSWORD, Server, expect, header, text};

const GIVEN: &str = "a secret: given & typed 100%";

fn password_form<'a>(client: &'a str, password: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![("grant_type", "password"), ("username", "ann"), ("password", password), ("client_id", client)]
}

#[tokio::test]
async fn the_password_grant_is_for_clients_that_were_named() {
    let server = Server::start().await;
    server.sign_up_with_scopes("ann", "me items").await;
    public(&server, "first", "password refresh_token", "me items").await;
    public(&server, "short", "password", "me").await;
    public(&server, "third", "refresh_token", "me").await;
    let ok = async |form: &[(&str, &str)]| {
        let response = token(&server, form).await;
        assert_eq!(
            (header(&response, "cache-control"), header(&response, "content-type")),
            ("no-store".into(), "application/json".into())
        );
        expect(response, StatusCode::OK).await
    };
    for client in ["first", "mapae"] {
        let tokens = Tokens::of(&ok(&password_form(client, PASSWORD)).await);
        let claims = parts(&tokens.access).1;
        assert_eq!((&claims["client_id"], tokens.scope.as_str()), (&json!(client), "me items"));
        assert_eq!(server.status_of_me(&tokens.access).await, 200);
    }
    let short = ok(&password_form("short", PASSWORD)).await;
    assert_eq!((&short["scope"], short.get("refresh_token")), (&json!("me"), None), "only what the client may have");
    let why = oauth_error(token(&server, &password_form("third", PASSWORD)).await, 400, "unauthorized_client").await;
    assert!(why.contains("may not use this grant"), "{why}");
    // Wrong credentials are 400 without a challenge, whatever is wrong.
    for bad in ["wrong password", &"x".repeat(2_000)] {
        let why = oauth_error(token(&server, &password_form("first", bad)).await, 400, "invalid_grant").await;
        assert_eq!(why, "Incorrect username or password");
    }
    let mut asks = password_form("short", PASSWORD);
    asks.push(("scope", "items"));
    oauth_error(token(&server, &asks).await, 400, "invalid_scope").await;
    asks.pop();
    asks.push(("scope", "items me"));
    assert_eq!(ok(&asks).await["scope"], "me");
}

#[tokio::test]
async fn a_client_acts_for_itself() {
    let server = Server::start().await;
    let job = confidential(&server, "nightly.job", "client_credentials", "items").await;
    let ask = async |scope: &str| {
        let form = [("grant_type", "client_credentials"), ("scope", scope)];
        server.post("/oauth2/token").basic_auth("nightly.job", Some(&job)).form(&form).send().await.unwrap()
    };
    let body = expect(ask("").await, StatusCode::OK).await;
    assert_eq!((&body["scope"], body.get("refresh_token")), (&json!("items"), None));
    let access = text(&body["access_token"]);
    let claims = parts(&access).1;
    assert_eq!(
        (&claims["sub"], &claims["client_id"], claims.get("sid")),
        (&json!("client:nightly.job"), &json!("nightly.job"), None)
    );
    assert_eq!(server.status_of_me(&access).await, 403, "it never passes for a person");
    oauth_error(ask("me").await, 400, "invalid_scope").await;
    for person in ["password", "refresh_token"] {
        let form = [("grant_type", person), ("username", "x"), ("password", "x"), ("refresh_token", "x")];
        let request = server.post("/oauth2/token").basic_auth("nightly.job", Some(&job)).form(&form);
        oauth_error(request.send().await.unwrap(), 400, "unauthorized_client").await;
    }
}

#[tokio::test]
async fn a_secret_is_shown_by_basic_or_in_the_form() {
    let server = Server::start().await;
    let made = confidential(&server, "made", "client_credentials", "items").await;
    let mut given = new_client("given", ClientType::Confidential, "client_credentials", "items");
    given.secret = Some(secret(GIVEN));
    assert!(server.mapae.add_client(given, By::System).await.unwrap().1.is_none(), "a given secret is not repeated");
    assert!(made.starts_with("mcs_") && made.len() == 4 + 43, "{made}");
    let grant = ("grant_type", "client_credentials");
    let post = |form: &[(&str, &str)]| server.post("/oauth2/token").form(form);
    let encoded: String = url_encode(GIVEN);
    for request in [
        post(&[grant, ("client_id", "made"), ("client_secret", &made)]),
        post(&[grant, ("client_id", "given"), ("client_secret", GIVEN)]),
        post(&[grant]).basic_auth("made", Some(&made)),
        post(&[grant]).basic_auth("given", Some(GIVEN)),
        post(&[grant]).basic_auth("given", Some(&encoded)),
        post(&[grant, ("client_id", "made")]).basic_auth("made", Some(&made)),
        post(&[grant, ("client_id", "made"), ("client_secret", "")]).basic_auth("made", Some(&made)),
    ] {
        expect(request.send().await.unwrap(), StatusCode::OK).await;
    }
}

/// As `application/x-www-form-urlencoded` writes it.
fn url_encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[tokio::test]
async fn who_does_not_prove_it_is_refused() {
    let server = Server::start().await;
    let made = confidential(&server, "made", "client_credentials", "items").await;
    let mut given = new_client("given", ClientType::Confidential, "client_credentials", "items");
    given.secret = Some(secret(GIVEN));
    server.mapae.add_client(given, By::System).await.unwrap();
    public(&server, "app", "refresh_token", "me").await;
    let grant = ("grant_type", "client_credentials");
    let post = |form: &[(&str, &str)]| server.post("/oauth2/token").form(form);
    for request in [
        post(&[grant, ("client_id", "nobody"), ("client_secret", &made)]),
        post(&[grant, ("client_id", "made"), ("client_secret", "wrong")]),
        post(&[grant, ("client_id", "made"), ("client_secret", &format!("{made} "))]),
        post(&[grant, ("client_id", "given"), ("client_secret", &made)]),
        post(&[grant, ("client_id", "given"), ("client_secret", &"x".repeat(5_000))]),
        post(&[grant, ("client_id", "made")]),
        post(&[grant, ("client_id", "app"), ("client_secret", "x")]),
        post(&[grant, ("client_id", "mapae"), ("client_secret", "x")]),
        post(&[grant, ("client_id", "a:b"), ("client_secret", "x")]),
        post(&[grant]),
    ] {
        oauth_error(request.send().await.unwrap(), 401, "invalid_client").await;
    }
    // A challenge only where Basic was tried, and then that one.
    let challenged = async |request: RequestBuilder| {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 401);
        assert!(header(&response, "www-authenticate").starts_with("Basic realm="));
        assert_eq!(response.json::<Value>().await.unwrap()["error"], "invalid_client");
    };
    challenged(post(&[grant]).basic_auth("made", Some("wrong"))).await;
    challenged(post(&[grant]).basic_auth("made", Option::<&str>::None)).await;
    challenged(post(&[grant]).basic_auth("nobody", Some("x"))).await;
    challenged(post(&[grant]).bearer_auth("x")).await;
    for unreadable in ["Basic", "Basic !!", "Basic bm8gY29sb24=", "Basic /////w=="] {
        challenged(post(&[grant]).header("authorization", unreadable)).await;
    }
}

#[tokio::test]
async fn a_request_that_is_not_in_order_is_invalid() {
    let server = Server::start().await;
    let made = confidential(&server, "made", "client_credentials", "items").await;
    let raw = |body: &str| {
        let form = "application/x-www-form-urlencoded;charset=UTF-8";
        server.post("/oauth2/token").header("content-type", form).body(body.to_owned())
    };
    let grant = "grant_type=client_credentials";
    for request in [
        raw(""),
        raw("grant_type="),
        raw(&format!("{grant}&{grant}&client_id=made&client_secret={made}")),
        raw(&format!("{grant}&client_id=made&client_id=made&client_secret={made}")),
        raw(&format!("{grant}&client_id=made&client_secret={made}&x=1&x=2")),
        raw(&format!("{grant}&client_id=made&client_secret={made}")).basic_auth("made", Some(&made)),
        raw(&format!("{grant}&client_id=other")).basic_auth("made", Some(&made)),
        raw(grant).basic_auth("made", Some(&made)).basic_auth("made", Some(&made)),
        raw("grant_type=password&client_id=mapae&username=ann"),
        raw("grant_type=password&client_id=mapae&password=x"),
        raw("grant_type=refresh_token&client_id=mapae"),
        server.post("/oauth2/token").json(&json!({ "grant_type": "client_credentials" })),
        server.post("/oauth2/token"),
        server.post("/oauth2/token").multipart(reqwest::multipart::Form::new().text("grant_type", "password")),
    ] {
        oauth_error(request.send().await.unwrap(), 400, "invalid_request").await;
    }
    for other in ["authorization_code", "implicit", "PASSWORD", "urn:ietf:params:oauth:grant-type:jwt-bearer"] {
        let form = [("grant_type", other), ("client_id", "mapae")];
        oauth_error(token(&server, &form).await, 400, "unsupported_grant_type").await;
    }
    let form = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", "mapae"), ("scope", "a\"b")];
    oauth_error(token(&server, &form).await, 400, "invalid_scope").await;
    let huge = raw(&format!("{grant}&x={}", "x".repeat(100_000))).send().await.unwrap();
    oauth_error(huge, 413, "invalid_request").await;
    // Nothing of the query counts.
    let query = format!("/oauth2/token?{grant}&client_id=made&client_secret={made}");
    let form = [("x", "y")];
    oauth_error(server.post(&query).form(&form).send().await.unwrap(), 400, "invalid_request").await;
    assert_eq!(server.get("/oauth2/token").send().await.unwrap().status(), 405);
}

#[tokio::test]
async fn a_clients_audiences_and_shorter_lifetimes_hold() {
    let server = Server::start_with(|settings| settings.access_token_lifetime = 600).await;
    server.sign_up("ann").await;
    let mut client = new_client("app", ClientType::Public, "password refresh_token", "me");
    client.audiences = vec!["https://api.example".to_owned(), "https://other.example".to_owned()];
    client.lifetimes = Lifetimes { access_token: Some(60), session_idle: Some(120), session: Some(200) };
    server.mapae.add_client(client, By::System).await.unwrap();
    let mut long = new_client("long", ClientType::Public, "password", "me");
    long.lifetimes.access_token = Some(6_000);
    server.mapae.add_client(long, By::System).await.unwrap();
    let long = expect(token(&server, &password_form("long", PASSWORD)).await, StatusCode::OK).await;
    assert_eq!(long["expires_in"], 600, "never longer than the server's own");
    let mut tokens = Tokens::of(&expect(token(&server, &password_form("app", PASSWORD)).await, StatusCode::OK).await);
    assert_eq!(tokens.expires_in, 60);
    assert_eq!(parts(&tokens.access).1["aud"], json!(["https://api.example", "https://other.example"]));
    assert_eq!(server.status_of_me(&tokens.access).await, 401, "it is meant for others");
    let refresh = async |refresh_token: &str| {
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token), ("client_id", "app")];
        token(&server, &form).await
    };
    server.clock.advance(119);
    tokens = Tokens::of(&expect(refresh(&tokens.refresh).await, StatusCode::OK).await);
    server.clock.advance(80);
    let last = Tokens::of(&expect(refresh(&tokens.refresh).await, StatusCode::OK).await);
    assert_eq!(last.expires_in, 1);
    server.clock.advance(1);
    oauth_error(refresh(&last.refresh).await, 400, "invalid_grant").await;
}

#[tokio::test]
async fn without_the_database_it_says_so() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    let tokens = sign_in(&server, "ann", "").await;
    server.mapae.store().close().await;
    let response = crate::oauth::refresh_request(&server, &tokens.refresh).send().await.unwrap();
    assert_eq!(header(&response, "retry-after"), "2");
    let why = oauth_error(response, 503, "temporarily_unavailable").await;
    assert!(!why.to_lowercase().contains("sql"), "{why}");
}
