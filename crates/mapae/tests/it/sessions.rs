//! Looking through sessions, and ending them.

use mapae::service::{By, Ending};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::forge::parts;
use crate::oauth::{Tokens, refresh, refused, sign_in};
use crate::server::{PASSWORD, START, Server, expect, problem, text};

async fn listed(server: &Server, access: &str) -> Vec<Value> {
    let body = expect(server.get("/users/me/sessions").bearer_auth(access).send().await.unwrap(), StatusCode::OK).await;
    body["sessions"].as_array().unwrap().clone()
}

fn sid(tokens: &Tokens) -> String {
    text(&parts(&tokens.access).1["sid"])
}

#[tokio::test]
async fn a_sessions_address_is_what_trusted_proxies_say() {
    for (trusted, address) in [("", "127.0.0.1"), ("10.0.0.0/8", "127.0.0.1"), ("127.0.0.0/8", "198.51.100.7")] {
        let server = Server::start_with(|settings| {
            settings.http.trusted_proxies = trusted.parse().into_iter().collect();
        })
        .await;
        server.sign_up("ann").await;
        let form = [("username", "ann"), ("password", PASSWORD)];
        let forged = server.post("/token").header("x-forwarded-for", "203.0.113.1, 198.51.100.7, 127.0.0.2");
        let tokens = Tokens::of(&expect(forged.form(&form).send().await.unwrap(), StatusCode::OK).await);
        assert_eq!(listed(&server, &tokens.access).await[0]["address"], address, "{trusted}");
    }
}

#[tokio::test]
async fn a_person_sees_from_where_each_session_is() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    server.sign_up("bob").await;
    sign_in(&server, "bob", "").await;
    let form = [("username", "ann"), ("password", PASSWORD)];
    let browser = server.post("/token").header("user-agent", "Firefox/140.0").form(&form).send().await.unwrap();
    let browser = Tokens::of(&expect(browser, StatusCode::OK).await);
    server.clock.advance(60);
    let named = json!({ "username": "ann", "password": PASSWORD, "device_name": " Ann's phone " });
    let phone = server.post("/users/signin").json(&named).send().await.unwrap();
    let phone = Tokens::of(&expect(phone, StatusCode::OK).await);
    server.clock.advance(60);
    let phone = refresh(&server, &phone.refresh).await;

    let sessions = listed(&server, &browser.access).await;
    assert_eq!(sessions.len(), 2, "one's own alone");
    let time = |seconds: i64| {
        let at = chrono::DateTime::from_timestamp(START + seconds, 0).unwrap();
        at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
    };
    assert_eq!(
        sessions[0],
        json!({
            "id": sid(&phone), "current": false, "client_id": "mapae", "scope": "me", "device_name": "Ann's phone",
            "address": "127.0.0.1", "created_at": time(60), "last_used_at": time(120),
            "expires_at": time(120 + 30 * 86_400),
        })
    );
    assert_eq!((&sessions[1]["current"], &sessions[1]["id"]), (&json!(true), &json!(sid(&browser))));
    assert_eq!(sessions[1]["device_name"], "Firefox/140.0");
    assert_eq!((&sessions[1]["created_at"], &sessions[1]["last_used_at"]), (&json!(time(0)), &json!(time(0))));
    // Those that are over are not listed.
    server.clock.advance(30 * 86_400 - 61);
    let phone = refresh(&server, &phone.refresh).await;
    server.clock.advance(60);
    assert_eq!(listed(&server, &phone.access).await.len(), 1);
}

#[tokio::test]
async fn a_person_ends_one_or_all_others() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    server.sign_up("bob").await;
    let bob = sign_in(&server, "bob", "").await;
    let (here, there, third) =
        (sign_in(&server, "ann", "").await, sign_in(&server, "ann", "").await, sign_in(&server, "ann", "").await);
    let end = async |id: &str| {
        server.delete(&format!("/users/me/sessions/{id}")).bearer_auth(&here.access).send().await.unwrap()
    };
    assert_eq!(end(&sid(&there)).await.status(), 204);
    assert_eq!(server.status_of_me(&there.access).await, 401);
    assert!(refused(&server, &there.refresh).await.contains("signed out"));
    for none in [sid(&there), sid(&bob), "x".to_owned(), "%00".to_owned(), "x".repeat(5_000)] {
        problem(end(&none).await, StatusCode::NOT_FOUND, "session_not_found").await;
    }
    assert_eq!(server.status_of_me(&bob.access).await, 200, "another person's session is none of one's own");
    let others = server.delete("/users/me/sessions").bearer_auth(&here.access).send().await.unwrap();
    assert_eq!(others.status(), 204);
    assert_eq!(server.status_of_me(&third.access).await, 401);
    assert_eq!(server.status_of_me(&here.access).await, 200);
    refresh(&server, &here.refresh).await;
    refresh(&server, &bob.refresh).await;
}

