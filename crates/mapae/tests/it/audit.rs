//! The audit trail: reading it, what is in it and what never is, and for how long.

use std::collections::BTreeSet;
use std::time::Duration;

use mapae::domain::audit::{Actor, Direction, Entry, Event, Filter, Record, Who};
use mapae::domain::{KeyState, Source};
use mapae::service::By;
use mapae::{Mapae, Service};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::server::{PASSWORD, Server, disable, expect, problem, refused_fields, text, withdraw};

/// The whole trail, oldest first.
pub(crate) async fn trail(service: &Service) -> Vec<Record> {
    service.audit(&Filter::default(), Direction::Forward(None), 100_000).await.unwrap()
}

/// The events of the trail from this row on.
pub(crate) fn events(trail: &[Record]) -> Vec<&str> {
    trail.iter().map(|row| row.event.as_str()).collect()
}

async fn list(server: &Server, admin: &str, query: &[(&str, &str)]) -> Response {
    server.get("/admin/audit").query(query).bearer_auth(admin).send().await.unwrap()
}

async fn found(server: &Server, admin: &str, query: &[(&str, &str)]) -> Vec<Value> {
    let page = expect(list(server, admin, query).await, StatusCode::OK).await;
    page["events"].as_array().unwrap().clone()
}

#[tokio::test]
async fn pages_have_neither_gaps_nor_repeats() {
    let server = Server::start().await;
    let admin = server.administrator().await;
    let (ann, _) = server.newcomer("ann").await;
    for number in 0..100 {
        server.mapae.administer(&ann, disable(number % 2 == 0), By::System).await.unwrap();
        // Some are of the same millisecond.
        server.clock.advance_millis(number % 3);
    }
    let whole = trail(&server.mapae).await;
    let ids: Vec<_> = whole.iter().rev().map(|row| row.id.clone()).collect();
    assert!(ids.iter().collect::<BTreeSet<_>>().len() == ids.len() && ids.len() > 100);
    for limit in ["1", "7", "50", "200"] {
        let (mut walked, mut cursor) = (Vec::new(), None);
        loop {
            let mut query = vec![("limit", limit)];
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page = expect(list(&server, &admin, &query).await, StatusCode::OK).await;
            walked.extend(page["events"].as_array().unwrap().iter().map(|row| text(&row["id"])));
            match page.get("next_cursor") {
                Some(next) => cursor = Some(text(next)),
                None => break,
            }
        }
        assert!(walked == ids, "by {limit}");
    }
    // Disabling ends the session, which comes after it.
    let of_ann = found(&server, &admin, &[("subject", ann.as_str()), ("limit", "200")]).await;
    let oldest: Vec<_> = of_ann.iter().rev().take(4).map(|row| text(&row["event"])).collect();
    assert_eq!(oldest, ["user.signed-up", "sign-in.succeeded", "user.disabled", "session.ended"]);
}

#[tokio::test]
async fn filters_are_combined() {
    let server = Server::start().await;
    let admin = server.administrator().await;
    let (ann, token) = server.newcomer("ann").await;
    let before = server.clock_now();
    server.clock.advance(60);
    expect(
        server.post("/token").form(&[("username", "ann"), ("password", "no")]).send().await.unwrap(),
        StatusCode::UNAUTHORIZED,
    )
    .await;
    let answer = server.post("/users/signout").bearer_auth(&token).send().await.unwrap();
    let request_id = crate::server::header(&answer, "x-request-id");
    let time = |seconds: i64| chrono::DateTime::from_timestamp(seconds, 0).unwrap().to_rfc3339();
    let (first, second, later) = (time(before), time(before + 60), time(before + 61));
    for (query, count) in [
        (&[("subject", ann.as_str())][..], 4),
        (&[("subject", ann.as_str()), ("outcome", "refused")], 1),
        (&[("subject", ann.as_str()), ("outcome", "success")], 3),
        (&[("subject", ann.as_str()), ("since", &second)], 2),
        (&[("subject", ann.as_str()), ("until", &second)], 2),
        (&[("since", &second), ("until", &later), ("event", "session.ended")], 1),
        (&[("since", &first), ("until", &second), ("event", "session.ended")], 0),
        (&[("actor", ann.as_str())], 2),
        (&[("address", "127.0.0.1"), ("event", "sign-in.refused")], 1),
        (&[("address", "::1")], 0),
        (&[("subject", "nobody")], 0),
        (&[("subject", "' OR 1=1 --")], 0),
    ] {
        assert_eq!(found(&server, &admin, query).await.len(), count, "{query:?}");
    }
    let ended = found(&server, &admin, &[("event", "session.ended")]).await;
    assert_eq!((&ended[0]["request_id"], &ended[0]["at"]), (&json!(request_id), &json!("2026-01-01T00:01:00.000Z")));
}

