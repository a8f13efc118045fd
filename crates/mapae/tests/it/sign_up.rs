//! `POST /users/signup`.

use mapae::settings::Signup;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::server::{PASSWORD, Server, expect, header, problem, refused_fields, text};

async fn sign_up(server: &Server, body: &Value) -> Response {
    server.post("/users/signup").json(body).send().await.unwrap()
}

#[tokio::test]
async fn a_name_an_address_or_both_are_enough() {
    let server = Server::start().await;
    for (names, username, email) in [
        (json!({ "username": "Ann" }), json!("Ann"), Value::Null),
        (json!({ "email": "Bob@Example.com" }), Value::Null, json!("Bob@Example.com")),
        (json!({ "email": "cy@example.com", "username": "cy" }), json!("cy"), json!("cy@example.com")),
        (json!({ "email": null, "username": "dee" }), json!("dee"), Value::Null),
    ] {
        let mut body = names.clone();
        body["password"] = json!(PASSWORD);
        let made = expect(sign_up(&server, &body).await, StatusCode::CREATED).await;
        assert_eq!((&made["username"], &made["email"]), (&username, &email), "as its owner wrote it");
        assert_eq!((&made["disabled"], &made["scope"]), (&json!(false), &json!("me")));
        assert_eq!(made["created_at"], "2026-01-01T00:00:00.000Z");
        let id = uuid::Uuid::parse_str(&text(&made["id"])).unwrap();
        assert_eq!(id.get_version_num(), 7);
    }
    assert_eq!(
        refused_fields(sign_up(&server, &json!({ "password": PASSWORD })).await).await,
        [pair("email", "missing")]
    );
    assert_eq!(server.accounts().await, 4);
}

#[tokio::test]
async fn no_answer_ever_holds_the_password_or_its_hash() {
    let server = Server::start().await;
    let admin = server.administrator().await;
    let body = json!({ "username": "ann", "email": "ann@example.com", "full_name": "Ann", "password": PASSWORD });
    let made = sign_up(&server, &body).await;
    assert_eq!(header(&made, "cache-control"), "no-store");
    let mut answers = vec![made.text().await.unwrap()];
    let id = text(&serde_json::from_str::<Value>(&answers[0]).unwrap()["id"]);
    let token = server.sign_in("ann").await;
    let again = json!({ "current_password": PASSWORD, "new_password": "another fine long passphrase" });
    for request in [
        server.get("/users/me").bearer_auth(&token),
        server.patch("/users/me").bearer_auth(&token).json(&json!({ "full_name": "A", "password": PASSWORD })),
        server.get("/admin/users").bearer_auth(&admin),
        server.get(&format!("/admin/users/{id}")).bearer_auth(&admin),
        server.patch(&format!("/admin/users/{id}")).bearer_auth(&admin).json(&json!({ "grant": "items" })),
        server.post("/users/signup").json(&body),
        server.post("/users/signup").json(&json!({ "username": "x y", "password": PASSWORD, "hash": PASSWORD })),
        server.post("/users/signin").json(&json!({ "username": 7, "password": [PASSWORD] })),
        server.post("/users/me/password").bearer_auth(&token).json(&again),
    ] {
        answers.push(request.send().await.unwrap().text().await.unwrap());
    }
    for answer in answers {
        for secret in ["argon2", "hash\":", PASSWORD, "passphrase"] {
            assert!(!answer.contains(secret), "{secret} in {answer}");
        }
    }
}

#[tokio::test]
async fn a_name_is_taken_in_every_way_of_writing_it() {
    let server = Server::start().await;
    server.sign_up("JoséDoe").await;
    server.sign_up("홍길동").await;
    for same in [
        "JoséDoe",
        "josédoe",
        "JOSÉDOE",
        "jose\u{301}doe",
        "\u{ff2a}\u{ff4f}\u{ff53}\u{e9}\u{ff24}\u{ff4f}\u{ff45}",
        "홍길동",
        "\u{1112}\u{1169}\u{11bc}\u{1100}\u{1175}\u{11af}\u{1103}\u{1169}\u{11bc}",
    ] {
        let body = json!({ "username": same, "email": "free@example.com", "password": PASSWORD });
        let answer = problem(sign_up(&server, &body).await, StatusCode::CONFLICT, "username_taken").await;
        assert_eq!(answer["detail"], "This user name is taken.", "{same}");
    }
    assert_eq!(server.accounts().await, 2);
    // Nothing of the refused sign-ups was stored by halves: the address is free.
    let body = json!({ "email": "free@example.com", "password": PASSWORD });
    expect(sign_up(&server, &body).await, StatusCode::CREATED).await;
}

