//! Single-use tickets, which stand for an access token where no header can be sent.

use std::sync::Arc;
use std::time::Duration;

use mapae::domain::Source;
use mapae::service::By;
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, AUTHORIZATION};
use sea_orm::{ConnectionTrait, Database, Statement};
use serde_json::{Value, json};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::captured_log::capture;
use crate::forge::parts;
use crate::live::{Live, closed, last_events, says};
use crate::server::{Server, disable, expect, header, problem, refused_fields, text};
use crate::streams::OnTable;

/// Asks for a ticket; the answer.
async fn asked(server: &Server, token: &str, body: Value) -> Value {
    let request = server.post("/users/me/tickets").bearer_auth(token).json(&body);
    expect(request.send().await.unwrap(), StatusCode::CREATED).await
}

/// A ticket that stands for this token.
pub(crate) async fn ticket(server: &Server, token: &str) -> String {
    text(&asked(server, token, json!({})).await["ticket"])
}

async fn start() -> (Server, Live, String) {
    let server = Server::start().await;
    let live = Live::start(&server.mapae).await;
    server.sign_up_with_scopes("ann", "me items").await;
    let token = server.sign_in("ann").await;
    (server, live, token)
}

async fn refused(live: &Live, ticket: &str, why: &str) {
    let body = problem(
        live.events(&format!("/events?ticket={ticket}"), None).await,
        StatusCode::UNAUTHORIZED,
        "invalid_ticket",
    );
    assert_eq!(body.await["detail"], format!("{why}: ask for another one"));
    let (status, body) = live.socket(&format!("/ws?ticket={ticket}"), None).await.unwrap_err();
    assert!(status == 401 && body.contains("invalid_ticket"), "{status} {body}");
}

const USED: &str = "this ticket was used already";
const UNKNOWN: &str = "there is no such ticket";
const EXPIRED: &str = "this ticket has expired";

#[tokio::test]
async fn a_ticket_opens_one_connection() {
    let (server, live, token) = start().await;
    let answer = server.post("/users/me/tickets").bearer_auth(&token).json(&json!({})).send().await.unwrap();
    assert_eq!(header(&answer, "cache-control"), "no-store");
    let body = expect(answer, StatusCode::CREATED).await;
    assert_eq!((&body["expires_in"], &body["scope"]), (&json!(30), &json!("me items")));
    let first = text(&body["ticket"]);
    assert!(first.starts_with("mt_") && first.len() == 46, "{first}");

    let mut socket = live.socket(&format!("/ws?room=1&ticket={first}"), None).await.unwrap();
    says(&mut socket, "hello").await;
    refused(&live, &first, USED).await;
    says(&mut socket, "still here").await;

    let second = ticket(&server, &token).await;
    let mut events = live.events(&format!("/events?ticket={second}"), None).await;
    assert_eq!(&events.chunk().await.unwrap().unwrap()[..], b"data: 0\n\n");
    refused(&live, &second, USED).await;
}

/// Sixty-four at once, in two processes: one gets in.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_uses_at_once_one_succeeds() {
    let (server, _live, token) = start().await;
    let ticket = ticket(&server, &token).await;
    let processes = [server.mapae.clone(), server.another_process().await];
    let barrier = Arc::new(Barrier::new(64));
    let mut uses = JoinSet::new();
    for number in 0..64 {
        let (mapae, ticket, barrier) = (processes[number % 2].clone(), ticket.clone(), Arc::clone(&barrier));
        uses.spawn(async move {
            barrier.wait().await;
            mapae.redeem_ticket(&ticket, Source::default()).await.map(|principal| principal.user.id.clone())
        });
    }
    let (good, used): (Vec<_>, Vec<_>) = uses.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!((good.len(), used.len()), (1, 63));
    for refused in used {
        assert_eq!(refused.unwrap_err().to_string(), USED);
    }
}

/// However many extractors a handler has.
#[tokio::test]
async fn a_request_uses_its_ticket_once() {
    let (server, live, token) = start().await;
    let ticket = ticket(&server, &token).await;
    let answer = live.events(&format!("/twice?ticket={ticket}"), None).await;
    assert_eq!(answer.text().await.unwrap(), "data: known\n\n");
    refused(&live, &ticket, USED).await;
}

#[tokio::test]
async fn it_is_good_for_thirty_seconds() {
    let (server, live, token) = start().await;
    let (early, late) = (ticket(&server, &token).await, ticket(&server, &token).await);
    server.clock.advance(29);
    live.socket(&format!("/ws?ticket={early}"), None).await.unwrap();
    server.clock.advance(1);
    refused(&live, &late, EXPIRED).await;
    refused(&live, &early, USED).await;
}

