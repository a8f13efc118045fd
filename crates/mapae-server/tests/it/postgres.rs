//! Servers as nodes on one PostgreSQL database: on the server that `MAPAE_TEST_POSTGRES` names, which `cargo xtask test`
//! starts. Without it there is nothing to test here, and that is said.

use std::io::Write as _;
use std::time::Duration;

use reqwest::Client;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement};
use serde_json::{Value, json};

use crate::server::{BASE_URL, CHEAP, PASSWORD, Server, now};
use crate::support::{Ended, GOOD_KEY, Home, OTHER_KEY};

/// A change on one node must be seen on every other within this time.
const SEEN: Duration = Duration::from_secs(1);

/// A database of this test alone.
pub(crate) struct OwnDatabase {
    /// As superuser, on another database.
    server: DatabaseConnection,
    name: &'static str,
    pub(crate) url: String,
}

impl OwnDatabase {
    /// An empty one; `None` where there is no server to make it on.
    pub(crate) async fn new(name: &'static str) -> Option<Self> {
        let Ok(server) = std::env::var("MAPAE_TEST_POSTGRES") else {
            // Past the harness, which swallows what tests print.
            let _ = writeln!(std::io::stderr(), "note: not run without PostgreSQL: {name}; `cargo xtask test` does");
            return None;
        };
        // Whoever has it lets everybody in, so any password will do.
        let url = format!("{}/{name}", server.replacen("@", ":hunter2@", 1));
        let server = Database::connect(format!("{server}/postgres")).await.expect("PostgreSQL answers");
        let own = Self { server, name, url };
        own.run(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        own.run(&format!("CREATE DATABASE {name}")).await;
        Some(own)
    }

    async fn run(&self, sql: &str) {
        self.server.execute_unprepared(sql).await.expect(sql);
    }

    /// How many connections of a node are encrypted.
    async fn encrypted(&self) -> i64 {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND datname = '{}'",
            self.name
        );
        let statement = Statement::from_string(self.server.get_database_backend(), sql);
        let row = self.server.query_one_raw(statement).await.expect("an answer").expect("a row");
        row.try_get_by_index(0).expect("a number")
    }

