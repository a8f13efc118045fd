//! What guessing can fill or use up: the audit trail, the table of counters, other people's budgets.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::routing::post;
use mapae::Mapae;
use mapae::domain::ClientType;
use mapae::domain::throttle::Limit;
use mapae::http::fastapi::login;
use mapae_verify::{Algorithm, ManualClock, SigningKey};
use reqwest::{Client, StatusCode};
use sea_orm::{ConnectionTrait, Database, Statement};
use serde_json::json;

use crate::audit::trail;
use crate::captured_log::capture;
use crate::live::Live;
use crate::oauth;
use crate::own_app::{OwnApp, People, Person, able, hash};
use crate::server::{PASSWORD, START, Server, expect, settings, text};
use crate::throttle::{HOME, behind_proxy, sign_in, status, until_throttled};
use crate::tickets::ticket;

/// The reasons and events of refusals in the trail.
async fn refusals(server: &Server) -> Vec<String> {
    let rows = trail(&server.mapae).await.into_iter();
    let rows = rows.filter(|row| row.event.contains("refused") || row.event == "ticket.reused");
    rows.map(|row| {
        format!("{} {}", row.event, row.details.get("reason").and_then(|reason| reason.as_str()).unwrap_or(""))
    })
    .collect()
}

#[tokio::test]
async fn a_429_is_written_down_once_until_it_is_over() {
    let server = behind_proxy().await;
    server.sign_up("ann").await;
    until_throttled(&server, HOME, "ann").await;
    for _ in 0..20 {
        assert_eq!(status(&server, HOME, "ann", "wrong").await, 429);
    }
    let throttled = async || {
        let rows = refusals(&server).await;
        rows.iter().filter(|row| *row == "sign-in.refused throttled").count()
    };
    assert_eq!(throttled().await, 1);
    server.clock.advance(120);
    assert_eq!(status(&server, HOME, "ann", "wrong").await, 401);
    for _ in 0..20 {
        assert_eq!(status(&server, HOME, "ann", "wrong").await, 429);
    }
    assert_eq!(throttled().await, 2);
    for stranger in 1..=20 {
        until_throttled(&server, &format!("203.0.113.{stranger}"), "ann").await;
    }
    assert!(throttled().await <= 4, "all strangers together are one counter");
}

/// What costs no hash is counted for the network, and is not written down beyond its limit.
#[tokio::test]
async fn requests_without_a_hash_do_not_fill_the_trail() {
    let server = Server::start_with(|settings| {
        settings.throttle.as_mut().unwrap().network = Limit { failures: 3, seconds: 10 };
    })
    .await;
    server.sign_up_with_scopes("ann", "me items").await;
    let token = server.sign_in("ann").await;
    let live = Live::start(&server.mapae).await;
    let public = oauth::new_client("public", ClientType::Public, "refresh_token", "items");
    server.mapae.add_client(public, mapae::service::By::System).await.unwrap();
    oauth::confidential(&server, "made", "client_credentials", "items").await;

    let long = "x".repeat(1025);
    let too_long = async || {
        let form = [("username", "ann"), ("password", long.as_str())];
        server.post("/token").form(&form).send().await.unwrap().status().as_u16()
    };
    let client = async |id: &str, secret: Option<&str>| {
        let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", "mr_x"), ("client_id", id)];
        form.extend(secret.map(|secret| ("client_secret", secret)));
        server.post("/oauth2/token").form(&form).send().await.unwrap().status().as_u16()
    };
    let used = ticket(&server, &token).await;
    assert_eq!(live.events(&format!("/events?ticket={used}"), None).await.status(), 200);
    let again = async || live.events(&format!("/events?ticket={used}"), None).await.status().as_u16();

    for (what, row) in [
        ("too long", "sign-in.refused password-too-long"),
        ("a public client's", "client.refused wrong-secret"),
        ("a missing secret", "client.refused wrong-secret"),
        ("a used ticket", "ticket.reused "),
    ] {
        server.clock.advance(10);
        let before = refusals(&server).await.len();
        server.clock.advance(20);
        let mut answers = Vec::new();
        for _ in 0..10 {
            answers.push(match what {
                "too long" => too_long().await,
                "a public client's" => client("public", Some("any")).await,
                "a missing secret" => client("made", None).await,
                _ => again().await,
            });
        }
        assert_eq!(answers, [[401; 3].as_slice(), &[429; 7]].concat(), "{what}");
        let rows = refusals(&server).await.split_off(before);
        assert_eq!(rows[..3], [row, row, row].map(str::to_owned), "{what}");
        assert!(rows.len() <= 4 && rows[3..].iter().all(|row| row.ends_with("throttled")), "{what}: {rows:?}");
    }
    assert!(!server.sign_in("ann").await.is_empty());
}

