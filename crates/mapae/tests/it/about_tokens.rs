//! `/oauth2/introspect`, `/oauth2/revoke`, `/oauth2/userinfo` and the metadata.

use mapae::domain::{BaseUrl, ClientType};
use mapae::service::By;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::forge::parts;
use crate::oauth::{
    Tokens, confidential, introspect, new_client, oauth_error, public, refresh, refused, sign_in, token,
};
use crate::server::{PASSWORD, Server, disable, expect, header, text};

/// A confidential client with a person's tokens.
async fn web(server: &Server) -> (String, Tokens) {
    let secret = confidential(server, "web", "password refresh_token", "me items").await;
    let form = [("grant_type", "password"), ("username", "ann"), ("password", PASSWORD)];
    let request = server.post("/oauth2/token").basic_auth("web", Some(&secret)).form(&form);
    let tokens = Tokens::of(&expect(request.send().await.unwrap(), StatusCode::OK).await);
    (secret, tokens)
}

#[tokio::test]
async fn introspection_tells_what_is_good() {
    let server = Server::start().await;
    let id = server.sign_up_with_scopes("ann", "me items").await;
    let (secret, tokens) = web(&server).await;
    let web = ("web", secret.as_str());
    let claims = parts(&tokens.access).1;
    let told = introspect(&server, web, &tokens.access).await;
    assert_eq!(
        told,
        json!({
            "active": true, "scope": "me items", "client_id": "web", "token_type": "Bearer", "iss": server.url,
            "sub": id.as_str(), "aud": [server.url], "exp": claims["exp"], "iat": claims["iat"],
            "jti": claims["jti"], "sid": claims["sid"],
        })
    );
    let told = introspect(&server, web, &tokens.refresh).await;
    assert_eq!(
        (&told["active"], &told["client_id"], &told["sub"], told.get("token_type"), &told["exp"]),
        (&json!(true), &json!("web"), &json!(id.as_str()), None, &json!(server.clock_now() + 30 * 86_400))
    );
    // A scope withdrawn is gone from what is told.
    server.mapae.administer(&id, crate::server::withdraw("items"), By::System).await.unwrap();
    assert_eq!(introspect(&server, web, &tokens.access).await["scope"], "me");
    assert_eq!(introspect(&server, web, &tokens.refresh).await["scope"], "me");
    for bad in ["x", "mr_x", &format!("{}x", tokens.access), &format!("{}x", tokens.refresh), &"x".repeat(20_000)] {
        assert_eq!(introspect(&server, web, bad).await, json!({ "active": false }), "{bad}");
    }
    server.mapae.administer(&id, disable(true), By::System).await.unwrap();
    for ended in [&tokens.access, &tokens.refresh] {
        assert_eq!(introspect(&server, web, ended).await, json!({ "active": false }));
    }
}

#[tokio::test]
async fn others_tokens_are_not_ones_business() {
    let server = Server::start().await;
    server.sign_up_with_scopes("ann", "me items").await;
    let (secret, tokens) = web(&server).await;
    let other = confidential(&server, "other", "client_credentials", "items").await;
    let first_party = sign_in(&server, "ann", "").await;
    for token in [&tokens.access, &tokens.refresh, &first_party.access, &first_party.refresh] {
        assert_eq!(introspect(&server, ("other", &other), token).await, json!({ "active": false }));
    }
    // A server that receives tokens may ask about those that are meant for it.
    let mut api = new_client("api", ClientType::Confidential, "", "");
    api.audiences = vec![server.url.clone()];
    let api_secret = server.mapae.add_client(api, By::System).await.unwrap().1.unwrap();
    let api = ("api", api_secret.expose());
    for token in [&tokens.access, &first_party.access] {
        assert_eq!(introspect(&server, api, token).await["active"], true);
    }
    assert_eq!(introspect(&server, api, &tokens.refresh).await, json!({ "active": false }), "never a refresh token");
    // Tokens with an audience of their own are for that audience, by its id or by what it was registered with.
    let mut narrow = new_client("narrow", ClientType::Confidential, "client_credentials", "items");
    narrow.audiences = vec!["https://narrow.example".to_owned(), "reader".to_owned()];
    let narrow_secret = server.mapae.add_client(narrow, By::System).await.unwrap().1.unwrap();
    let form = [("grant_type", "client_credentials")];
    let request = server.post("/oauth2/token").basic_auth("narrow", Some(narrow_secret.expose())).form(&form);
    let narrow = text(&expect(request.send().await.unwrap(), StatusCode::OK).await["access_token"]);
    let reader = confidential(&server, "reader", "client_credentials", "").await;
    for (client, active) in [
        (("narrow", narrow_secret.expose()), true),
        (("reader", &reader), true),
        (api, false),
        (("web", &secret), false),
    ] {
        assert_eq!(introspect(&server, client, &narrow).await["active"], active, "{}", client.0);
    }
}

