//! Accounts in the application's own table: signing in, and what ends that.

use std::sync::atomic::Ordering;
use std::time::Duration;

use mapae::UserTable;
use mapae::testing::conformance::{self, KnownUser, KnownUsers};
use mapae::testing::races;
use mapae_password::Argon2Params;
use mapae_verify::Scopes;
use reqwest::StatusCode;
use serde_json::json;
use tokio::time::sleep;

use crate::captured_log::capture;
use crate::own_app::{OwnApp, People, Start, able, hash};
use crate::server::{PASSWORD, expect, problem};

const NEW_PASSWORD: &str = "seven purple elephants dancing";

/// After this long a process has looked for changes at least once, those that it made itself included.
const LOOK: Duration = Duration::from_millis(200);

fn only_read(people: People) -> UserTable<People> {
    UserTable::new(people)
}

fn remembering() -> Start {
    Start { change: |builder| builder.remember_users(Duration::from_secs(60)), ..Start::default() }
}

#[tokio::test]
async fn a_handler_gets_the_row_of_the_table() {
    let app = OwnApp::start().await;
    for login in ["ann", "ann@example.com"] {
        let token = app.sign_in(login).await;
        let row = expect(app.whoami(&token).await, StatusCode::OK).await;
        assert_eq!(row, json!({ "login": "ann", "department": "sales", "rights": "me items" }));
    }
    let token = app.sign_in("ann").await;
    app.sql("UPDATE people SET department = 'research'").await;
    assert_eq!(expect(app.whoami(&token).await, StatusCode::OK).await["department"], "research");

    let me = app.request("GET", "/users/me").bearer_auth(&token).send().await.unwrap();
    let me = expect(me, StatusCode::OK).await;
    let shown = json!({
        "id": "id-ann", "username": "ann", "email": "ann@example.com", "full_name": null,
        "disabled": false, "scope": "me items",
    });
    assert_eq!(me, shown, "without times, which the table does not tell");
}

#[tokio::test]
async fn refusals_are_alike() {
    let app = OwnApp::start().await;
    app.add("bob", "me").await;
    app.sql("UPDATE people SET active = 0 WHERE login = 'bob'; UPDATE people SET hash = 'no hash' WHERE id = 'x'")
        .await;
    let long = "x".repeat(2000);
    for (login, password) in
        [("ann", "wrong"), ("nobody", PASSWORD), ("bob", PASSWORD), ("ann", &long), ("' OR 1 --", "x")]
    {
        problem(app.try_sign_in(login, password).await, StatusCode::UNAUTHORIZED, "incorrect_credentials").await;
    }
    assert_eq!(app.open_sessions().await, 0);
}

#[tokio::test]
async fn whoever_the_application_disables_or_removes_is_refused_on_the_next_request() {
    let app = OwnApp::start().await;
    let token = app.sign_in("ann").await;
    assert_eq!(app.status(&token).await, 200);
    app.sql("UPDATE people SET active = 0").await;
    problem(app.whoami(&token).await, StatusCode::UNAUTHORIZED, "invalid_token").await;
    app.sql("UPDATE people SET active = 1").await;
    assert_eq!(app.status(&token).await, 200);
    app.sql("UPDATE people SET rights = 'items'").await;
    problem(app.whoami(&token).await, StatusCode::FORBIDDEN, "insufficient_scope").await;
    app.sql("DELETE FROM people").await;
    problem(app.whoami(&token).await, StatusCode::UNAUTHORIZED, "invalid_token").await;
}

#[tokio::test]
async fn a_remembered_row_serves_until_it_is_invalidated_or_old() {
    let app = OwnApp::start_with(remembering()).await;
    sleep(LOOK).await;
    let token = app.sign_in("ann").await;
    assert_eq!(app.status(&token).await, 200);
    app.sql("UPDATE people SET active = 0").await;
    assert_eq!(app.status(&token).await, 200, "the application has not said anything");
    app.mapae.invalidate("id-ann").await.unwrap();
    assert_eq!(app.status(&token).await, 401);

    app.sql("UPDATE people SET active = 1").await;
    app.mapae.invalidate("id-ann").await.unwrap();
    sleep(LOOK).await;
    assert_eq!(app.status(&token).await, 200);
    app.sql("UPDATE people SET active = 0").await;
    app.clock.advance(59);
    assert_eq!(app.status(&token).await, 200);
    app.clock.advance(1);
    assert_eq!(app.status(&token).await, 401, "a minute is over");

    app.sql("UPDATE people SET active = 1").await;
    app.mapae.invalidate("id-ann").await.unwrap();
    sleep(LOOK).await;
    assert_eq!(app.status(&token).await, 200);
    app.clock.advance(-30);
    app.sql("UPDATE people SET active = 0").await;
    assert_eq!(app.status(&token).await, 401, "a clock that was set back makes nothing younger");
    app.mapae.invalidate("an id: of nobody").await.unwrap();
}

