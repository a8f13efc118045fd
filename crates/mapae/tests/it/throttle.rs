//! Slowing down who guesses, seen by whoever is slowed down and by whoever is not.

use std::sync::Arc;
use std::time::Duration;

use mapae::domain::throttle::Limit;
use mapae::domain::{SecretText, Sender, Source};
use mapae::service::{By, SignInError};
use mapae_verify::Scopes;
use reqwest::{Response, StatusCode};
use sea_orm::{ConnectionTrait, Database, Statement};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::oauth;
use crate::server::{PASSWORD, Server, expect, header, problem, text};

pub(crate) const HOME: &str = "198.51.100.7";
const EVE: &str = "203.0.113.1";

/// Behind a proxy of this machine, so that a test comes from where it says.
pub(crate) async fn behind_proxy() -> Server {
    Server::start_with(|settings| settings.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]).await
}

pub(crate) async fn sign_in(server: &Server, from: &str, username: &str, password: &str) -> Response {
    let body = json!({ "username": username, "password": password });
    server.post("/users/signin").json(&body).header("x-forwarded-for", from).send().await.unwrap()
}

pub(crate) async fn status(server: &Server, from: &str, username: &str, password: &str) -> u16 {
    sign_in(server, from, username, password).await.status().as_u16()
}

/// Guesses until there is a 429; how many were looked at, and `Retry-After`.
pub(crate) async fn until_throttled(server: &Server, from: &str, username: &str) -> (u32, i64) {
    for looked_at in 0..1_000 {
        let response = sign_in(server, from, username, "wrong").await;
        if response.status() == 429 {
            let seconds = header(&response, "retry-after").parse().unwrap();
            problem(response, StatusCode::TOO_MANY_REQUESTS, "too_many_attempts").await;
            return (looked_at, seconds);
        }
        problem(response, StatusCode::UNAUTHORIZED, "incorrect_credentials").await;
    }
    panic!("nobody is slowed down");
}

#[tokio::test]
async fn a_429_is_no_look_at_the_password_and_passes() {
    let server = behind_proxy().await;
    server.sign_up("ann").await;
    assert_eq!(until_throttled(&server, EVE, "ann").await, (10, 120));
    let before = server.mapae.hashes_computed();
    assert_eq!(status(&server, EVE, "ann", PASSWORD).await, 429, "not even the right one is looked at");
    assert_eq!(server.mapae.hashes_computed(), before);

    server.clock.advance(119);
    let response = sign_in(&server, EVE, "ann", "wrong").await;
    assert_eq!((response.status().as_u16(), header(&response, "retry-after").as_str()), (429, "1"));
    server.clock.advance(1);
    assert_eq!(status(&server, EVE, "ann", "wrong").await, 401);
    assert_eq!(status(&server, EVE, "ann", PASSWORD).await, 429, "one is forgiven at a time");
    server.clock.advance(120);
    assert_eq!(status(&server, EVE, "ann", PASSWORD).await, 200);
    assert_eq!(until_throttled(&server, EVE, "ann").await.0, 1, "a success forgives itself, and nothing else");
}

#[tokio::test]
async fn every_answer_is_in_its_own_style() {
    let server = behind_proxy().await;
    server.sign_up("ann").await;
    until_throttled(&server, EVE, "ann").await;
    let form = [("username", "ann"), ("password", "wrong")];
    let response = server.post("/token").form(&form).header("x-forwarded-for", EVE).send().await.unwrap();
    assert_eq!(
        (header(&response, "retry-after").as_str(), header(&response, "content-type")),
        ("120", "application/json".to_owned())
    );
    let body = expect(response, StatusCode::TOO_MANY_REQUESTS).await;
    assert_eq!(body, json!({ "detail": "Too many failed attempts. Try again later." }));

    let form = [("grant_type", "password"), ("client_id", "mapae"), ("username", "ann"), ("password", "wrong")];
    let response = server.post("/oauth2/token").form(&form).header("x-forwarded-for", EVE).send().await.unwrap();
    assert_eq!(header(&response, "retry-after"), "120");
    let body = expect(response, StatusCode::TOO_MANY_REQUESTS).await;
    let description = "Too many failed attempts. Try again later.";
    assert_eq!(body, json!({ "error": "temporarily_unavailable", "error_description": description }));

    let document: Value = server.get("/openapi.json").send().await.unwrap().json().await.unwrap();
    for (path, method) in [
        ("/token", "post"),
        ("/users/signin", "post"),
        ("/users/refresh", "post"),
        ("/users/me", "patch"),
        ("/users/me", "delete"),
        ("/users/me/password", "post"),
        ("/oauth2/token", "post"),
        ("/oauth2/introspect", "post"),
        ("/oauth2/revoke", "post"),
    ] {
        assert!(document["paths"][path][method]["responses"]["429"].is_object(), "{method} {path}");
    }
}