#[tokio::test]
async fn nonsense_is_no_ticket() {
    let (server, live, token) = start().await;
    let good = ticket(&server, &token).await;
    let made_up = format!("mt_{}", "A".repeat(43));
    let altered = if good.ends_with('A') { format!("{}E", &good[..45]) } else { format!("{}A", &good[..45]) };
    for bad in [
        "",
        "mt_",
        &made_up,
        &altered,
        &good.to_uppercase(),
        &good[3..],
        &format!("{good}%00"),
        &format!("{good}&ticket={good}"),
        &format!("{good}&ticket="),
        "%ff%fe",
        "%EC%97%B4%EC%87%A0",
        &token,
        &"x".repeat(6_000),
    ] {
        refused(&live, bad, UNKNOWN).await;
    }
    // None of it has used the good one up, which may be percent-encoded.
    let encoded = good.replace('_', "%5F");
    live.socket(&format!("/ws?ticket={encoded}"), None).await.unwrap();
}

#[tokio::test]
async fn only_what_opens_a_stream_takes_it() {
    let (server, live, token) = start().await;
    let ticket = ticket(&server, &token).await;
    let plain = format!("/plain?ticket={ticket}");
    for request in [
        live.request(&plain, None),
        live.request(&plain, None).header(ACCEPT, "text/html, */*"),
        reqwest::Client::new().post(format!("{}{plain}", live.url)).header(ACCEPT, "text/event-stream"),
        server.get(&format!("/users/me?ticket={ticket}")),
        // The service's own routes are no streams, whatever the request says.
        server.get(&format!("/users/me?ticket={ticket}")).header(ACCEPT, "text/event-stream"),
        server.post(&format!("/users/me/tickets?ticket={ticket}")).json(&json!({})),
    ] {
        problem(request.send().await.unwrap(), StatusCode::UNAUTHORIZED, "not_authenticated").await;
    }
    assert_eq!(live.get(&format!("/optional?ticket={ticket}"), None).await.text().await.unwrap(), "stranger");
    // The header decides where there is one.
    problem(live.events(&plain, Some("nonsense")).await, StatusCode::UNAUTHORIZED, "invalid_token").await;
    assert_eq!(live.events(&plain, Some(&token)).await.text().await.unwrap(), "plain");
    let basic = live.request(&plain, None).header(ACCEPT, "text/event-stream").header(AUTHORIZATION, "Basic eDp5");
    problem(basic.send().await.unwrap(), StatusCode::UNAUTHORIZED, "not_authenticated").await;
    // It is still good; strangers are welcome, but not with a bad one.
    let optional = format!("/optional?ticket={ticket}");
    assert_eq!(live.events(&optional, None).await.text().await.unwrap(), "known");
    problem(live.events(&optional, None).await, StatusCode::UNAUTHORIZED, "invalid_ticket").await;
}

#[tokio::test]
async fn it_stands_for_its_token() {
    let (server, live, token) = start().await;
    let (first, second) = (ticket(&server, &token).await, ticket(&server, &token).await);
    let mut socket = live.socket(&format!("/ws?ticket={first}"), None).await.unwrap();
    let events = live.events(&format!("/silence?ticket={}", ticket(&server, &token).await), None).await;
    says(&mut socket, "hello").await;
    let id = mapae::domain::UserId::new(text(&parts(&token).1["sub"])).unwrap();
    server.mapae.administer(&id, disable(true), By::System).await.unwrap();
    assert_eq!(closed(&mut socket).await, (3000, "the session has ended".to_owned()));
    last_events(events).await;
    let answer = live.events(&format!("/events?ticket={second}"), None).await;
    problem(answer, StatusCode::UNAUTHORIZED, "invalid_token").await;
}

#[tokio::test]
async fn it_ends_with_its_token() {
    let (server, live, token) = start().await;
    server.clock.advance(890);
    let body = asked(&server, &token, json!({})).await;
    // Until the token ends, for which clocks may differ by five seconds.
    assert_eq!(body["expires_in"], 15);
    let (late, first) = (text(&body["ticket"]), ticket(&server, &token).await);
    let mut socket = live.socket(&format!("/ws?ticket={first}"), None).await.unwrap();
    says(&mut socket, "hello").await;
    server.clock.advance(15);
    assert_eq!(closed(&mut socket).await, (3000, "the token has expired".to_owned()));
    refused(&live, &late, EXPIRED).await;
    let request = server.post("/users/me/tickets").bearer_auth(&token).json(&json!({}));
    problem(request.send().await.unwrap(), StatusCode::UNAUTHORIZED, "invalid_token").await;
}

#[tokio::test]
async fn it_ends_with_the_key_of_its_token() {
    let (server, live, token) = start().await;
    let ticket = ticket(&server, &token).await;
    server.mapae.rotate_keys(true, By::System).await.unwrap();
    let mut tx = server.mapae.store().begin().await.unwrap();
    assert!(tx.remove_signing_key(parts(&token).0["kid"].as_str().unwrap()).await.unwrap());
    tx.commit().await.unwrap();
    let began = Instant::now();
    while server.status_of_me(&token).await == 200 {
        assert!(began.elapsed() < Duration::from_secs(2));
        sleep(Duration::from_millis(10)).await;
    }
    let answer = live.events(&format!("/events?ticket={ticket}"), None).await;
    problem(answer, StatusCode::UNAUTHORIZED, "invalid_token").await;
}

