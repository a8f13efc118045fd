//! Refresh tokens: every row of the table in the book's "Sessions and tokens".

use mapae::domain::MasterKey;
use mapae::domain::refresh_token::RefreshKey;
use mapae::domain::secret::WrapUse;
use mapae::service::By;
use mapae_verify::Scopes;
use reqwest::StatusCode;

use crate::captured_log::capture;
use crate::forge::parts;
use crate::oauth::{oauth_error, public, refresh, refresh_request, refused, sign_in, token};
use crate::server::{MASTER_KEY, PASSWORD, Server, disable, expect, text, withdraw};

/// The key of the server's refresh tokens, out of its database.
async fn stolen_key(server: &Server) -> RefreshKey {
    let tx = server.mapae.store().begin().await.unwrap();
    let wrapped = tx.data_key("refresh-token").await.unwrap().unwrap();
    let master = MasterKey::new(MASTER_KEY.to_vec()).unwrap();
    RefreshKey::new(&master.unwrap(WrapUse::RefreshToken, "refresh-token", &wrapped).unwrap())
}

#[tokio::test]
async fn the_current_token_gives_its_successor() {
    let server = Server::start().await;
    let (id, _) = server.newcomer("ann").await;
    let first = sign_in(&server, "ann", "").await;
    assert!(first.refresh.starts_with("mr_") && first.refresh.len() == 3 + 75, "{}", first.refresh);
    server.clock.advance(600);
    let second = refresh(&server, &first.refresh).await;
    assert_eq!((second.scope.as_str(), second.expires_in), ("me", 900));
    assert_ne!((&second.refresh, &second.access), (&first.refresh, &first.access));
    let (before, after) = (parts(&first.access).1, parts(&second.access).1);
    for same in ["sub", "sid", "client_id", "scope", "aud", "iss"] {
        assert_eq!(before[same], after[same], "{same}");
    }
    assert_ne!(before["jti"], after["jti"]);
    assert_eq!(after["exp"].as_i64().unwrap() - before["exp"].as_i64().unwrap(), 600);
    assert_eq!(after["sub"], id.as_str());
    // The first access token still lives, and so does the second, past the first one's end.
    assert_eq!(server.status_of_me(&first.access).await, 200);
    server.clock.advance(600);
    assert_eq!(
        (server.status_of_me(&first.access).await, server.status_of_me(&second.access).await),
        (StatusCode::UNAUTHORIZED, StatusCode::OK)
    );
    // By way of `/users/signin` just the same.
    let body = serde_json::json!({ "username": "ann", "password": PASSWORD });
    let signed_in = expect(server.post("/users/signin").json(&body).send().await.unwrap(), StatusCode::OK).await;
    refresh(&server, &text(&signed_in["refresh_token"])).await;
}

#[tokio::test]
async fn the_one_before_gives_the_same_successor_within_the_grace_time() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    let first = sign_in(&server, "ann", "").await;
    let second = refresh(&server, &first.refresh).await;
    for seconds in [0, 1, 14, 15] {
        server.clock.advance(seconds);
        let again = refresh(&server, &first.refresh).await;
        assert_eq!(again.refresh, second.refresh);
        assert_ne!(again.access, second.access);
        assert_eq!(again.expires_in, parts(&second.access).1["exp"].as_i64().unwrap() - server.clock_now());
        assert_eq!(server.status_of_me(&again.access).await, 200);
    }
    // A clock that is behind the one that refreshed.
    server.clock.advance(-60);
    assert_eq!(refresh(&server, &first.refresh).await.refresh, second.refresh);
    server.clock.advance(60);
    let third = refresh(&server, &second.refresh).await;
    assert_ne!(third.refresh, second.refresh);
}

#[tokio::test]
async fn a_token_whose_successor_was_used_ends_the_session() {
    let server = Server::start().await;
    let (log, _guard) = capture();
    server.sign_up("ann").await;
    let other = sign_in(&server, "ann", "").await;
    let first = sign_in(&server, "ann", "").await;
    let second = refresh(&server, &first.refresh).await;
    let third = refresh(&server, &second.refresh).await;
    // Older than the one before, though within the grace time.
    let why = refused(&server, &first.refresh).await;
    assert!(why.contains("older refresh token") && why.contains("Sign in again"), "{why}");
    // The session is over for the rightful holder too, who is told why; its access tokens are refused.
    assert_eq!(refused(&server, &third.refresh).await, why);
    assert_eq!(server.status_of_me(&third.access).await, 401);
    assert_eq!(server.status_of_me(&other.access).await, 200, "other sessions are not concerned");
    refresh(&server, &other.refresh).await;
    let log = log.take();
    assert!(log.contains("an old refresh token was used again"), "{log}");
    assert!(!log.contains(&first.refresh[3..]), "{log}");
    let server = server.restart_with(|_| {}).await;
    assert_eq!(refused(&server, &third.refresh).await, why, "the end is on disk");
}

