//! `/admin/users`: who may, and what changes at once.

use mapae::domain::UserId;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::server::{PASSWORD, Server, expect, header, problem, refused_fields, text};

async fn administer(server: &Server, admin: &str, id: &UserId, change: Value) -> Response {
    server.patch(&format!("/admin/users/{id}")).bearer_auth(admin).json(&change).send().await.unwrap()
}

async fn sign_in(server: &Server, username: &str, password: &str) -> Response {
    let body = json!({ "username": username, "password": password });
    server.post("/users/signin").json(&body).send().await.unwrap()
}

#[tokio::test]
async fn only_a_token_with_the_scope_may() {
    let server = Server::start().await;
    let admin = server.administrator().await;
    let (id, token) = server.newcomer("ann").await;
    // An administrator's everyday token was not asked to have the explicit scope.
    let everyday = server.sign_in("root").await;
    for token in [&token, &everyday] {
        for request in [
            server.get("/admin/users"),
            server.get(&format!("/admin/users/{id}")),
            server.patch(&format!("/admin/users/{id}")).json(&json!({ "disabled": true })),
            server.patch(&format!("/admin/users/{id}")).body("not even JSON"),
        ] {
            let response = request.bearer_auth(token).send().await.unwrap();
            let challenge = header(&response, "www-authenticate");
            assert!(challenge.starts_with("Bearer error=\"insufficient_scope\""), "{challenge}");
            assert!(challenge.ends_with("scope=\"mapae:admin\""), "{challenge}");
            let body = problem(response, StatusCode::FORBIDDEN, "insufficient_scope").await;
            assert!(text(&body["detail"]).ends_with("mapae:admin"));
        }
    }
    let shown = server.get(&format!("/admin/users/{id}")).bearer_auth(&admin).send().await.unwrap();
    assert_eq!(header(&shown, "cache-control"), "no-store");
    assert_eq!(expect(shown, StatusCode::OK).await, expect(server.me(&token).await, StatusCode::OK).await);
}

#[tokio::test]
async fn a_disabled_account_is_out_at_once_and_may_return() {
    let server = Server::start().await;
    let admin = server.administrator().await;
    let (id, token) = server.newcomer("ann").await;
    assert_eq!(server.status_of_me(&token).await, 200);
    let changed = expect(administer(&server, &admin, &id, json!({ "disabled": true })).await, StatusCode::OK).await;
    assert_eq!(changed["disabled"], true);
    problem(server.me(&token).await, StatusCode::UNAUTHORIZED, "invalid_token").await;

    let disabled =
        problem(sign_in(&server, "ann", PASSWORD).await, StatusCode::UNAUTHORIZED, "incorrect_credentials").await;
    let wrong =
        problem(sign_in(&server, "ann", "wrong password").await, StatusCode::UNAUTHORIZED, "incorrect_credentials")
            .await;
    assert_eq!(disabled, wrong);

    let changed = expect(administer(&server, &admin, &id, json!({ "disabled": false })).await, StatusCode::OK).await;
    assert_eq!(changed["disabled"], false);
    assert_eq!(server.status_of_me(&token).await, 401, "its sessions have ended");
    let token = server.sign_in("ann").await;
    assert_eq!(server.status_of_me(&token).await, 200);
}

#[tokio::test]
async fn a_withdrawn_scope_stops_working_at_once() {
    let server = Server::start().await;
    let admin = server.administrator().await;
    let id = server.sign_up_with_scopes("deputy", "me mapae:admin").await;
    let deputy = server.sign_in_for("deputy", "me mapae:admin").await;
    let status = async || server.get("/admin/users").bearer_auth(&deputy).send().await.unwrap().status();
    assert_eq!(status().await, 200);
    let changed =
        expect(administer(&server, &admin, &id, json!({ "withdraw": "mapae:admin" })).await, StatusCode::OK).await;
    assert_eq!(changed["scope"], "me");
    assert_eq!((status().await, server.status_of_me(&deputy).await), (StatusCode::FORBIDDEN, StatusCode::OK));
    expect(administer(&server, &admin, &id, json!({ "withdraw": "me" })).await, StatusCode::OK).await;
    assert_eq!(server.status_of_me(&deputy).await, 403);

    // Given back, the token that always named it works again: its session never ended.
    expect(administer(&server, &admin, &id, json!({ "grant": "me mapae:admin" })).await, StatusCode::OK).await;
    assert_eq!((status().await, server.status_of_me(&deputy).await), (StatusCode::OK, StatusCode::OK));
}

