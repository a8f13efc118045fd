//! `/users/me/tokens` and personal access tokens.

use mapae::service::By;
use reqwest::StatusCode;
use sea_orm::{ConnectionTrait, Database, Statement};
use serde_json::{Value, json};

use crate::delegation::{ask, claims, exchange, mint, personal, server_with_cars};
use crate::oauth::{introspect, new_client, oauth_error, sign_in};
use crate::server::{PASSWORD, Server, expect, problem, refused_fields, text};
use mapae::domain::ClientType;

async fn list(server: &Server, access: &str) -> Vec<Value> {
    let answer = server.get("/users/me/tokens").bearer_auth(access).send().await.unwrap();
    expect(answer, StatusCode::OK).await["tokens"].as_array().unwrap().clone()
}

async fn revoke(server: &Server, access: &str, id: &str) -> reqwest::Response {
    server.delete(&format!("/users/me/tokens/{id}")).bearer_auth(access).send().await.unwrap()
}

#[tokio::test]
async fn a_token_for_a_program_from_its_making_to_its_end() {
    let server = Server::start().await;
    let id = server.sign_up_with_scopes("ann", "me items").await;
    let own = sign_in(&server, "ann", "").await.access;
    let day = 86_400;
    let body = json!({
        "kind": "personal_token", "label": " deploy\u{7} ", "scope": "items", "expires_in": 90 * day,
        "password": PASSWORD,
    });
    let minted = mint(&server, &own, body).await;
    let token = text(&minted["token"]);
    assert!(token.starts_with("mp_") && token.len() == 46, "{token}");
    let listed = list(&server, &own).await;
    assert_eq!(listed.len(), 1);
    assert!(listed[0].get("token").is_none() && !listed[0].to_string().contains(&token), "shown once");
    for (name, value) in listed[0].as_object().unwrap() {
        assert_eq!(&minted[name], value, "{name}");
    }
    assert_eq!(
        (&minted["label"], &minted["scope"], &minted["sub"], &minted["last_used_at"], &minted["expires_at"]),
        (&json!("deploy"), &json!("items"), &json!(id.as_str()), &Value::Null, &json!("2026-04-01T00:00:00.000Z"))
    );
    // No route takes it.
    let why = problem(server.me(&token).await, StatusCode::UNAUTHORIZED, "invalid_token").await;
    assert!(text(&why["detail"]).contains("/oauth2/token"), "{why}");
    let why = server.get("/verify").bearer_auth(&token).send().await.unwrap();
    assert_eq!(why.status(), 401);
    // Long after the sign-in that it was made in.
    assert_eq!(server.post("/users/signout").bearer_auth(&own).send().await.unwrap().status(), 204);
    server.clock.advance(60 * day);
    let access = exchange(&server.url, &token, &[]).await;
    let told = claims(&access);
    assert_eq!((&told["sub"], &told["scope"]), (&json!(id.as_str()), &json!("items")));
    assert_eq!(told["exp"], json!(server.clock_now() + 900), "an access token lives as ever");
    let again = sign_in(&server, "ann", "").await.access;
    let listed = list(&server, &again).await;
    let mine = listed.iter().find(|one| one["kind"] == "personal_token").unwrap();
    assert_eq!((listed.len(), &mine["last_used_at"]), (2, &json!("2026-03-02T00:00:00.000Z")));
    assert_eq!(sessions(&server, &again).await, 1, "minted tokens are not among the sign-ins");
    // Nobody else's to revoke; and a sign-in is none of them.
    let (_, bob) = server.newcomer("bob").await;
    let sid = text(&claims(&again)["sid"]);
    for (access, id) in [(&bob, text(&mine["id"])), (&again, sid), (&again, "x".into()), (&again, "x%00".into())] {
        problem(revoke(&server, access, &id).await, StatusCode::NOT_FOUND, "token_not_found").await;
    }
    assert_eq!(revoke(&server, &again, &text(&mine["id"])).await.status(), 204);
    assert!(list(&server, &again).await.is_empty(), "what it was exchanged for ended with it");
    assert_eq!(server.get("/verify").bearer_auth(&access).send().await.unwrap().status(), 401);
    oauth_error(ask(&server.url, &token, &[]).await, 400, "invalid_request").await;
    problem(revoke(&server, &again, &text(&mine["id"])).await, StatusCode::NOT_FOUND, "token_not_found").await;
}

async fn sessions(server: &Server, access: &str) -> usize {
    let answer = server.get("/users/me/sessions").bearer_auth(access).send().await.unwrap();
    expect(answer, StatusCode::OK).await["sessions"].as_array().unwrap().len()
}

