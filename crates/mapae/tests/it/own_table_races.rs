//! The application's own table and ours in one SQLite file, or in two databases: who comes at the same moment, and who waits for whom.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::database::is_file;
use crate::own_app::{OwnApp, Start, hash};
use crate::server::{PASSWORD, expect, problem};

async fn sign_up(app: &OwnApp, body: &Value) -> Response {
    app.request("POST", "/users/signup").json(body).send().await.unwrap()
}

#[tokio::test]
async fn people_sign_up_into_the_table() {
    let app = OwnApp::start().await;
    let body = json!({ "username": "bob", "email": "bob@example.com", "password": PASSWORD });
    let made = expect(sign_up(&app, &body).await, StatusCode::CREATED).await;
    assert_eq!((&made["username"], &made["scope"]), (&json!("bob"), &json!("me")));
    let row: String = sqlx::query_scalar("SELECT id FROM people WHERE login = 'bob'").fetch_one(&app.db).await.unwrap();
    assert_eq!(made["id"], json!(row));
    assert_eq!(app.status(&app.sign_in("bob@example.com").await).await, 200);

    let again = json!({ "username": "bob", "password": PASSWORD });
    problem(sign_up(&app, &again).await, StatusCode::CONFLICT, "username_taken").await;
    let address = json!({ "username": "rob", "email": "bob@example.com", "password": PASSWORD });
    problem(sign_up(&app, &address).await, StatusCode::CONFLICT, "email_taken").await;
    // Somebody comes between the look and the insert.
    let between = "INSERT INTO people (id, login, mail, hash) VALUES ('1', 'eve', 'eve@example.com', 'x')";
    *app.people.just_before.lock().unwrap() = Some(between);
    let body = json!({ "username": "eve", "password": PASSWORD });
    problem(sign_up(&app, &body).await, StatusCode::CONFLICT, "username_taken").await;
    let between = "INSERT INTO people (id, login, mail, hash) VALUES ('2', 'mia', 'mia@example.com', 'x')";
    *app.people.just_before.lock().unwrap() = Some(between);
    let body = json!({ "username": "mimi", "email": "mia@example.com", "password": PASSWORD });
    problem(sign_up(&app, &body).await, StatusCode::CONFLICT, "email_taken").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_sign_up_at_once_one_wins() {
    let app = Arc::new(OwnApp::start().await);
    for round in 0..5 {
        let mut both = JoinSet::new();
        for side in 0..2 {
            let app = app.clone();
            both.spawn(async move {
                let email = format!("{side}-{round}@example.com");
                let body = json!({ "username": format!("bob{round}"), "email": email, "password": PASSWORD });
                sign_up(&app, &body).await.status().as_u16()
            });
        }
        let mut answers = both.join_all().await;
        answers.sort_unstable();
        assert_eq!(answers, [201, 409]);
    }
}

/// A transaction of ours that waited for a row would keep the file's write lock from the very connections that are to
/// read the row. So whenever the table is asked, the lock is free.
#[tokio::test]
async fn the_table_is_never_asked_while_we_hold_the_write_lock() {
    if !is_file("waiting for a file's one write lock") {
        return;
    }
    let app = OwnApp::start_with(Start { probe: true, ..Start::default() }).await;
    let admin = app.administrator().await;
    let token = app.sign_in("ann").await;
    assert_eq!(app.status(&token).await, 200);
    let body = json!({ "username": "bob", "email": "bob@example.com", "password": PASSWORD });
    expect(sign_up(&app, &body).await, StatusCode::CREATED).await;
    assert_eq!(app.change_password(&token, "seven purple elephants dancing").await.status(), 204);
    assert_eq!(app.change_password(&token, "seven purple elephants").await.status(), 403);
    for disabled in [true, false] {
        let change = json!({ "disabled": disabled });
        let request = app.request("PATCH", "/admin/users/id-ann").bearer_auth(&admin).json(&change);
        expect(request.send().await.unwrap(), StatusCode::OK).await;
    }
    let person = app.mapae.authenticate(&app.sign_in("bob").await).await.unwrap().user;
    app.mapae.issue(&person, &mapae_verify::Scopes::new()).await.unwrap();
    app.mapae.invalidate(&person.id).await.unwrap();
    assert_eq!(app.people.not_free.load(Ordering::SeqCst), 0);

    // The probe would notice.
    let tx = app.mapae.service().unwrap().store().begin().await.unwrap();
    app.mapae.authenticate(&admin).await.unwrap();
    drop(tx);
    assert!(app.people.not_free.load(Ordering::SeqCst) > 0);
}

/// The application has one connection, through which it writes, and through which we read its rows.
#[tokio::test(flavor = "multi_thread")]
async fn the_applications_writes_and_ours_wait_for_each_other_only_briefly() {
    let app = Arc::new(OwnApp::start_with(Start { connections: 1, ..Start::default() }).await);
    let admin = app.administrator().await;
    for name in ["bob", "eve", "mia", "tom"] {
        app.add(name, "me").await;
    }
    let mut all = JoinSet::new();
    for name in ["bob", "eve", "mia", "tom"] {
        let (app, admin) = (app.clone(), admin.clone());
        all.spawn(async move {
            for round in 0..6 {
                let token = app.sign_in(name).await;
                let mut orders = JoinSet::new();
                for _ in 0..3 {
                    let request = app.request("POST", "/orders").bearer_auth(&token);
                    orders.spawn(async move { request.send().await.unwrap().status().as_u16() });
                }
                app.mapae.invalidate(&format!("id-{name}")).await.unwrap();
                assert_eq!(app.sign_in(name).await.split('.').count(), 3);
                assert_eq!(orders.join_all().await, [201; 3], "{name} in round {round}");
                for disabled in [true, false] {
                    let path = format!("/admin/users/id-{name}");
                    let request = app.request("PATCH", &path).bearer_auth(&admin);
                    let answer = request.json(&json!({ "disabled": disabled })).send().await.unwrap();
                    assert_eq!(answer.status(), 200);
                }
                assert_eq!(app.status(&token).await, 401);
            }
        });
    }
    let finished = tokio::time::timeout(Duration::from_secs(60), all.join_all()).await;
    assert!(finished.is_ok(), "stood still");
    let orders: i64 = sqlx::query_scalar("SELECT count(*) FROM orders").fetch_one(&app.db).await.unwrap();
    assert_eq!(orders, 4 * 6 * 3);
}

/// Whichever comes first: once the account is disabled by an administrator, no session of it is left.
#[tokio::test(flavor = "multi_thread")]
async fn no_sign_in_slips_past_a_disabling() {
    // Of a disabled account every attempt is a failed one.
    let unlimited =
        Start { change: |builder| builder.settings(|settings| settings.throttle = None), ..Start::default() };
    let app = Arc::new(OwnApp::start_with(unlimited).await);
    let admin = app.administrator().await;
    let disable = async |disabled: bool| {
        let request = app.request("PATCH", "/admin/users/id-ann").bearer_auth(&admin);
        let answer = request.json(&json!({ "disabled": disabled })).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    };
    let (mut before, mut after) = (0, 0);
    for round in 0..20_u64 {
        let mut all = JoinSet::new();
        for _ in 0..4 {
            let app = app.clone();
            all.spawn(async move { app.try_sign_in("ann", PASSWORD).await.status().as_u16() });
        }
        tokio::time::sleep(Duration::from_millis(round)).await;
        disable(true).await;
        for status in all.join_all().await {
            match status {
                200 => before += 1,
                401 => after += 1,
                other => panic!("{other}"),
            }
        }
        assert_eq!(app.open_sessions().await, 1, "the administrator's alone, in round {round}");
        disable(false).await;
    }
    println!("{before} sign-ins came before a disabling and {after} after it");
}

/// The row was read, and the session is about to begin, when an administrator disables the account and ends its sessions.
#[tokio::test]
async fn a_session_that_begins_just_after_a_disabling_ends_at_once() {
    let app = OwnApp::start().await;
    let admin = app.administrator().await;
    let disable = app.request("PATCH", "/admin/users/id-ann").bearer_auth(&admin).json(&json!({ "disabled": true }));
    let disabled = async move { assert_eq!(disable.send().await.unwrap().status(), 200) };
    *app.people.meanwhile.lock().unwrap() = Some(Box::pin(disabled));
    problem(app.try_sign_in("ann", PASSWORD).await, StatusCode::UNAUTHORIZED, "incorrect_credentials").await;
    assert!(app.people.meanwhile.lock().unwrap().is_none(), "it happened");
    assert_eq!(app.open_sessions().await, 1, "the administrator's");
}

/// The same for another password, which the application sets; the same password in another hash refuses nobody.
#[tokio::test]
async fn a_session_that_begins_just_after_a_password_change_ends_at_once() {
    let app = OwnApp::start().await;
    for (password, status, sessions) in [(PASSWORD, 200, 1), ("the password of theirs", 401, 1)] {
        let (db, hash) = (app.db.clone(), hash(password, 16));
        let changed = async move {
            sqlx::query("UPDATE people SET hash = ?").bind(hash).execute(&db).await.unwrap();
        };
        *app.people.meanwhile.lock().unwrap() = Some(Box::pin(changed));
        assert_eq!(app.try_sign_in("ann", PASSWORD).await.status(), status);
        assert!(app.people.meanwhile.lock().unwrap().is_none(), "it happened");
        assert_eq!(app.open_sessions().await, sessions);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_password_changes_one_happens() {
    let app = Arc::new(OwnApp::start().await);
    let token = app.sign_in("ann").await;
    let mut all = JoinSet::new();
    for number in 0..6 {
        let (app, token) = (app.clone(), token.clone());
        all.spawn(async move {
            let new = format!("purple elephants dancing {number}");
            (app.change_password(&token, &new).await.status().as_u16(), new)
        });
    }
    let answers = all.join_all().await;
    let done: Vec<_> = answers.iter().filter(|(status, _)| *status == 204).collect();
    assert_eq!(done.len(), 1, "{answers:?}");
    assert!(answers.iter().all(|(status, _)| [204, 403, 409].contains(status)), "{answers:?}");
    assert_eq!(app.try_sign_in("ann", &done[0].1).await.status(), 200);
}

/// A browser that is closed while the table is being written: what was begun is done to its end.
#[tokio::test]
async fn a_change_whose_caller_goes_away_ends_the_sessions_all_the_same() {
    let app = Arc::new(OwnApp::start().await);
    let admin = app.administrator().await;
    for (change, left) in [("password", 2), ("disable", 1)] {
        let (token, _other) = (app.sign_in("ann").await, app.sign_in("ann").await);
        let (written, is_written) = tokio::sync::oneshot::channel();
        let slow = async move {
            written.send(()).unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        *app.people.afterwards.lock().unwrap() = Some(Box::pin(slow));
        let (request_app, request_admin) = (app.clone(), admin.clone());
        let request = tokio::spawn(async move {
            if change == "password" {
                return request_app.change_password(&token, "seven purple elephants dancing").await;
            }
            let request = request_app.request("PATCH", "/admin/users/id-ann").bearer_auth(&request_admin);
            request.json(&json!({ "disabled": true })).send().await.unwrap()
        });
        is_written.await.unwrap();
        request.abort();
        assert!(request.await.unwrap_err().is_cancelled());
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert_eq!(app.open_sessions().await, left, "{change}");
        app.sql("UPDATE people SET hash = (SELECT hash FROM people WHERE login = 'root')").await;
    }
}

/// SQLite gives the id of a deleted row away again unless told otherwise.
#[tokio::test]
async fn whoever_gets_the_id_of_a_deleted_row_gets_none_of_its_sessions() {
    let app = OwnApp::start().await;
    let body = json!({ "username": "bob", "password": PASSWORD });
    expect(sign_up(&app, &body).await, StatusCode::CREATED).await;
    let old = app.sign_in("bob").await;
    assert_eq!(app.status(&old).await, 200);
    app.sql("DELETE FROM people WHERE login = 'bob'").await;
    assert_eq!(expect(sign_up(&app, &body).await, StatusCode::CREATED).await["id"], "id-bob");
    assert_eq!(app.status(&old).await, 401);
    assert_eq!(app.status(&app.sign_in("bob").await).await, 200);
}
