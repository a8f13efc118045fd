//! Token exchange at `/oauth2/token` (RFC 8693).

use mapae::domain::ClientType;
use mapae::service::By;
use reqwest::StatusCode;
use serde_json::json;

use crate::delegation::{ACCESS_TOKEN, GRANT, ask, claims, exchange, server_with_cars};
use crate::oauth::{confidential, introspect, new_client, oauth_error, public, sign_in, token};
use crate::server::{Server, expect, problem, text};

#[tokio::test]
async fn a_token_is_exchanged_for_a_weaker_one() {
    let server = Server::start().await;
    let id = server.sign_up_with_scopes("ann", "me items").await;
    let own = sign_in(&server, "ann", "").await.access;
    let body =
        expect(ask(&server.url, &own, &[("scope", "items"), ("requested_expires_in", "60")]).await, StatusCode::OK);
    let body = body.await;
    assert_eq!((&body["scope"], &body["expires_in"]), (&json!("items"), &json!(60)));
    let weaker = text(&body["access_token"]);
    let (before, after) = (claims(&own), claims(&weaker));
    assert_eq!((&after["sub"], &after["scope"], &after["aud"]), (&json!(id.as_str()), &json!("items"), &before["aud"]));
    assert_eq!(after["exp"], json!(server.clock_now() + 60));
    assert_eq!(after["act"], json!({ "sub": id.as_str() }), "whoever has it acts for ann");
    assert_ne!(after["sid"], before["sid"], "a session of its own");
    assert_eq!(server.status_of_me(&weaker).await, 403, "it lacks `me`");
    // Nothing asked: all that can be passed on, no longer than the parent.
    server.clock.advance(600);
    let same = exchange(&server.url, &own, &[]).await;
    assert_eq!((&claims(&same)["scope"], &claims(&same)["exp"]), (&json!("me items"), &before["exp"]));
    assert_eq!(server.status_of_me(&same).await, 200, "one's profile may be read with it");
    // Its parent is over within the leeway, and so is what can be made from it.
    server.clock.advance(301);
    assert_eq!(server.status_of_me(&own).await, 200, "tolerated");
    let why = oauth_error(ask(&server.url, &own, &[]).await, 400, "invalid_request").await;
    assert!(why.contains("expired"), "{why}");
}

#[tokio::test]
async fn a_chain_is_three_long() {
    let server = Server::start().await;
    server.sign_up_with_scopes("ann", "me items").await;
    let mut last = sign_in(&server, "ann", "").await.access;
    for _ in 0..3 {
        last = exchange(&server.url, &last, &[]).await;
        assert_eq!(server.status_of_me(&last).await, 200);
    }
    let why = oauth_error(ask(&server.url, &last, &[]).await, 400, "invalid_request").await;
    assert!(why.contains("at most 3"), "{why}");
}