#[tokio::test]
async fn the_one_before_ends_the_session_after_the_grace_time() {
    let server = Server::start().await;
    server.sign_up("ann").await;
    let first = sign_in(&server, "ann", "").await;
    let second = refresh(&server, &first.refresh).await;
    server.clock.advance(31);
    assert!(refused(&server, &first.refresh).await.contains("older refresh token"));
    assert!(refused(&server, &second.refresh).await.contains("older refresh token"));
}

/// Whoever was not answered could not ask again as long as there was no database.
#[tokio::test]
async fn an_outage_does_not_count_against_the_grace_time() {
    let mut server = Server::start().await;
    server.sign_up("ann").await;
    let first = sign_in(&server, "ann", "").await;
    let second = refresh(&server, &first.refresh).await;
    server.look_away();
    tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
    server.clock.advance(32);
    assert_eq!(refresh(&server, &first.refresh).await.refresh, second.refresh);
    server.clock.advance(60);
    assert!(refused(&server, &first.refresh).await.contains("older refresh token"));
}

#[tokio::test]
async fn what_is_altered_or_another_clients_touches_nothing() {
    let server = Server::start().await;
    public(&server, "app", "password refresh_token", "me").await;
    server.sign_up("ann").await;
    let first = sign_in(&server, "ann", "").await;
    let second = refresh(&server, &first.refresh).await;
    let mut altered = second.refresh.clone().into_bytes();
    altered[40] = if altered[40] == b'A' { b'B' } else { b'A' };
    let altered = String::from_utf8(altered).unwrap();
    let made_elsewhere = RefreshKey::new(&[7; 32]).token(&text(&parts(&first.access).1["sid"]), 0).unwrap();
    let no_session =
        stolen_key(&server).await.token("0198c0de-0000-7000-8000-000000000000", 0).unwrap().expose().to_owned();
    for bad in
        [&altered, made_elsewhere.expose(), &no_session, "mr_", "x", &second.access, &"mr_A".repeat(2_000), "mr_\u{0}"]
    {
        assert!(refused(&server, bad).await.contains("malformed, altered"), "{bad}");
    }
    // A reused token, but shown by another client: that one must not end what is not its own.
    for theft in [&first.refresh, &second.refresh] {
        let form = [("grant_type", "refresh_token"), ("refresh_token", theft.as_str()), ("client_id", "app")];
        let why = oauth_error(token(&server, &form).await, 400, "invalid_grant").await;
        assert!(why.contains("another client"), "{why}");
    }
    refresh(&server, &second.refresh).await;
}

#[tokio::test]
async fn one_of_a_later_backup_is_accepted() {
    let server = Server::start().await;
    let (log, _guard) = capture();
    server.sign_up("ann").await;
    let first = sign_in(&server, "ann", "").await;
    let session = text(&parts(&first.access).1["sid"]);
    let key = stolen_key(&server).await;
    let ahead = key.token(&session, 41).unwrap();
    let after = refresh(&server, ahead.expose()).await;
    assert_eq!(after.refresh, key.token(&session, 42).unwrap().expose(), "set past the one that was shown");
    assert!(log.take().contains("restored from a backup"));
    // And from there on as ever.
    assert_eq!(refresh(&server, ahead.expose()).await.refresh, after.refresh);
    refresh(&server, &after.refresh).await;
    assert!(refused(&server, &first.refresh).await.contains("older refresh token"));
}

#[tokio::test]
async fn a_session_ends_when_it_idles_and_at_its_limit() {
    let day = 86_400;
    let server = Server::start().await;
    server.sign_up("ann").await;
    let idle = sign_in(&server, "ann", "").await;
    let mut used = sign_in(&server, "ann", "").await;
    for _ in 0..3 {
        server.clock.advance(29 * day);
        used = refresh(&server, &used.refresh).await;
    }
    assert!(refused(&server, &idle.refresh).await.contains("not used for too long"));
    // 87 days: the last access token ends with the session.
    server.clock.advance(3 * day - 60);
    let last = refresh(&server, &used.refresh).await;
    assert_eq!(last.expires_in, 60);
    assert_eq!(server.status_of_me(&last.access).await, 200);
    server.clock.advance(60);
    refused(&server, &last.refresh).await;
    assert_eq!(server.status_of_me(&last.access).await, 401);
}

