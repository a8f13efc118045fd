//! Signing up and in.

use example_support::testing::forge::{assert_claims, claims};
use example_support::testing::{Answer, Field, Refusal};
use serde_json::{Value, json};
use sqlx::SqlitePool;

use super::{hong, sign_in, sign_up, with_hong};

const WRONG: Refusal = Refusal::challenging("Incorrect username or password", "Bearer");

#[tokio::test]
async fn the_walk_of_the_post() {
    let (example, token) = with_hong().await;
    let iat = claims(&token)["iat"].as_i64().unwrap();
    let expected = json!({ "user": "hong@test.com", "user_id": 1, "iat": iat });
    assert_claims(&token, 3600, &expected);
    assert_eq!(claims(&token)["exp"], iat + 3600);

    let twice = Refusal::plain(409, "User with email provided exists already.");
    sign_up(&example, &hong()).await.refuses(twice, "twice with one address");
    let mut other = hong();
    other["email"] = json!("go@test.com");
    assert_eq!(sign_up(&example, &other).await.status, 201, "one name, another address");
    let token = Field::AccessToken.token(&sign_in(&example, "go@test.com", "password").await);
    assert_eq!(claims(&token)["user_id"], 2);

    for (email, password) in [("hong@test.com", "Password"), ("nobody@test.com", "password"), ("홍길동", "password")]
    {
        sign_in(&example, email, password).await.refuses(WRONG, email);
    }
    sign_in(&example, "hong@test.com", "").await.refuses(WRONG, "an empty password");
}

#[tokio::test]
async fn passwords_are_kept_hashed_and_accounts_over_a_restart() {
    let (example, token) = with_hong().await;
    let file = example.folder().join("example-planner.db");
    let db = SqlitePool::connect(&format!("sqlite://{}", file.display())).await.unwrap();
    let row: (String, String, String) =
        sqlx::query_as("SELECT email, username, hashed_password FROM users").fetch_one(&db).await.unwrap();
    db.close().await;
    assert_eq!((row.0.as_str(), row.1.as_str()), ("hong@test.com", "홍길동"));
    assert!(row.2.starts_with("$2b$12$") && row.2.len() == 60, "bcrypt as in the post: {}", row.2);
    for file in std::fs::read_dir(example.folder()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(9).any(|part| part == b"\x08password" || part == b"password\x00"));
    }

    let example = example.restart();
    Field::AccessToken.token(&sign_in(&example, "hong@test.com", "password").await);
    assert_eq!(example.post_with("/events/", &token, &super::events::party()).await.status, 201);
}

#[tokio::test]
async fn bodies_that_do_not_fit() {
    let (example, _) = with_hong().await;
    sign_up(&example, &json!({})).await.misses(&["email", "password", "username"], "nothing");
    sign_up(&example, &json!({ "password": "x" })).await.misses(&["email", "username"], "only a password");
    example.post("/users/signin", &json!({})).await.misses(&["email", "password"], "nothing");
    example.post("/users/signin", &json!({ "email": "a" })).await.misses(&["password"], "no password");

    let problem = |kind: &str, loc: Value, msg: &str| json!({ "type": kind, "loc": loc, "msg": msg, "input": null });
    let wrong = json!({ "email": 1, "password": "not to be repeated", "username": null });
    let not_text = |name: &str| problem("string_type", json!(["body", name]), "Input should be a valid string");
    sign_up(&example, &wrong).await.is(422, &json!({ "detail": [not_text("email"), not_text("username")] }));
    let not_an_object = "Input should be a valid dictionary or object to extract fields from";
    let not_an_object = json!({ "detail": [problem("model_attributes_type", json!(["body"]), not_an_object)] });
    for other in [json!([]), json!("a"), json!(1), json!(null)] {
        sign_up(&example, &other).await.is(422, &not_an_object);
    }
    let broken = json!({ "detail": [problem("json_invalid", json!(["body"]), "JSON decode error")] });
    let missing = json!({ "detail": [problem("missing", json!(["body"]), "Field required")] });
    let text = hong().to_string();
    for (media_type, body, expected) in [
        ("application/json", "{", &broken),
        ("application/json", "{\"email\":1,}", &broken),
        ("application/json", "", &missing),
        ("text/plain", &text, &missing),
        ("application/x-www-form-urlencoded", "email=a&password=b&username=c", &missing),
    ] {
        let request = example.request("POST", "/users/signup").header("content-type", media_type);
        Answer::to(request.body(body.to_owned())).await.is(422, expected);
    }
    let mut vendor = hong();
    vendor["email"] = json!("other@test.com");
    let request = example.request("POST", "/users/signup").header("content-type", "application/vnd.x+json");
    assert_eq!(Answer::to(request.body(vendor.to_string())).await.status, 201);

    let mut long = hong();
    long["email"] = json!("long@test.com");
    long["password"] = json!("가".repeat(25));
    let answer = sign_up(&example, &long).await;
    assert_eq!(answer.status, 422, "bcrypt would look at the first 72 bytes alone: {}", answer.text());
    assert_eq!(answer.json()["detail"][0]["loc"], json!(["body", "password"]));
}