#[tokio::test]
async fn only_its_hash_is_stored_and_uses_are_noted_coarsely() {
    let server = Server::start().await;
    server.sign_up_with_scopes("ann", "me").await;
    let own = sign_in(&server, "ann", "").await.access;
    let (token, _) = personal(&server, &own, json!({})).await;
    let used =
        async || list(&server, &own).await.iter().find_map(|one| one["last_used_at"].as_str().map(str::to_owned));
    exchange(&server.url, &token, &[]).await;
    let first = used().await.unwrap();
    server.clock.advance(59);
    exchange(&server.url, &token, &[]).await;
    assert_eq!(used().await.unwrap(), first, "not every use is a write");
    server.clock.advance(1);
    exchange(&server.url, &token, &[]).await;
    assert_ne!(used().await.unwrap(), first);
    server.mapae.store().close().await;
    for entry in std::fs::read_dir(server.directory()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(token.len() - 3).any(|part| part == &token.as_bytes()[3..]));
    }
}

#[tokio::test]
async fn a_resource_server_introspects_it() {
    let server = Server::start().await;
    let id = server.sign_up_with_scopes("ann", "me items").await;
    let own = sign_in(&server, "ann", "").await.access;
    let (token, sid) = personal(&server, &own, json!({ "scope": "items" })).await;
    let mut api = new_client("api", ClientType::Confidential, "", "");
    api.audiences = vec![server.url.clone()];
    let secret = server.mapae.add_client(api, By::System).await.unwrap().1.unwrap();
    let told = introspect(&server, ("api", secret.expose()), &token).await;
    assert_eq!(
        told,
        json!({
            "active": true, "scope": "items", "client_id": "mapae", "token_type": "Bearer", "iss": server.url,
            "sub": id.as_str(), "aud": [server.url], "exp": server.clock_now() + 30 * 86_400,
            "iat": server.clock_now(), "sid": sid, "act": { "sub": id.as_str() },
        })
    );
    assert!(list(&server, &own).await[0]["last_used_at"].is_string(), "that is a use");
    // Not another's business.
    let other = crate::oauth::confidential(&server, "other", "client_credentials", "items").await;
    assert_eq!(introspect(&server, ("other", &other), &token).await, json!({ "active": false }));
    // Whoever finds it can give it up.
    let form = [("token", token.as_str()), ("client_id", "mapae")];
    assert_eq!(server.post("/oauth2/revoke").form(&form).send().await.unwrap().status(), 200);
    assert_eq!(introspect(&server, ("api", secret.expose()), &token).await, json!({ "active": false }));
}

#[tokio::test]
async fn what_cannot_be_minted_is_named() {
    let server = server_with_cars().await;
    let (id, own) = server.newcomer("ann").await;
    let ask = async |body: Value| server.post("/users/me/tokens").bearer_auth(&own).json(&body).send().await.unwrap();
    for (body, field, code) in [
        (json!({}), "kind", "missing"),
        (json!({ "kind": "refresh_token" }), "kind", "unknown_kind"),
        (json!({ "kind": "access_token", "scope": "items" }), "scope", "not_granted"),
        (json!({ "kind": "access_token", "scope": "\"" }), "scope", "invalid_scope"),
        (json!({ "kind": "access_token", "audience": "https://x.example" }), "audience", "not_granted"),
        (json!({ "kind": "access_token", "expires_in": 0 }), "expires_in", "too_short"),
        (json!({ "kind": "access_token", "expires_in": -1 }), "expires_in", "int_type"),
        (
            json!({ "kind": "personal_token", "expires_in": 366 * 86_400, "password": PASSWORD }),
            "expires_in",
            "too_long",
        ),
        (json!({ "kind": "personal_token" }), "password", "missing"),
        (json!({ "kind": "personal_token", "password": null }), "password", "missing"),
        (json!({ "kind": "personal_token", "password": 1 }), "password", "string_type"),
        (json!({ "kind": "access_token", "subject": id.as_str() }), "subject", "invalid_subject"),
        (json!({ "kind": "access_token", "subject": "client:web" }), "subject", "invalid_subject"),
        (json!({ "kind": "access_token", "subject": "car:" }), "subject", "invalid_subject"),
        (json!({ "kind": "access_token", "act": "x" }), "act", "extra_forbidden"),
    ] {
        assert!(refused_fields(ask(body.clone()).await).await.contains(&(field.into(), code.into())), "{body}");
    }
    let wrong = json!({ "kind": "personal_token", "password": "not the password" });
    problem(ask(wrong).await, StatusCode::FORBIDDEN, "wrong_password").await;
    let car = json!({ "kind": "personal_token", "subject": "car:42", "password": PASSWORD });
    let why = problem(ask(car).await, StatusCode::FORBIDDEN, "subject_refused").await;
    assert_eq!(why["detail"], "You may not speak for car:42.");
    assert!(list(&server, &own).await.is_empty());
    // An access token is no longer good than the one that asks, whatever is wanted.
    let long = mint(&server, &own, json!({ "kind": "access_token", "expires_in": 86_400 })).await;
    assert_eq!(claims(&text(&long["token"]))["exp"], claims(&own)["exp"]);
    let form = text(&long["token"]);
    assert_eq!(server.status_of_me(&form).await, 200);
}