#[tokio::test]
async fn an_address_is_taken_in_every_way_of_writing_it() {
    let server = Server::start().await;
    let body = json!({ "email": "José@Bücher.example", "password": PASSWORD });
    expect(sign_up(&server, &body).await, StatusCode::CREATED).await;
    for same in [
        "José@Bücher.example",
        "JOSÉ@BÜCHER.EXAMPLE",
        "jose\u{301}@bu\u{308}cher.example",
        "josé@xn--bcher-kva.example",
        "josé@XN--BCHER-KVA.example",
        "\u{ff4a}\u{ff4f}\u{ff53}é@bücher.example",
    ] {
        let body = json!({ "username": "free", "email": same, "password": PASSWORD });
        problem(sign_up(&server, &body).await, StatusCode::CONFLICT, "email_taken").await;
    }
    assert_eq!(server.accounts().await, 1);
    server.sign_up("free").await;
}

#[tokio::test]
async fn of_a_name_and_an_address_that_are_taken_the_name_is_told() {
    let server = Server::start().await;
    for names in [
        json!({ "username": "Ann", "email": "ann@example.com" }),
        json!({ "username": "Bob" }),
        json!({ "email": "cy@example.com" }),
    ] {
        let mut body = names;
        body["password"] = json!(PASSWORD);
        expect(sign_up(&server, &body).await, StatusCode::CREATED).await;
    }
    for (username, email, code) in [
        // One account has both, or two have one each.
        (Some("ANN"), Some("Ann@Example.com"), "username_taken"),
        (Some("bob"), Some("CY@example.com"), "username_taken"),
        (Some("ann"), Some("cy@example.com"), "username_taken"),
        (Some("BOB"), Some("free@example.com"), "username_taken"),
        (Some("free"), Some("Cy@EXAMPLE.com"), "email_taken"),
        (Some("bOB"), None, "username_taken"),
        (None, Some("ANN@example.com"), "email_taken"),
    ] {
        let body = json!({ "username": username, "email": email, "password": PASSWORD });
        problem(sign_up(&server, &body).await, StatusCode::CONFLICT, code).await;
    }
    assert_eq!(server.accounts().await, 3);
    let body = json!({ "username": "free", "email": "free@example.com", "password": PASSWORD });
    expect(sign_up(&server, &body).await, StatusCode::CREATED).await;
}

#[tokio::test]
async fn fields_that_do_not_exist_are_refused_by_name() {
    let server = Server::start().await;
    for field in ["scope", "scopes", "disabled", "id", "is_admin", "Username", "password_hash", "constructor"] {
        let body = json!({ "username": "ann", "password": PASSWORD, field: "mapae:admin" });
        assert_eq!(refused_fields(sign_up(&server, &body).await).await, [pair(field, "extra_forbidden")]);
    }
    assert_eq!(server.accounts().await, 0);
}

#[tokio::test]
async fn values_of_another_type_are_refused_by_name() {
    let server = Server::start().await;
    for field in ["email", "username", "full_name", "password"] {
        for wrong in [json!(7), json!(1.5), json!(true), json!(["ann"]), json!({ "ann": 1 })] {
            let mut body = json!({ "username": "ann", "email": "ann@example.com", "password": PASSWORD });
            body[field] = wrong;
            assert_eq!(refused_fields(sign_up(&server, &body).await).await, [pair(field, "string_type")]);
        }
    }
    let body = json!({ "username": "ann", "password": null });
    assert_eq!(refused_fields(sign_up(&server, &body).await).await, [pair("password", "string_type")]);
    let body = json!({ "username": "ann" });
    assert_eq!(refused_fields(sign_up(&server, &body).await).await, [pair("password", "missing")]);
    assert_eq!(server.accounts().await, 0);
}

#[tokio::test]
async fn one_answer_names_every_bad_field() {
    let server = Server::start().await;
    let body = json!({ "username": "a b", "email": "no", "full_name": "x\u{7}", "password": "x".repeat(1025) });
    let answer = problem(sign_up(&server, &body).await, StatusCode::UNPROCESSABLE_ENTITY, "validation_failed").await;
    let named: Vec<String> = answer["errors"].as_array().unwrap().iter().map(|e| text(&e["loc"][1])).collect();
    assert_eq!(named, ["email", "username", "full_name", "password"]);
    for name in named {
        assert!(text(&answer["detail"]).contains(&format!("{name}: ")), "{answer}");
    }
}

