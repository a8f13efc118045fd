//! `mapae db backup`, beside a server that is busy.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::everything::{sql, text, token_endpoint};
use crate::server::{PASSWORD, Server, now};
use crate::support::{Ended, Home};

/// People who sign up, and whose sessions are refreshed, at the same time.
const PEOPLE: usize = 4;

fn refused(ended: &Ended, part: &str) {
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.stderr.contains(part), "{part:?} is not in {}", ended.stderr);
}

async fn refresh(server: &Server, token: &str) -> (u16, Value) {
    token_endpoint(server, &[("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", "mapae")]).await
}

/// What was answered so far, and what ends it.
struct Load {
    answered: Arc<Mutex<Vec<String>>>,
    over: Arc<AtomicBool>,
    people: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn begin(server: &Arc<Server>) -> Self {
        let (answered, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let people = (0..PEOPLE).map(|person| {
            let (server, answered, over) = (Arc::clone(server), Arc::clone(&answered), Arc::clone(&over));
            tokio::spawn(async move {
                let client = reqwest::Client::new();
                for number in 0.. {
                    let name = format!("p{person}n{number}");
                    let body = json!({ "username": name, "password": PASSWORD });
                    let signup = client.post(format!("{}/users/signup", server.url)).json(&body).send().await;
                    assert_eq!(signup.expect("an answer").status(), 201, "{name}");
                    answered.lock().expect("no panic").push(name.clone());
                    let (_, tokens) = server.sign_in(&name, PASSWORD, "").await;
                    assert_eq!(refresh(&server, &text(&tokens["refresh_token"])).await.0, 200);
                    if over.load(Ordering::SeqCst) {
                        return;
                    }
                }
            })
        });
        Self { people: people.collect(), answered, over }
    }

    fn answered(&self) -> Vec<String> {
        self.answered.lock().expect("no panic").clone()
    }

    async fn until(&self, count: usize) {
        let deadline = now() + Duration::from_secs(30);
        while self.answered().len() < count {
            assert!(now() < deadline, "people cannot sign up");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn end(self) -> usize {
        self.over.store(true, Ordering::SeqCst);
        for person in self.people {
            person.await.expect("nothing failed");
        }
        self.answered.lock().expect("no panic").len()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_beside_a_busy_server_holds_what_was_answered() {
    let home = Home::new();
    home.run(&["db", "migrate"], &[]);
    home.add_user(&["ada"]);
    let server = Arc::new(Server::start(&home, &[("MAPAE_SIGNUP", "open")]));
    let (_, ada) = server.sign_in("ada", PASSWORD, "").await;
    let load = Load::begin(&server);
    let mut backups = Vec::new();
    for number in 0..3 {
        load.until(load.answered().len() + 8).await;
        let before = load.answered();
        let name = format!("copy{number}.db");
        let took = home.run(&["db", "backup", &name], &[]);
        assert_eq!((took.status, took.stderr.as_str()), (Some(0), ""), "{took:?}");
        let key = home.path().join("mapae-data/master.key").display().to_string();
        assert!(took.stdout.contains("The master key is not in it") && took.stdout.contains(&key), "{took:?}");
        let mode = std::fs::metadata(home.path().join(&name)).expect("the backup").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        backups.push((name, before));
    }
    // Its generations move on, past those in the backups.
    let mut token = text(&ada["refresh_token"]);
    for _ in 0..3 {
        let (status, next) = refresh(&server, &token).await;
        assert_eq!(status, 200, "{next}");
        token = text(&next["refresh_token"]);
    }
    let all = load.end().await;
    drop(server);
    let left: Vec<_> = std::fs::read_dir(home.path()).expect("readable").filter_map(Result::ok).collect();
    assert!(left.iter().all(|entry| !entry.file_name().to_string_lossy().ends_with(".part")), "{left:?}");

    for (name, before) in &backups {
        let database = format!("sqlite:///{name}");
        let variables = [("DATABASE_URL", database.as_str())];
        let checked = home.run(&["db", "check"], &variables);
        assert_eq!(checked.status, Some(0), "{checked:?}");
        let listed = home.run(&["user", "list", "--json"], &variables);
        let listed: Vec<Value> = serde_json::from_str(&listed.stdout).unwrap_or_else(|_| panic!("{listed:?}"));
        let names: HashSet<&str> = listed.iter().filter_map(|user| user["username"].as_str()).collect();
        let lost: Vec<_> = before.iter().filter(|name| !names.contains(name.as_str())).collect();
        assert!(lost.is_empty() && before.len() >= 8, "answered, but not in {name}: {lost:?}");
    }
    println!("{all} sign-ups; in the backups {:?}", backups.iter().map(|(_, before)| before.len()).collect::<Vec<_>>());

    let database = format!("sqlite:///{}", backups[0].0);
    let restored = Server::start(&home, &[("DATABASE_URL", database.as_str())]);
    let (status, next) = refresh(&restored, &token).await;
    assert_eq!(status, 200, "a session of before the backup goes on: {next}");
    let client = reqwest::Client::new();
    assert_eq!(restored.status(&client, "/users/me", &text(&next["access_token"])).await, 200);
    assert_eq!(restored.sign_in(&backups[0].1[0], PASSWORD, "").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_backed_up_says_so() {
    let home = Home::new();
    refused(&home.run(&["db", "backup", "copy.db"], &[]), "There is no database");
    assert!(!home.path().join("copy.db").exists());
    assert_eq!(home.run(&["db", "migrate"], &[]).status, Some(0));
    std::fs::write(home.path().join("there.db"), "precious").expect("written");
    for name in ["there.db", "mapae-data", "mapae-data/mapae.db", "mapae-data/master.key"] {
        refused(&home.run(&["db", "backup", name], &[]), "is there already, and is not replaced");
    }
    assert_eq!(std::fs::read_to_string(home.path().join("there.db")).expect("the file"), "precious");
    refused(&home.run(&["db", "backup", "no-such-place/copy.db"], &[]), "does not exist");
    refused(&home.run(&["db", "backup", "there.db/copy.db"], &[]), "cannot be written");

    let server = [("DATABASE_URL", "postgres://ann:hunter2@db.example/app?sslmode=require")];
    let ended = home.run(&["db", "backup", "copy.dump"], &server);
    let command = "pg_dump --format=custom --file=copy.dump 'postgres://ann@db.example/app?sslmode=require'";
    refused(&ended, command);
    assert!(!ended.stderr.contains("hunter2"), "{ended:?}");

    std::fs::write(home.path().join("text.db"), "no database at all, but long enough to be one").expect("written");
    refused(&home.run(&["db", "backup", "copy.db"], &[("DATABASE_URL", "sqlite:///text.db")]), "not a database");
    sql(&format!("sqlite://{}?mode=rwc", home.path().join("theirs.db").display()), "CREATE TABLE orders (id INTEGER)")
        .await;
    refused(
        &home.run(&["db", "backup", "copy.db"], &[("DATABASE_URL", "sqlite:///theirs.db")]),
        "another program (orders)",
    );
    let left: Vec<_> = std::fs::read_dir(home.path()).expect("readable").filter_map(Result::ok).collect();
    assert!(!left.iter().any(|entry| entry.file_name().to_string_lossy().contains("copy.db")), "{left:?}");
    // Of an older or newer version all the same: that is when it is wanted.
    let newer = "INSERT INTO mapae_migrations VALUES ('m9999_future', 0)";
    sql(&format!("sqlite://{}", home.path().join("mapae-data/mapae.db").display()), newer).await;
    assert_eq!(home.run(&["db", "backup", "copy.db"], &[]).status, Some(0));
}
