//! One database with real Django, fastapi-users and Flask-Security on the one side, and a real server on the other: a
//! SQLite file, and one on a PostgreSQL server.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::server::{BASE_URL, PASSWORD, Server};
use crate::sides::{Place, Side, on_both_engines};
use crate::support::{Ended, Home, program};
use crate::walks::blocks;

const OTHER: &str = "seven purple elephants dancing";
on_both_engines!("shared_": django, django_at_the_same_moment, fastapi_users, flask_security);

/// Our tables beside theirs, and the server on both.
fn serve(home: &Home, variables: &[(&str, &str)]) -> Server {
    let adopted = home.run(&["db", "migrate", "--adopt"], variables);
    assert_eq!(adopted.status, Some(0), "{adopted:?}");
    let doctor = home.run(&["doctor"], variables);
    assert_eq!(doctor.status, Some(0), "{doctor:?}");
    Server::start_with(home, &[], variables)
}

async fn token(server: &Server, name: &str, password: &str) -> String {
    let (status, body) = server.sign_in(name, password, "").await;
    assert_eq!(status, 200, "{name}: {body}");
    body["access_token"].as_str().expect("a token").to_owned()
}

async fn status(server: &Server, token: &str) -> u16 {
    server.status(&reqwest::Client::new(), "/users/me", token).await
}

async fn post(server: &Server, path: &str, token: &str, body: Value) -> u16 {
    let request = reqwest::Client::new().post(format!("{}{path}", server.url)).bearer_auth(token).json(&body);
    request.send().await.expect("an answer").status().as_u16()
}

async fn change_password(server: &Server, token: &str, from: &str, to: &str) -> u16 {
    post(server, "/users/me/password", token, json!({ "current_password": from, "new_password": to })).await
}

/// What must hold with each of them; `ann` and `bob` are names there, `ann` exists with `PASSWORD`.
async fn both_ways(home: &Home, server: &Server, side: &mut Side, variables: &[(&str, &str)], ann: &str) {
    let id = side.login(ann, PASSWORD);
    let (first, second) = (token(server, ann, PASSWORD).await, token(server, ann, PASSWORD).await);
    assert_eq!(change_password(server, &first, PASSWORD, OTHER).await, 204);
    assert_eq!((status(server, &first).await, status(server, &second).await), (200, 401));
    assert_eq!((side.login(ann, PASSWORD), side.login(ann, OTHER)), (Value::Null, id.clone()));
    assert_eq!(status(server, &first).await, 200, "signing in over there wrote no other hash");

    side.set_password(ann, PASSWORD);
    assert_eq!(status(server, &first).await, 401, "another password over there");
    assert_eq!(server.sign_in(ann, OTHER, "").await.0, 401);
    let third = token(server, ann, PASSWORD).await;

    side.set_active(ann, false);
    assert_eq!((status(server, &third).await, server.sign_in(ann, PASSWORD, "").await.0), (401, 401));
    side.set_active(ann, true);
    assert_eq!(status(server, &token(server, ann, PASSWORD).await).await, 200);
    for (command, login) in [("disable", Value::Null), ("enable", id)] {
        let ended = home.run(&["user", command, ann], variables);
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert_eq!(side.login(ann, PASSWORD), login, "{command}");
    }
    assert_eq!(status(server, &third).await, 401, "disabling ended it");
}

async fn django(place: &Place) {
    let mut side = place.start("django_side.py", &["0"]);
    let variables = place.variables(&[("MAPAE_USERS_PRESET", "django")]);
    let hashers = ["pbkdf2_sha256", "pbkdf2_sha1", "argon2", "bcrypt_sha256", "bcrypt", "scrypt"];
    for hasher in hashers {
        side.ask("create", json!({ "name": hasher, "password": PASSWORD, "hasher": hasher }));
    }
    side.create("ann", PASSWORD);
    let server = serve(&place.home, &variables);
    for hasher in hashers {
        let before = side.row(hasher);
        let stored = before["password"].as_str().expect("a hash");
        assert!(stored.starts_with(&format!("{hasher}$")), "{stored}");
        let token = token(&server, hasher, PASSWORD).await;
        assert_eq!(status(&server, &token).await, 200, "{hasher}");
        assert_eq!(server.sign_in(hasher, OTHER, "").await.0, 401, "{hasher}");
        assert_eq!(side.row(hasher), before, "a sign-in writes nothing");
        assert_eq!(change_password(&server, &token, PASSWORD, OTHER).await, 204, "{hasher}");
        assert!(side.login(hasher, OTHER).is_number(), "{hasher}");
        assert_eq!(status(&server, &token).await, 200, "{hasher}: Django found nothing to hash anew");
    }
    both_ways(&place.home, &server, &mut side, &variables, "ann").await;

    let body = json!({ "username": "bob", "email": "bob@example.com", "full_name": "Bob Ray", "password": PASSWORD });
    assert_eq!(post(&server, "/users/signup", "", body.clone()).await, 201);
    assert_eq!(post(&server, "/users/signup", "", body).await, 409);
    assert!(side.login("bob", PASSWORD).is_number());
    let mut row = side.row("bob");
    assert!(row["password"].take().as_str().is_some_and(|hash| hash.starts_with("pbkdf2_sha256$1000000$")));
    assert!(row["joined"].take().as_i64().is_some_and(|year| year >= 2026));
    let shown = json!({
        "email": "bob@example.com", "first_name": "Bob", "last_name": "Ray", "is_active": true, "is_staff": false,
        "is_superuser": false, "password": null, "joined": null, "full_clean": null,
    });
    assert_eq!(row, shown);
    let bob = token(&server, "bob", PASSWORD).await;
    side.ask("delete", json!({ "name": "bob" }));
    assert_eq!(status(&server, &bob).await, 401);
}