#[tokio::test]
async fn over_long_fields_are_refused_and_the_longest_taken() {
    let server = Server::start().await;
    let longest_address =
        format!("a@{}.{}.{}.{}.example", "b".repeat(63), "c".repeat(63), "d".repeat(63), "e".repeat(52));
    assert_eq!(longest_address.len(), 254);
    let base = json!({ "username": "ann", "password": PASSWORD });
    for (field, too_long) in [
        ("username", "x".repeat(65)),
        ("username", "\u{d64d}".repeat(65)),
        ("email", format!("{}@example.com", "x".repeat(65))),
        ("email", format!("a@{}example.com", "x.".repeat(130))),
        ("full_name", "x".repeat(201)),
        ("password", "x".repeat(1025)),
        ("password", "\u{d64d}".repeat(342)),
        ("username", "x".repeat(50_000)),
        ("email", format!("{}@example.com", "x".repeat(50_000))),
    ] {
        let mut body = base.clone();
        body[field] = json!(too_long);
        let named = refused_fields(sign_up(&server, &body).await).await;
        assert_eq!(named.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), [field]);
    }
    assert_eq!(server.accounts().await, 0);
    let password: String = ('!'..='~').cycle().step_by(7).take(1024).collect();
    let longest = json!({
        "username": "\u{d64d}".repeat(64),
        "email": longest_address,
        "full_name": "\u{d64d}".repeat(200),
        "password": password,
    });
    let made = expect(sign_up(&server, &longest).await, StatusCode::CREATED).await;
    for field in ["username", "email", "full_name"] {
        assert_eq!(made[field], longest[field]);
    }
}

#[tokio::test]
async fn nul_and_control_characters_are_no_names() {
    let server = Server::start().await;
    for control in ['\0', '\u{1}', '\t', '\n', '\r', '\u{1b}', '\u{7f}', '\u{85}', '\u{200b}', '\u{202e}', '\u{feff}'] {
        let body = json!({ "username": format!("a{control}b"), "password": PASSWORD });
        assert_eq!(
            refused_fields(sign_up(&server, &body).await).await,
            [pair("username", "invalid_username")],
            "{control:?}"
        );
    }
    for control in ['\0', '\n', '\r', '\u{7f}', '\u{85}'] {
        let body = json!({ "email": format!("a{control}b@example.com"), "password": PASSWORD });
        assert_eq!(
            refused_fields(sign_up(&server, &body).await).await,
            [pair("email", "invalid_email")],
            "{control:?}"
        );
        let body = json!({ "username": "ann", "full_name": format!("A{control}B"), "password": PASSWORD });
        assert_eq!(refused_fields(sign_up(&server, &body).await).await, [pair("full_name", "invalid_full_name")]);
    }
    for name in ["", " ", "a b", "a@b", "a\u{ff20}b", "\u{1f600}", "\u{2028}"] {
        let body = json!({ "username": name, "password": PASSWORD });
        let named = refused_fields(sign_up(&server, &body).await).await;
        assert_eq!(named, [pair("username", "invalid_username")], "{name:?}");
    }
    assert_eq!(server.accounts().await, 0);
}

/// No rule forbids a NUL in a password, so all of it must count: nothing may end at it.
#[tokio::test]
async fn a_password_counts_past_its_nul() {
    let server = Server::start().await;
    let body = json!({ "username": "ann", "password": "eight chars\0and the rest" });
    expect(sign_up(&server, &body).await, StatusCode::CREATED).await;
    for (password, status) in [("eight chars", 401), ("eight chars\0and", 401), ("eight chars\0and the rest", 200)] {
        let body = json!({ "username": "ann", "password": password });
        assert_eq!(server.post("/users/signin").json(&body).send().await.unwrap().status(), status);
    }
}

#[tokio::test]
async fn weak_passwords_are_refused_in_words() {
    let server = Server::start().await;
    for (weak, rule, words) in [
        ("", "too_short", "Use at least 8 characters."),
        ("Tr0ub4&", "too_short", "Use at least 8 characters."),
        ("password", "too_common", "very common"),
        ("12345678", "too_common", "very common"),
        ("annabelle", "contains_user_name", "your own name"),
        ("annabelle@example.com", "contains_user_name", "your own name"),
        ("aaaaaaaaaaaa", "too_guessable", "easy to guess"),
        ("abcdefghij", "too_guessable", "easy to guess"),
    ] {
        let body = json!({ "username": "annabelle", "email": "annabelle@example.com", "password": weak });
        let answer =
            problem(sign_up(&server, &body).await, StatusCode::UNPROCESSABLE_ENTITY, "validation_failed").await;
        let errors = answer["errors"].as_array().unwrap();
        assert!(errors.iter().all(|error| error["loc"] == json!(["body", "password"])), "{answer}");
        assert!(errors.iter().all(|error| error["input"].is_null()), "a secret is not repeated: {answer}");
        assert!(
            errors.iter().any(|error| error["type"] == rule && text(&error["msg"]).contains(words)),
            "{weak}: {answer}"
        );
    }
    assert_eq!(server.accounts().await, 0);
}

#[tokio::test]
async fn sign_up_can_be_closed() {
    let server = Server::start_with(|settings| settings.signup = Signup::Closed).await;
    let body = json!({ "username": "ann", "password": PASSWORD });
    let answer = problem(sign_up(&server, &body).await, StatusCode::FORBIDDEN, "signup_closed").await;
    assert!(text(&answer["detail"]).contains("administrator"));
    assert_eq!(server.accounts().await, 0);
}

fn pair(field: &str, rule: &str) -> (String, String) {
    (field.to_owned(), rule.to_owned())
}