#[tokio::test]
async fn filters_that_make_no_sense_are_refused_with_the_reason() {
    let server = Server::start().await;
    let admin = server.administrator().await;
    let long = "x".repeat(301);
    for (parameter, value, code) in [
        ("event", "sign-in", "unknown_event"),
        ("event", "", "unknown_event"),
        ("outcome", "failure", "unknown_outcome"),
        ("since", "yesterday", "invalid_time"),
        ("since", "2026-01-01", "invalid_time"),
        ("until", "2026-01-01T00:00:00", "invalid_time"),
        ("until", "", "invalid_time"),
        ("address", "localhost", "invalid_address"),
        ("address", "10.0.0.0/8", "invalid_address"),
        ("subject", "", "invalid_id"),
        ("subject", &long, "invalid_id"),
        ("actor", "a\0", "invalid_id"),
        ("limit", "0", "out_of_range"),
        ("limit", "201", "out_of_range"),
        ("limit", "ten", "invalid"),
        ("cursor", "x", "invalid_cursor"),
        ("cursor", "b2xk", "invalid_cursor"),
        ("user", "ann", "invalid"),
    ] {
        let named = refused_fields(list(&server, &admin, &[(parameter, value)]).await).await;
        assert_eq!(named.len(), 1, "{parameter}={value}");
        let field = if code == "invalid" { "query" } else { parameter };
        assert_eq!(named[0], (field.to_owned(), code.to_owned()), "{parameter}={value}");
    }
    let backwards = [("since", "2026-01-02T00:00:00Z"), ("until", "2026-01-01T00:00:00Z")];
    let named = refused_fields(list(&server, &admin, &backwards).await).await;
    assert_eq!(named, [("until".to_owned(), "before_since".to_owned())]);
    let several = [("event", "x"), ("since", "x"), ("limit", "0")];
    assert_eq!(refused_fields(list(&server, &admin, &several).await).await.len(), 3);
}

#[tokio::test]
async fn only_administrators_read_it() {
    let server = Server::start().await;
    let (_, token) = server.newcomer("ann").await;
    problem(list(&server, &token, &[]).await, StatusCode::FORBIDDEN, "insufficient_scope").await;
    problem(server.get("/admin/audit").send().await.unwrap(), StatusCode::UNAUTHORIZED, "not_authenticated").await;
}

#[tokio::test]
async fn what_is_refused_or_undone_leaves_no_row_of_a_change() {
    let server = Server::start().await;
    let admin = server.administrator().await;
    let (ann, token) = server.newcomer("ann").await;
    let rows = trail(&server.mapae).await.len();
    let root = server.mapae.find_account("root").await.unwrap().id;
    let own = server.patch(&format!("/admin/users/{root}")).bearer_auth(&admin).json(&json!({ "disabled": true }));
    problem(own.send().await.unwrap(), StatusCode::CONFLICT, "own_account").await;
    for body in [json!({ "username": "root" }), json!({ "username": null, "email": null, "password": PASSWORD })] {
        let answer = server.patch("/users/me").bearer_auth(&token).json(&body).send().await.unwrap();
        assert!(answer.status().is_client_error());
    }
    let again = json!({ "username": "ann", "password": PASSWORD });
    problem(server.post("/users/signup").json(&again).send().await.unwrap(), StatusCode::CONFLICT, "username_taken")
        .await;
    let unknown = server.delete("/admin/clients/nobody").bearer_auth(&admin).send().await.unwrap();
    problem(unknown, StatusCode::NOT_FOUND, "client_not_found").await;
    // What changes nothing is no change.
    server.mapae.administer(&ann, withdraw("items"), By::System).await.unwrap();
    server.mapae.administer(&ann, disable(false), By::System).await.unwrap();
    let same = server.patch("/users/me").bearer_auth(&token).json(&json!({ "username": "ann" }));
    expect(same.send().await.unwrap(), StatusCode::OK).await;
    let mut tx = server.mapae.store().begin().await.unwrap();
    tx.record(Entry::new(Event::UserDeleted, &Actor::system())).await.unwrap();
    drop(tx);
    assert_eq!(trail(&server.mapae).await.len(), rows);
}

#[tokio::test]
async fn refusals_wait_for_each_other_and_for_the_writer() {
    // What it counts has commits of its own.
    let server = Server::start_with(|settings| settings.throttle = None).await;
    server.sign_up("ann").await;
    let before = trail(&server.mapae).await.len();
    let tx = server.mapae.store().begin().await.unwrap();
    for _ in 0..3 {
        let form = [("username", "ann"), ("password", "wrong")];
        let answer = server.post("/token").form(&form).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "although nobody else can write");
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(tx);
    let rows = trail(&server.mapae).await;
    assert_eq!(events(&rows[before..]), ["sign-in.refused"; 3]);
}