/// Each way to be nobody: answers and counts are those of an account, in every spelling of the name.
#[tokio::test]
async fn names_of_nobody_are_slowed_down_alike() {
    let server = behind_proxy().await;
    server.sign_up("ann").await;
    let off = server.sign_up("off").await;
    let admin = server.administrator().await;
    let path = format!("/admin/users/{}", text(&off["id"]));
    let change = server.patch(&path).bearer_auth(&admin).json(&json!({ "disabled": true }));
    expect(change.send().await.unwrap(), StatusCode::OK).await;
    for (number, spellings) in [
        ["ann", "ANN"],
        ["bob", "Ｂob"],
        ["off", "Off"],
        ["ann@example.com", "ann@EXAMPLE.com"],
        ["a\u{1}b", "A\u{1}B"],
    ]
    .iter()
    .enumerate()
    {
        let from = format!("203.0.113.{}", 10 + number);
        for (attempt, name) in spellings.iter().cycle().take(10).enumerate() {
            assert_eq!(status(&server, &from, name, "wrong").await, 401, "{name} {attempt}");
        }
        for name in spellings {
            assert_eq!(status(&server, &from, name, "wrong").await, 429, "{name}");
        }
        assert_eq!(status(&server, &from, "else", "wrong").await, 401, "another name has its own");
    }
}

#[tokio::test]
async fn strangers_do_not_lock_the_owner_out() {
    let server = behind_proxy().await;
    server.sign_up("ann").await;
    let first = expect(sign_in(&server, HOME, "ann", PASSWORD).await, StatusCode::OK).await;
    let device = text(&first["device_token"]);
    for stranger in 1..=2 {
        assert_eq!(until_throttled(&server, &format!("203.0.113.{stranger}"), "ann").await.0, 10);
    }
    assert_eq!(until_throttled(&server, "203.0.113.3", "ann").await.0, 0, "one name from all strangers together");
    assert_eq!(status(&server, HOME, "ann", PASSWORD).await, 200, "where she was before");

    let with = async |token: &str, username: &str, password: &str| {
        let body = json!({ "username": username, "password": password });
        let request = server.post("/users/signin").json(&body).header("mapae-device-token", token);
        request.header("x-forwarded-for", "203.0.113.99").send().await.unwrap()
    };
    let again = expect(with(&device, "ann", PASSWORD).await, StatusCode::OK).await;
    assert_eq!(with("", "ann", PASSWORD).await.status(), 200, "from there she is known now");
    // A token's own attempts are counted too, under every token that came of it.
    let newer = text(&again["device_token"]);
    for token in [&device, &newer].into_iter().cycle().take(10) {
        assert_eq!(with(token, "ann", "wrong").await.status(), 401);
    }
    assert_eq!(with(&device, "ann", PASSWORD).await.status(), 429);
    assert_eq!(with(&newer, "ann", PASSWORD).await.status(), 429);
    assert_eq!(status(&server, HOME, "ann", PASSWORD).await, 200);

    // For another account it is worth nothing.
    server.sign_up("bob").await;
    for stranger in 1..=2 {
        until_throttled(&server, &format!("203.0.113.{stranger}"), "bob").await;
    }
    assert_eq!(with(&newer, "bob", PASSWORD).await.status(), 429);
    for forged in ["md_", &newer[..newer.len() - 4], &newer.replace("md_", "md_A"), "x"] {
        assert_eq!(with(forged, "bob", PASSWORD).await.status(), 429, "{forged}");
    }
}