#[tokio::test]
async fn only_confidential_clients_introspect() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    let tokens = sign_in(&server, "ann", "").await;
    public(&server, "app", "refresh_token", "me").await;
    for client in ["app", "mapae", "nobody"] {
        let form = [("token", tokens.access.as_str()), ("client_id", client)];
        oauth_error(server.post("/oauth2/introspect").form(&form).send().await.unwrap(), 401, "invalid_client").await;
    }
    let form = [("token", tokens.access.as_str())];
    oauth_error(server.post("/oauth2/introspect").form(&form).send().await.unwrap(), 401, "invalid_client").await;
    let wrong = server.post("/oauth2/introspect").basic_auth("app", Some("x")).form(&form).send().await.unwrap();
    assert_eq!((wrong.status().as_u16(), &header(&wrong, "www-authenticate")[..5]), (401, "Basic"));
    for path in ["/oauth2/introspect", "/oauth2/revoke"] {
        oauth_error(server.post(path).form(&[("client_id", "mapae")]).send().await.unwrap(), 400, "invalid_request")
            .await;
    }
}

async fn revoke(server: &Server, client: &str, token: &str) -> reqwest::Response {
    server.post("/oauth2/revoke").form(&[("token", token), ("client_id", client)]).send().await.unwrap()
}

#[tokio::test]
async fn a_revoked_token_is_good_for_nothing() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    public(&server, "app", "refresh_token", "me").await;
    let tokens = sign_in(&server, "ann", "").await;
    // Another client's: refused, and it stays good.
    for token in [&tokens.access, &tokens.refresh] {
        let why = oauth_error(revoke(&server, "app", token).await, 400, "invalid_grant").await;
        assert!(why.contains("another client"), "{why}");
    }
    assert_eq!(server.status_of_me(&tokens.access).await, 200);
    // An access token: itself alone.
    assert_eq!(revoke(&server, "mapae", &tokens.access).await.status(), 200);
    assert_eq!(server.status_of_me(&tokens.access).await, 401);
    let second = refresh(&server, &tokens.refresh).await;
    assert_eq!(server.status_of_me(&second.access).await, 200);
    // A refresh token, even one that was used: the session.
    assert_eq!(revoke(&server, "mapae", &tokens.refresh).await.status(), 200);
    assert_eq!(server.status_of_me(&second.access).await, 401);
    assert!(refused(&server, &second.refresh).await.contains("signed out"));
    // What is unknown, broken or revoked already is as good as revoked.
    for token in [tokens.access.as_str(), &tokens.refresh, "x", "mr_x", &format!("{}x", second.access)] {
        let answer = revoke(&server, "mapae", token).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.text().await.unwrap(), "");
    }
    oauth_error(revoke(&server, "nobody", &tokens.access).await, 401, "invalid_client").await;
}

#[tokio::test]
async fn a_revoked_token_is_refused_after_a_restart_and_by_other_processes() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    let tokens = sign_in(&server, "ann", "").await;
    let other = server.another_process().await;
    let _watching = other.watch().await.unwrap();
    other.authenticate(&tokens.access).await.unwrap();
    assert_eq!(revoke(&server, "mapae", &tokens.access).await.status(), 200);
    let mut tries = 0;
    while other.authenticate(&tokens.access).await.is_ok() {
        tries += 1;
        assert!(tries < 200, "another process did not see the revocation within a second");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    drop(other);
    let server = server.restart_with(|_| {}).await;
    assert_eq!(server.status_of_me(&tokens.access).await, 401);
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(server.status_of_me(&tokens.access).await, 401);
    assert_eq!(server.status_of_me(&refresh(&server, &tokens.refresh).await.access).await, 200);
}

