//! `/users/me`: one's own account.

use mapae::service::By;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::server::{PASSWORD, Server, disable, expect, header, problem, refused_fields, text};

const NEW_PASSWORD: &str = "seven purple elephants dancing";

async fn change(server: &Server, token: &str, body: Value) -> Response {
    server.patch("/users/me").bearer_auth(token).json(&body).send().await.unwrap()
}

async fn delete(server: &Server, token: &str, password: &str) -> Response {
    server.delete("/users/me").bearer_auth(token).json(&json!({ "password": password })).send().await.unwrap()
}

async fn change_password(server: &Server, token: &str, current: &str, new: &str) -> Response {
    let body = json!({ "current_password": current, "new_password": new });
    server.post("/users/me/password").bearer_auth(token).json(&body).send().await.unwrap()
}

async fn status_of_sign_in(server: &Server, username: &str, password: &str) -> StatusCode {
    let body = json!({ "username": username, "password": password });
    server.post("/users/signin").json(&body).send().await.unwrap().status()
}

#[tokio::test]
async fn me_is_the_account_with_and_without_the_slash() {
    let server = Server::start().await;
    let made = server.sign_up("ann").await;
    let token = server.sign_in("ann").await;
    for path in ["/users/me", "/users/me/"] {
        let response = server.get(path).bearer_auth(&token).send().await.unwrap();
        assert_eq!(header(&response, "cache-control"), "no-store");
        assert_eq!(expect(response, StatusCode::OK).await, made);
        let response = server.get(path).send().await.unwrap();
        assert_eq!(header(&response, "www-authenticate"), "Bearer");
        problem(response, StatusCode::UNAUTHORIZED, "not_authenticated").await;
    }
    assert_eq!(keys(&made), ["created_at", "disabled", "email", "full_name", "id", "scope", "updated_at", "username"]);
}