#[tokio::test]
async fn a_granted_scope_comes_with_the_next_sign_in() {
    let server = Server::start().await;
    let admin = server.administrator().await;
    let (id, token) = server.newcomer("ann").await;
    let changed =
        expect(administer(&server, &admin, &id, json!({ "grant": "items mapae:admin" })).await, StatusCode::OK).await;
    assert_eq!(text(&changed["scope"]).split(' ').count(), 3);
    let list = async |token: &str| server.get("/admin/users").bearer_auth(token).send().await.unwrap().status();
    assert_eq!(list(&token).await, 403, "a token never gains what it was not issued with");
    let new = server.sign_in_for("ann", "mapae:admin items").await;
    assert_eq!(crate::forge::parts(&new).1["scope"], "mapae:admin items");
    assert_eq!(list(&new).await, 200);
}

#[tokio::test]
async fn grants_and_withdrawals_are_checked() {
    let server = Server::start().await;
    let admin = server.administrator().await;
    let (id, _) = server.newcomer("ann").await;
    for (change, field, rule) in [
        (json!({ "grant": "typo" }), "grant", "unknown_scope"),
        (json!({ "grant": "me \"" }), "grant", "invalid_scope"),
        (json!({ "grant": ["me"] }), "grant", "string_type"),
        (json!({ "withdraw": 1 }), "withdraw", "string_type"),
        (json!({ "disabled": "true" }), "disabled", "bool_type"),
        (json!({ "disabled": 1 }), "disabled", "bool_type"),
        (json!({ "username": "x" }), "username", "extra_forbidden"),
        (json!({ "password": "x" }), "password", "extra_forbidden"),
    ] {
        let named = refused_fields(administer(&server, &admin, &id, change).await).await;
        assert_eq!(named, [(field.to_owned(), rule.to_owned())]);
    }
    // All at once or nothing: the good half of a refused change is not done.
    refused_fields(administer(&server, &admin, &id, json!({ "disabled": true, "grant": "typo" })).await).await;
    let shown = server.get(&format!("/admin/users/{id}")).bearer_auth(&admin).send().await.unwrap();
    let shown = expect(shown, StatusCode::OK).await;
    assert_eq!((&shown["disabled"], &shown["scope"]), (&json!(false), &json!("me")));
    // A scope that nobody declares any more can still be taken away.
    expect(administer(&server, &admin, &id, json!({ "withdraw": "gone" })).await, StatusCode::OK).await;
}

#[tokio::test]
async fn an_administrator_cannot_lock_himself_out() {
    let server = Server::start().await;
    let admin = server.administrator().await;
    let me = expect(server.me(&admin).await, StatusCode::OK).await;
    let own = UserId::new(text(&me["id"])).unwrap();
    for change in [
        json!({ "disabled": true }),
        json!({ "withdraw": "mapae:admin" }),
        json!({ "withdraw": "items mapae:admin", "grant": "mapae:admin" }),
        json!({ "disabled": true, "grant": "items" }),
    ] {
        problem(administer(&server, &admin, &own, change).await, StatusCode::CONFLICT, "own_account").await;
    }
    assert_eq!(expect(server.me(&admin).await, StatusCode::OK).await, me);
    let changed = administer(&server, &admin, &own, json!({ "grant": "items", "disabled": false })).await;
    assert_eq!(expect(changed, StatusCode::OK).await["disabled"], false);
}

#[tokio::test]
async fn ids_of_nobody_are_not_found() {
    let server = Server::start().await;
    let admin = server.administrator().await;
    for id in ["0", "root", "%00", "a%3Ab", "%F0%9F%90%B4", "..%2F..", "'%20OR%201=1%20--", &"x".repeat(300)] {
        let path = format!("/admin/users/{id}");
        let shown = server.get(&path).bearer_auth(&admin).send().await.unwrap();
        problem(shown, StatusCode::NOT_FOUND, "user_not_found").await;
        let changed = server.patch(&path).bearer_auth(&admin).json(&json!({ "disabled": true })).send().await.unwrap();
        problem(changed, StatusCode::NOT_FOUND, "user_not_found").await;
    }
    for path in ["/admin/users/%ff", "/admin/users/%c3%28"] {
        let shown = server.get(path).bearer_auth(&admin).send().await.unwrap();
        problem(shown, StatusCode::NOT_FOUND, "user_not_found").await;
    }
}