#[tokio::test]
async fn a_known_place_is_forgotten_after_thirty_days() {
    let server = behind_proxy().await;
    server.sign_up("ann").await;
    assert_eq!(status(&server, HOME, "ann", PASSWORD).await, 200);
    let full = async || {
        for stranger in 1..=2 {
            until_throttled(&server, &format!("203.0.113.{stranger}"), "ann").await;
        }
    };
    server.clock.advance(30 * 24 * 60 * 60 - 1);
    full().await;
    assert_eq!(status(&server, HOME, "ann", PASSWORD).await, 200);
    server.clock.advance(30 * 24 * 60 * 60);
    full().await;
    assert_eq!(status(&server, HOME, "ann", PASSWORD).await, 429);
}

/// A clock that was ahead by a day, at which the owner used up her attempts, and is set right.
#[tokio::test]
async fn a_clock_that_is_set_back_locks_nobody_out() {
    let server = behind_proxy().await;
    server.sign_up("ann").await;
    server.clock.advance(86_400);
    let signed_in = expect(sign_in(&server, HOME, "ann", PASSWORD).await, StatusCode::OK).await;
    let device = text(&signed_in["device_token"]);
    assert_eq!(until_throttled(&server, HOME, "ann").await.0, 10);
    for stranger in 1..=2 {
        until_throttled(&server, &format!("203.0.113.{stranger}"), "ann").await;
    }
    server.clock.advance(-86_400);
    assert_eq!(status(&server, HOME, "ann", PASSWORD).await, 200);
    assert_eq!(status(&server, "203.0.113.9", "ann", PASSWORD).await, 200);
    for stranger in 1..=2 {
        until_throttled(&server, &format!("203.0.113.{stranger}"), "ann").await;
    }
    let body = json!({ "username": "ann", "password": PASSWORD });
    let request = server.post("/users/signin").json(&body).header("mapae-device-token", device);
    assert_eq!(request.header("x-forwarded-for", "203.0.113.77").send().await.unwrap().status(), 200);
}

/// A browser that has its tokens in cookies keeps the device token there, beside those of whoever else uses it.
#[tokio::test]
async fn browsers_keep_it_in_a_cookie() {
    let server = behind_proxy().await;
    let mut cookie = String::new();
    for (number, name) in ["ann", "bob"].into_iter().enumerate() {
        server.sign_up(name).await;
        let body = json!({ "username": name, "password": PASSWORD, "refresh_cookie": true });
        let request = server.post("/users/signin").header("origin", &server.url).json(&body).header("cookie", &cookie);
        let response = request.header("x-forwarded-for", HOME).send().await.unwrap();
        let cookies: Vec<_> =
            response.headers().get_all("set-cookie").iter().map(|one| one.to_str().unwrap()).collect();
        let device = cookies.iter().find(|one| one.starts_with("__Host-mapae-device=md_")).unwrap();
        for attribute in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age=7776000"] {
            assert!(device.contains(attribute), "{device}");
        }
        cookie = device.split(';').next().unwrap().to_owned();
        assert_eq!(cookie.matches("md_").count(), number + 1);
        assert!(expect(response, StatusCode::OK).await.get("device_token").is_none());
    }
    for name in ["ann", "bob"] {
        for stranger in 1..=2 {
            until_throttled(&server, &format!("203.0.113.{stranger}"), name).await;
        }
        let body = json!({ "username": name, "password": PASSWORD });
        let request = server.post("/users/signin").json(&body).header("cookie", &cookie);
        assert_eq!(request.header("x-forwarded-for", "203.0.113.9").send().await.unwrap().status(), 200, "{name}");
    }
}

#[tokio::test]
async fn counters_outlive_the_process() {
    let server = behind_proxy().await;
    server.sign_up("ann").await;
    assert_eq!(status(&server, HOME, "ann", PASSWORD).await, 200);
    for stranger in 1..=2 {
        until_throttled(&server, &format!("203.0.113.{stranger}"), "ann").await;
    }
    let server = server.restart_with(|_| {}).await;
    assert_eq!(until_throttled(&server, EVE, "ann").await.0, 0);
    assert_eq!(until_throttled(&server, "203.0.113.50", "ann").await.0, 0);
    assert_eq!(status(&server, HOME, "ann", PASSWORD).await, 200);
}