#[tokio::test]
async fn me_is_what_the_last_change_made_however_often_it_was_asked_for() {
    let server = Server::start().await;
    let (id, ann) = server.newcomer("ann").await;
    let (_, bob) = server.newcomer("bob").await;
    let me = async |token: &str| {
        let mut answers = Vec::new();
        for _ in 0..4 {
            answers
                .push(expect(server.get("/users/me").bearer_auth(token).send().await.unwrap(), StatusCode::OK).await);
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:#?}");
        answers.remove(0)
    };
    for name in ["Ann A.", "Ann B.", "Ann C."] {
        assert_ne!(me(&ann).await["full_name"], name);
        assert_eq!(me(&bob).await["full_name"], Value::Null);
        let changed = expect(change(&server, &ann, json!({ "full_name": name })).await, StatusCode::OK).await;
        assert_eq!(me(&ann).await, changed);
        assert_eq!(me(&bob).await["username"], "bob");
    }
    server.mapae.administer(&id, disable(true), By::System).await.unwrap();
    let refused = server.get("/users/me").bearer_auth(&ann).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    me(&bob).await;
    // Nothing but the time has gone on.
    server.clock.advance(60 * 60);
    assert_eq!(server.get("/users/me").bearer_auth(&bob).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn names_change_without_the_password() {
    let server = Server::start().await;
    server.sign_up("taken").await;
    let (_, token) = server.newcomer("ann").await;
    server.clock.advance(60);
    let changed =
        expect(change(&server, &token, json!({ "username": "Anna", "full_name": " Anna Doe " })).await, StatusCode::OK)
            .await;
    assert_eq!((&changed["username"], &changed["full_name"]), (&json!("Anna"), &json!("Anna Doe")));
    assert_eq!(
        (&changed["created_at"], &changed["updated_at"]),
        (&json!("2026-01-01T00:00:00.000Z"), &json!("2026-01-01T00:01:00.000Z"))
    );
    assert_eq!(expect(server.me(&token).await, StatusCode::OK).await, changed, "the same token sees it at once");
    server.sign_in("anna").await;
    assert_eq!(status_of_sign_in(&server, "ann", PASSWORD).await, 401);
    server.sign_up("ann").await;

    problem(change(&server, &token, json!({ "username": "TAKEN" })).await, StatusCode::CONFLICT, "username_taken")
        .await;
    let emptied = expect(change(&server, &token, json!({ "full_name": null })).await, StatusCode::OK).await;
    assert_eq!(emptied["full_name"], Value::Null);
    assert_eq!(expect(change(&server, &token, json!({})).await, StatusCode::OK).await["username"], "Anna");
}

#[tokio::test]
async fn another_address_asks_for_the_password() {
    let server = Server::start().await;
    let taken = json!({ "email": "taken@example.com", "password": PASSWORD });
    expect(server.post("/users/signup").json(&taken).send().await.unwrap(), StatusCode::CREATED).await;
    let (_, token) = server.newcomer("ann").await;
    let named = refused_fields(change(&server, &token, json!({ "email": "ann@example.com" })).await).await;
    assert_eq!(named, [("password".to_owned(), "missing".to_owned())]);
    let wrong = change(&server, &token, json!({ "email": "ann@example.com", "password": "wrong password" })).await;
    problem(wrong, StatusCode::FORBIDDEN, "wrong_password").await;
    let taken =
        change(&server, &token, json!({ "email": "Taken@example.com", "password": PASSWORD, "username": "x" })).await;
    problem(taken, StatusCode::CONFLICT, "email_taken").await;
    let me = expect(server.me(&token).await, StatusCode::OK).await;
    assert_eq!((&me["email"], &me["username"]), (&Value::Null, &json!("ann")), "nothing happened by halves");

    let changed = change(&server, &token, json!({ "email": "Ann@example.com", "password": PASSWORD })).await;
    assert_eq!(expect(changed, StatusCode::OK).await["email"], "Ann@example.com");
    server.sign_in("ann@EXAMPLE.com").await;
    let named = refused_fields(change(&server, &token, json!({ "email": null })).await).await;
    assert_eq!(named, [("password".to_owned(), "missing".to_owned())], "giving it up asks for it too");
}

#[tokio::test]
async fn an_account_keeps_one_of_its_two_names() {
    let server = Server::start().await;
    let (_, token) = server.newcomer("ann").await;
    refused_fields(change(&server, &token, json!({ "username": null })).await).await;
    let both = json!({ "email": "ann@example.com", "username": null, "password": PASSWORD });
    assert_eq!(expect(change(&server, &token, both).await, StatusCode::OK).await["username"], Value::Null);
    refused_fields(change(&server, &token, json!({ "email": null, "password": PASSWORD })).await).await;
    let me = expect(server.me(&token).await, StatusCode::OK).await;
    assert_eq!((&me["email"], &me["username"]), (&json!("ann@example.com"), &Value::Null));
}

#[tokio::test]
async fn a_profile_change_is_held_to_the_rules_of_sign_up() {
    let server = Server::start().await;
    let (_, token) = server.newcomer("ann").await;
    for (body, field, rule) in [
        (json!({ "username": "a b" }), "username", "invalid_username"),
        (json!({ "username": "" }), "username", "invalid_username"),
        (json!({ "username": 7 }), "username", "string_type"),
        (json!({ "email": "no", "password": PASSWORD }), "email", "invalid_email"),
        (json!({ "full_name": "x".repeat(201) }), "full_name", "invalid_full_name"),
        (json!({ "scope": "mapae:admin" }), "scope", "extra_forbidden"),
        (json!({ "disabled": false }), "disabled", "extra_forbidden"),
        (json!({ "id": "1" }), "id", "extra_forbidden"),
        (json!({ "email": "a@example.com", "password": "x".repeat(1025) }), "password", "too_long"),
    ] {
        assert_eq!(refused_fields(change(&server, &token, body).await).await, [(field.to_owned(), rule.to_owned())]);
    }
    assert_eq!(expect(server.me(&token).await, StatusCode::OK).await["username"], "ann");
}

#[tokio::test]
async fn another_password_ends_the_other_sessions_at_once() {
    let server = Server::start().await;
    let (_, token) = server.newcomer("ann").await;
    let elsewhere = server.sign_in("ann").await;
    assert_eq!(server.status_of_me(&elsewhere).await, 200);

    problem(
        change_password(&server, &token, "wrong password", NEW_PASSWORD).await,
        StatusCode::FORBIDDEN,
        "wrong_password",
    )
    .await;
    for weak in ["short", "password123", "aaaaaaaaaaaaa"] {
        for (field, _) in refused_fields(change_password(&server, &token, PASSWORD, weak).await).await {
            assert_eq!(field, "new_password");
        }
    }
    assert_eq!(server.status_of_me(&elsewhere).await, 200, "a refused change ends nothing");

    let changed = change_password(&server, &token, PASSWORD, NEW_PASSWORD).await;
    assert_eq!(changed.status(), 204);
    problem(server.me(&elsewhere).await, StatusCode::UNAUTHORIZED, "invalid_token").await;
    assert_eq!(server.status_of_me(&token).await, 200, "the session that changed it stays");
    assert_eq!(status_of_sign_in(&server, "ann", PASSWORD).await, 401);
    assert_eq!(status_of_sign_in(&server, "ann", NEW_PASSWORD).await, 200);
}

#[tokio::test]
async fn a_deleted_account_is_gone_at_once_and_its_name_free() {
    let server = Server::start().await;
    let (old, token) = server.newcomer("ann").await;
    let elsewhere = server.sign_in("ann").await;
    problem(delete(&server, &token, "wrong password").await, StatusCode::FORBIDDEN, "wrong_password").await;
    refused_fields(server.delete("/users/me").bearer_auth(&token).json(&json!({})).send().await.unwrap()).await;
    assert_eq!(server.status_of_me(&token).await, 200);

    assert_eq!(delete(&server, &token, PASSWORD).await.status(), 204);
    for dead in [&token, &elsewhere] {
        problem(server.me(dead).await, StatusCode::UNAUTHORIZED, "invalid_token").await;
    }
    problem(delete(&server, &token, PASSWORD).await, StatusCode::UNAUTHORIZED, "invalid_token").await;
    assert_eq!(status_of_sign_in(&server, "ann", PASSWORD).await, 401);
    assert_eq!(server.accounts().await, 0);

    let (new, _) = server.newcomer("ann").await;
    assert_ne!(old, new);
    assert_eq!(server.status_of_me(&token).await, 401, "the name's next owner is somebody else");
}

#[tokio::test]
async fn a_token_without_the_scope_me_may_not_touch_the_account() {
    let server = Server::start().await;
    server.sign_up_with_scopes("ann", "me items").await;
    let token = server.sign_in_for("ann", "items").await;
    for request in [
        server.get("/users/me"),
        server.patch("/users/me").json(&json!({ "full_name": "x" })),
        server.delete("/users/me").json(&json!({ "password": PASSWORD })),
        server.post("/users/me/password").json(&json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD })),
    ] {
        let response = request.bearer_auth(&token).send().await.unwrap();
        let challenge = header(&response, "www-authenticate");
        assert!(
            challenge.contains("error=\"insufficient_scope\"") && challenge.ends_with("scope=\"me\""),
            "{challenge}"
        );
        let body = problem(response, StatusCode::FORBIDDEN, "insufficient_scope").await;
        assert!(text(&body["detail"]).ends_with("scope: me"));
    }
    assert_eq!(status_of_sign_in(&server, "ann", PASSWORD).await, 200);
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}
