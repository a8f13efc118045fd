//! Several first starts in one directory at the same instant.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Barrier;

use serde_json::{Value, json};

use crate::server::{PASSWORD, Server};
use crate::support::{Ended, Home};

const SERVERS: usize = 4;
const ROUNDS: usize = 5;

/// Starts servers at the same instant; all must come up.
fn start_together(home: &Home, count: usize, barrier: &Barrier) -> Vec<Server> {
    std::thread::scope(|scope| {
        let starts: Vec<_> = (0..count)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    Server::start(home, &[])
                })
            })
            .collect();
        starts.into_iter().map(|start| start.join().expect("the server comes up")).collect()
    })
}

async fn sign_up(server: &Server, name: &str) {
    let body = json!({ "username": name, "password": PASSWORD });
    let request = reqwest::Client::new().post(format!("{}/users/signup", server.url)).json(&body);
    assert_eq!(request.send().await.expect("an answer").status(), 201, "{name}");
}

fn users(home: &Home) -> BTreeSet<String> {
    let listed = home.beside(&["user", "list", "--json"]);
    assert_eq!(listed.status, Some(0), "{listed:?}");
    let users: Vec<Value> = serde_json::from_str(&listed.stdout).expect("JSON");
    users.iter().map(|user| user["username"].as_str().expect("a name").to_owned()).collect()
}

fn assert_no_locks_are_left(data: &Path) {
    for entry in std::fs::read_dir(data).expect("readable") {
        let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
        assert!(name == "master.key" || name.starts_with("mapae.db"), "{name}");
        assert!(!name.ends_with("lock"), "{name}");
    }
}

#[tokio::test]
async fn all_come_up_and_are_one_service() {
    for round in 0..ROUNDS {
        let home = Home::new();
        let servers = start_together(&home, SERVERS, &Barrier::new(SERVERS));
        let first = servers.iter().filter(|server| server.listening["first_start"] == true).count();
        assert_eq!(first, 1, "round {round}: one of them made everything");
        for (number, server) in servers.iter().enumerate() {
            sign_up(server, &format!("user{number}")).await;
        }
        let client = reqwest::Client::new();
        for (number, server) in servers.iter().enumerate() {
            let (status, body) = server.sign_in(&format!("user{}", (number + 1) % SERVERS), PASSWORD, "").await;
            assert_eq!(status, 200, "round {round}: {body}");
            let token = body["access_token"].as_str().expect("a token");
            for other in &servers {
                assert_eq!(other.status(&client, "/users/me", token).await, 200, "round {round}");
            }
        }
        for mut server in servers {
            server.stop();
        }
        let checked = home.beside(&["db", "check"]);
        assert_eq!(checked.status, Some(0), "round {round}: {checked:?}");
        assert_no_locks_are_left(&home.path().join("mapae-data"));
    }
}

/// A start that cannot succeed, and that has made everything by the time it finds out.
fn fail(home: &Home, variables: &[(&str, &str)]) {
    let weak = [("MAPAE_ADMIN_EMAIL", "ada@example.com"), ("MAPAE_ADMIN_PASSWORD_FILE", "weak")];
    let ended = home.run(&["serve", "--listen", "127.0.0.1:0"], &[variables, &weak].concat());
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.stderr.contains("MAPAE_ADMIN_EMAIL cannot be made"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_fails_takes_nothing_away_from_others() {
    const FAILING: usize = 2;
    const GOOD: usize = 2;
    for round in 0..ROUNDS {
        let home = Home::new().with("weak", "password").with("good", PASSWORD);
        let barrier = Barrier::new(FAILING + GOOD + 1);
        let (home, barrier) = (&home, &barrier);
        let (servers, added) = std::thread::scope(|scope| {
            let failing: Vec<_> = (0..FAILING)
                .map(|_| {
                    scope.spawn(move || {
                        barrier.wait();
                        fail(home, &[]);
                    })
                })
                .collect();
            // Commands use the database as soon as there is one.
            let adding = scope.spawn(move || {
                barrier.wait();
                let mut added = Vec::new();
                while added.len() < 2 || !failing.iter().all(|start| start.is_finished()) {
                    let name = format!("added{}", added.len());
                    let ended = add(home, &name);
                    match ended.status {
                        Some(0) => added.push(name),
                        _ => assert!(ended.stderr.contains("There is no database"), "{ended:?}"),
                    }
                }
                added
            });
            (start_together(home, GOOD, barrier), adding.join().expect("accounts are added"))
        });
        for (number, server) in servers.iter().enumerate() {
            sign_up(server, &format!("user{number}")).await;
        }
        // By now the tables are there for good, so this one has nothing to take back.
        fail(home, &[]);
        for (number, server) in servers.iter().enumerate() {
            sign_up(server, &format!("late{number}")).await;
        }
        for mut server in servers {
            server.stop();
        }

        let mut answered: BTreeSet<_> = added.into_iter().collect();
        answered.extend((0..GOOD).flat_map(|number| [format!("user{number}"), format!("late{number}")]));
        assert_eq!(users(home), answered, "round {round}");
        assert_eq!(Server::start(home, &[]).sign_in("user0", PASSWORD, "").await.0, 200, "round {round}");
        assert_no_locks_are_left(&home.path().join("mapae-data"));
    }
}

fn add(home: &Home, name: &str) -> Ended {
    let arguments = ["user", "add", name, "--password-stdin"];
    let mut command = home.command(&arguments, &[("MAPAE_ARGON2_MEMORY_KIB", "8")]);
    // A file: without a database the password is not even read.
    let password = std::fs::File::open(home.path().join("good")).expect("the file");
    Ended::of(command.stdin(password).output().expect("mapae runs"))
}

#[tokio::test(flavor = "multi_thread")]
async fn data_directories_that_share_a_database_share_its_lock() {
    use crate::support::GOOD_KEY;

    let shared = [("DATABASE_URL", "sqlite:///shared.db"), ("MAPAE_MASTER_KEY", GOOD_KEY)];
    for round in 0..ROUNDS {
        let home = Home::new().with("weak", "password");
        let barrier = Barrier::new(2);
        let server = std::thread::scope(|scope| {
            scope.spawn(|| {
                barrier.wait();
                fail(&home, &[&shared[..], &[("MAPAE_DATA_DIR", "one")]].concat());
            });
            barrier.wait();
            Server::start(&home, &[&shared[..], &[("MAPAE_DATA_DIR", "two")]].concat())
        });
        sign_up(&server, "ada").await;
        let listed = home.run(&["user", "list"], &[&shared[..], &[("MAPAE_DATA_DIR", "two")]].concat());
        assert!(listed.stdout.contains("ada"), "round {round}: {listed:?}");
        assert!(!home.path().join("one").exists() && !home.path().join("shared.db-lock").exists());
    }
}