/// What is forgiven is removed, and what is kept tells nobody who was guessed at, nor from where.
#[tokio::test]
async fn counters_go_and_say_nothing() {
    let server = behind_proxy().await;
    server.sign_up("ann").await;
    assert_eq!(status(&server, HOME, "ann", PASSWORD).await, 200);
    until_throttled(&server, EVE, "her password typed as a name").await;
    let rows = async |server: &Server| {
        let database = Database::connect(crate::database::url(server.directory())).await.unwrap();
        let count = Statement::from_string(database.get_database_backend(), "SELECT COUNT(*) FROM mapae_throttle");
        let row = database.query_one_raw(count).await.unwrap().unwrap();
        row.try_get_by_index::<i64>(0).unwrap()
    };
    assert!(rows(&server).await >= 4, "ann at home; the name, there and everywhere; the network");
    let database = Database::connect(crate::database::url(server.directory())).await.unwrap();
    let all = Statement::from_string(database.get_database_backend(), "SELECT counter FROM mapae_throttle");
    for row in database.query_all_raw(all).await.unwrap() {
        let counter: Vec<u8> = row.try_get_by_index(0).unwrap();
        assert_eq!(counter.len(), 16, "a keyed hash, and nothing that could be read: {counter:?}");
    }
    database.close().await.unwrap();
    if crate::database::is_file("that no name is on disk") {
        for file in ["mapae.db", "mapae.db-wal"] {
            let bytes = std::fs::read(server.directory().join(file)).unwrap();
            // Addresses are in the audit trail.
            let said = "her password typed as a name";
            assert!(!bytes.windows(said.len()).any(|window| window == said.as_bytes()), "{file}");
        }
    }
    server.clock.advance(20 * 120 + 1);
    let server = server.restart_with(|_| {}).await;
    let began = Instant::now();
    while rows(&server).await > 1 {
        assert!(began.elapsed() < Duration::from_secs(5), "they are still there");
        sleep(Duration::from_millis(20)).await;
    }
    server.clock.advance(30 * 24 * 60 * 60);
    let server = server.restart_with(|_| {}).await;
    while rows(&server).await > 0 {
        assert!(began.elapsed() < Duration::from_secs(10), "where she is known is still there");
        sleep(Duration::from_millis(20)).await;
    }
}

fn from(address: &str) -> Sender {
    let source = Source { address: Some(address.parse().unwrap()), request_id: None };
    Sender { source, ..Sender::default() }
}

/// Two nodes on one database, 32 attempts at once on each.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_share_their_counters() {
    let server = behind_proxy().await;
    server.sign_up("ann").await;
    let nodes = [server.mapae.clone(), server.another_process().await];
    let before: u64 = nodes.iter().map(|node| node.hashes_computed()).sum();
    let attempts: Vec<_> = (0..64)
        .map(|number| {
            let node = nodes[number % 2].clone();
            tokio::spawn(async move {
                let wrong = SecretText::new("wrong".to_owned());
                node.sign_in_from("ann", &wrong, &Scopes::default(), &from(EVE)).await.unwrap_err()
            })
        })
        .collect();
    let mut looked_at = 0;
    for attempt in attempts {
        match attempt.await.unwrap() {
            SignInError::Refused => looked_at += 1,
            SignInError::Throttled { retry_after: 120 } => {}
            other => panic!("{other:?}"),
        }
    }
    let hashes: u64 = nodes.iter().map(|node| node.hashes_computed()).sum::<u64>() - before;
    assert_eq!((looked_at, hashes), (10, 10));
}

/// However many come at once, and however little room there is: the right password is never refused.
#[tokio::test(flavor = "multi_thread")]
async fn right_passwords_are_never_refused() {
    let server = Arc::new(behind_proxy().await);
    server.sign_up("ann").await;
    // One failure short of a 429.
    for _ in 0..9 {
        assert_eq!(status(&server, EVE, "ann", "wrong").await, 401);
    }
    for from in [EVE, HOME] {
        let sign_ins: Vec<_> = (0..64)
            .map(|_| {
                let server = Arc::clone(&server);
                tokio::spawn(async move { status(&server, from, "ann", PASSWORD).await })
            })
            .collect();
        for sign_in in sign_ins {
            assert_eq!(sign_in.await.unwrap(), 200);
        }
    }
    assert_eq!(until_throttled(&server, EVE, "ann").await.0, 1, "and they have cost nothing");
}