async fn django_at_the_same_moment(place: &Place) {
    const COUNT: usize = 25;
    let mut side = place.start("django_side.py", &["1000"]);
    let preset = [("MAPAE_USERS_PRESET", "django"), ("MAPAE_USERS_HASH_COST", "1000")];
    let server = serve(&place.home, &place.variables(&preset));
    side.tell("load", json!({ "count": COUNT, "first": PASSWORD, "second": OTHER }));
    for number in 0..COUNT {
        let name = format!("mapae{number}");
        assert_eq!(post(&server, "/users/signup", "", json!({ "username": name, "password": PASSWORD })).await, 201);
        let token = token(&server, &name, PASSWORD).await;
        assert_eq!(change_password(&server, &token, PASSWORD, OTHER).await, 204);
        assert_eq!(status(&server, &token).await, 200);
    }
    assert_eq!(side.answer(), COUNT, "Django was never refused the database");
    let mut all: Vec<String> =
        ["django", "mapae"].iter().flat_map(|side| (0..COUNT).map(move |n| format!("{side}{n}"))).collect();
    all.sort();
    assert_eq!(side.ask("names", json!({})), json!(all));
    for number in 0..COUNT {
        assert!(side.login(&format!("mapae{number}"), OTHER).is_number());
        let active = if number % 2 == 0 { 200 } else { 401 };
        assert_eq!(server.sign_in(&format!("django{number}"), OTHER, "").await.0, active, "{number}");
    }
    let failures: Vec<Value> = server.log().into_iter().filter(|line| line["level"] == "ERROR").collect();
    assert!(failures.is_empty(), "{failures:?}");
}

async fn fastapi_users(place: &Place) {
    let mut side = place.start("fastapi_users_side.py", &[]);
    let id = side.create("ann@example.com", PASSWORD);
    let variables = place.variables(&[("MAPAE_USERS_PRESET", "fastapi-users")]);
    let server = serve(&place.home, &variables);
    both_ways(&place.home, &server, &mut side, &variables, "ann@example.com").await;
    assert_eq!(side.login("ann@example.com", PASSWORD), id);

    assert_eq!(
        post(&server, "/users/signup", "", json!({ "email": "bob@example.com", "password": PASSWORD })).await,
        201
    );
    let row = side.row("bob@example.com");
    assert_eq!(side.login("bob@example.com", PASSWORD), row["id"]);
    let switches = (&row["is_active"], &row["is_superuser"], &row["is_verified"]);
    assert_eq!(switches, (&json!(true), &json!(false), &json!(false)));
}

async fn flask_security(place: &Place) {
    let salt = "146585145368132386173505678016728509634";
    let mut side = place.start("flask_security_side.py", &[salt]);
    side.create("ann@example.com", PASSWORD);
    let preset = [("MAPAE_USERS_PRESET", "flask-security"), ("MAPAE_USERS_PASSWORD_HMAC_KEY", salt)];
    let variables = place.variables(&preset);
    let server = serve(&place.home, &variables);
    let before = side.row("ann@example.com")["uniquifier"].clone();
    let first = token(&server, "ann@example.com", PASSWORD).await;
    assert_eq!(change_password(&server, &first, PASSWORD, OTHER).await, 204);
    let after = side.row("ann@example.com")["uniquifier"].clone();
    assert!(after != before && after.as_str().is_some_and(|text| text.len() == 32), "{before} {after}");
    side.set_password("ann@example.com", PASSWORD);
    both_ways(&place.home, &server, &mut side, &variables, "ann@example.com").await;

    assert_eq!(
        post(&server, "/users/signup", "", json!({ "email": "bob@example.com", "password": PASSWORD })).await,
        201
    );
    let row = side.row("bob@example.com");
    assert_eq!(side.login("bob@example.com", PASSWORD), row["id"]);
    assert!(row["uniquifier"].as_str().is_some_and(|text| text.len() == 32), "{row}");
}

/// The walk of the book, beside a Django project that has an `ann`.
#[tokio::test]
async fn the_walk_of_the_book() {
    let place = Place::file("db.sqlite3");
    let home = &place.home;
    let mut side = place.start("django_side.py", &["0"]);
    side.create("ann", "a long enough passphrase");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/shared-table.md");
    let blocks = blocks(&std::fs::read_to_string(page).expect("the page"));
    let [before, after] = blocks.as_slice() else { panic!("{blocks:?}") };
    let program = program();
    let path = format!("{}:{}", program.parent().expect("a directory").display(), std::env::var("PATH").expect("PATH"));
    let run = |block: &str| {
        let mut bash = Command::new("bash");
        bash.args(["-c", &format!("set -euo pipefail\n{block}")]).current_dir(home.path());
        let ended = Ended::of(bash.env_clear().envs([("PATH", path.as_str()), BASE_URL]).output().expect("bash runs"));
        assert_eq!(ended.status, Some(0), "{ended:?}");
        ended.stdout
    };
    let said = run(before);
    assert!(said.contains("Accounts in auth_user: 1\n") && said.ends_with("All is well.\n"), "{said}");
    let variables = [("DATABASE_URL", "sqlite:///db.sqlite3"), ("MAPAE_USERS_PRESET", "django")];
    let server = Server::start_with(home, &[], &variables);
    let said = run(&after.replace("http://127.0.0.1:8080", &server.url));
    assert!(said.contains(r#""username":"ann""#) && said.ends_with("ann (1) holds me mapae:admin.\n"), "{said}");
}
