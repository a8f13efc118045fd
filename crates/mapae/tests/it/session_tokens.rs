//! What is known of a session, since one of its tokens was shown, says nothing of what differs between its tokens.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;

use crate::delegation::{exchange, server_with_cars};
use crate::forge::{Forge, parts, stolen_key};
use crate::oauth::{Tokens, refresh, sign_in, token};
use crate::server::{Server, expect, text};

/// Longer than it takes until a change made here was also heard of as one of others, after which nothing is forgotten.
const QUIET: Duration = Duration::from_millis(500);

async fn revoke(server: &Server, token: &str) {
    let form = [("token", token), ("client_id", "mapae")];
    expect(server.post("/oauth2/revoke").form(&form).send().await.unwrap(), StatusCode::OK).await;
}

#[tokio::test]
async fn a_revoked_token_of_a_known_session_is_refused() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    let first = sign_in(&server, "ann", "").await;
    let second = refresh(&server, &first.refresh).await;
    let third = refresh(&server, &second.refresh).await;
    assert_eq!(server.status_of_me(&first.access).await, 200);
    for revoked in [&first.access, &second.access] {
        revoke(&server, revoked).await;
    }
    tokio::time::sleep(QUIET).await;
    assert_eq!(server.status_of_me(&third.access).await, 200, "the session is known");
    // One that was shown before it was revoked, and one that never was.
    for revoked in [&first.access, &second.access].into_iter().cycle().take(4) {
        assert_eq!(server.status_of_me(revoked).await, 401);
        assert_eq!(server.status_of_me(&third.access).await, 200);
    }
}

#[tokio::test]
async fn a_forged_subject_gets_nothing_of_a_known_session() {
    let server = server_with_cars().await;
    server.sign_up_with_scopes("root", "me drive mapae:admin").await;
    let own = server.sign_in_for("root", "me drive mapae:admin").await;
    let car = exchange(&server.url, &own, &[("requested_subject", "car:42")]).await;
    let of =
        async |token: &str| Forge { key: stolen_key(&server).await, header: parts(token).0, claims: parts(token).1 };
    let (person, thing) = (of(&own).await, of(&car).await);
    let asked = async |token: &str| server.get("/verify").bearer_auth(token).send().await.unwrap().status();
    tokio::time::sleep(QUIET).await;
    for _ in 0..2 {
        for good in [&own, &car] {
            assert_eq!(asked(good).await, 200, "the session is known");
        }
        for forged in [
            person.with_claim("sub", json!("car:42")),
            person.with_claim("sub", json!("0190d5a0-0000-7000-8000-000000000000")),
            thing.with_claim("sub", json!("car:43")),
            thing.with_claim("sub", person.claims["sub"].clone()),
            thing.with_claim("sid", person.claims["sid"].clone()),
        ] {
            assert_eq!(asked(&forged).await, 401);
        }
    }
}

/// In either order.
#[tokio::test]
async fn a_token_with_less_does_not_get_what_another_has() {
    let server = Server::start().await;
    server.sign_up_with_scopes("ann", "me items").await;
    let all = sign_in(&server, "ann", "me items").await;
    let form =
        [("grant_type", "refresh_token"), ("refresh_token", &all.refresh), ("client_id", "mapae"), ("scope", "items")];
    let less = expect(token(&server, &form).await, StatusCode::OK).await;
    let less_access = text(&less["access_token"]);
    for (token, status) in [(&less_access, 403), (&all.access, 200), (&less_access, 403), (&all.access, 200)] {
        assert_eq!(server.status_of_me(token).await, status);
    }
    let again = refresh(&server, &Tokens::of(&less).refresh).await;
    assert_eq!(again.scope, "me items");
    assert_eq!(server.status_of_me(&again.access).await, 200);
}
