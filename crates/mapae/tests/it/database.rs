//! The database of a test: a file in a temporary directory, or, where `MAPAE_TEST_ENGINE=postgres`, one of its own on the
//! server that `MAPAE_TEST_POSTGRES` names, to which nodes go by way of `MAPAE_TEST_POOLER` if that is set. `cargo xtask
//! test` starts such a server and runs these tests on both, and once more through PgBouncer.

use std::ffi::OsStr;
use std::io::Write as _;
use std::ops::Deref;
use std::path::Path;
use std::sync::{LazyLock, mpsc};

use mapae::store::{DatabaseOptions, Migrate, Store};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;

/// The server on which each test makes a database, if these tests run on PostgreSQL.
static SERVER: LazyLock<Option<String>> = LazyLock::new(|| {
    let engine = std::env::var("MAPAE_TEST_ENGINE").unwrap_or_else(|_| "sqlite".to_owned());
    match engine.as_str() {
        "sqlite" => None,
        "postgres" => Some(std::env::var("MAPAE_TEST_POSTGRES").expect("MAPAE_TEST_POSTGRES names the server")),
        other => panic!("MAPAE_TEST_ENGINE is {other}, but must be sqlite or postgres"),
    }
});

/// The way of nodes to it through a pooler, if they go through one. Databases are made and looked into without it.
static POOLER: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("MAPAE_TEST_POOLER").ok());

/// On this machine nothing is gained by encrypting.
const PLAIN: &str = "?sslmode=disable";

/// Whether these tests run on PostgreSQL.
pub(crate) fn is_postgres() -> bool {
    SERVER.is_some()
}

/// Whether the database is a file; what is tested of the file itself has no meaning on a server, and is said to be left
/// out there.
pub(crate) fn is_file(test: &str) -> bool {
    if is_postgres() {
        say(&format!("left out on PostgreSQL, since it is about SQLite's file: {test}"));
    }
    !is_postgres()
}

/// The database that belongs to this directory.
pub(crate) fn url(directory: &Path) -> String {
    match &*SERVER {
        None => format!("sqlite://{}", directory.join("mapae.db").display()),
        Some(server) => made(server, directory, true),
    }
}

fn made(server: &str, directory: &Path, migrated: bool) -> String {
    let (name, (reply, made)) = (name(directory), mpsc::channel());
    KEEPER.send(Order::Make { name: name.clone(), migrated, reply }).expect("the keeper runs");
    made.recv().expect("the database is made");
    format!("{server}/{name}{PLAIN}")
}

/// The same as a node is told of it: by way of the pooler, if these tests go through one, and past it.
pub(crate) fn options(directory: &Path) -> DatabaseOptions {
    let direct = url(directory);
    match (SERVER.as_deref(), pooler()) {
        (Some(server), Some(pooler)) => DatabaseOptions {
            direct_url: Some(direct.clone()),
            ..DatabaseOptions::new(direct.replacen(server, pooler, 1))
        },
        _ => DatabaseOptions::new(direct),
    }
}

/// The way to the server through a pooler, if these tests go through one.
pub(crate) fn pooler() -> Option<&'static str> {
    POOLER.as_deref()
}

/// A temporary directory; the database that belongs to it goes with it.
pub(crate) struct Directory(TempDir);

impl Directory {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub(crate) fn url(&self) -> String {
        url(self.path())
    }

    pub(crate) fn options(&self) -> DatabaseOptions {
        options(self.path())
    }

    /// The same, if it is the first to be asked for, without tables.
    pub(crate) fn empty_url(&self) -> String {
        SERVER.as_ref().map_or_else(|| self.url(), |server| made(server, self.path(), false))
    }
}

impl Deref for Directory {
    type Target = TempDir;

    fn deref(&self) -> &TempDir {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if is_postgres() {
            let _ = KEEPER.send(Order::Drop(name(self.path())));
        }
    }
}

/// Temporary names differ in the case of their letters too, which those of databases do not.
fn name(directory: &Path) -> String {
    let last = directory.file_name().unwrap_or(OsStr::new("")).as_encoded_bytes();
    last.iter().fold("test_".to_owned(), |name, byte| format!("{name}{byte:02x}"))
}

enum Order {
    Make { name: String, migrated: bool, reply: mpsc::Sender<()> },
    Drop(String),
}

/// Makes and drops databases in a thread of its own, one after the other: tests come and go with their runtimes.
static KEEPER: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
    let (sender, orders) = mpsc::channel();
    let server = SERVER.clone().expect("only on PostgreSQL");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(keep(&server, &orders));
    });
    sender
});

async fn keep(server: &str, orders: &mpsc::Receiver<Order>) {
    let template = format!("template_{}", std::process::id());
    let mut connection = PgConnection::connect(&format!("{server}/postgres{PLAIN}")).await.expect("the server answers");
    run(&mut connection, format!("CREATE DATABASE {template}")).await.expect("the template is made");
    Store::migrate(format!("{server}/{template}{PLAIN}"), false, Migrate::Apply)
        .await
        .expect("the template is migrated");
    let mut made = std::collections::HashSet::new();
    for order in orders {
        match order {
            Order::Make { name, migrated, reply } => {
                if made.insert(name.clone()) {
                    let template = if migrated { &template } else { "template0" };
                    let made = run(&mut connection, format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
                    made.expect("the database is made");
                }
                let _ = reply.send(());
            }
            Order::Drop(name) => {
                if made.remove(&name) {
                    // What a test has left running loses its connections.
                    let _ = run(&mut connection, format!("DROP DATABASE {name} WITH (FORCE)")).await;
                }
            }
        }
    }
}

async fn run(connection: &mut PgConnection, sql: String) -> Result<(), sqlx::Error> {
    connection.execute(AssertSqlSafe(sql)).await.map(drop)
}

/// Past the harness, which swallows what tests print.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "note: {text}");
}

#[test]
fn what_runs_here_is_said() {
    if !is_postgres() && std::env::var_os("MAPAE_TEST_POSTGRES").is_none() {
        say("these tests ran on SQLite only; `cargo xtask test` starts a PostgreSQL server and runs them on both");
    }
}