#[tokio::test]
async fn another_process_invalidates_too() {
    let app = OwnApp::start_with(remembering()).await;
    let other = app.another_process().await;
    sleep(LOOK).await;
    let token = app.sign_in("ann").await;
    for _ in 0..3 {
        assert_eq!(app.status(&token).await, 200);
    }
    app.sql("UPDATE people SET active = 0").await;
    assert_eq!(app.status(&token).await, 200);
    other.invalidate("id-ann").await.unwrap();
    let mut looks = 0;
    while app.status(&token).await == 200 {
        looks += 1;
        assert!(looks < 100, "not seen within a second");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn another_password_ends_the_other_sessions() {
    let app = OwnApp::start().await;
    let (here, elsewhere) = (app.sign_in("ann").await, app.sign_in("ann").await);
    problem(app.change_password(&here, "ann@example.com").await, StatusCode::UNPROCESSABLE_ENTITY, "validation_failed")
        .await;
    assert_eq!(app.change_password(&here, NEW_PASSWORD).await.status(), 204);
    assert_eq!((app.status(&here).await, app.status(&elsewhere).await), (200, 401));
    problem(app.try_sign_in("ann", PASSWORD).await, StatusCode::UNAUTHORIZED, "incorrect_credentials").await;
    assert_eq!(app.try_sign_in("ann", NEW_PASSWORD).await.status(), 200);
    problem(app.change_password(&here, "another good passphrase").await, StatusCode::FORBIDDEN, "wrong_password").await;
}

/// The application sets another password between our check and our change: theirs stays.
#[tokio::test]
async fn a_change_by_the_application_at_the_same_moment_wins() {
    let app = OwnApp::start().await;
    let token = app.sign_in("ann").await;
    let theirs: &'static str = hash("the password of theirs", 8).leak();
    let sql: &'static str = format!("UPDATE people SET hash = '{theirs}'").leak();
    *app.people.just_before.lock().unwrap() = Some(sql);
    problem(app.change_password(&token, NEW_PASSWORD).await, StatusCode::FORBIDDEN, "wrong_password").await;
    assert_eq!(app.stored_hash("ann").await, theirs);
    assert_eq!(app.status(&token).await, 200, "nothing was changed, so no session was ended");
}

/// The same password in a fresh hash is no other password.
#[tokio::test]
async fn a_hash_renewed_at_the_same_moment_hinders_nobody() {
    let app = OwnApp::start().await;
    let token = app.sign_in("ann").await;
    let sql: &'static str = format!("UPDATE people SET hash = '{}'", hash(PASSWORD, 16)).leak();
    *app.people.just_before.lock().unwrap() = Some(sql);
    assert_eq!(app.change_password(&token, NEW_PASSWORD).await.status(), 204);
    assert_eq!(app.try_sign_in("ann", NEW_PASSWORD).await.status(), 200);
}

#[tokio::test]
async fn a_weak_hash_is_renewed_where_the_table_can() {
    let change: fn(_) -> _ = |builder: mapae::service::builder::Builder<_>| {
        builder.settings(|settings| settings.passwords.argon2 = Argon2Params::new(64, 2, 1).unwrap())
    };
    let app = OwnApp::start_with(Start { change, ..Start::default() }).await;
    let token = app.sign_in("ann").await;
    assert!(app.stored_hash("ann").await.starts_with("$argon2id$v=19$m=64,t=2,p=1$"));
    assert_eq!(app.status(&token).await, 200);
    app.sign_in("ann").await;

    let app = OwnApp::start_with(Start { change, table: only_read, ..Start::default() }).await;
    app.sign_in("ann").await;
    assert_eq!(app.stored_hash("ann").await, hash(PASSWORD, 8));
}

#[tokio::test]
async fn an_administrator_disables_and_enables() {
    let app = OwnApp::start().await;
    let admin = app.administrator().await;
    let token = app.sign_in("ann").await;
    let change = async |id: &str, body: serde_json::Value| {
        app.request("PATCH", &format!("/admin/users/{id}")).bearer_auth(&admin).json(&body).send().await.unwrap()
    };
    let answer = expect(change("id-ann", json!({ "disabled": true })).await, StatusCode::OK).await;
    assert_eq!((&answer["id"], &answer["disabled"]), (&json!("id-ann"), &json!(true)));
    assert_eq!(app.status(&token).await, 401);
    problem(app.try_sign_in("ann", PASSWORD).await, StatusCode::UNAUTHORIZED, "incorrect_credentials").await;
    let answer = expect(change("id-ann", json!({ "disabled": false })).await, StatusCode::OK).await;
    assert_eq!(answer["disabled"], false);
    assert_eq!(app.status(&token).await, 401, "the session was ended");
    let token = app.sign_in("ann").await;
    assert_eq!(app.status(&token).await, 200);

    problem(change("id-nobody", json!({ "disabled": true })).await, StatusCode::NOT_FOUND, "user_not_found").await;
    problem(change("id-root", json!({ "disabled": true })).await, StatusCode::CONFLICT, "own_account").await;
    problem(change("id-ann", json!({ "withdraw": "me" })).await, StatusCode::CONFLICT, "not_changed_here").await;
    let nothing = expect(change("id-ann", json!({ "grant": "me" })).await, StatusCode::OK).await;
    assert_eq!(nothing["scope"], "me items", "held already");
    assert_eq!(app.status(&token).await, 200);
}

#[tokio::test]
async fn what_the_table_cannot_do_is_refused_before_anything_happens() {
    let app = OwnApp::start_with(Start { table: only_read, ..Start::default() }).await;
    let admin = app.administrator().await;
    let token = app.sign_in("ann").await;
    let sign_up = json!({ "username": "bob", "password": PASSWORD });
    let mail = json!({ "email": "new@example.com", "password": PASSWORD });
    let refused = [
        app.request("POST", "/users/signup").json(&sign_up),
        app.request("POST", "/users/me/password")
            .bearer_auth(&token)
            .json(&json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD })),
        app.request("PATCH", "/users/me").bearer_auth(&token).json(&mail),
        app.request("DELETE", "/users/me").bearer_auth(&token).json(&json!({ "password": PASSWORD })),
        app.request("PATCH", "/admin/users/id-ann").bearer_auth(&admin).json(&json!({ "disabled": true })),
    ];
    for request in refused {
        let answer = request.send().await.unwrap();
        let (url, status) = (answer.url().path().to_owned(), answer.status().as_u16());
        assert!([404, 405, 409].contains(&status), "{url}: {status}");
        let body: serde_json::Value = answer.json().await.unwrap();
        assert!(["not_found", "method_not_allowed", "not_changed_here"].contains(&body["code"].as_str().unwrap()));
    }
    assert_eq!(app.stored_hash("ann").await, hash(PASSWORD, 8));
    assert_eq!(app.status(&token).await, 200, "no session was ended");
}