#[tokio::test]
async fn userinfo_is_the_account() {
    let server = Server::start().await;
    let body = json!({ "username": "ann", "email": "ann@example.com", "full_name": "Ann A.", "password": PASSWORD });
    let made = expect(server.post("/users/signup").json(&body).send().await.unwrap(), StatusCode::CREATED).await;
    let tokens = sign_in(&server, "ann", "").await;
    let expected =
        json!({ "sub": made["id"], "name": "Ann A.", "preferred_username": "ann", "email": "ann@example.com" });
    for request in [server.get("/oauth2/userinfo"), server.post("/oauth2/userinfo")] {
        let told = expect(request.bearer_auth(&tokens.access).send().await.unwrap(), StatusCode::OK).await;
        assert_eq!(told, expected);
    }
    server.sign_up("bob").await;
    let bob = sign_in(&server, "bob", "").await;
    let told = server.get("/oauth2/userinfo").bearer_auth(&bob.access).send().await.unwrap();
    assert_eq!(expect(told, StatusCode::OK).await.as_object().unwrap().len(), 2, "no nulls");
    let no_scope = sign_in(&server, "bob", "unknown").await;
    assert_eq!(server.get("/oauth2/userinfo").bearer_auth(&no_scope.access).send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn metadata_says_what_is_true() {
    let server = Server::start().await;
    let get = async |path: &str| -> Value { expect(server.get(path).send().await.unwrap(), StatusCode::OK).await };
    let oauth = get("/.well-known/oauth-authorization-server").await;
    let openid = get("/.well-known/openid-configuration").await;
    for (name, value) in oauth.as_object().unwrap() {
        assert_eq!(&openid[name], value, "{name}");
    }
    assert_eq!(oauth["issuer"], server.url);
    assert_eq!(oauth["response_types_supported"], json!([]));
    assert_eq!(oauth["scopes_supported"], json!(["items", "mapae:admin", "me"]));
    assert_eq!(
        oauth["grant_types_supported"],
        json!(["password", "refresh_token", "client_credentials", crate::delegation::GRANT])
    );
    assert_eq!(openid["id_token_signing_alg_values_supported"], json!([]));
    assert!(oauth.get("authorization_endpoint").is_none());
    // Every address is there: it answers something else than 404.
    for (name, value) in oauth.as_object().unwrap() {
        if name.ends_with("_endpoint") || name == "jwks_uri" {
            let url = text(value);
            assert!(url.starts_with(&format!("{}/", server.url)), "{url}");
            let method = if name == "jwks_uri" { reqwest::Method::GET } else { reqwest::Method::POST };
            let status = server.client.request(method, &url).send().await.unwrap().status();
            assert!(status != 404 && status != 405, "{url}: {status}");
        }
    }
    // What it says of grants is so: others are not supported.
    let form = [("grant_type", "authorization_code"), ("client_id", "mapae")];
    oauth_error(token(&server, &form).await, 400, "unsupported_grant_type").await;
}

/// RFC 8414 §3.1: the issuer's path comes behind the well-known one.
#[tokio::test]
async fn an_issuer_may_have_a_path() {
    let issuer = "https://example.com/auth/v1";
    let server = Server::start_with(|settings| settings.base_url = BaseUrl::parse(issuer).unwrap()).await;
    for name in ["oauth-authorization-server", "openid-configuration"] {
        for path in [format!("/.well-known/{name}"), format!("/.well-known/{name}/auth/v1")] {
            let told: Value = expect(server.get(&path).send().await.unwrap(), StatusCode::OK).await;
            assert_eq!(
                (&told["issuer"], &told["token_endpoint"]),
                (&json!(issuer), &json!(format!("{issuer}/oauth2/token")))
            );
        }
        let other = server.get(&format!("/.well-known/{name}/other")).send().await.unwrap();
        assert_eq!(other.status(), 404);
    }
}

/// How many revocations are noted.
async fn noted(server: &Server) -> usize {
    server.mapae.store().revocations().await.unwrap().len()
}

#[tokio::test]
async fn a_token_that_is_revoked_again_and_again_is_noted_once() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    let tokens = sign_in(&server, "ann", "").await;
    for _ in 0..3 {
        assert_eq!(revoke(&server, "mapae", &tokens.access).await.status(), 200);
    }
    assert_eq!(noted(&server).await, 1);
}

/// Refreshing and revoking costs nothing, so one person could fill the feed until no verifier reads it any more.
#[tokio::test]
async fn when_many_tokens_are_revoked_one_by_one_their_sessions_end() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    let (first, second) = (sign_in(&server, "ann", "").await, sign_in(&server, "ann", "").await);
    let many = (0..10_000).map(|number| {
        let expires_at = chrono::DateTime::from_timestamp(server.clock_now() + 900, 0).unwrap();
        mapae::store::NewRevocation::token(&format!("token-{number}"), expires_at)
    });
    let mut tx = server.mapae.store().begin().await.unwrap();
    tx.revoke(many.collect()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(revoke(&server, "mapae", &first.access).await.status(), 200);
    assert!(refused(&server, &first.refresh).await.contains("signed out"));
    assert_eq!(server.status_of_me(&first.access).await, 401);
    assert_eq!(server.status_of_me(&second.access).await, 200);
    // A quarter of an hour later there is room again.
    server.clock.advance(1_201);
    let second = refresh(&server, &second.refresh).await;
    assert_eq!(revoke(&server, "mapae", &second.access).await.status(), 200);
    assert_eq!(noted(&server).await, 1);
    refresh(&server, &second.refresh).await;
}
