//! Events belong to whoever the token says.

use example_support::testing::forge::{now, sign};
use example_support::testing::{Protected, Refusal, tokens};
use serde_json::{Value, json};

use super::{sign_in, sign_up, with_hong};

pub(crate) fn party() -> Value {
    json!({
        "title": "첫번째 타이틀",
        "image": "https://example.com/party.png",
        "description": "A party",
        "tags": ["python", "fastapi", "sample"],
        "location": "Google Doc",
    })
}

const INVALID: Refusal = Refusal::plain(400, "Invalid token");
const EXPIRED: Refusal = Refusal::plain(403, "Token expired");

#[tokio::test]
async fn the_token_says_whose_event_it_is() {
    let (example, hongs) = with_hong().await;
    let go = json!({ "email": "go@test.com", "password": "password", "username": "고길동" });
    assert_eq!(sign_up(&example, &go).await.status, 201);
    let gos = sign_in(&example, "go@test.com", "password").await.json();
    let gos = gos["access_token"].as_str().unwrap();
    example.get("/events/").await.is(200, &json!([]));

    let owned = |id: i64, owner: i64| {
        let mut event = party();
        event["id"] = json!(id);
        event["user_id"] = json!(owner);
        event
    };
    example.post_with("/events/", &hongs, &party()).await.is(201, &owned(1, 1));
    // Somebody else's number in the body changes nothing.
    example.post_with("/events/", gos, &owned(77, 1)).await.is(201, &owned(2, 2));
    let all = json!([owned(1, 1), owned(2, 2)]);
    example.get("/events/").await.is(200, &all);
    example.get_as("/events/", "Bearer xyz").await.is(200, &all);

    let answer = example.follow_with("/events", &hongs).await;
    answer.is(200, &all);
    let example = example.restart();
    example.get("/events/").await.is(200, &all);

    let nothing = example.post_with("/events/", &hongs, &json!({})).await;
    nothing.misses(&["title", "image", "description", "tags", "location"], "nothing");
    let mut odd = party();
    odd["tags"] = json!(["python", 3]);
    let answer = example.post_with("/events/", &hongs, &odd).await;
    assert_eq!((answer.status, &answer.json()["detail"][0]["loc"]), (422, &json!(["body", "tags"])));
    let answer = example.post("/events/", &json!({})).await;
    answer.refuses(Refusal::NOT_AUTHENTICATED, "the token comes before the body");
    example.get("/events/").await.is(200, &all);
}

#[tokio::test]
async fn the_token_says_who_asks() {
    let (example, _) = with_hong().await;
    let route = Protected {
        method: "POST",
        path: "/events/",
        body: Some(party()),
        success: 201,
        claims: json!({ "user": "hong@test.com", "user_id": 1, "iat": now() - 5 }),
        identity: vec![("user_id", json!(2)), ("user_id", json!("1")), ("user", json!(5))],
        invalid: INVALID,
        expired: EXPIRED,
    };
    tokens(&example, &route).await;
    let without_exp = sign(&json!({ "user": "hong@test.com", "user_id": 1, "iat": now() }));
    example.post_with("/events/", &without_exp, &party()).await.refuses(INVALID, "no exp");
    example.post_with("/events/", "xyz", &party()).await.refuses(INVALID, "the walk of the post");
}

/// Made with python-jose 3.5 as the post does it: times are Python's `time()`, with fractions.
#[tokio::test]
async fn tokens_of_other_libraries_count() {
    const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
    let (example, _) = with_hong().await;
    let send = async |rest: &str| example.post_with("/events/", &format!("{HEADER}.{rest}"), &party()).await;
    let good = "eyJ1c2VyIjoiaG9uZ0B0ZXN0LmNvbSIsInVzZXJfaWQiOjEsImlhdCI6MTc0Nzg3NzE0Ni4zNjg0NzU0LCJleHAiOjQxMDI0NDQ4MDA\
                uMzY4NDc2fQ.wy-z25DiglxYbtwr4vNLpSpIysSXCsBZSNnLbKHkoP4";
    assert_eq!(send(good).await.status, 201);
    let expired = "eyJ1c2VyIjoiaG9uZ0B0ZXN0LmNvbSIsInVzZXJfaWQiOjEsImlhdCI6MTc0Nzg3NzE0Ni4zNjg0NzU0LCJleHAiOjE3NDc4ODA3\
                   NDYuMzY4NDc2fQ.33ZCCBekRmj3ijy7dcMyhPVjzqnn7P69Vz-j_aP8x5Y";
    send(expired).await.refuses(EXPIRED, "since May 2025");
    let without_exp = "eyJ1c2VyIjoiaG9uZ0B0ZXN0LmNvbSIsInVzZXJfaWQiOjEsImlhdCI6MTc0Nzg3NzE0Ni4zNjg0NzU0fQ.\
                       s7NT-2IoTB8T2N0rFRuMPg-1m69M7FtuctAmC7BeeHw";
    send(without_exp).await.refuses(INVALID, "no exp");
}
