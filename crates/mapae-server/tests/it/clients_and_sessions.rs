//! `mapae client …` and `mapae session …` beside a running server, and refreshes on two servers over one database.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Barrier;

use crate::server::{PASSWORD, Server, now};
use crate::support::{Ended, Home};

fn ok(ended: &Ended) -> &str {
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    &ended.stdout
}

fn json(ended: &Ended) -> Value {
    serde_json::from_str(ok(ended)).expect("JSON")
}

fn fails(ended: &Ended, status: i32, part: &str) {
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(status), ""), "{ended:?}");
    assert!(ended.stderr.contains(part), "{part:?} in {}", ended.stderr);
}

/// A password grant of the client `web` with this secret.
fn form(secret: &str) -> [(&str, &str); 5] {
    [
        ("grant_type", "password"),
        ("username", "ada"),
        ("password", PASSWORD),
        ("client_id", "web"),
        ("client_secret", secret),
    ]
}

/// `POST /oauth2/token`; status and body.
async fn token(url: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let request = reqwest::Client::new().post(format!("{url}/oauth2/token")).form(form);
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

async fn refresh(url: &str, refresh_token: &str) -> (u16, Value) {
    token(url, &[("grant_type", "refresh_token"), ("refresh_token", refresh_token), ("client_id", "mapae")]).await
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

#[tokio::test]
async fn a_client_from_its_registration_to_its_removal() {
    let home = Home::migrated();
    home.add_user(&["ada"]);
    let server = Server::start(&home, &[]);
    let given = "a given secret of 2026";
    let add = ["client", "add", "--id", "web", "--confidential", "--secret-stdin"];
    let rest = ["--grants", "password,refresh_token", "--scopes", "me", "--access-token-seconds", "60"];
    let variables = [("MAPAE_ARGON2_MEMORY_KIB", "8")];
    let added = home.run_with_input(&[&add[..], &rest].concat(), &variables, &format!("{given}\n"));
    assert_eq!(added.stdout, "Registered the confidential client web.\n", "{added:?}");
    assert!(!added.stderr.contains(given));
    let (status, tokens) = token(&server.url, &form(given)).await;
    assert_eq!((status, &tokens["expires_in"], &tokens["scope"]), (200, &60.into(), &"me".into()), "{tokens}");

    let made = json(&home.beside(&["client", "rotate-secret", "web", "--json"]));
    let made = text(&made["client_secret"]);
    let until = async |what: &str, status: u16, secret: &str| {
        let deadline = now() + Duration::from_secs(2);
        while token(&server.url, &form(secret)).await.0 != status {
            assert!(now() < deadline, "{what} took no effect");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    until("another secret", 401, given).await;
    assert_eq!(token(&server.url, &form(&made)).await.0, 200);

    let shown = json(&home.beside(&["client", "show", "web", "--json"]));
    assert_eq!(
        (&shown["client_id"], &shown["confidential"], &shown["access_token_lifetime"]),
        (&"web".into(), &true.into(), &60.into())
    );
    assert!(shown.get("client_secret").is_none());
    assert!(ok(&home.beside(&["client", "show", "web"])).contains("Grants        password, refresh_token\n"));
    let api = ["client", "add", "--id", "api", "--confidential", "--audience", "https://api.example", "--json"];
    let api = json(&home.beside(&api));
    assert_eq!((&api["audiences"][0], &api["scope"]), (&"https://api.example".into(), &"".into()));
    assert!(text(&api["client_secret"]).starts_with("mcs_"));
    let job = ["client", "add", "--id", "job", "--confidential", "--grants", "client_credentials", "--scopes", "me"];
    let said = home.beside(&job);
    assert!(ok(&said).contains("Its secret, which is shown only now: mcs_"), "{}", said.stdout);
    assert_eq!(ok(&home.beside(&["client", "list"])).lines().count(), 3);
    fails(&home.beside(&job), 1, "There is a client with this id already.");
    fails(&home.beside(&["client", "add", "--id", "a b"]), 1, "A client id has 1 to 64 letters");
    fails(&home.beside(&["client", "add", "--id", "x", "--grants", "implicit"]), 1, "There is no grant \"implicit\"");
    fails(&home.beside(&["client", "add", "--id", "x", "--scopes", "unknown"]), 1, "`unknown` does not exist");
    fails(&home.beside(&["client", "show", "nobody"]), 1, "There is no client \"nobody\".");
    fails(&home.beside(&["client", "remove", "mapae"]), 1, "There is no client \"mapae\".");

    assert_eq!(ok(&home.beside(&["client", "remove", "web"])), "web is removed; its sessions have ended.\n");
    until("the removal", 401, &made).await;
    let access = text(&tokens["access_token"]);
    assert_eq!(server.status(&reqwest::Client::new(), "/users/me", &access).await, 401);
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let home = Home::migrated();
    home.add_user(&["ada"]);
    home.add_user(&["bob"]);
    let server = Server::start(&home, &[]);
    let sign_in = async |name: &str| server.sign_in(name, PASSWORD, "").await.1;
    let (ada, bob) = (sign_in("ada").await, sign_in("bob").await);
    let list = |arguments: &[&str]| {
        let listed = json(&home.beside(&[&["session", "list", "--json"], arguments].concat()));
        listed.as_array().expect("a list").clone()
    };
    assert_eq!((list(&[]).len(), list(&["--user", "ada"]).len()), (2, 1));
    let one = &list(&["--user", "ada"])[0];
    assert_eq!((&one["client_id"], &one["address"]), (&"mapae".into(), &"127.0.0.1".into()));
    assert_eq!(ok(&home.beside(&["session", "list"])).lines().count(), 2);

    let ended = |arguments: &[&str]| ok(&home.beside(&[&["session", "end"], arguments].concat())).to_owned();
    assert_eq!(ended(&[&text(&one["id"])]), "Ended 1 session.\n");
    fails(&home.beside(&["session", "end", &text(&one["id"])]), 1, "There is no such session");
    assert_eq!(refresh(&server.url, &text(&ada["refresh_token"])).await.0, 400);
    let client = reqwest::Client::new();
    let deadline = now() + Duration::from_secs(2);
    while server.status(&client, "/users/me", &text(&ada["access_token"])).await != 401 {
        assert!(now() < deadline, "the end took no effect");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(ended(&["--issued-before", "2020-01-01T00:00:00+09:00"]), "Ended 0 sessions.\n");
    assert_eq!(refresh(&server.url, &text(&bob["refresh_token"])).await.0, 200);
    assert_eq!(ended(&["--user", "bob"]), "Ended 1 session.\n");
    sign_in("ada").await;
    sign_in("bob").await;
    assert_eq!(ended(&["--issued-before", "2999-01-01T00:00:00Z"]), "Ended 2 sessions.\n");
    sign_in("ada").await;
    assert_eq!(ended(&["--all"]), "Ended 1 session.\n");
    assert_eq!(ok(&home.beside(&["session", "list"])), "There are no open sessions.\n");
    fails(&home.beside(&["session", "end", "--issued-before", "yesterday"]), 2, "a time of RFC 3339");
    fails(&home.beside(&["session", "end"]), 2, "required");
    fails(&home.beside(&["session", "end", "--all", "--user", "ada"]), 2, "cannot be used with");
    fails(&home.beside(&["session", "end", "--user", "nobody"]), 1, "There is no account \"nobody\"");
}

/// An application's own table, which a command cannot see, names its users by ids of its own.
#[tokio::test]
async fn sessions_of_an_applications_own_users_are_found_by_id() {
    use sea_orm::{ConnectionTrait, Database};

    let home = Home::migrated();
    home.add_user(&["ada"]);
    let server = Server::start(&home, &[]);
    server.sign_in("ada", PASSWORD, "").await;
    let url = format!("sqlite://{}", home.path().join("mapae-data/mapae.db").display());
    let database = Database::connect(url).await.expect("the database");
    database.execute_unprepared("UPDATE mapae_session SET user_id = '42'").await.expect("another table's user");
    let listed = json(&home.beside(&["session", "list", "--user", "42", "--json"]));
    assert_eq!(listed[0]["user_id"], "42");
    assert_eq!(ok(&home.beside(&["session", "end", "--user", "42"])), "Ended 1 session.\n");
    fails(&home.beside(&["session", "end", "--user", "42"]), 1, "There is no account \"42\"");
}

/// Two real processes over one file, and one of them killed in the middle.
#[tokio::test(flavor = "multi_thread")]
async fn two_servers_over_one_database_give_one_successor() {
    let home = Home::migrated();
    home.add_user(&["ada"]);
    let (one, mut other) = (Server::start(&home, &[]), Server::start(&home, &[]));
    let mut current = text(&one.sign_in("ada", PASSWORD, "").await.1["refresh_token"]);
    for round in 0..3 {
        let barrier = Arc::new(Barrier::new(64));
        let tasks: Vec<_> = (0..64)
            .map(|number| {
                let url = if number % 2 == 0 { one.url.clone() } else { other.url.clone() };
                let (barrier, current) = (barrier.clone(), current.clone());
                tokio::spawn(async move {
                    barrier.wait().await;
                    refresh(&url, &current).await
                })
            })
            .collect();
        let mut successors = BTreeSet::new();
        for task in tasks {
            let (status, tokens) = task.await.expect("no panic");
            assert_eq!(status, 200, "{tokens}");
            successors.insert(text(&tokens["refresh_token"]));
        }
        assert_eq!(successors.len(), 1, "round {round}");
        let successor = successors.into_iter().next().expect("one");
        // Killed with a refresh on its way: whether or not that was written, the retry elsewhere succeeds.
        let (url, shown) = (other.url.clone(), successor.clone());
        let cut = tokio::spawn(async move {
            let form = [("grant_type", "refresh_token"), ("refresh_token", &*shown), ("client_id", "mapae")];
            reqwest::Client::new().post(format!("{url}/oauth2/token")).form(&form).send().await.is_ok()
        });
        tokio::time::sleep(Duration::from_millis(2 * round)).await;
        other.kill();
        let _ = cut.await;
        let (status, tokens) = refresh(&one.url, &successor).await;
        assert_eq!(status, 200, "{tokens}");
        current = text(&tokens["refresh_token"]);
        other = Server::start(&home, &[]);
    }
    assert_eq!(refresh(&other.url, &current).await.0, 200);
}
