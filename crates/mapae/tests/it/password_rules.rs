//! Rules for new passwords that are switched on, and what the format that is written cannot hold.

use std::sync::Arc;

use mapae::domain::SecretText;
use mapae::service::accounts::AccountError;
use mapae::service::{BreachedPasswordFile, By};
use mapae::settings::Settings;
use mapae_password::{BcryptCost, Context, Costs, Format};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::server::{PASSWORD, Server, expect, problem, refused_fields, text};

/// `HASH:COUNT` of "wobbling teapot orchestra 41" between two others.
const LIST: &str = "0005AD76BD555C1D6D771DE417A4B87E4B4A8D9A:4\r\n10A60F5D044EE2449800D376882A712AE4725D29:1\r\nFFFFFFFEE791CBAC0F6305CAF0CEE06BBE131160:2\r\n";
const LISTED: &str = "wobbling teapot orchestra 41";

async fn sign_up(server: &Server, username: &str, password: &str) -> Response {
    let body = json!({ "username": username, "password": password });
    server.post("/users/signup").json(&body).send().await.unwrap()
}

fn rules(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    fields.iter().map(|(field, rule)| (field.as_str(), rule.as_str())).collect()
}

#[tokio::test]
async fn a_breached_password_is_refused_wherever_one_is_set() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), LIST).unwrap();
    let list = BreachedPasswordFile::open(file.path()).unwrap();
    let server = Server::start_with(|settings| settings.password_policy.breached = Some(Arc::new(list))).await;

    let refused = sign_up(&server, "ann", LISTED).await;
    let answer = problem(refused, StatusCode::UNPROCESSABLE_ENTITY, "validation_failed").await;
    let [error] = answer["errors"].as_array().unwrap().as_slice() else { panic!("{answer}") };
    assert_eq!((text(&error["type"]), &error["loc"]), ("breached".to_owned(), &json!(["body", "password"])));
    assert_eq!(error["msg"], "This password was stolen from another service before. Choose another.");

    let (id, token) = server.newcomer("ann").await;
    let body = json!({ "current_password": PASSWORD, "new_password": LISTED });
    let change = server.post("/users/me/password").bearer_auth(&token).json(&body);
    assert_eq!(rules(&refused_fields(change.send().await.unwrap()).await), [("new_password", "breached")]);
    let by_command = server.mapae.set_password(&id, &SecretText::new(LISTED.to_owned()), By::System).await;
    assert!(matches!(by_command, Err(AccountError::Invalid(_))), "{by_command:?}");

    // A list that is gone lets nothing through and is nobody's fault but ours; signing in does not need it.
    std::fs::remove_file(file.path()).unwrap();
    let refused = sign_up(&server, "bob", PASSWORD).await;
    let answer = problem(refused, StatusCode::INTERNAL_SERVER_ERROR, "internal_error").await;
    assert!(!answer.to_string().contains("list"), "{answer}");
    assert_eq!(rules(&refused_fields(sign_up(&server, "bob", "password").await).await), [("password", "too_common")]);
    server.sign_in("ann").await;
    std::fs::write(file.path(), LIST).unwrap();
    expect(sign_up(&server, "bob", PASSWORD).await, StatusCode::CREATED).await;
}

/// Where another application reads the hashes, bcrypt's limits are the person's to know, and no fault of the server.
#[tokio::test]
async fn what_bcrypt_cannot_hold_is_refused_in_words() {
    let bcrypt = |settings: &mut Settings| {
        let costs = Costs { bcrypt: Some(BcryptCost::new(4).unwrap()), ..Costs::default() };
        settings.passwords = Context { costs, ..Context::writing(Format::Bcrypt2b) };
    };
    let server = Server::start_with(bcrypt).await;
    let long = "tomato violin parking seven ".repeat(3);
    for (password, rule, words) in
        [(long.as_str(), "too_long", "at most 72 bytes"), ("tomato violin\0 parking", "has_nul", "NUL")]
    {
        let refused = sign_up(&server, "ann", password).await;
        let answer: Value = problem(refused, StatusCode::UNPROCESSABLE_ENTITY, "validation_failed").await;
        assert_eq!(answer["errors"][0]["type"], rule);
        assert!(text(&answer["errors"][0]["msg"]).contains(words), "{answer}");
    }
    expect(sign_up(&server, "ann", &long[..72]).await, StatusCode::CREATED).await;
}
