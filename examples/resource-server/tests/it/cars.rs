//! A route for cars, whose tokens are minted by the running `mapae`.

use reqwest::Client;
use serde_json::{Value, json};

use crate::process::{Example, Mapae};
use crate::{sign_up, token};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

async fn drive(example: &Example, token: &str) -> (u16, Value) {
    let response = Client::new().post(format!("{}/drive", example.url)).bearer_auth(token).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn only_a_cars_token_drives() {
    let mapae = Mapae::start(0);
    let example = Example::start(&mapae.url);
    let id = sign_up(&mapae).await;
    mapae.command(&["user", "grant", "johndoe", "drive", "mapae:admin"]);
    let own = token(&mapae, "drive mapae:admin").await;
    let form = [
        ("grant_type", EXCHANGE),
        ("client_id", "mapae"),
        ("subject_token", own.as_str()),
        ("subject_token_type", ACCESS_TOKEN),
        ("requested_subject", "car:42"),
    ];
    let answer = Client::new().post(format!("{}/oauth2/token", mapae.url)).form(&form).send().await.unwrap();
    let body: Value = answer.json().await.unwrap();
    let car = body["access_token"].as_str().unwrap_or_else(|| panic!("{body}"));
    assert_eq!(drive(&example, car).await, (200, json!({ "car": "42", "act": { "sub": id } })));
    let (status, refused) = drive(&example, &own).await;
    assert_eq!((status, &refused["code"]), (403, &json!("wrong_subject")));
    assert_eq!(refused["detail"], "This takes a token for: car. The one sent speaks for a user.");
}
