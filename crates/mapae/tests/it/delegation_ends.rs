//! What ends a minted token, here and at verifiers elsewhere.

use mapae::service::By;
use std::time::Duration;

use mapae::domain::UserId;
use mapae_verify::remote::RemoteVerifier;
use mapae_verify::{ManualClock, TokenError, VerifyError};
use reqwest::StatusCode;
use serde_json::json;

use crate::delegation::{ask, claims, exchange, personal, server_with_cars};
use crate::oauth::{oauth_error, refresh, sign_in};
use crate::server::{PASSWORD, Server, disable, text, withdraw};

/// Tokens of ann: of her sign-in, one that was minted from it, one from that; a personal one and one from that.
struct Anns {
    id: UserId,
    refresh: String,
    own: String,
    child: String,
    grandchild: String,
    personal: String,
    of_personal: String,
}

impl Anns {
    async fn new(server: &Server) -> Self {
        let id = server.sign_up_with_scopes("ann", "me items").await;
        let tokens = sign_in(server, "ann", "").await;
        let child = exchange(&server.url, &tokens.access, &[]).await;
        let grandchild = exchange(&server.url, &child, &[]).await;
        let (personal, _) = personal(server, &tokens.access, json!({})).await;
        let of_personal = exchange(&server.url, &personal, &[]).await;
        let (own, refresh) = (tokens.access, tokens.refresh);
        let anns = Self { id, refresh, own, child, grandchild, personal, of_personal };
        assert_eq!(anns.good(server).await, [true; 5]);
        anns
    }

    /// Which are good, in the order of the fields.
    async fn good(&self, server: &Server) -> [bool; 5] {
        let good = async |token: &str| server.status_of_me(token).await == StatusCode::OK;
        [
            good(&self.own).await,
            good(&self.child).await,
            good(&self.grandchild).await,
            ask(&server.url, &self.personal, &[]).await.status() == StatusCode::OK,
            good(&self.of_personal).await,
        ]
    }
}

const NONE: [bool; 5] = [false; 5];
/// What is left when the sign-in is over.
const PERSONAL: [bool; 5] = [false, false, false, true, true];

#[tokio::test]
async fn signing_out_ends_what_was_minted_but_no_personal_token() {
    let server = Server::start().await;
    let anns = Anns::new(&server).await;
    server.post("/users/signout").bearer_auth(&anns.own).send().await.unwrap();
    assert_eq!(anns.good(&server).await, PERSONAL);
}

#[tokio::test]
async fn so_does_ending_other_sign_ins_and_a_theft_ends_everything() {
    let server = Server::start().await;
    let anns = Anns::new(&server).await;
    // From the session itself nothing of it ends.
    let end = async |by: &str| server.delete("/users/me/sessions").bearer_auth(by).send().await.unwrap().status();
    assert_eq!(end(&anns.own).await, 204);
    assert_eq!(anns.good(&server).await, [true; 5]);
    let second = refresh(&server, &anns.refresh).await;
    refresh(&server, &second.refresh).await;
    crate::oauth::refused(&server, &anns.refresh).await;
    assert_eq!(anns.good(&server).await, NONE, "whoever stole the sign-in has what was made in it");

    let server = Server::start().await;
    let anns = Anns::new(&server).await;
    let other = sign_in(&server, "ann", "").await.access;
    assert_eq!(end_others(&server, &other).await, 204);
    assert_eq!(anns.good(&server).await, PERSONAL);
}

async fn end_others(server: &Server, by: &str) -> StatusCode {
    server.delete("/users/me/sessions").bearer_auth(by).send().await.unwrap().status()
}

#[tokio::test]
async fn a_link_of_a_chain_ends_what_comes_after_it() {
    let server = Server::start().await;
    let anns = Anns::new(&server).await;
    let form = [("token", anns.child.as_str()), ("client_id", "mapae")];
    assert_eq!(server.post("/oauth2/revoke").form(&form).send().await.unwrap().status(), 200);
    assert_eq!(anns.good(&server).await, [true, false, false, true, true]);
    oauth_error(ask(&server.url, &anns.child, &[]).await, 400, "invalid_request").await;
}

/// RFC 7009: of a sign-in, whose other tokens stay.
#[tokio::test]
async fn an_access_token_that_is_given_up_takes_along_what_was_made_from_it() {
    let server = Server::start().await;
    let anns = Anns::new(&server).await;
    let second = refresh(&server, &anns.refresh).await.access;
    let other = exchange(&server.url, &second, &[]).await;
    let form = [("token", anns.own.as_str()), ("client_id", "mapae")];
    assert_eq!(server.post("/oauth2/revoke").form(&form).send().await.unwrap().status(), 200);
    assert_eq!(anns.good(&server).await, PERSONAL);
    oauth_error(ask(&server.url, &anns.own, &[]).await, 400, "invalid_request").await;
    for good in [second, other] {
        assert_eq!(server.status_of_me(&good).await, 200);
    }
}