#[tokio::test]
async fn limits_can_be_set() {
    let server = Server::start_with(|settings| {
        (settings.session_idle, settings.session_lifetime, settings.access_token_lifetime) = (100, 250, 20);
    })
    .await;
    server.sign_up("ann").await;
    let mut tokens = sign_in(&server, "ann", "").await;
    for _ in 0..2 {
        server.clock.advance(99);
        let repeated = tokens.refresh.clone();
        tokens = refresh(&server, &tokens.refresh).await;
        // Access tokens that live shorter than the grace time are new ones when the answer is repeated.
        server.clock.advance(15);
        let again = refresh(&server, &repeated).await;
        assert_eq!((&again.refresh, again.expires_in), (&tokens.refresh, 20));
        server.clock.advance(-15);
    }
    server.clock.advance(51);
    refresh(&server, &tokens.refresh).await;
    server.clock.advance(1);
    refused(&server, &tokens.refresh).await;
}

#[tokio::test]
async fn scopes_narrow_and_never_widen() {
    let server = Server::start().await;
    let id = server.sign_up_with_scopes("ann", "me items mapae:admin").await;
    let all = sign_in(&server, "ann", "me items mapae:admin").await;
    let asked = async |refresh_token: &str, scope: &str| {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
            ("client_id", "mapae"),
            ("scope", scope),
        ];
        token(&server, &form).await
    };
    let narrow = expect(asked(&all.refresh, "items").await, StatusCode::OK).await;
    assert_eq!(
        (&narrow["scope"], &parts(&text(&narrow["access_token"])).1["scope"]),
        (&"items".into(), &"items".into())
    );
    // The session keeps what it was granted.
    let again = refresh(&server, &text(&narrow["refresh_token"])).await;
    assert_eq!(again.scope, "me items mapae:admin");
    // Refused, and the token is not used up.
    for more in ["other", "me other"] {
        oauth_error(asked(&again.refresh, more).await, 400, "invalid_scope").await;
    }
    let me = sign_in(&server, "ann", "me").await;
    oauth_error(asked(&me.refresh, "me items").await, 400, "invalid_scope").await;
    assert_eq!(refresh(&server, &me.refresh).await.scope, "me");
    // A sign-in that was granted nothing is not given everything.
    let nothing = sign_in(&server, "ann", "unknown").await;
    assert_eq!((nothing.scope.as_str(), refresh(&server, &nothing.refresh).await.scope.as_str()), ("", ""));
    // Withdrawn meanwhile, and granted again later.
    server.mapae.administer(&id, withdraw("items mapae:admin"), By::System).await.unwrap();
    let less = refresh(&server, &again.refresh).await;
    assert_eq!(less.scope, "me");
    oauth_error(asked(&less.refresh, "items").await, 400, "invalid_scope").await;
    let grant = mapae::service::accounts::AdminChange {
        grant: Scopes::parse("items").unwrap(),
        ..mapae::service::accounts::AdminChange::default()
    };
    server.mapae.administer(&id, grant, By::System).await.unwrap();
    assert_eq!(refresh(&server, &less.refresh).await.scope, "me items");
}

#[tokio::test]
async fn a_refreshed_session_is_the_same_one_and_ends_as_one() {
    let server = Server::start().await;
    let (id, _) = server.newcomer("ann").await;
    let mut tokens = sign_in(&server, "ann", "").await;
    let mut all = vec![tokens.access.clone()];
    for _ in 0..5 {
        server.clock.advance(60);
        tokens = refresh(&server, &tokens.refresh).await;
        assert_eq!(server.status_of_me(&tokens.access).await, 200);
        all.push(tokens.access.clone());
    }
    server.mapae.administer(&id, disable(true), By::System).await.unwrap();
    for access in &all {
        assert_eq!(server.status_of_me(access).await, 401);
    }
    let why = refused(&server, &tokens.refresh).await;
    assert!(why.contains("disabled or its password changed"), "{why}");
    server.mapae.administer(&id, disable(false), By::System).await.unwrap();
    assert_eq!(refused(&server, &tokens.refresh).await, why, "enabling revives nothing");
}

#[tokio::test]
async fn a_minted_token_has_no_refresh_token_and_a_short_session() {
    let server = Server::start().await;
    let (id, _) = server.newcomer("ann").await;
    let minted = server.mapae.mint(&id, &Scopes::default(), By::System).await.unwrap();
    assert!(minted.refresh_token.is_none());
    let session = text(&parts(minted.access_token.expose()).1["sid"]);
    let forged = stolen_key(&server).await.token(&session, 0).unwrap();
    assert_eq!(refresh_request(&server, forged.expose()).send().await.unwrap().status(), 400);
    assert_eq!(server.status_of_me(minted.access_token.expose()).await, 200);
}