#[tokio::test]
async fn without_a_background_task_rows_are_written_at_once() {
    let server = Server::start().await;
    let other = server.another_process().await;
    let form = mapae::domain::SecretText::new("wrong".to_owned());
    other.sign_in("nobody", &form, &mapae_verify::Scopes::default()).await.unwrap_err();
    let background = other.watch().await.unwrap();
    other.sign_in("nobody", &form, &mapae_verify::Scopes::default()).await.unwrap_err();
    background.stop().await;
    other.sign_in("nobody", &form, &mapae_verify::Scopes::default()).await.unwrap_err();
    let rows = trail(&server.mapae).await;
    assert_eq!(events(&rows), ["sign-in.refused"; 3]);
    assert!(rows.iter().all(|row| row.subject.is_none() && row.details["reason"] == "no-such-account"));
}

/// Commits in the write-ahead log of this database: frames that say how large the database is after them.
fn commits(server: &Server) -> usize {
    let log = std::fs::read(server.directory().join("mapae.db-wal")).unwrap();
    let number = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap());
    let frame = 24 + number(8) as usize;
    (32..log.len())
        .step_by(frame)
        .take_while(|at| at + frame <= log.len() && log[at + 8..at + 16] == log[16..24])
        .filter(|at| number(at + 4) != 0)
        .count()
}

#[tokio::test]
async fn a_sign_in_is_one_commit() {
    if !crate::database::is_file("how often a sign-in writes to it") {
        return;
    }
    // What it counts has commits of its own.
    let server = Server::start_with(|settings| settings.throttle = None).await;
    server.sign_up("ann").await;
    server.sign_in("ann").await;
    // What runs at the start is over.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (before, rows) = (commits(&server), trail(&server.mapae).await.len());
    for _ in 0..5 {
        server.sign_in("ann").await;
    }
    assert_eq!(commits(&server) - before, 5);
    assert_eq!(trail(&server.mapae).await.len() - rows, 5);
}

async fn until_there_are(mapae: &Mapae, count: usize) {
    for _ in 0..100 {
        if trail(mapae).await.len() == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{} rows", trail(mapae).await.len());
}

#[tokio::test]
async fn old_rows_are_removed_and_the_rest_stays() {
    let server = Server::start_with(|settings| settings.audit_retention_days = 0).await;
    let actor = Actor::new(Who::Anonymous, Source::default());
    let mut tx = server.mapae.store().begin().await.unwrap();
    tx.record_all(vec![Entry::new(Event::SignInRefused, &actor); 2_500]).await.unwrap();
    tx.commit().await.unwrap();
    server.clock.advance(10 * 24 * 60 * 60);
    server.sign_up("ann").await;
    let server = server.restart_with(|_| {}).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(trail(&server.mapae).await.len(), 2_501, "kept for good");
    let server = server.restart_with(|settings| settings.audit_retention_days = 11).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(trail(&server.mapae).await.len(), 2_501, "not old enough");
    let server = server.restart_with(|settings| settings.audit_retention_days = 9).await;
    until_there_are(&server.mapae, 1).await;
    assert_eq!(events(&trail(&server.mapae).await), ["user.signed-up"]);
}

#[tokio::test]
async fn the_key_that_takes_over_from_a_revoked_one_is_told_of() {
    let server = Server::start().await;
    let keys = server.mapae.list_keys().await.unwrap();
    let kid = |state| keys.iter().find(|key| key.state == state).unwrap().kid.clone();
    let (active, next) = (kid(KeyState::Active), kid(KeyState::Next));
    server.mapae.revoke_key(&active, By::System).await.unwrap();
    let rows = trail(&server.mapae).await;
    assert_eq!(events(&rows), ["key.rotated", "key.revoked"]);
    let subjects: Vec<_> = rows.iter().map(|row| row.subject.clone().unwrap()).collect();
    assert_eq!(subjects, [format!("key:{next}"), format!("key:{active}")]);
}

/// A commit whose answer is lost has happened, and its rows still wait to be written: once more does no harm, and what
/// has come meanwhile is written too.
#[tokio::test]
async fn rows_that_are_there_already_do_not_stand_in_the_way() {
    let server = Server::start().await;
    let store = server.mapae.store();
    let row = |event| store.stamp(Entry::new(event, &Actor::system()));
    let mut rows = vec![row(Event::SignInRefused), row(Event::RefreshTokenReused)];
    for round in 0..3 {
        let mut tx = store.begin().await.unwrap();
        tx.record_stamped(rows.clone()).await.unwrap();
        tx.commit().await.unwrap();
        let written = trail(&server.mapae).await;
        assert_eq!(events(&written)[..2], ["sign-in.refused", "refresh-token.reused"]);
        assert_eq!(written.len(), 2 + round);
        rows.push(row(Event::SignInRefused));
    }
}
