//! A clock that was wrong and is set right.

use mapae::domain::audit::Actor;
use mapae::service::By;
use mapae_verify::Scopes;
use reqwest::StatusCode;

use crate::server::{Server, disable};

#[tokio::test]
async fn what_was_ended_stays_ended() {
    let server = Server::start().await;
    let (id, token) = server.newcomer("ann").await;
    assert_eq!(server.status_of_me(&token).await, 200);
    // A day ahead, where the session has expired.
    server.clock.advance(86_400);
    server.mapae.administer(&id, disable(true), By::System).await.unwrap();
    server.mapae.administer(&id, disable(false), By::System).await.unwrap();
    server.clock.advance(-86_400);
    assert_eq!(server.status_of_me(&token).await, 401);
    let new = server.sign_in("ann").await;
    assert_eq!(server.status_of_me(&new).await, 200);
}

/// Disabling ends as many sessions as there are.
#[tokio::test]
async fn a_thousand_sessions_end_at_once() {
    let server = Server::start().await;
    let (id, _) = server.newcomer("ann").await;
    let mut tokens = Vec::new();
    for _ in 0..1_500 {
        tokens.push(server.mapae.mint(&id, &Scopes::default(), By::System).await.unwrap().access_token);
    }
    let (first, last) = (tokens[0].expose(), tokens[tokens.len() - 1].expose());
    assert_eq!((server.status_of_me(first).await, server.status_of_me(last).await), (StatusCode::OK, StatusCode::OK));
    let mut tx = server.mapae.store().begin().await.unwrap();
    let kept = server.mapae.authenticate(last).await.unwrap().session.id.clone();
    assert_eq!(
        tx.end_sessions(&id, Some(&kept), &Actor::system()).await.unwrap(),
        1_500,
        "with that of the sign-in, without the kept one"
    );
    tx.commit().await.unwrap();
    assert_eq!(server.status_of_me(first).await, 401);
    assert_eq!(server.status_of_me(last).await, 200);
}