#[tokio::test]
async fn somebody_else_than_was_asked_for_is_nobody() {
    let (log, _guard) = capture();
    let app = OwnApp::start().await;
    app.add("bob", "me items").await;
    let token = app.sign_in("ann").await;
    app.people.confuses.store(true, Ordering::SeqCst);
    problem(app.whoami(&token).await, StatusCode::INTERNAL_SERVER_ERROR, "internal_error").await;
    assert!(log.take().contains("by_id answered with another user"));
    let answer = app.try_sign_in("ann", PASSWORD).await;
    problem(answer, StatusCode::INTERNAL_SERVER_ERROR, "internal_error").await;
    app.people.confuses.store(false, Ordering::SeqCst);
    assert_eq!(app.status(&token).await, 200);
}

/// A `:` marks the subjects that are no users, so such an id is never put into a token.
#[tokio::test]
async fn an_id_that_cannot_be_a_subject_gets_no_token() {
    let (log, _guard) = capture();
    let app = OwnApp::start().await;
    for id in ["car:42", ":", "", "tab\tbed"] {
        let update = sqlx::query("UPDATE people SET id = ?").bind(id).execute(&app.db).await.unwrap();
        assert_eq!(update.rows_affected(), 1);
        let answer = app.try_sign_in("ann", PASSWORD).await;
        problem(answer, StatusCode::INTERNAL_SERVER_ERROR, "internal_error").await;
        assert!(log.take().contains("an id is empty, too long, or holds `:`"), "{id:?}");
    }
    assert_eq!(app.open_sessions().await, 0);
}