/// Nobody can lock a client out whose id everybody knows, nor a person's refresh.
#[tokio::test]
async fn whoever_has_a_random_secret_does_not_wait() {
    let server = behind_proxy().await;
    server.sign_up("ann").await;
    let made = oauth::confidential(&server, "made", "client_credentials", "items").await;
    let signed_in = expect(sign_in(&server, HOME, "ann", PASSWORD).await, StatusCode::OK).await;
    let ask = async |form: &[(&str, &str)]| {
        server.post("/oauth2/token").form(form).header("x-forwarded-for", EVE).send().await.unwrap()
    };
    let client = async |secret: &str| {
        ask(&[("grant_type", "client_credentials"), ("client_id", "made"), ("client_secret", secret)]).await
    };
    for number in 0..100 {
        assert_eq!(client("wrong").await.status(), 401, "{number}");
    }
    let response = client("wrong").await;
    assert_eq!((response.status().as_u16(), header(&response, "retry-after").as_str()), (429, "10"));
    assert_eq!(client(&made).await.status(), 200, "from the very same network");
    let token = text(&signed_in["refresh_token"]);
    let refresh = |token| [("grant_type", "refresh_token"), ("client_id", "mapae"), ("refresh_token", token)];
    assert_eq!(ask(&refresh("mr_x")).await.status(), 429);
    assert_eq!(ask(&refresh(&token)).await.status(), 200);
    // Passwords are another matter.
    assert_eq!(status(&server, EVE, "ann", "wrong").await, 401);
}

/// A client whose server has used its typed secret before is not locked out by strangers either.
#[tokio::test]
async fn typed_secrets_are_passwords_of_clients() {
    let server = behind_proxy().await;
    let mut typed = oauth::new_client("typed", mapae::domain::ClientType::Confidential, "client_credentials", "items");
    typed.secret = Some(oauth::secret("typed by somebody in 2026"));
    server.mapae.add_client(typed, By::System).await.unwrap();
    let ask = async |from: &str, secret: &str| {
        let request = server.post("/oauth2/token").form(&[("grant_type", "client_credentials")]);
        let request = request.basic_auth("typed", Some(secret)).header("x-forwarded-for", from.to_owned());
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask(HOME, "typed by somebody in 2026").await, 200);
    for stranger in 1..=2 {
        for _ in 0..10 {
            assert_eq!(ask(&format!("203.0.113.{stranger}"), "wrong").await, 401);
        }
        assert_eq!(ask(&format!("203.0.113.{stranger}"), "wrong").await, 429);
    }
    assert_eq!(ask("203.0.113.3", "typed by somebody in 2026").await, 429, "a stranger");
    assert_eq!(ask(HOME, "typed by somebody in 2026").await, 200);

    // In HTTP Basic this one can be read in two ways. Sent in either, it is right, and no failure.
    let odd = Some(oauth::secret("100%41+typed in 2026"));
    server.mapae.rotate_client_secret("typed", odd, By::System).await.unwrap();
    for number in 0..12 {
        for sent in ["100%41+typed in 2026", "100%2541%2Btyped+in+2026"] {
            assert_eq!(ask(HOME, sent).await, 200, "{number} {sent}");
        }
    }
}

#[tokio::test]
async fn limits_can_be_set_and_switched_off() {
    let server = behind_proxy().await;
    server.sign_up("ann").await;
    let server = server
        .restart_with(|settings| {
            let throttle = settings.throttle.as_mut().unwrap();
            throttle.place = Limit { failures: 3, seconds: 7 };
        })
        .await;
    assert_eq!(until_throttled(&server, EVE, "ann").await, (3, 7));
    let server = server.restart_with(|settings| settings.throttle = None).await;
    for _ in 0..150 {
        assert_eq!(status(&server, EVE, "ann", "wrong").await, 401);
    }
    let signed_in = expect(sign_in(&server, EVE, "ann", PASSWORD).await, StatusCode::OK).await;
    assert!(signed_in.get("device_token").is_none());
}
