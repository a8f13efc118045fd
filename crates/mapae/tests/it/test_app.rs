//! The feature `testing`, as an application's tests use it.

use axum::routing::{get, post};
use axum::{Json, Router};
use mapae::domain::scope::Me;
use mapae::testing::TestApp;
use mapae::{CurrentUser, Mapae, Subject, http};
use serde_json::{Value, json};
use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;

use crate::delegation::{Car, Drive};
use crate::own_app::{People, Person, able};

async fn echo(user: CurrentUser<Me>, Json(body): Json<Value>) -> Json<Value> {
    Json(json!({ "user": user.username, "body": body }))
}

fn router(mapae: Mapae) -> Router {
    http::app(mapae.clone()).merge(Router::new().route("/echo", post(echo)).with_state(mapae))
}

async fn department(user: CurrentUser<Me, Person>) -> String {
    user.department.clone()
}

fn garage(mapae: Mapae) -> Router {
    Router::new().route("/drive", post(async |car: Subject<Car, Drive>| car.id().to_owned())).with_state(mapae)
}

#[tokio::test]
async fn a_token_for_a_thing_takes_one_line() {
    let app = TestApp::configured(|builder| builder.scope::<Drive>().subject_kind::<Car>(), garage).await;
    app.add_user("root", "drive mapae:admin").await;
    let car = app.token_for_subject("root", "car:42", "drive").await;
    assert_eq!(app.with_token(&car).post("/drive", json!({})).await.expect(200).text(), "42");
    app.as_user("root").post("/drive", json!({})).await.expect(403);
}

fn own_router(mapae: Mapae<Person>) -> Router {
    Router::new().route("/department", get(department)).with_state(mapae)
}

async fn table() -> (SqlitePool, People) {
    let db = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
    let (people, tables) = People::new(db.clone());
    sqlx::raw_sql(tables).execute(&db).await.unwrap();
    (db, people)
}

#[tokio::test]
async fn a_caller_is_one_session() {
    let app = TestApp::new(router).await;
    let user = app.add_user("johndoe", "me").await;
    let john = app.as_user("johndoe");
    let answer = john.post("/echo", json!([1])).await.expect(200);
    assert_eq!(answer.json(), json!({ "user": "johndoe", "body": [1] }));
    assert_eq!(answer.header("content-type"), Some("application/json"));

    let new = json!({ "current_password": TestApp::PASSWORD, "new_password": "seven purple elephants" });
    let other = app.token_for("johndoe", "").await;
    john.post("/users/me/password", new).await.expect(204);
    john.get("/users/me").await.expect(200);
    app.with_token(&other).get("/users/me").await.expect(401);
    assert_eq!(
        john.patch("/users/me", json!({ "full_name": "John" })).await.expect(200).json()["id"],
        user.id.as_str()
    );

    app.clock().advance(app.mapae().settings().access_token_lifetime.into());
    app.clock().advance(app.mapae().settings().leeway.into());
    john.get("/users/me").await.expect(401);
    app.as_user("johndoe").get("/users/me").await.expect(200);
    app.anonymous().delete("/users/me").await.expect(401);
}

#[tokio::test]
async fn an_own_table_is_tested_alike() {
    let (db, people) = table().await;
    let app = TestApp::configured(|builder| builder.users(able(people)), own_router).await;
    app.add_user("ann", "me").await;
    sqlx::raw_sql("UPDATE people SET department = 'sales'").execute(&db).await.unwrap();
    assert_eq!(app.as_user("ann").scopes("me").get("/department").await.expect(200).text(), "sales");
    app.anonymous().get("/department").await.expect(401);
}

#[tokio::test]
async fn without_tables_of_ours_too() {
    let (db, people) = table().await;
    let app = TestApp::stateless(people, |builder| builder.lifetime(60), own_router);
    let insert = sqlx::query("INSERT INTO people (id, login, hash, rights) VALUES ('1', 'ann', 'none', 'me items')");
    insert.execute(&db).await.unwrap();
    let ann = app.as_user("ann").scopes("me");
    assert_eq!(ann.get("/department").await.expect(200).text(), "none yet");
    app.as_user("ann").scopes("items").get("/department").await.expect(403);
    app.clock().advance(60);
    ann.get("/department").await.expect(401);
}

#[tokio::test]
#[should_panic(expected = "\"johndoe\" does not hold `mapae:admin`")]
async fn a_scope_that_is_not_held_is_told() {
    let app = TestApp::new(router).await;
    app.add_user("johndoe", "me").await;
    app.token_for("johndoe", "me mapae:admin").await;
}

#[tokio::test]
#[should_panic(expected = "no token for \"nobody\": there is no such active account")]
async fn an_unknown_user_is_told() {
    TestApp::new(router).await.as_user("nobody").get("/users/me").await;
}

#[tokio::test]
#[should_panic(expected = "scope `items` does not exist; declared scopes: mapae:admin, me")]
async fn an_undeclared_scope_is_told() {
    TestApp::new(router).await.add_user("johndoe", "me items").await;
}

#[tokio::test]
#[should_panic(expected = "not_authenticated")]
async fn another_status_shows_the_body() {
    let app = TestApp::new(router).await;
    app.anonymous().get("/users/me").await.expect(200);
}
