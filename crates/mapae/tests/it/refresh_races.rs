//! Refreshes at the same moment, on one process and on two, with a restart between.

use std::collections::BTreeSet;

use mapae::domain::Sender;
use mapae::service::{ClientAuth, GrantRequest, TokenRequest};
use mapae_verify::Scopes;

use crate::oauth::{Tokens, refresh, refresh_request, refused, secret, sign_in};
use crate::races::at_once;
use crate::server::Server;

/// All answers are the same successor; which.
fn one_successor(answers: &[(reqwest::StatusCode, serde_json::Value)]) -> String {
    assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
    let tokens: Vec<Tokens> = answers.iter().map(|(_, body)| Tokens::of(body)).collect();
    let successors: BTreeSet<&str> = tokens.iter().map(|tokens| tokens.refresh.as_str()).collect();
    assert_eq!(successors.len(), 1);
    let access: BTreeSet<&str> = tokens.iter().map(|tokens| tokens.access.as_str()).collect();
    assert_eq!(access.len(), tokens.len(), "each has an access token of its own");
    (*successors.first().unwrap()).to_owned()
}

async fn generation(server: &Server) -> i64 {
    let sessions = server.mapae.store().sessions(None, 10).await.unwrap();
    sessions.iter().map(|session| session.refresh.unwrap().generation).max().unwrap()
}

/// The clock stands still all the while: nothing here depends on times being different.
#[tokio::test(flavor = "multi_thread")]
async fn of_64_refreshes_at_once_all_get_the_same_successor() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    let mut current = sign_in(&server, "ann", "").await.refresh;
    for round in 1..=3 {
        let answers = at_once((0..64).map(|_| refresh_request(&server, &current))).await;
        let successor = one_successor(&answers);
        assert_ne!(successor, current);
        assert_eq!(generation(&server).await, round, "one generation passes");
        current = successor;
    }
    refresh(&server, &current).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_the_middle_changes_nothing() {
    let mut server = Server::start().await;
    server.sign_up("ann").await;
    let first = sign_in(&server, "ann", "").await.refresh;
    let mut successors = BTreeSet::new();
    for _ in 0..3 {
        let answers = at_once((0..16).map(|_| refresh_request(&server, &first))).await;
        successors.insert(one_successor(&answers));
        server = server.restart_with(|_| {}).await;
    }
    assert_eq!((successors.len(), generation(&server).await), (1, 1));
    // A request that was cut off by the restart has moved the session on or not; either way the retry succeeds.
    let current = successors.first().unwrap().clone();
    let cut = tokio::spawn(refresh_request(&server, &current).send());
    tokio::task::yield_now().await;
    server = server.restart_with(|_| {}).await;
    let _ = cut.await;
    refresh(&server, &current).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_over_one_database_agree() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    let first = sign_in(&server, "ann", "").await.refresh;
    let other = server.another_process().await;
    let request = |token: &str| TokenRequest {
        client: ClientAuth { id: "mapae".to_owned(), secrets: Vec::new() },
        grant: GrantRequest::RefreshToken(secret(token)),
        scope: Scopes::default(),
        sender: Sender::default(),
    };
    let elsewhere: Vec<_> = (0..32)
        .map(|_| {
            let (other, request) = (other.clone(), request(&first));
            tokio::spawn(async move { other.grant_tokens(request).await })
        })
        .collect();
    let answers = at_once((0..32).map(|_| refresh_request(&server, &first))).await;
    let successor = one_successor(&answers);
    for answer in elsewhere {
        let tokens = answer.await.unwrap().unwrap();
        assert_eq!(tokens.refresh_token.unwrap().expose(), successor);
        assert_eq!(server.status_of_me(tokens.access_token.expose()).await, 200);
    }
    assert_eq!(generation(&server).await, 1);
    // Reuse that one process sees ends the session in the other.
    let access = refresh(&server, &successor).await;
    other.grant_tokens(request(&first)).await.unwrap_err();
    assert!(refused(&server, &access.refresh).await.contains("older refresh token"));
}

/// Whichever comes first, the end of the session or the refresh: afterwards nothing is given out.
#[tokio::test(flavor = "multi_thread")]
async fn no_refresh_slips_past_a_sign_out() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    for _ in 0..5 {
        let tokens = sign_in(&server, "ann", "").await;
        let mut requests: Vec<_> = (0..8).map(|_| refresh_request(&server, &tokens.refresh)).collect();
        requests.insert(4, server.post("/users/signout").bearer_auth(&tokens.access));
        let answers = at_once(requests).await;
        assert_eq!(answers[4].0, 204);
        for (status, body) in answers {
            if status == 200 {
                let late = Tokens::of(&body);
                assert_eq!(server.status_of_me(&late.access).await, 401);
                assert!(refused(&server, &late.refresh).await.contains("signed out"));
            }
        }
    }
}
