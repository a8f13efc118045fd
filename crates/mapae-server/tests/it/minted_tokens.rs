//! `mapae token …` for tokens that are handed on, beside a running server.

use serde_json::{Value, json};

use crate::server::Server;
use crate::support::{Ended, Home};

const CARS: &str = "subject_kinds = [\"car\"]\npersonal_token_max_days = 90\n[scopes]\ndrive = \"Drive a car.\"\n";

fn ok(ended: &Ended) -> String {
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    ended.stdout.trim_end().to_owned()
}

fn json_of(ended: &Ended) -> Value {
    serde_json::from_str(&ok(ended)).expect("JSON")
}

fn fails(ended: &Ended, status: i32, part: &str) {
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(status), ""), "{ended:?}");
    assert!(ended.stderr.contains(part), "{part:?} in {}", ended.stderr);
}

#[tokio::test]
async fn a_cars_token_is_minted_listed_and_revoked() {
    let home = Home::new().with("mapae.toml", CARS);
    let server = Server::start(&home, &[]);
    home.add_user(&["ada", "--admin", "--scope", "drive", "--scope", "me"]);
    home.add_user(&["bob", "--scope", "drive"]);
    let car = ok(&home.beside(&["token", "mint", "ada", "--subject", "car:42", "--scope", "drive"]));
    let client = reqwest::Client::new();
    assert_eq!(server.status(&client, "/verify?scope=drive", &car).await, 200);
    assert_eq!(server.status(&client, "/users/me", &car).await, 403);
    let verdict = ok(&home.beside(&["token", "inspect", &car]));
    assert!(verdict.contains("for car:42; the active account ada answers for it."), "{verdict}");

    let listed = json_of(&home.beside(&["token", "list", "--json"]));
    assert_eq!(listed.as_array().expect("a list").len(), 1);
    assert_eq!((&listed[0]["sub"], &listed[0]["scope"]), (&json!("car:42"), &json!("drive")));
    assert!(ok(&home.beside(&["token", "list", "--user", "ada"])).contains("car:42"));
    assert_eq!(ok(&home.beside(&["token", "list", "--user", "bob"])), "There are no minted tokens.");
    let id = listed[0]["id"].as_str().expect("an id");
    assert_eq!(ok(&home.beside(&["token", "revoke", id])), "Revoked 1 token.");
    for _ in 0..200 {
        if server.status(&client, "/verify", &car).await == 401 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(server.status(&client, "/verify", &car).await, 401);
    fails(&home.beside(&["token", "revoke", id]), 1, "There is no such token");
    assert_eq!(ok(&home.beside(&["token", "revoke", "--subject", "car:42"])), "Revoked 0 tokens.");

    fails(&home.beside(&["token", "mint", "bob", "--subject", "car:42"]), 1, "You may not speak for car:42.");
    fails(&home.beside(&["token", "mint", "ada", "--subject", "post:1"]), 1, "You may not speak for post:1.");
    fails(&home.beside(&["token", "mint", "ada", "--subject", "bob"]), 1, "Only a thing");
    fails(&home.beside(&["token", "mint", "ada", "--subject", "car:"]), 2, "--subject takes a kind and an id");
    fails(&home.beside(&["token", "revoke"]), 2, "required");
}

#[tokio::test]
async fn a_personal_token_is_minted() {
    let home = Home::new().with("mapae.toml", CARS);
    let server = Server::start(&home, &[]);
    home.add_user(&["bot", "--scope", "drive", "--scope", "me"]);
    let mint = ["token", "mint", "bot", "--personal", "--scope", "me", "--label", "deploy\u{7}", "--json"];
    let minted = json_of(&home.beside(&mint));
    let token = minted["token"].as_str().expect("a token");
    assert!(token.starts_with("mp_") && minted["label"] == "deploy" && minted["kind"] == "personal_token", "{minted}");
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("subject_token", token),
        ("client_id", "mapae"),
    ];
    let client = reqwest::Client::new();
    let answer = client.post(format!("{}/oauth2/token", server.url)).form(&form).send().await.expect("an answer");
    let body: Value = answer.json().await.expect("JSON");
    let access = body["access_token"].as_str().unwrap_or_else(|| panic!("{body}"));
    assert_eq!(server.status(&client, "/users/me", access).await, 200);
    let inspected = home.beside(&["token", "inspect", token]);
    assert_eq!(inspected.status, Some(1), "{inspected:?}");
    let long = ["token", "mint", "bot", "--personal", "--expires-in", "7776001"];
    fails(&home.beside(&long), 1, "at most 90 days");
}

#[test]
fn a_kind_of_subject_has_a_plain_name() {
    for bad in ["client", "Client", "a/b", "car:", "é"] {
        let refusal = Home::new().refusal(&[], &[("MAPAE_SUBJECT_KINDS", bad)]);
        assert!(refusal.contains("MAPAE_SUBJECT_KINDS") && refusal.contains("cannot be used"), "{refusal}");
    }
    let shown = Home::new().settings(&[], &[("MAPAE_SUBJECT_KINDS", "car, blog.post")]);
    assert_eq!(shown.value("subject_kinds"), &json!(["car", "blog.post"]));
    assert_eq!(shown.value("personal_token_max_days"), &json!(365));
}