#[tokio::test]
async fn whoever_acts_is_named() {
    let server = Server::start().await;
    let ann = server.sign_up_with_scopes("ann", "me items").await;
    let bob = server.newcomer("bob").await;
    let secret = confidential(&server, "bot", &format!("client_credentials {GRANT}"), "items").await;
    let own = sign_in(&server, "ann", "").await.access;
    let as_bot = [("client_id", "bot"), ("client_secret", secret.as_str())];
    // The client that asks; its own scopes bound it too.
    let of_bot = exchange(&server.url, &own, &as_bot).await;
    assert_eq!(claims(&of_bot)["act"], json!({ "sub": "client:bot" }));
    assert_eq!((&claims(&of_bot)["scope"], &claims(&of_bot)["client_id"]), (&json!("items"), &json!("bot")));
    // Somebody else, who shows it by a token; who acted before is kept.
    let acting = [("actor_token", bob.1.as_str()), ("actor_token_type", ACCESS_TOKEN)];
    let of_bob = exchange(&server.url, &of_bot, &acting).await;
    assert_eq!(claims(&of_bob)["act"], json!({ "sub": bob.0.as_str(), "act": { "sub": "client:bot" } }));
    assert_eq!(claims(&of_bob)["sub"], json!(ann.as_str()), "on whose behalf does not change");
    let form = [("grant_type", "client_credentials"), ("client_id", "bot"), ("client_secret", &secret)];
    let bots_own = text(&expect(token(&server, &form).await, StatusCode::OK).await["access_token"]);
    let acting = [("actor_token", bots_own.as_str()), ("actor_token_type", ACCESS_TOKEN)];
    assert_eq!(claims(&exchange(&server.url, &own, &acting).await)["act"], json!({ "sub": "client:bot" }));
    // The bot does not become ann by asking as everybody may, nor by showing her token as its own.
    assert_eq!(claims(&exchange(&server.url, &of_bot, &[]).await)["act"], json!({ "sub": "client:bot" }));
    let acting = [("actor_token", of_bot.as_str()), ("actor_token_type", ACCESS_TOKEN)];
    assert_eq!(claims(&exchange(&server.url, &of_bot, &acting).await)["act"], json!({ "sub": "client:bot" }));
    let proxied = server.get("/verify").bearer_auth(&of_bot).send().await.unwrap();
    assert_eq!(proxied.headers()["x-auth-actor"], "client:bot");
    assert_eq!(server.get("/verify").bearer_auth(&own).send().await.unwrap().headers()["x-auth-actor"], ann.as_str());
    // It is told to whom the token is meant for.
    let told = introspect(&server, ("bot", &secret), &of_bot).await;
    assert_eq!((&told["active"], &told["act"]), (&json!(true), &json!({ "sub": "client:bot" })));
    // A client's own token is nobody's to pass on.
    let why = oauth_error(ask(&server.url, &bots_own, &[]).await, 400, "invalid_request").await;
    assert!(why.contains("client"), "{why}");
}

#[tokio::test]
async fn bad_requests_are_refused() {
    let server = server_with_cars().await;
    let ann = server.sign_up_with_scopes("ann", "me items").await;
    let tokens = sign_in(&server, "ann", "").await;
    let own = tokens.access.as_str();
    public(&server, "app", "refresh_token", "me").await;
    let altered = format!("{own}x");
    for (subject, more, code) in [
        ("x", &[][..], "invalid_request"),
        (altered.as_str(), &[], "invalid_request"),
        (&tokens.refresh, &[], "invalid_request"),
        ("mp_AAAA", &[], "invalid_request"),
        (&"x".repeat(20_000), &[], "invalid_request"),
        (own, &[("scope", "unknown")], "invalid_scope"),
        (own, &[("scope", "mapae:admin")], "invalid_scope"),
        (own, &[("scope", "\"")], "invalid_scope"),
        (own, &[("audience", "https://elsewhere.example")], "invalid_target"),
        (own, &[("resource", "https://elsewhere.example")], "invalid_target"),
        (own, &[("audience", "a"), ("resource", "b")], "invalid_target"),
        (own, &[("requested_expires_in", "0")], "invalid_request"),
        (own, &[("requested_expires_in", "-1")], "invalid_request"),
        (own, &[("requested_expires_in", "99999999999")], "invalid_request"),
        (own, &[("requested_subject", "car:42")], "invalid_request"),
        (own, &[("requested_subject", ann.as_str())], "invalid_request"),
        (own, &[("requested_subject", "client:app")], "invalid_request"),
        (own, &[("requested_subject", "Client:app")], "invalid_request"),
        (own, &[("requested_subject", "car:4/2")], "invalid_request"),
        (own, &[("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token")], "invalid_request"),
        (own, &[("actor_token", own)], "invalid_request"),
        (own, &[("actor_token_type", ACCESS_TOKEN)], "invalid_request"),
        (own, &[("actor_token", "x"), ("actor_token_type", ACCESS_TOKEN)], "invalid_request"),
        (own, &[("client_id", "app")], "unauthorized_client"),
    ] {
        oauth_error(ask(&server.url, subject, more).await, 400, code).await;
    }
    oauth_error(ask(&server.url, own, &[("client_id", "nobody")]).await, 401, "invalid_client").await;
    for (missing, form) in [
        ("subject_token", vec![("subject_token_type", ACCESS_TOKEN)]),
        ("subject_token_type", vec![("subject_token", own)]),
        ("subject_token_type", vec![("subject_token", own), ("subject_token_type", "urn:x")]),
    ] {
        let mut form = form;
        form.extend([("grant_type", GRANT), ("client_id", "mapae")]);
        let why = oauth_error(token(&server, &form).await, 400, "invalid_request").await;
        assert!(why.contains(missing), "{why}");
    }
    assert!(server.mapae.minted_tokens(None).await.unwrap().is_empty(), "nothing was minted");
}

