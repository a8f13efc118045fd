//! `/.well-known/revocations`.

use std::collections::BTreeSet;
use std::time::Duration;

use mapae::domain::SecretText;
use mapae::service::By;
use mapae::service::accounts::AdminChange;
use mapae::settings::Signing;
use mapae_verify::revocations::{Feed, FeedError};
use mapae_verify::{Algorithm, JwkSet, KeySet, RegisteredView, Revocations, VerifyError};
use reqwest::{Response, StatusCode};
use sea_orm::{ConnectionTrait, Database};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::database::url;
use crate::forge::parts;
use crate::oauth::{confidential, public, refresh, sign_in};
use crate::server::{Server, disable, expect, header, text};

const FEED: &str = "/.well-known/revocations";

/// The feed as a resource server reads it: with the published keys alone.
async fn feed(server: &Server) -> Feed {
    let response = server.get(FEED).send().await.unwrap();
    assert_eq!((response.status().as_u16(), header(&response, "content-type").as_str()), (200, "application/jwt"));
    read(server, &response.text().await.unwrap()).await.unwrap()
}

async fn read(server: &Server, text: &str) -> Result<Feed, FeedError> {
    let jwks: JwkSet = server.get("/.well-known/jwks.json").send().await.unwrap().json().await.unwrap();
    let (keys, skipped) = KeySet::from_jwks(&jwks);
    assert!(skipped.is_empty());
    Feed::verify(text, &keys, &server.settings.base_url.to_string(), server.clock_now() * 1000, None)
}

/// The feed, which revokes this access token within a second: another process did that.
async fn heard_of(server: &Server, access: &str) -> Feed {
    let began = Instant::now();
    loop {
        let now = feed(server).await;
        if revokes(&now, access) {
            return now;
        }
        assert!(began.elapsed() < Duration::from_secs(1), "it was not heard of within a second");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Whether the feed revokes this access token.
fn revokes(feed: &Feed, access: &str) -> bool {
    let (header, claims) = parts(access);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let (kid, sub, jti, sid) = (text(&header["kid"]), text(&claims["sub"]), text(&claims["jti"]), text(&claims["sid"]));
    feed.entries.is_revoked(&RegisteredView {
        kid: kid.as_deref(),
        iss: claims["iss"].as_str(),
        sub: sub.as_deref(),
        exp: claims["exp"].as_i64().unwrap(),
        iat: claims["iat"].as_i64(),
        jti: jti.as_deref(),
        client_id: claims["client_id"].as_str(),
        sid: sid.as_deref(),
    })
}

#[tokio::test]
async fn whatever_ends_early_is_in_the_feed() {
    let server = Server::start().await;
    let admin = server.administrator().await;
    let (id, _) = server.newcomer("ann").await;
    public(&server, "app", "password refresh_token", "me").await;
    let job = confidential(&server, "job", "client_credentials", "items").await;
    let empty = feed(&server).await;
    assert!(empty.entries.is_empty());
    let live = sign_in(&server, "ann", "").await;
    let job_token = {
        let form = [("grant_type", "client_credentials"), ("client_id", "job"), ("client_secret", &job)];
        text(&expect(crate::oauth::token(&server, &form).await, StatusCode::OK).await["access_token"])
    };
    let mut last = empty.seq;
    for round in 0..6 {
        let tokens = sign_in(&server, "ann", "").await;
        assert!(!revokes(&feed(&server).await, &tokens.access));
        let sid = text(&parts(&tokens.access).1["sid"]);
        let delete = |path: String, access: &str| server.delete(&path).bearer_auth(access).send();
        match round {
            0 => _ = server.post("/users/signout").bearer_auth(&tokens.access).send().await.unwrap(),
            1 => _ = delete(format!("/users/me/sessions/{sid}"), &live.access).await.unwrap(),
            2 => _ = delete(format!("/admin/users/{id}/sessions/{sid}"), &admin).await.unwrap(),
            3 => {
                let form = [("token", tokens.access.as_str()), ("client_id", "mapae")];
                server.post("/oauth2/revoke").form(&form).send().await.unwrap();
            }
            4 => {
                let form = [("token", tokens.refresh.as_str()), ("client_id", "mapae")];
                server.post("/oauth2/revoke").form(&form).send().await.unwrap();
            }
            _ => {
                let second = refresh(&server, &tokens.refresh).await;
                refresh(&server, &second.refresh).await;
                crate::oauth::refused(&server, &tokens.refresh).await;
            }
        }
        let now = feed(&server).await;
        assert!(revokes(&now, &tokens.access), "{round}");
        assert!(!revokes(&now, &live.access) && !revokes(&now, &job_token), "{round}");
        assert!(now.seq > last, "{round}");
        last = now.seq;
    }
    assert!(!revokes(&feed(&server).await, &job_token));
    server.mapae.remove_client("job", By::System).await.unwrap();
    server.mapae.administer(&id, disable(true), By::System).await.unwrap();
    let now = feed(&server).await;
    assert!(revokes(&now, &job_token) && revokes(&now, &live.access));
    assert_eq!(now.entries.len(), 10, "six, the client, and the three sessions that ann still had");
}

#[tokio::test]
async fn what_has_expired_is_not_in_the_feed() {
    let server = Server::start().await;
    let (id, _) = server.newcomer("ann").await;
    let old = sign_in(&server, "ann", "").await;
    server.clock.advance(2_000);
    let new = sign_in(&server, "ann", "").await;
    server
        .mapae
        .administer(&id, AdminChange { disabled: Some(true), ..AdminChange::default() }, By::System)
        .await
        .unwrap();
    let now = feed(&server).await;
    assert!(revokes(&now, &new.access));
    assert!(!revokes(&now, &old.access), "no token of it is about");
    assert_eq!(now.entries.len(), 1);
    // Past its end, and past what any verifier tolerates.
    server.clock.advance(900 + 299);
    assert_eq!(feed(&server).await.entries.len(), 1);
    server.clock.advance(61);
    let later = feed(&server).await;
    assert_eq!(later.entries.len(), 0);
    assert!(later.seq >= now.seq);
}

#[tokio::test]
async fn it_is_signed_anew_on_change_and_every_minute() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    let get = async |tag: Option<&str>| -> Response {
        let mut request = server.get(FEED);
        if let Some(tag) = tag {
            request = request.header("if-none-match", tag);
        }
        request.send().await.unwrap()
    };
    let first = get(None).await;
    let tag = header(&first, "etag");
    assert_eq!(header(&first, "cache-control"), "public, no-cache");
    let first = first.text().await.unwrap();
    assert_eq!(parts_of_feed(&first)["typ"], "mapae-revocations+jwt");
    for same in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
        let unchanged = get(Some(&same)).await;
        assert_eq!((unchanged.status().as_u16(), header(&unchanged, "etag")), (304, tag.clone()), "{same}");
        assert_eq!(unchanged.text().await.unwrap(), "");
    }
    assert_eq!(get(Some("\"other\"")).await.text().await.unwrap(), first);
    server.clock.advance(59);
    assert_eq!(get(Some(&tag)).await.status(), 304);
    server.clock.advance(1);
    let second = get(Some(&tag)).await;
    assert_eq!(second.status(), 200);
    let (tag, second) = (header(&second, "etag"), second.text().await.unwrap());
    let (before, after) = (read(&server, &first).await.unwrap(), read(&server, &second).await.unwrap());
    assert_eq!(after.iat - before.iat, 60);
    assert!(after.seq > before.seq && after.entries == before.entries);
    // A change by another process is there within a second.
    let tokens = sign_in(&server, "ann", "").await;
    assert_eq!(get(Some(&tag)).await.status(), 304, "a sign-in is no news");
    let other = server.another_process().await;
    other.end_sessions(&mapae::service::Ending::All, By::System).await.unwrap();
    assert!(revokes(&heard_of(&server, &tokens.access).await, &tokens.access));
    assert_eq!(get(Some(&tag)).await.status(), 200);
}

