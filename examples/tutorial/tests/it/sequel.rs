//! The sequel: `--scopes`.

use example_support::testing::forge::{assert_claims, now, sign};
use example_support::testing::{Field, Protected, Refusal, documents, password_form, redirects, tokens};
use serde_json::{Value, json};

use super::{items, john, sequel, sign_in};

const WRONG: Refusal = Refusal::plain(400, "Incorrect username or password");
const INACTIVE: Refusal = Refusal::plain(400, "Inactive user");
const ME: &str = "Bearer scope=\"me\"";
const ITEMS_ME: &str = "Bearer scope=\"items me\"";

const fn not_enough(challenge: &'static str) -> Refusal {
    Refusal::challenging("Not enough permissions", challenge)
}

fn granted(scope: &str) -> Value {
    if scope.is_empty() { json!({ "sub": "johndoe" }) } else { json!({ "sub": "johndoe", "scope": scope }) }
}

#[tokio::test]
async fn what_is_asked_for_and_held_is_granted() {
    let example = sequel();
    for (asked, scope) in [
        ("", ""),
        ("me", "me"),
        ("items", "items"),
        ("me items", "me items"),
        ("items me", "me items"),
        ("me nope", "me"),
        ("nope", ""),
        ("ME", ""),
    ] {
        let token = sign_in(&example, "johndoe", "secret", asked).await;
        let claims = example_support::testing::forge::claims(&token);
        let mut words: Vec<&str> = claims["scope"].as_str().unwrap_or_default().split_whitespace().collect();
        words.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(words.join(" "), scope, "asked for {asked:?}");
        let rest = claims["scope"].as_str().map_or_else(|| granted(""), granted);
        assert_claims(&token, 30 * 60, &rest);

        let (me, items_too) = (scope.contains("me"), scope == "me items");
        let answer = example.get_with("/users/me/", &token).await;
        if me {
            answer.is(200, &john())
        } else {
            answer.refuses(not_enough(ME), asked)
        }
        let answer = example.get_with("/users/me/items/", &token).await;
        if items_too {
            answer.is(200, &items())
        } else {
            answer.refuses(not_enough(ITEMS_ME), asked)
        }
        example.get_with("/status/", &token).await.is(200, &json!({ "status": "ok" }));
    }
}

#[tokio::test]
async fn scopes_of_tokens_are_whole_words() {
    let example = sequel();
    for scope in ["mee items", "m", "ME ITEMS", "items.me", "me-items", "profile:me"] {
        let token = sign(&json!({ "sub": "johndoe", "exp": now() + 60, "scope": scope }));
        example.get_with("/users/me/", &token).await.refuses(not_enough(ME), scope);
        example.get_with("/users/me/items/", &token).await.refuses(not_enough(ITEMS_ME), scope);
        example.get_with("/status/", &token).await.is(200, &json!({ "status": "ok" }));
    }
    for scope in ["items me", "me items", "me other items", "me me items"] {
        let token = sign(&json!({ "sub": "johndoe", "exp": now() + 60, "scope": scope }));
        example.get_with("/users/me/items/", &token).await.is(200, &items());
    }
    let refused = Refusal::challenging("Could not validate credentials", ITEMS_ME);
    for scope in [json!(1), json!(["me", "items"]), json!({ "me": true }), json!(true)] {
        let token = sign(&json!({ "sub": "johndoe", "exp": now() + 60, "scope": scope }));
        example.get_with("/users/me/items/", &token).await.refuses(refused, scope.to_string());
    }
}

#[tokio::test]
async fn a_disabled_user_gets_scopes_and_no_further() {
    let example = sequel();
    let alice = async |scope: &str| {
        let fields = [("username", "alice"), ("password", "secretalice"), ("scope", scope)];
        Field::AccessToken.token(&example.form("/token", &fields).await)
    };
    let token = alice("me items").await;
    let claims = example_support::testing::forge::claims(&token);
    let mut words: Vec<&str> = claims["scope"].as_str().unwrap().split(' ').collect();
    words.sort_unstable();
    assert_eq!(words, ["items", "me"]);
    for path in ["/users/me/", "/users/me/items/"] {
        example.get_with(path, &token).await.refuses(INACTIVE, path);
    }
    example.get_with("/status/", &token).await.is(200, &json!({ "status": "ok" }));
    let bare = alice("").await;
    example.get_with("/users/me/", &bare).await.refuses(not_enough(ME), "scopes come before the account's state");
}

#[tokio::test]
async fn challenges_name_the_scopes() {
    let example = sequel();
    for (path, challenge, body) in [
        ("/users/me/", ME, john()),
        ("/users/me/items/", ITEMS_ME, items()),
        ("/status/", "Bearer", json!({ "status": "ok" })),
    ] {
        let refused = Refusal::challenging("Could not validate credentials", challenge);
        let route = Protected {
            method: "GET",
            path,
            body: None,
            success: 200,
            claims: json!({ "sub": "johndoe", "scope": "me items" }),
            identity: vec![("sub", json!("nobody"))],
            invalid: refused,
            expired: refused,
        };
        tokens(&example, &route).await;
        let token = sign(&json!({ "sub": "johndoe", "exp": now() + 60, "scope": "me items" }));
        example.get_with(path, &token).await.is(200, &body);
        let from = path.trim_end_matches('/');
        redirects(&example, from, path).await;
        example.follow_with(from, &token).await.is(200, &body);
    }
}

#[tokio::test]
async fn wrong_credentials_are_a_bad_request() {
    password_form(&sequel(), Field::AccessToken, WRONG).await;
}

#[tokio::test]
async fn the_document_names_the_scopes() {
    let example = sequel();
    let document = documents(&example, "token").await;
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.keys().collect::<Vec<_>>(), ["/status/", "/token", "/users/me/", "/users/me/items/"]);
    let scopes = json!({ "me": "Read information about the current user.", "items": "Read items." });
    assert_eq!(
        document["components"]["securitySchemes"]["OAuth2PasswordBearer"]["flows"]["password"]["scopes"],
        scopes
    );
    for (path, asked) in
        [("/users/me/", json!(["me"])), ("/users/me/items/", json!(["items", "me"])), ("/status/", json!([]))]
    {
        assert_eq!(paths[path]["get"]["security"], json!([{ "OAuth2PasswordBearer": asked }]), "{path}");
    }
    assert!(paths["/token"]["post"].get("security").is_none());
}