#[tokio::test]
async fn with_the_account_everything_ends() {
    for round in 0..5 {
        let server = Server::start().await;
        let anns = Anns::new(&server).await;
        match round {
            0 => _ = server.mapae.administer(&anns.id, disable(true), By::System).await.unwrap(),
            1 => server.mapae.delete_account(&anns.id, By::System).await.unwrap(),
            2 => {
                let body = json!({ "current_password": PASSWORD, "new_password": "seven purple elephants" });
                let other = sign_in(&server, "ann", "").await.access;
                server.post("/users/me/password").bearer_auth(&other).json(&body).send().await.unwrap();
                assert_eq!(server.status_of_me(&other).await, 200);
            }
            3 => {
                let admin = server.administrator().await;
                let path = format!("/admin/users/{}/sessions", anns.id);
                assert_eq!(server.delete(&path).bearer_auth(admin).send().await.unwrap().status(), 204);
            }
            _ => _ = server.mapae.end_sessions(&mapae::service::Ending::All, By::System).await.unwrap(),
        }
        assert_eq!(anns.good(&server).await, NONE, "{round}");
    }
}

/// A sign-in only loses the scope; a minted token that carries it ends.
#[tokio::test]
async fn a_grantor_without_the_scope_grants_nothing() {
    let server = Server::start().await;
    let anns = Anns::new(&server).await;
    let without = exchange(&server.url, &anns.own, &[("scope", "me")]).await;
    server.mapae.administer(&anns.id, withdraw("items"), By::System).await.unwrap();
    assert_eq!(anns.good(&server).await, [true, false, false, false, false]);
    assert_eq!(server.status_of_me(&without).await, 200, "it never carried that scope");
    assert_eq!(server.mapae.minted_tokens(Some(&anns.id)).await.unwrap().len(), 1);
    // What has ended stays so.
    let grant = mapae::service::accounts::AdminChange {
        grant: mapae_verify::Scopes::parse("items").unwrap(),
        ..Default::default()
    };
    server.mapae.administer(&anns.id, grant, By::System).await.unwrap();
    assert_eq!(anns.good(&server).await, [true, false, false, false, false]);
}

#[tokio::test]
async fn a_client_that_is_removed_takes_its_tokens_along() {
    let server = Server::start().await;
    server.sign_up_with_scopes("ann", "me items").await;
    let secret = crate::oauth::confidential(&server, "bot", crate::delegation::GRANT, "me items").await;
    let own = sign_in(&server, "ann", "").await.access;
    let child = exchange(&server.url, &own, &[("client_id", "bot"), ("client_secret", &secret)]).await;
    let grandchild = exchange(&server.url, &child, &[]).await;
    server.mapae.remove_client("bot", By::System).await.unwrap();
    for token in [child, grandchild] {
        assert_eq!(server.status_of_me(&token).await, 401);
    }
    assert_eq!(server.status_of_me(&own).await, 200);
}

/// Verifiers elsewhere learn it from the feed.
#[tokio::test]
async fn a_remote_verifier_refuses_what_was_revoked() {
    let server = server_with_cars().await;
    server.sign_up_with_scopes("root", "me drive mapae:admin").await;
    let admin = server.sign_in_for("root", "mapae:admin me drive").await;
    let (personal, id) = personal(&server, &admin, json!({ "subject": "car:42", "scope": "drive" })).await;
    let car = exchange(&server.url, &personal, &[]).await;
    let weaker = exchange(&server.url, &car, &[]).await;
    let verifier = RemoteVerifier::builder(server.url.clone())
        .clock(ManualClock::new(server.clock_now()))
        .revocations(|feed| feed.interval(Duration::from_millis(200)))
        .start()
        .unwrap();
    for token in [&admin, &car, &weaker] {
        verifier.verify(token).await.unwrap();
    }
    assert_eq!(verifier.verify(&weaker).await.unwrap().act.as_ref().unwrap().sub, text(&claims(&admin)["sub"]));
    let path = format!("/users/me/tokens/{id}");
    assert_eq!(server.delete(&path).bearer_auth(&admin).send().await.unwrap().status(), 204);
    for token in [&car, &weaker] {
        let mut tries = 0;
        while verifier.verify(token).await.is_ok() {
            tries += 1;
            assert!(tries < 200, "the feed did not tell within ten seconds");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(matches!(verifier.verify(token).await, Err(TokenError::Refused(VerifyError::Revoked))));
    }
    verifier.verify(&admin).await.unwrap();
}

/// However it comes together: no child of a session that has ended, or of a token that was revoked, is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn minting_beside_an_end_leaves_nothing() {
    let server = Server::start().await;
    server.sign_up_with_scopes("ann", "me").await;
    for round in 0..8 {
        let own = sign_in(&server, "ann", "").await.access;
        let minting = (0..8).map(|_| {
            let (url, own) = (server.url.clone(), own.clone());
            tokio::spawn(async move { ask(&url, &own, &[]).await.status() })
        });
        let minting: Vec<_> = minting.collect();
        if round % 2 == 0 {
            let ended = server.post("/users/signout").bearer_auth(&own).send().await.unwrap().status();
            assert_eq!(ended, 204);
        } else {
            let form = [("token", own.as_str()), ("client_id", "mapae")];
            assert_eq!(server.post("/oauth2/revoke").form(&form).send().await.unwrap().status(), 200);
        }
        for answer in minting {
            assert!([200, 400].contains(&answer.await.unwrap().as_u16()));
        }
        assert!(server.mapae.minted_tokens(None).await.unwrap().is_empty());
    }
}