/// A signature is never the same twice: whoever has the same text has the one that was signed once.
#[tokio::test(flavor = "multi_thread")]
async fn however_many_ask_it_is_read_and_signed_once_for_each_change() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    let mut last = String::new();
    for round in 0..4 {
        let tokens = sign_in(&server, "ann", "").await;
        server.post("/users/signout").bearer_auth(&tokens.access).send().await.unwrap();
        let asking: Vec<_> = (0..40).map(|_| tokio::spawn(server.get(FEED).send())).collect();
        let mut tags = BTreeSet::new();
        for answer in asking {
            tags.insert(header(&answer.await.unwrap().unwrap(), "etag"));
        }
        assert_eq!(tags.len(), 1, "{round}");
        assert!(!tags.contains(&last), "{round}");
        last = tags.pop_first().unwrap();
        assert!(revokes(&feed(&server).await, &tokens.access), "{round}");
    }
    // The last change is told of once more, by the look for changes of others.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(feed(&server).await.entries.len(), 4);
    // What no one tells of is not looked for,
    let database = Database::connect(url(server.directory())).await.unwrap();
    database.execute_unprepared("DELETE FROM mapae_revocation").await.unwrap();
    assert_eq!(feed(&server).await.entries.len(), 4);
    // and everything is read anew after a change.
    let tokens = sign_in(&server, "ann", "").await;
    server.post("/users/signout").bearer_auth(&tokens.access).send().await.unwrap();
    assert_eq!(feed(&server).await.entries.len(), 1);
    database.close().await.unwrap();
}

fn parts_of_feed(feed: &str) -> Value {
    serde_json::from_slice(&crate::forge::decode(feed.split('.').next().unwrap())).unwrap()
}

