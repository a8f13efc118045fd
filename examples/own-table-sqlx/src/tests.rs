//! The example in its own process, without a network: how an application tests itself.

use mapae::UserStore;
use mapae::testing::conformance::{self, KnownUser, KnownUsers};
use mapae::testing::{TestApp, races};
use sqlx::sqlite::SqlitePoolOptions;

use super::{User, Users, app};

async fn start() -> (TestApp<User>, sqlx::SqlitePool) {
    // One connection: each would have a database of its own in memory.
    let db = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
    sqlx::raw_sql(include_str!("users.sql")).execute(&db).await.unwrap();
    (TestApp::stateless(Users(db.clone()), |builder| builder, app), db)
}

#[tokio::test]
async fn johndoe_is_greeted() {
    let (app, _) = start().await;
    let answer = app.as_user("johndoe").get("/").await.expect(200);
    assert_eq!(answer.text(), "Hello, johndoe!");
    app.anonymous().get("/").await.expect(401);
}

#[tokio::test]
async fn a_password_gives_a_token() {
    let (app, _) = start().await;
    let form = |password| [("username", "johndoe"), ("password", password)];
    let answer = app.anonymous().post_form("/token", &form("secret")).await.expect(200).json();
    let token = answer["access_token"].as_str().unwrap();
    app.with_token(token).get("/").await.expect(200);
    app.clock().advance(15 * 60);
    app.with_token(token).get("/").await.expect(401);
    app.anonymous().post_form("/token", &form("wrong")).await.expect(401);
}

#[tokio::test]
async fn whoever_is_gone_is_refused() {
    let (app, db) = start().await;
    let john = app.as_user("johndoe");
    john.get("/").await.expect(200);
    sqlx::query("DELETE FROM users").execute(&db).await.unwrap();
    let answer = john.get("/").await.expect(401);
    assert_eq!(answer.json()["detail"], "Could not validate credentials");
}

#[tokio::test]
async fn an_id_has_one_form() {
    let (_, db) = start().await;
    let users = Users(db);
    assert_eq!(users.by_id("1").await.unwrap().map(|user| user.id), Some(1));
    for other in ["01", "+1", "1.0", " 1", "1 ", "1e0", "-1", "0x1", "", "99999999999999999999"] {
        assert!(users.by_id(other).await.unwrap().is_none(), "{other:?}");
    }
}

#[tokio::test]
async fn the_table_does_what_is_needed_of_it() {
    let (_, db) = start().await;
    sqlx::query("INSERT INTO users VALUES (2, 'ann', 'none')").execute(&db).await.unwrap();
    let known =
        KnownUsers { active: KnownUser::new("1", "johndoe"), other: KnownUser::new("2", "ann"), disabled: None };
    conformance::user_store(Users(db.clone()), &known).await.assert_kept();
    races::user_store(Users(db), &known).await.assert_kept();
}

/// What a reader has to write for a login and a protected route: every line of this program but blank ones, comments
/// and imports.
#[test]
fn it_fits_in_forty_lines() {
    let (program, _) = include_str!("main.rs").split_once("#[cfg(test)]").unwrap();
    let aside = ["//", "use "];
    let is_code = |line: &&str| !line.trim().is_empty() && !aside.iter().any(|word| line.starts_with(word));
    let lines = program.lines().filter(is_code).count();
    assert!((20..=40).contains(&lines), "{lines} lines");
}
