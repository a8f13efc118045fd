//! The example as a process, beside a running `mapae`.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod cars;
mod process;
mod revocation;

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use self::process::{Example, Mapae, free_port};

const PASSWORD: &str = "wobbly giraffes juggle 7 kettles";

/// Makes an account; its id.
async fn sign_up(mapae: &Mapae) -> String {
    let account = json!({ "username": "johndoe", "password": PASSWORD });
    let response = Client::new().post(format!("{}/users/signup", mapae.url)).json(&account).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    response.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
}

/// A token with these scopes.
async fn token(mapae: &Mapae, scope: &str) -> String {
    let form = [("username", "johndoe"), ("password", PASSWORD), ("scope", scope)];
    let response = Client::new().post(format!("{}/token", mapae.url)).form(&form).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.json::<Value>().await.unwrap()["access_token"].as_str().unwrap().to_owned()
}

/// Status, challenge and body of `GET`.
async fn get(example: &Example, path: &str, token: Option<&str>) -> (u16, String, Value) {
    let request = Client::new().get(format!("{}{path}", example.url));
    let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
    let response = request.send().await.unwrap();
    let challenge = response.headers().get("www-authenticate").map_or("", |value| value.to_str().unwrap()).to_owned();
    let status = response.status().as_u16();
    (status, challenge, response.json().await.unwrap_or_default())
}

#[tokio::test]
async fn tokens_of_mapae_open_its_routes() {
    let mapae = Mapae::start(0);
    let example = Example::start(&mapae.url);
    let id = sign_up(&mapae).await;
    let all = token(&mapae, "").await;

    let (status, _, body) = get(&example, "/whoami", Some(&all)).await;
    assert_eq!((status, &body["sub"], &body["scope"]), (200, &json!(id), &json!("me items")));
    let (status, _, body) = get(&example, "/items/", Some(&all)).await;
    assert_eq!((status, body), (200, json!([{ "item_id": "Foo", "owner": id }])));
    let home = reqwest::get(&example.url).await.unwrap();
    assert_eq!(home.status(), StatusCode::OK);
    assert!(home.text().await.unwrap().starts_with("Everybody may read this"));

    let me = token(&mapae, "me").await;
    assert_eq!(get(&example, "/whoami", Some(&me)).await.0, 200);
    let (status, challenge, body) = get(&example, "/items/", Some(&me)).await;
    assert_eq!((status, &body["code"]), (403, &json!("insufficient_scope")));
    assert!(challenge.ends_with("scope=\"items\""), "{challenge}");
}

#[tokio::test]
async fn nobody_else_may_pass() {
    let mapae = Mapae::start(0);
    let example = Example::start(&mapae.url);
    sign_up(&mapae).await;
    let good = token(&mapae, "items").await;
    let stranger = Mapae::start(0);
    sign_up(&stranger).await;
    let strange = token(&stranger, "items").await;
    for path in ["/whoami", "/items/"] {
        let (status, challenge, body) = get(&example, path, None).await;
        assert_eq!((status, challenge.as_str(), &body["code"]), (401, "Bearer", &json!("not_authenticated")));
        for bad in ["", "x", &good[..good.len() - 4], &strange] {
            let (status, _, body) = get(&example, path, Some(bad)).await;
            assert_eq!((status, &body["code"]), (401, &json!("invalid_token")), "{path} {bad}");
        }
        assert_eq!(get(&example, path, Some(&good)).await.0, 200);
    }
}

#[tokio::test]
async fn a_new_signing_key_works_at_once_and_mapae_may_be_away() {
    let mut mapae = Mapae::start(0);
    let example = Example::start(&mapae.url);
    sign_up(&mapae).await;
    let before = token(&mapae, "").await;
    assert_eq!(get(&example, "/whoami", Some(&before)).await.0, 200);

    // The example has seen the next key already; the one after that is news.
    let next = rotate(&mapae, &before).await;
    let after = rotate(&mapae, &next).await;
    for token in [&before, &next, &after] {
        assert_eq!(get(&example, "/whoami", Some(token)).await.0, 200);
    }

    mapae.stop();
    for token in [&before, &next, &after] {
        assert_eq!(get(&example, "/whoami", Some(token)).await.0, 200);
    }
}

/// Lets the next key sign; a token of it.
async fn rotate(mapae: &Mapae, before: &str) -> String {
    mapae.command(&["key", "rotate", "--now"]);
    // The header names the key.
    let header = |token: &str| token.split_once('.').unwrap().0.to_owned();
    // Another process rotated; the server follows within a moment.
    for _ in 0..200 {
        let token = token(mapae, "").await;
        if header(&token) != header(before) {
            return token;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no other key signs");
}

#[tokio::test]
async fn it_may_start_first() {
    let port = free_port();
    let example = Example::start(&format!("http://127.0.0.1:{port}"));
    assert_eq!(get(&example, "/whoami", None).await.0, 401);
    let (status, _, body) = get(&example, "/whoami", Some("x")).await;
    assert_eq!((status, &body["code"]), (503, &json!("unavailable")));

    let mapae = Mapae::start(port);
    sign_up(&mapae).await;
    let good = token(&mapae, "").await;
    // The last failure may be less than a second ago.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(get(&example, "/whoami", Some(&good)).await.0, 200);
}