#[tokio::test]
async fn a_table_that_fails_is_503_and_heals() {
    let (log, _guard) = capture();
    let app = OwnApp::start().await;
    let token = app.sign_in("ann").await;
    app.sql("ALTER TABLE people RENAME TO elsewhere").await;
    log.take();
    for answer in [
        app.whoami(&token).await,
        app.try_sign_in("ann", PASSWORD).await,
        app.change_password(&token, NEW_PASSWORD).await,
    ] {
        assert_eq!(answer.headers()["retry-after"], "2");
        let body = problem(answer, StatusCode::SERVICE_UNAVAILABLE, "unavailable").await;
        assert!(!body.to_string().contains("people"), "the cause is not shown");
    }
    let logged = log.take();
    assert!(logged.contains("the application's user table failed") && logged.contains("people"), "{logged}");
    app.sql("ALTER TABLE elsewhere RENAME TO people").await;
    assert_eq!(app.status(&token).await, 200);
}

#[tokio::test]
async fn the_application_issues_tokens_for_its_rows() {
    let app = OwnApp::start().await;
    let found = app.mapae.authenticate(&app.sign_in("ann").await).await.unwrap();
    let issued = app.mapae.issue(&found.user, &Scopes::parse("me").unwrap()).await.unwrap();
    assert_eq!(app.status(issued.access_token.expose()).await, 200);
    app.sql("UPDATE people SET active = 0").await;
    assert!(app.mapae.issue(&found.user, &Scopes::new()).await.is_err(), "what the table says now counts");
    assert_eq!(app.open_sessions().await, 2);
}

/// A token that was handed on ends with its account for good, so that verifiers elsewhere hear of it.
#[tokio::test]
async fn what_was_handed_on_by_somebody_disabled_does_not_come_back() {
    let app = OwnApp::start().await;
    let own = app.sign_in("ann").await;
    let minted = app.request("POST", "/users/me/tokens").bearer_auth(&own).json(&json!({ "kind": "access_token" }));
    let minted = expect(minted.send().await.unwrap(), StatusCode::CREATED).await;
    let handed_on = minted["token"].as_str().unwrap();
    assert_eq!(app.status(handed_on).await, 200);
    let personal = json!({ "kind": "personal_token", "password": PASSWORD });
    let personal = app.request("POST", "/users/me/tokens").bearer_auth(&own).json(&personal).send().await.unwrap();
    let personal = expect(personal, StatusCode::CREATED).await["token"].as_str().unwrap().to_owned();
    let exchanged = async || crate::delegation::ask(&app.url, &personal, &[]).await.status().as_u16();
    assert_eq!(exchanged().await, 200);
    app.sql("UPDATE people SET active = 0").await;
    assert_eq!((app.status(handed_on).await, exchanged().await), (401, 400));
    app.sql("UPDATE people SET active = 1").await;
    assert_eq!((app.status(handed_on).await, exchanged().await), (401, 400));
    assert_eq!(app.status(&own).await, 200);
}

/// Whoever reads a header leaves out the blanks around its value.
#[tokio::test]
async fn a_proxy_takes_nobody_for_another_whose_id_is_the_same_but_for_blanks() {
    let app = OwnApp::start().await;
    app.add("ann ", "me items").await;
    let subject = async |login: &str| {
        let token = app.sign_in(login).await;
        let answer = app.request("GET", "/verify").bearer_auth(&token).send().await.unwrap();
        (answer.status().as_u16(), crate::server::header(&answer, "x-auth-subject"))
    };
    assert_eq!(subject("ann").await, (200, "id-ann".to_owned()));
    assert_eq!(subject("ann ").await, (401, String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_keeps_its_promises() {
    let app = OwnApp::start().await;
    for name in ["bob", "cid"] {
        app.add(name, "me").await;
    }
    app.sql("UPDATE people SET active = 0 WHERE login = 'cid'").await;
    let known = KnownUsers {
        active: KnownUser::new("id-ann", "ann"),
        other: KnownUser::new("id-bob", "bob@example.com"),
        disabled: Some(KnownUser::new("id-cid", "cid")),
    };
    conformance::user_store(able(app.people.clone()), &known).await.assert_kept();
    races::user_store(able(app.people.clone()), &known).await.assert_kept();
}