#[tokio::test]
async fn signing_out_needs_a_token_and_nothing_else() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    let tokens = sign_in(&server, "ann", "unknown").await;
    assert_eq!(tokens.scope, "");
    let sign_out = async || server.post("/users/signout").bearer_auth(&tokens.access).send().await.unwrap();
    assert_eq!(sign_out().await.status(), 204);
    problem(sign_out().await, StatusCode::UNAUTHORIZED, "invalid_token").await;
    assert!(refused(&server, &tokens.refresh).await.contains("signed out"));
    let strangers = server.post("/users/signout").send().await.unwrap();
    problem(strangers, StatusCode::UNAUTHORIZED, "not_authenticated").await;
}

#[tokio::test]
async fn administrators_see_and_end_those_of_others() {
    let server = Server::start().await;
    let admin = server.administrator().await;
    let (id, _) = server.newcomer("ann").await;
    let (first, second) = (sign_in(&server, "ann", "").await, sign_in(&server, "ann", "").await);
    let path = format!("/admin/users/{id}/sessions");
    let body = expect(server.get(&path).bearer_auth(&admin).send().await.unwrap(), StatusCode::OK).await;
    let sessions = body["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 3);
    assert!(sessions.iter().all(|session| session["current"] == false));
    let one = format!("{path}/{}", sid(&first));
    assert_eq!(server.delete(&one).bearer_auth(&first.access).send().await.unwrap().status(), 403);
    assert_eq!(server.delete(&one).bearer_auth(&admin).send().await.unwrap().status(), 204);
    let again = server.delete(&one).bearer_auth(&admin).send().await.unwrap();
    problem(again, StatusCode::NOT_FOUND, "session_not_found").await;
    assert!(refused(&server, &first.refresh).await.contains("administrator"));
    assert_eq!(server.status_of_me(&second.access).await, 200);
    assert_eq!(server.delete(&path).bearer_auth(&admin).send().await.unwrap().status(), 204);
    assert_eq!(server.status_of_me(&second.access).await, 401);
    let nobody = "/admin/users/nobody/sessions";
    problem(server.get(nobody).bearer_auth(&admin).send().await.unwrap(), StatusCode::NOT_FOUND, "user_not_found")
        .await;
    problem(server.delete(nobody).bearer_auth(&admin).send().await.unwrap(), StatusCode::NOT_FOUND, "user_not_found")
        .await;
}

#[tokio::test]
async fn the_command_line_ends_many() {
    let server = Server::start().await;
    let (id, _) = server.newcomer("ann").await;
    server.sign_up("bob").await;
    let ann = sign_in(&server, "ann", "").await;
    let bob = sign_in(&server, "bob", "").await;
    assert_eq!(server.mapae.end_sessions(&Ending::Of(id.clone()), By::System).await.unwrap(), 2);
    assert_eq!(server.mapae.end_sessions(&Ending::Of(id), By::System).await.unwrap(), 0);
    assert_eq!(
        (server.status_of_me(&ann.access).await, server.status_of_me(&bob.access).await),
        (StatusCode::UNAUTHORIZED, StatusCode::OK)
    );
    server.clock.advance(10);
    let late = sign_in(&server, "ann", "").await;
    let before = chrono::DateTime::from_timestamp(START + 10, 0).unwrap();
    assert_eq!(server.mapae.end_sessions(&Ending::BegunBefore(before), By::System).await.unwrap(), 1);
    assert_eq!(
        (server.status_of_me(&late.access).await, server.status_of_me(&bob.access).await),
        (StatusCode::OK, StatusCode::UNAUTHORIZED)
    );
    assert_eq!(server.mapae.end_sessions(&Ending::Session(sid(&late)), By::System).await.unwrap(), 1);
    sign_in(&server, "ann", "").await;
    assert_eq!(server.mapae.end_sessions(&Ending::All, By::System).await.unwrap(), 1);
    assert!(server.mapae.sessions(None).await.unwrap().is_empty());
}

/// Whoever knows the password could otherwise sign in a thousand times, and hide a session behind those.
#[tokio::test]
async fn sessions_that_are_over_hide_none_that_is_open() {
    let server = Server::start().await;
    let (id, _) = server.newcomer("ann").await;
    server.clock.advance(1);
    for _ in 0..1_000 {
        server.mapae.mint(&id, &mapae_verify::Scopes::default(), By::System).await.unwrap();
    }
    server.clock.advance(3_600);
    let open = server.mapae.sessions(Some(&id)).await.unwrap();
    assert_eq!(open.len(), 1);
}