/// Whoever had a name before may keep the tokens of as many devices as he liked.
#[tokio::test]
async fn many_devices_have_no_more_than_strangers() {
    let server = behind_proxy().await;
    server.sign_up("ann").await;
    let mut looked_at = 0;
    for number in 1..=4 {
        let from = format!("198.51.100.{number}");
        let signed_in = expect(sign_in(&server, &from, "ann", PASSWORD).await, StatusCode::OK).await;
        let device = text(&signed_in["device_token"]);
        for attempt in 0..10 {
            let body = json!({ "username": "ann", "password": "wrong" });
            let request = server.post("/users/signin").json(&body).header("mapae-device-token", &device);
            let from = format!("203.0.113.{}", number * 10 + attempt);
            let answer = request.header("x-forwarded-for", from).send().await.unwrap().status();
            looked_at += u32::from(answer == 401);
        }
    }
    assert_eq!(looked_at, 20);
    assert_eq!(status(&server, "198.51.100.1", "ann", PASSWORD).await, 200, "where she is known");
}

/// What was taken back leaves no row behind, whoever's name it was.
#[tokio::test]
async fn right_passwords_leave_no_counters() {
    let server = behind_proxy().await;
    for name in ["ann", "bob"] {
        server.sign_up(name).await;
        assert_eq!(status(&server, HOME, name, PASSWORD).await, 200);
    }
    let database = Database::connect(crate::database::url(server.directory())).await.unwrap();
    let count = Statement::from_string(database.get_database_backend(), "SELECT COUNT(*) FROM mapae_throttle");
    let row = database.query_one_raw(count).await.unwrap().unwrap();
    assert_eq!(row.try_get_by_index::<i64>(0).unwrap(), 2, "the place where each is known");
}

/// An application as the documentation shows it, which somebody calls from several addresses of this machine.
#[tokio::test]
async fn an_embedded_sign_in_tells_networks_apart() {
    let (log, _capturing) = capture();
    for tells_addresses in [true, false] {
        let db = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
        let (people, tables) = People::new(db.clone());
        sqlx::raw_sql(tables).execute(&db).await.unwrap();
        let insert = sqlx::query("INSERT INTO people (id, login, hash) VALUES ('1', 'ann', ?)");
        insert.bind(hash(PASSWORD, 8)).execute(&db).await.unwrap();
        let key = SigningKey::hmac(None, Algorithm::HS256, &[7; 32]).unwrap();
        let mapae: Mapae<Person> = Mapae::stateless(able(people), key)
            .passwords(settings("http://127.0.0.1").passwords)
            .clock(Arc::new(ManualClock::new(START)))
            .build()
            .unwrap();
        let app = Router::new().route("/token", post(login::<Person>)).with_state(mapae);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            if tells_addresses {
                axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await.unwrap();
            } else {
                axum::serve(listener, app).await.unwrap();
            }
        });
        let ask = async |last: u8, password: &str| {
            let client = Client::builder().local_address(IpAddr::from([127, 0, 0, last])).build().unwrap();
            let form = [("username", "ann"), ("password", password)];
            client.post(&url).form(&form).send().await.unwrap().status().as_u16()
        };
        assert_eq!(ask(1, PASSWORD).await, 200);
        for stranger in [2, 3] {
            for _ in 0..10 {
                ask(stranger, "wrong").await;
            }
        }
        assert_eq!(ask(4, PASSWORD).await, 429);
        assert_eq!(ask(1, PASSWORD).await, if tells_addresses { 200 } else { 429 }, "the owner, at home");
        let warnings = log.take().matches("into_make_service_with_connect_info").count();
        assert_eq!(warnings, usize::from(!tells_addresses), "once");
        serving.abort();
    }
}

/// An attempt whose password was not looked at is no failure, whatever was the matter with the table.
#[tokio::test]
async fn a_user_table_that_fails_locks_nobody_out() {
    let app = OwnApp::start().await;
    let sign_in = async || {
        let form = [("username", "ann"), ("password", PASSWORD)];
        app.client.post(format!("{}/token", app.url)).form(&form).send().await.unwrap().status().as_u16()
    };
    sqlx::raw_sql("ALTER TABLE people RENAME TO gone").execute(&app.db).await.unwrap();
    for _ in 0..25 {
        assert_eq!(sign_in().await, 503);
    }
    sqlx::raw_sql("ALTER TABLE gone RENAME TO people").execute(&app.db).await.unwrap();
    assert_eq!(sign_in().await, 200);
}