#[tokio::test]
async fn it_may_stand_for_less_and_never_for_more() {
    let (server, live, token) = start().await;
    let narrow = server.sign_in_for("ann", "me").await;
    for (token, asked_for, granted) in [
        (&token, json!({}), "me items"),
        (&token, json!({ "scope": null }), "me items"),
        (&token, json!({ "scope": "items" }), "items"),
        (&token, json!({ "scope": "me mapae:admin" }), "me"),
        (&narrow, json!({}), "me"),
        (&narrow, json!({ "scope": "items" }), ""),
    ] {
        for (path, scope) in [("/ws", "me"), ("/ws/items", "items")] {
            let body = asked(&server, token, asked_for.clone()).await;
            assert_eq!(body["scope"], granted, "{asked_for}");
            let opened = live.socket(&format!("{path}?ticket={}", text(&body["ticket"])), None).await;
            let is_allowed = granted.split(' ').any(|one| one == scope);
            assert_eq!(opened.err().map(|(status, _)| status), (!is_allowed).then_some(403), "{path} {asked_for}");
        }
    }
    let refuse = async |body: Value| {
        refused_fields(server.post("/users/me/tickets").bearer_auth(&token).json(&body).send().await.unwrap()).await
    };
    assert_eq!(refuse(json!({ "scope": 7 })).await, [("scope".into(), "string_type".into())]);
    assert_eq!(refuse(json!({ "scope": "a\"b" })).await, [("scope".into(), "invalid_scope".into())]);
    assert_eq!(refuse(json!({ "sub": "root" })).await, [("sub".into(), "extra_forbidden".into())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_the_applications_table_have_them_too() {
    let app = OnTable::start().await;
    let routes = axum::Router::from(app.mapae.tickets_router());
    let live = Live::serve(routes.merge(crate::live::streams()).with_state(app.mapae.clone())).await;
    let token = app.newcomer("ann").await;
    let asked = reqwest::Client::new().post(format!("{}/users/me/tickets", live.url)).bearer_auth(&token);
    let body = expect(asked.json(&json!({})).send().await.unwrap(), StatusCode::CREATED).await;
    let path = format!("/ws?ticket={}", text(&body["ticket"]));
    let mut socket = live.socket(&path, None).await.unwrap();
    says(&mut socket, "hello").await;
    assert_eq!(live.socket(&path, None).await.unwrap_err().0, 401);
    app.people.change("ann", |person| person.active = false);
    assert_eq!(closed(&mut socket).await, (3000, "the session has ended".to_owned()));
}

#[tokio::test]
async fn neither_log_nor_database_knows_it() {
    let (log, _guard) = capture();
    let server = Server::start().await;
    let live = Live::start(&server.mapae).await;
    let (_, token) = server.newcomer("ann").await;
    let ticket = ticket(&server, &token).await;
    let path = format!("?ticket={ticket}");
    server.get(&format!("/users/me{path}")).send().await.unwrap();
    server.get(&format!("/nowhere{path}")).header(ACCEPT, "text/event-stream").send().await.unwrap();
    live.socket(&format!("/ws{path}"), None).await.unwrap();
    live.events(&format!("/events{path}"), None).await;
    live.events(&format!("/events?ticket={}x", &ticket[..45]), None).await;
    let log = log.take();
    let own: Vec<&str> = log.lines().filter(|line| line.contains("mapae")).collect();
    assert!(own.iter().any(|line| line.contains("/users/me/tickets")), "{log}");
    let (secret, signature) = (&ticket[3..40], token.rsplit('.').next().unwrap());
    for line in own {
        assert!(!line.contains(secret) && !line.contains(signature), "{line}");
    }
    if !crate::database::is_file("that no ticket is on disk") {
        return;
    }
    for entry in std::fs::read_dir(server.directory()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for text in [secret, signature] {
            assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()), "{text} is on disk");
        }
    }
}

#[tokio::test]
async fn it_survives_a_restart_and_is_tidied_away() {
    let (server, live, token) = start().await;
    let (used, unused) = (ticket(&server, &token).await, ticket(&server, &token).await);
    live.socket(&format!("/ws?ticket={used}"), None).await.unwrap();
    let server = server.restart_with(|_| {}).await;
    let live = Live::start(&server.mapae).await;
    refused(&live, &used, USED).await;
    live.socket(&format!("/ws?ticket={unused}"), None).await.unwrap();

    server.clock.advance(31);
    // Its watch tidies at once.
    let server = server.restart_with(|_| {}).await;
    let database = Database::connect(crate::database::url(server.directory())).await.unwrap();
    let count = Statement::from_string(database.get_database_backend(), "SELECT COUNT(*) FROM mapae_ticket");
    let began = Instant::now();
    loop {
        let row = database.query_one_raw(count.clone()).await.unwrap().unwrap();
        match row.try_get_by_index::<i64>(0).unwrap() {
            0 => break,
            left => assert!(began.elapsed() < Duration::from_secs(5), "{left} tickets are left"),
        }
        sleep(Duration::from_millis(20)).await;
    }
    let live = Live::start(&server.mapae).await;
    refused(&live, &unused, UNKNOWN).await;
}