/// A key in other hands: its tokens end everywhere, and nobody is signed out.
#[tokio::test]
async fn a_revoked_key_is_in_the_feed() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    let before = sign_in(&server, "ann", "").await;
    let kid = text(&parts(&before.access).0["kid"]);
    assert!(matches!(
        server.mapae.revoke_key("no such key", By::System).await,
        Err(mapae::service::RevokeKeyError::NotFound(_))
    ));
    server.mapae.revoke_key(&kid, By::System).await.unwrap();
    assert_eq!(server.status_of_me(&before.access).await, 401);
    // Signed by another key, which verifiers have known for a while.
    let now = feed(&server).await;
    assert!(now.entries.is_key_revoked(&kid) && revokes(&now, &before.access));
    let after = refresh(&server, &before.refresh).await;
    assert_eq!(server.status_of_me(&after.access).await, 200);
    assert!(!revokes(&now, &after.access));
    let keys = server.mapae.list_keys().await.unwrap();
    assert_eq!(keys.len(), 2, "one signs and one is next");
    assert!(keys.iter().all(|key| key.kid != kid));
    // One that does not sign yet.
    let next = keys.iter().find(|key| key.activated_at.is_none()).unwrap();
    server.mapae.revoke_key(&next.kid, By::System).await.unwrap();
    assert_eq!(server.status_of_me(&after.access).await, 200);
    assert_eq!(server.mapae.list_keys().await.unwrap().len(), 2);
}

#[tokio::test]
async fn neither_passes_for_the_other() {
    let server = Server::start().await;
    let (_, token) = server.newcomer("ann").await;
    let signed = server.get(FEED).send().await.unwrap().text().await.unwrap();
    assert_eq!(server.status_of_me(&signed).await, 401);
    assert!(matches!(
        read(&server, &token).await,
        Err(FeedError::Jws(VerifyError::WrongType)) | Err(FeedError::Malformed(_))
    ));
}

#[tokio::test]
async fn beside_a_shared_secret_it_has_a_key_of_its_own() {
    let secret = SecretText::new("열쇠-8b1f0c5d7a9e4c22b6d1a3e5f7092c4d".to_owned());
    let server =
        Server::start_with(|settings| settings.signing = Signing::SharedSecret(Algorithm::HS256, secret)).await;
    let (_, token) = server.newcomer("ann").await;
    let signed = server.get(FEED).send().await.unwrap().text().await.unwrap();
    assert_eq!(parts_of_feed(&signed)["alg"], "EdDSA");
    server.post("/users/signout").bearer_auth(&token).send().await.unwrap();
    let now = feed(&server).await;
    assert!(revokes(&now, &token));
    // The key stays the same over a restart.
    let kid = parts_of_feed(&signed)["kid"].clone();
    let server = server.restart_with(|_| {}).await;
    let signed = server.get(FEED).send().await.unwrap().text().await.unwrap();
    assert_eq!(parts_of_feed(&signed)["kid"], kid);
    let after = feed(&server).await;
    assert!(revokes(&after, &token) && after.seq >= now.seq);
}

/// Whoever has the key writes any `exp`, and verifiers keep the published keys for a day when they cannot fetch them.
#[tokio::test]
async fn a_revoked_key_stays_in_the_feed_for_as_long_as_anybody_may_know_it() {
    let server = Server::start().await;
    let (_, token) = server.newcomer("ann").await;
    let kid = text(&parts(&token).0["kid"]);
    server.mapae.revoke_key(&kid, By::System).await.unwrap();
    server.clock.advance(24 * 60 * 60 + 299);
    assert!(feed(&server).await.entries.is_key_revoked(&kid));
    server.clock.advance(602);
    assert!(feed(&server).await.entries.is_empty());
}

/// Verifiers refuse a feed whose number is lower than that of the one that they hold.
#[tokio::test]
async fn its_number_does_not_fall_when_old_revocations_are_removed() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    server.clock.advance(15);
    let tokens = sign_in(&server, "ann", "").await;
    // The session ends ten seconds before nobody needs to know that any more.
    server.clock.advance(900 + 290);
    let form = [("token", tokens.refresh.as_str()), ("client_id", "mapae")];
    assert_eq!(server.post("/oauth2/revoke").form(&form).send().await.unwrap().status(), 200);
    let before = feed(&server).await;
    server.clock.advance(15);
    // What has expired is removed at the start.
    let server = server.restart_with(|_| {}).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let after = feed(&server).await;
    assert!(after.entries.is_empty());
    assert!(after.seq >= before.seq, "{} after {}", after.seq, before.seq);
}

/// Whoever removes a client need not know for how long the server's tokens are good.
#[tokio::test]
async fn a_removed_clients_tokens_stay_revoked_until_the_last_has_expired() {
    let server = Server::start_with(|settings| settings.access_token_lifetime = 86_400).await;
    let secret = confidential(&server, "job", "client_credentials", "items").await;
    let form = [("grant_type", "client_credentials"), ("client_id", "job"), ("client_secret", &secret)];
    let job = text(&expect(crate::oauth::token(&server, &form).await, StatusCode::OK).await["access_token"]);
    let mut settings = server.settings.clone();
    settings.access_token_lifetime = 900;
    let command = crate::server::open(server.directory(), settings, &server.clock).await.unwrap();
    command.remove_client("job", By::System).await.unwrap();
    server.clock.advance(86_399);
    heard_of(&server, &job).await;
}
