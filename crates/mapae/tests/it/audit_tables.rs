//! The audit trail of accounts in other tables: the application's own, and another application's.

use mapae::domain::SecretText;
use mapae::service::By;
use reqwest::StatusCode;
use serde_json::json;

use crate::audit::{events, trail};
use crate::own_app::OwnApp;
use crate::server::{PASSWORD, disable, expect, problem, withdraw};
use crate::shared_table::{Shared, hash};

const NEW_PASSWORD: &str = "seven purple elephants dancing";

#[tokio::test]
async fn an_applications_own_table() {
    let app = OwnApp::start().await;
    let service = app.mapae.service().unwrap().clone();
    let admin = app.administrator().await;
    let token = app.sign_in("ann").await;
    let before = trail(&service).await.len();
    problem(app.try_sign_in("ann", "wrong").await, StatusCode::UNAUTHORIZED, "incorrect_credentials").await;
    problem(app.try_sign_in("nobody", "wrong").await, StatusCode::UNAUTHORIZED, "incorrect_credentials").await;
    let answer = app.change_password(&token, NEW_PASSWORD).await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    let id = mapae::domain::UserId::new("id-ann").unwrap();
    let other = app.request("PATCH", "/admin/users/id-ann").bearer_auth(&admin).json(&json!({ "disabled": true }));
    expect(other.send().await.unwrap(), StatusCode::OK).await;
    service.administer(&id, disable(false), By::CommandLine(None)).await.unwrap();
    service.set_password(&id, &SecretText::new(PASSWORD.to_owned()), By::CommandLine(Some("op"))).await.unwrap();
    let new = json!({ "username": "new", "password": PASSWORD });
    expect(app.request("POST", "/users/signup").json(&new).send().await.unwrap(), StatusCode::CREATED).await;
    let rows = trail(&service).await;
    let rows = &rows[before..];
    assert_eq!(
        events(rows),
        [
            "sign-in.refused",
            "sign-in.refused",
            "password.changed",
            "user.disabled",
            "session.ended",
            "user.enabled",
            "password.changed",
            "user.signed-up",
        ]
    );
    assert!(rows.iter().take(1).chain(&rows[2..7]).all(|row| row.subject.as_deref() == Some("id-ann")), "{rows:#?}");
    assert_eq!((&rows[1].subject, rows[6].actor.as_deref()), (&None, Some("op")));
    assert_eq!((rows[3].actor_kind.as_str(), rows[4].details["reason"].as_str()), ("user", Some("account")));
    // An account that the application disables between the check and the session: it began, and ended at once.
    let before = trail(&service).await.len();
    let db = app.db.clone();
    let meanwhile = async move {
        sqlx::raw_sql("UPDATE people SET active = 0").execute(&db).await.unwrap();
    };
    *app.people.meanwhile.lock().unwrap() = Some(Box::pin(meanwhile));
    problem(app.try_sign_in("ann", PASSWORD).await, StatusCode::UNAUTHORIZED, "incorrect_credentials").await;
    let rows = trail(&service).await;
    assert_eq!(events(&rows[before..]), ["sign-in.succeeded", "session.ended", "sign-in.refused"]);
    assert_eq!(rows[before + 2].details["reason"], "changed-meanwhile");
}

#[tokio::test]
async fn another_applications_table() {
    let shared = Shared::start().await;
    shared.add("ann", PASSWORD).await;
    let mapae = &shared.server.mapae;
    let id = mapae.find_account("ann").await.unwrap().id;
    shared.server.sign_in("ann").await;
    mapae.administer(&id, withdraw("me"), By::System).await.unwrap();
    mapae.administer(&id, disable(true), By::System).await.unwrap();
    mapae.administer(&id, disable(false), By::System).await.unwrap();
    shared.server.sign_in("ann").await;
    shared.set(&format!("password = '{}'", hash(NEW_PASSWORD)), "ann").await;
    let form = [("username", "ann"), ("password", NEW_PASSWORD)];
    expect(shared.server.post("/token").form(&form).send().await.unwrap(), StatusCode::OK).await;
    mapae.set_password(&id, &SecretText::new(PASSWORD.to_owned()), By::System).await.unwrap();
    let new = json!({ "username": "new", "email": "new@example.com", "password": PASSWORD });
    expect(shared.server.post("/users/signup").json(&new).send().await.unwrap(), StatusCode::CREATED).await;
    let rows = trail(mapae).await;
    assert_eq!(
        events(&rows),
        [
            "sign-in.succeeded",
            "scope.withdrawn",
            "user.disabled",
            "session.ended",
            "user.enabled",
            "sign-in.succeeded",
            "password.changed",
            "session.ended",
            "sign-in.succeeded",
            "password.changed",
            "session.ended",
            "user.signed-up",
        ]
    );
    assert_eq!((rows[6].actor_kind.as_str(), &rows[6].details["elsewhere"]), ("system", &json!(true)));
    assert!(rows.iter().take(11).all(|row| row.subject.as_deref() == Some(id.as_str())));
}