#[tokio::test]
async fn one_of_the_audiences() {
    let server = Server::start_with(|settings| {
        settings.audience = vec![settings.base_url.to_string(), "https://b.example".into()];
    })
    .await;
    server.sign_up_with_scopes("ann", "me").await;
    let own = sign_in(&server, "ann", "").await.access;
    let narrow = exchange(&server.url, &own, &[("audience", "https://b.example")]).await;
    assert_eq!(claims(&narrow)["aud"], "https://b.example");
    let mut told = Vec::new();
    for (id, audience) in [("a", server.url.as_str()), ("b", "https://b.example")] {
        let mut api = new_client(id, ClientType::Confidential, "", "");
        api.audiences = vec![audience.to_owned()];
        let secret = server.mapae.add_client(api, By::System).await.unwrap().1.unwrap();
        told.push(introspect(&server, (id, secret.expose()), &narrow).await["active"].clone());
    }
    assert_eq!(told, [json!(false), json!(true)], "it is the business of that one alone");
    let again = exchange(&server.url, &narrow, &[("resource", "https://b.example")]).await;
    assert_eq!(claims(&again)["aud"], "https://b.example");
    oauth_error(ask(&server.url, &narrow, &[("audience", &server.url)]).await, 400, "invalid_target").await;
}

/// Stand-alone: administrators speak for the kinds that are declared.
#[tokio::test]
async fn administrators_speak_for_things() {
    let server = server_with_cars().await;
    server.sign_up_with_scopes("root", "me drive mapae:admin").await;
    let admin = server.sign_in_for("root", "mapae:admin me drive").await;
    let car = exchange(&server.url, &admin, &[("requested_subject", "car:42"), ("scope", "drive")]).await;
    let root = claims(&admin)["sub"].clone();
    assert_eq!((&claims(&car)["sub"], &claims(&car)["act"]), (&json!("car:42"), &json!({ "sub": root })));
    for refused in ["post:1", "cars:42", "Car:42"] {
        let why =
            oauth_error(ask(&server.url, &admin, &[("requested_subject", refused)]).await, 400, "invalid_request");
        let why = why.await;
        assert!(why.contains("may not speak for"), "{why}");
    }
    // Without the scope in the token an administrator is as anybody.
    let plain = server.sign_in_for("root", "me drive").await;
    oauth_error(ask(&server.url, &plain, &[("requested_subject", "car:42")]).await, 400, "invalid_request").await;
    // What speaks for a car speaks for no other, and for no person.
    let weaker = exchange(&server.url, &car, &[("requested_subject", "car:42")]).await;
    assert_eq!(claims(&weaker)["sub"], "car:42");
    for other in ["car:43", text(&root).as_str()] {
        oauth_error(ask(&server.url, &car, &[("requested_subject", other)]).await, 400, "invalid_request").await;
    }
    // A proxy is told for what it speaks.
    let asked = server.get("/verify?scope=drive").bearer_auth(&weaker).send().await.unwrap();
    assert_eq!((asked.status().as_u16(), asked.headers()["x-auth-subject"].to_str().unwrap()), (200, "car:42"));
    let me = problem(server.me(&weaker).await, StatusCode::FORBIDDEN, "wrong_subject").await;
    assert_eq!(me["detail"], "This takes a token for: user. The one sent speaks for a car.");
    server
        .mapae
        .administer(
            &mapae::domain::UserId::new(text(&root)).unwrap(),
            crate::server::withdraw("mapae:admin"),
            By::System,
        )
        .await
        .unwrap();
    oauth_error(ask(&server.url, &car, &[]).await, 400, "invalid_request").await;
    assert_eq!(server.get("/verify").bearer_auth(&weaker).send().await.unwrap().status(), 200, "it lasts to its end");
}
