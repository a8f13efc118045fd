//! Random input: whatever comes, the answer is no 5xx, and what is taken comes back as it was given.

use mapae_password::Argon2Params;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reqwest::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use crate::server::{PASSWORD, Server, text};

/// Runs `check` on `cases` random inputs against one server.
fn check<S: Strategy>(cases: u32, strategy: &S, check: impl AsyncFn(&Server, S::Value) -> Result<(), TestCaseError>) {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(Server::start_with(|settings| {
        settings.passwords.argon2 = Argon2Params::new(8, 1, 1).unwrap();
    }));
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let outcome = TestRunner::new(config).run(strategy, |input| runtime.block_on(check(&server, input)));
    outcome.unwrap_or_else(|error| panic!("{error}"));
    runtime.block_on(async {
        assert_eq!(server.mapae.store().check_integrity().await.unwrap(), Vec::<String>::new());
        server.newcomer("still_alive").await;
        drop(server);
    });
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "\\PC{0,80}", "[a-z@.]{0,20}", "[ -~]{0,40}", Just(PASSWORD.to_owned())]
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        8 => any_text().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(|number| json!(number)),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((any_text(), inner), 0..3).prop_map(|members| Value::Object(Map::from_iter(members))),
        ]
    })
}

fn any_body() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        12 => prop::sample::select(vec!["email", "username", "password", "full_name", "scope"]).prop_map(str::to_owned),
        1 => any_text(),
    ];
    prop_oneof![
        9 => prop::collection::vec((name, any_value()), 0..5).prop_map(|members| Value::Object(Map::from_iter(members))),
        1 => any_value(),
    ]
}

#[test]
fn random_json_never_fails_the_server() {
    check(150, &any_body(), async |server, body| {
        server.said.password_is_typed_anywhere();
        for path in ["/users/signup", "/users/signin"] {
            let status = server.post(path).json(&body).send().await.unwrap().status();
            prop_assert!(!status.is_server_error(), "{} answered {} to {}", path, status, body);
        }
        Ok(())
    });
}

#[test]
fn random_bytes_never_fail_the_server() {
    let media_types = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "x"];
    let strategy = (prop::sample::select(media_types.to_vec()), prop::collection::vec(any::<u8>(), 0..300));
    check(150, &strategy, async |server, (media_type, body)| {
        for path in ["/users/signup", "/users/signin", "/token"] {
            let request = server.post(path).header(CONTENT_TYPE, media_type).body(body.clone());
            let status = request.send().await.unwrap().status();
            prop_assert!(status.is_client_error(), "{} answered {} to {}", path, status, media_type);
        }
        Ok(())
    });
}

#[test]
fn random_forms_never_fail_the_server() {
    let strategy = (any_text(), any_text(), any_text(), any_text());
    check(100, &strategy, async |server, (username, password, scope, grant_type)| {
        server.said.password_is_typed_anywhere();
        let form = [("username", username), ("password", password), ("scope", scope), ("grant_type", grant_type)];
        let status = server.post("/token").form(&form).send().await.unwrap().status();
        prop_assert!(status.is_client_error(), "{status} to {form:?}");
        Ok(())
    });
}

/// Whatever name is taken signs in again, and nobody else can take it.
#[test]
fn a_name_that_is_taken_is_its_owners() {
    check(100, &"[\\p{L}\\p{N}._-]{1,6}", async |server, username| {
        let body = json!({ "username": username, "password": PASSWORD });
        let response = server.post("/users/signup").json(&body).send().await.unwrap();
        match response.status().as_u16() {
            409 | 422 => return Ok(()),
            status => prop_assert_eq!(status, 201),
        }
        let made: Value = response.json().await.unwrap();
        for spelling in [username.clone(), text(&made["username"]), username.to_uppercase()] {
            let body = json!({ "username": spelling, "password": PASSWORD });
            let again = server.post("/users/signup").json(&body).send().await.unwrap().status();
            // Upper case of some letters is another letter, or none that a name may hold.
            if spelling.to_lowercase() == username.to_lowercase() {
                prop_assert_eq!(again.as_u16(), 409);
                let token = server.sign_in(&spelling).await;
                let me: Value = server.me(&token).await.json().await.unwrap();
                prop_assert_eq!(&me["id"], &made["id"]);
            }
        }
        Ok(())
    });
}

#[test]
fn random_tokens_never_pass() {
    let segment = prop_oneof![
        "[A-Za-z0-9_-]{0,60}",
        any::<Vec<u8>>().prop_map(crate::forge::encode),
        any_body().prop_map(|b| crate::forge::encode(b.to_string()))
    ];
    let strategy = prop::collection::vec(segment, 0..5);
    check(200, &strategy, async |server, segments| {
        let status = server.status_of_me(&segments.join(".")).await;
        prop_assert_eq!(status.as_u16(), 401);
        Ok(())
    });
}