    /// Cuts the connections of this name (`%` for all); how many there were.
    async fn cut(&self, application: &str) -> i64 {
        let sql = format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE datname = '{}' AND application_name LIKE '{application}'",
            self.name
        );
        let statement = Statement::from_string(self.server.get_database_backend(), sql);
        let row = self.server.query_one_raw(statement).await.expect("an answer").expect("a row");
        row.try_get_by_index(0).expect("a number")
    }

    fn variables(&self) -> [(&str, &str); 3] {
        [("DATABASE_URL", &self.url), ("MAPAE_MASTER_KEY", GOOD_KEY), ("MAPAE_SIGNUP", "open")]
    }

    fn node(&self) -> Server {
        Server::start(&Home::new(), &self.variables())
    }

    /// A command as beside [`Self::node`].
    fn command(&self, arguments: &[&str]) -> Ended {
        Home::new().run(arguments, &[&CHEAP[..], &[BASE_URL], &self.variables()].concat())
    }

    /// Makes it empty, as before a backup is restored.
    pub(crate) async fn empty(&self) {
        self.run(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
        self.run(&format!("CREATE DATABASE {}", self.name)).await;
    }

    pub(crate) async fn drop(self) {
        self.run(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }
}

async fn sign_up(node: &Server, name: &str) {
    let body = json!({ "username": name, "password": PASSWORD });
    let answer = Client::new().post(format!("{}/users/signup", node.url)).json(&body).send().await.expect("an answer");
    assert_eq!(answer.status(), 201, "{name}");
}

async fn token(node: &Server, name: &str) -> String {
    let (status, body) = node.sign_in(name, PASSWORD, "").await;
    assert_eq!(status, 200, "{body}");
    body["access_token"].as_str().expect("a token").to_owned()
}

/// How long it takes until the node answers this token so.
async fn until(node: &Server, token: &str, status: u16) -> Duration {
    let (client, began) = (Client::new(), now());
    while node.status(&client, "/users/me", token).await != status {
        assert!(began.elapsed() < Duration::from_secs(20), "it never answers {status}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_takes_the_key_that_it_is_given() {
    let Some(database) = OwnDatabase::new("first_start").await else { return };
    let home = Home::new();
    let keyless = [database.variables()[0]];
    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["db", "migrate"]] {
        let refused = home.run(arguments, &keyless);
        assert_eq!((refused.status, refused.stdout.as_str()), (Some(1), ""), "{refused:?}");
        for part in
            ["master key is not given", "every node needs the same", "mapae secret generate", "MAPAE_MASTER_KEY"]
        {
            assert!(refused.stderr.contains(part), "{refused:?}");
        }
    }
    let empty = database.command(&["user", "list"]);
    assert!(empty.status == Some(1) && empty.stderr.contains("mapae db migrate"), "{empty:?}");

    let mut node = Server::start(&home, &database.variables());
    let shown = node.listening["database"].as_str().expect("a URL");
    assert!(shown.starts_with("postgres://mapae:") && shown.ends_with("/first_start"), "{shown}");
    sign_up(&node, "ada").await;
    assert_eq!(until(&node, &token(&node, "ada").await, 200).await.as_secs(), 0);
    assert_eq!(std::fs::read_dir(home.path()).expect("readable").count(), 0, "nothing is kept on the node");

    let listed = database.command(&["user", "list", "--json"]);
    let users: Vec<Value> = serde_json::from_str(&listed.stdout).unwrap_or_else(|_| panic!("{listed:?}"));
    assert_eq!(users[0]["username"], "ada");
    assert_eq!(database.command(&["db", "check"]).status, Some(0));
    assert_eq!(database.command(&["db", "migrate"]).stdout, "The database is up to date.\n");
    let settings = database.command(&["config", "show"]);
    node.stop();
    let said = format!("{:?}{}{}{}", node.log(), node.stdout(), settings.stdout, settings.stderr);
    assert!(said.contains("/first_start") && !said.contains("hunter2"), "{said}");

    let other = [database.variables()[0], ("MAPAE_MASTER_KEY", OTHER_KEY)];
    let refused = home.run(&["serve", "--listen", "127.0.0.1:0"], &other);
    assert!(refused.stderr.contains("is not the one that the database was made with"), "{refused:?}");
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_does_the_other_sees() {
    let Some(database) = OwnDatabase::new("two_nodes").await else { return };
    let (one, other) = (database.node(), database.node());
    let (client, mut took) = (Client::new(), Vec::new());
    for round in 0..6_u64 {
        let name = format!("user{round}");
        sign_up(&one, &name).await;
        let (leaving, staying) = (token(&one, &name).await, token(&other, &name).await);
        // Twice, so that both are remembered over there.
        for _ in 0..2 {
            assert_eq!(other.status(&client, "/users/me", &leaving).await, 200);
            assert_eq!(one.status(&client, "/users/me", &staying).await, 200);
        }
        // In the second half nobody hears of changes at once.
        if round >= 3 {
            assert!(database.cut("mapae listen").await > 0, "both listen");
        }
        let answer =
            client.post(format!("{}/users/signout", one.url)).bearer_auth(&leaving).send().await.expect("an answer");
        assert_eq!(answer.status(), 204);
        took.push((round, "signed out", until(&other, &leaving, 401).await));
        assert_eq!(other.status(&client, "/users/me", &staying).await, 200);

        tokio::time::sleep(Duration::from_millis(67 * round)).await;
        if round >= 3 {
            database.cut("mapae listen").await;
        }
        let disabled = database.command(&["user", "disable", &name]);
        assert_eq!(disabled.status, Some(0), "{disabled:?}");
        took.push((round, "disabled", until(&one, &staying, 401).await));
        assert_eq!(other.sign_in(&name, PASSWORD, "").await.0, 401);
    }
    println!("until the other node refused: {took:?}");
    assert!(took.iter().all(|(.., time)| *time < SEEN), "{took:?}");
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_that_start_at_once_make_one_service() {
    let Some(database) = OwnDatabase::new("ten_at_once").await else { return };
    let nodes: Vec<Server> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..10).map(|_| scope.spawn(|| database.node())).collect();
        starts.into_iter().map(|start| start.join().expect("it comes up")).collect()
    });
    let keys = database.command(&["key", "list", "--json"]);
    let keys: Vec<Value> = serde_json::from_str(&keys.stdout).unwrap_or_else(|_| panic!("{keys:?}"));
    assert_eq!(keys.len(), 2, "one that signs and the next: {keys:?}");
    sign_up(&nodes[0], "ada").await;
    let token = token(&nodes[9], "ada").await;
    for node in &nodes {
        assert_eq!(node.status(&Client::new(), "/users/me", &token).await, 200);
    }
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_survives_the_loss_of_its_database() {
    let Some(database) = OwnDatabase::new("lost").await else { return };
    let node = database.node();
    sign_up(&node, "ada").await;
    let token = token(&node, "ada").await;
    let client = Client::new();
    // Cut while it works: at worst a request is told to come again.
    for _ in 0..3 {
        assert!(database.cut("mapae%").await > 0);
        let (status, body) = node.sign_in("ada", PASSWORD, "").await;
        assert!([200, 503].contains(&status), "{status} {body}");
        assert!(until(&node, &token, 200).await < Duration::from_secs(2));
    }

    database.run("ALTER DATABASE lost ALLOW_CONNECTIONS false").await;
    database.cut("mapae%").await;
    until(&node, &token, 503).await;
    let answer = client.get(format!("{}/users/me", node.url)).bearer_auth(&token).send().await.expect("an answer");
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "2");
    assert_eq!(node.status(&client, "/health/ready", "").await, 503);
    assert_eq!(node.status(&client, "/health/live", "").await, 200);
    assert_eq!(node.sign_in("ada", PASSWORD, "").await.0, 503);

    database.run("ALTER DATABASE lost ALLOW_CONNECTIONS true").await;
    let back = until(&node, &token, 200).await;
    assert!(back < Duration::from_secs(2), "{back:?}");
    assert_eq!(node.status(&client, "/health/ready", "").await, 200);
    database.drop().await;
}

/// As on a stand-by, where the same setting of each transaction is on.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_database_takes_no_writes_is_not_ready() {
    let Some(database) = OwnDatabase::new("stand_by").await else { return };
    let node = database.node();
    sign_up(&node, "ada").await;
    let (client, url) = (Client::new(), format!("{}/health/ready", node.url));
    let until_ready_is = async |status: u16, body: Value| {
        let began = now();
        loop {
            let answer = client.get(&url).send().await.expect("an answer");
            let answer = (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"));
            if answer == (status, body.clone()) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(5), "{answer:?} is not {status} {body}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    until_ready_is(200, json!({ "status": "ready", "database": "ok" })).await;
    database.run("ALTER DATABASE stand_by SET default_transaction_read_only = on").await;
    database.cut("mapae%").await;
    until_ready_is(503, json!({ "status": "unavailable", "database": "read-only" })).await;
    assert_eq!(node.sign_in("ada", PASSWORD, "").await.0, 503);
    assert_eq!(node.status(&client, "/health/live", "").await, 200);
    database.run("ALTER DATABASE stand_by RESET default_transaction_read_only").await;
    database.cut("mapae%").await;
    until_ready_is(200, json!({ "status": "ready", "database": "ok" })).await;
    assert_eq!(node.sign_in("ada", PASSWORD, "").await.0, 200);
    database.drop().await;
}

/// A backup, or a stand-by that did not have everything, gives out numbers in the log of changes that a node has seen.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_hears_of_changes_after_its_database_was_set_back() {
    let Some(database) = OwnDatabase::new("set_back").await else { return };
    let mut before = database.node();
    for name in ["ada", "bob"] {
        sign_up(&before, name).await;
    }
    let token = token(&before, "ada").await;
    before.stop();
    database.run("DROP DATABASE IF EXISTS set_back_copy WITH (FORCE)").await;
    database.run("CREATE DATABASE set_back_copy TEMPLATE set_back").await;

    let node = database.node();
    for verb in ["disable", "enable", "disable", "enable"] {
        let changed = database.command(&["user", verb, "bob"]);
        assert_eq!(changed.status, Some(0), "{changed:?}");
    }
    until(&node, &token, 200).await;
    database.run("DROP DATABASE set_back WITH (FORCE)").await;
    until(&node, &token, 503).await;
    database.run("CREATE DATABASE set_back TEMPLATE set_back_copy").await;
    until(&node, &token, 200).await;
    // Remembered, so that only the log tells.
    tokio::time::sleep(SEEN).await;
    assert_eq!(node.status(&Client::new(), "/users/me", &token).await, 200);
    let disabled = database.command(&["user", "disable", "ada"]);
    assert_eq!(disabled.status, Some(0), "{disabled:?}");
    let took = until(&node, &token, 401).await;
    assert!(took < SEEN, "{took:?}");
    database.run("DROP DATABASE set_back_copy WITH (FORCE)").await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_certificate_is_checked() {
    let Some(database) = OwnDatabase::new("certified").await else { return };
    let authority = std::env::var("MAPAE_TEST_POSTGRES_CA").expect("who vouches for it");
    let start = |host: &str, parameters: &str| {
        let url = format!("{}?{parameters}", database.url.replacen("127.0.0.1", host, 1));
        let home = Home::new();
        home.run(&["db", "migrate"], &[("DATABASE_URL", &url), ("MAPAE_MASTER_KEY", GOOD_KEY)])
    };
    let known = format!("sslrootcert={authority}&sslmode=");
    for (host, parameters, why) in [
        ("127.0.0.1", format!("{known}verify-full"), "another name"),
        ("localhost", "sslmode=verify-full".to_owned(), "nobody vouches for it"),
        ("localhost", "sslmode=verify-ca".to_owned(), "nobody vouches for it"),
    ] {
        let refused = start(host, &parameters);
        assert_eq!((refused.status, refused.stdout.as_str()), (Some(1), ""), "{why}: {refused:?}");
        assert!(refused.stderr.contains("certificate") && !refused.stderr.contains("hunter2"), "{why}: {refused:?}");
    }
    let good = start("localhost", &format!("{known}verify-full"));
    assert_eq!(good.status, Some(0), "{good:?}");

    let url = format!("{}?{known}verify-full", database.url.replacen("127.0.0.1", "localhost", 1));
    let node = Server::start(&Home::new(), &[("DATABASE_URL", &url), ("MAPAE_MASTER_KEY", GOOD_KEY)]);
    let began = now();
    while database.encrypted().await < 2 {
        assert!(began.elapsed() < Duration::from_secs(10), "it looks and listens in secret");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(node);
    database.drop().await;
}

/// The library that shows a process another time of day, where Debian puts it.
pub(crate) fn faketime() -> Option<String> {
    let directories = std::fs::read_dir("/usr/lib").ok()?.filter_map(Result::ok);
    let files = directories.map(|directory| directory.path().join("faketime/libfaketimeMT.so.1"));
    Some(files.into_iter().find(|file| file.exists())?.display().to_string())
}

/// When a token was issued, in seconds since 1970.
fn issued_at(token: &str) -> i64 {
    let payload = token.split('.').nth(1).expect("a JWT");
    let payload = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(payload).expect("base64url");
    let claims: Value = serde_json::from_slice(&payload).expect("JSON");
    claims["iat"].as_i64().expect("a time")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wall_clock_that_jumps_changes_nothing() {
    let Some(database) = OwnDatabase::new("jumping").await else { return };
    let library = faketime().expect("libfaketime, of Debian's package faketime");
    let home = Home::new().with("time", "+120s");
    let time = home.path().join("time");
    let fake = [
        ("LD_PRELOAD", library.as_str()),
        ("FAKETIME_TIMESTAMP_FILE", time.to_str().expect("UTF-8")),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
    ];
    let jumping = Server::start(&home, &[&database.variables()[..], &fake].concat());
    let other = database.node();
    sign_up(&other, "ada").await;
    let client = Client::new();
    for jump in [120, -120, 120, 0] {
        std::fs::write(&time, format!("{jump:+}s")).expect("written");
        tokio::time::sleep(Duration::from_millis(400)).await;
        let (here, there) = (token(&jumping, "ada").await, token(&other, "ada").await);
        let apart = issued_at(&here) - issued_at(&there);
        assert!(apart.abs() <= 1, "{jump}: {apart} s apart");
        for node in [&jumping, &other] {
            for token in [&here, &there] {
                assert_eq!(node.status(&client, "/users/me", token).await, 200, "{jump}");
            }
        }
        // Its log has the wrong time, so it does jump.
        let logged = jumping.log().last().expect("a line")["timestamp"].as_str().expect("a time").to_owned();
        let logged = chrono::DateTime::parse_from_rfc3339(&logged).expect("RFC 3339").timestamp();
        assert!((logged - issued_at(&there) - jump).abs() < 30, "{jump}: {logged}");
    }
    database.drop().await;
}