/// Whoever was handed one token does not use up what its owner may mint, however the chain goes.
#[tokio::test]
async fn there_is_an_end_to_what_is_made_from_one_token() {
    let server = Server::start().await;
    let (_, own) = server.newcomer("ann").await;
    let bots = exchange(&server.url, &own, &[]).await;
    let mut children = Vec::new();
    for _ in 0..50 {
        children.push(exchange(&server.url, &bots, &[]).await);
    }
    for child in &children {
        exchange(&server.url, child, &[]).await;
    }
    for token in [&bots, &children[0]] {
        let why = oauth_error(ask(&server.url, token, &[]).await, 400, "invalid_request").await;
        assert!(why.contains("made from this one"), "{why}");
    }
    let another = exchange(&server.url, &own, &[]).await;
    exchange(&server.url, &another, &[]).await;
}

/// What is over is forgotten, and ends with nothing: of one account there can be very much of it.
#[tokio::test]
async fn what_is_over_is_no_row_for_long() {
    let server = Server::start().await;
    let (id, own) = server.newcomer("ann").await;
    exchange(&server.url, &own, &[]).await;
    personal(&server, &own, json!({ "expires_in": 60 })).await;
    let rows = async || {
        let database = Database::connect(crate::database::url(server.directory())).await.unwrap();
        let rows = database.query_all_raw(Statement::from_string(
            database.get_database_backend(),
            "SELECT CASE WHEN ended_at IS NULL THEN 'open' ELSE 'ended' END FROM mapae_session WHERE minted IS NOT NULL",
        ));
        let rows = rows.await.unwrap();
        rows.iter().map(|row| row.try_get_by_index::<String>(0).unwrap()).collect::<Vec<_>>()
    };
    server.clock.advance(900 + 300 + 301);
    assert_eq!(rows().await, ["open", "open"]);
    server.mapae.administer(&id, crate::server::disable(true), By::System).await.unwrap();
    assert_eq!(rows().await, ["open", "open"], "what no verifier takes any more is not ended");
    let beside = server.another_process().await;
    let _background = beside.watch().await.unwrap();
    for _ in 0..200 {
        if rows().await.is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{:?}", rows().await);
}

/// Verifiers read the whole feed, so there is an end to what may come into it.
#[tokio::test]
async fn there_is_an_end_to_what_everybody_mints() {
    let server = Server::start().await;
    let (id, own) = server.newcomer("ann").await;
    exchange(&server.url, &own, &[]).await;
    let database = Database::connect(crate::database::url(server.directory())).await.unwrap();
    // Of somebody else, whom nobody asks.
    let copies = "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) \
         INSERT INTO mapae_session (id, user_id, client_id, scopes, created_at, expires_at, access_expires_at, \
         generation, minted, depth, audience, actor) SELECT 'copy-' || i, user_id, client_id, scopes, created_at, \
         expires_at, access_expires_at, 0, minted, 1, audience, actor FROM mapae_session, n WHERE minted IS NOT NULL";
    let (_, bob) = server.newcomer("bob").await;
    database.execute_unprepared(copies).await.unwrap();
    let why = oauth_error(ask(&server.url, &bob, &[]).await, 400, "invalid_request").await;
    assert!(why.contains("on this server"), "{why}");
    assert_eq!(server.mapae.minted_tokens(Some(&id)).await.unwrap().len(), 1_000);
    database.execute_unprepared("DELETE FROM mapae_session WHERE id = 'copy-2'").await.unwrap();
    exchange(&server.url, &bob, &[]).await;
}

/// One of everything is one row; nobody fills the table.
#[tokio::test]
async fn there_is_an_end_to_what_one_account_mints() {
    let server = Server::start().await;
    let (id, own) = server.newcomer("ann").await;
    let new = || mapae::service::NewToken {
        kind: mapae::domain::WantedKind::AccessToken,
        label: None,
        narrowing: mapae::domain::delegation::Narrowing::default(),
    };
    for _ in 0..1_000 {
        server.mapae.mint_token_for(&id, new(), By::System).await.unwrap();
    }
    let answer = server.post("/users/me/tokens").bearer_auth(&own).json(&json!({ "kind": "access_token" }));
    problem(answer.send().await.unwrap(), StatusCode::CONFLICT, "too_many_tokens").await;
    oauth_error(ask(&server.url, &own, &[]).await, 400, "invalid_request").await;
    // Revoking makes no room: the feed has to name what was revoked until it would have been over.
    let one = server.mapae.minted_tokens(Some(&id)).await.unwrap().remove(0).id;
    assert!(server.mapae.revoke_minted_token(&one, By::System).await.unwrap());
    oauth_error(ask(&server.url, &own, &[]).await, 400, "invalid_request").await;
    server.clock.advance(1_201);
    let own = sign_in(&server, "ann", "").await.access;
    exchange(&server.url, &own, &[]).await;
}
