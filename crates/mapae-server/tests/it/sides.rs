//! Real Django, fastapi-users and others as processes, on one database with us or on one of their own.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::postgres::OwnDatabase;
use crate::programs::python;
use crate::support::{GOOD_KEY, Home};

/// The database that they use, and a directory to run in.
pub(crate) struct Place {
    pub(crate) home: Home,
    /// A file in that directory, or the URL of a database of this test alone.
    pub(crate) theirs: String,
    url: String,
    server: Option<OwnDatabase>,
}

impl Place {
    /// A SQLite file of this name.
    pub(crate) fn file(name: &str) -> Self {
        let home = Home::new();
        let theirs = home.path().join(name).to_str().expect("UTF-8").to_owned();
        Self { home, theirs, url: format!("sqlite:///{name}"), server: None }
    }

    /// A PostgreSQL database of this name; `None` where there is no server to make it on.
    pub(crate) async fn postgres(name: &'static str) -> Option<Self> {
        let server = OwnDatabase::new(name).await?;
        let url = server.url.clone();
        Some(Self { home: Home::new(), theirs: url.clone(), url, server: Some(server) })
    }

    /// Settings for a server on the same database, and these.
    pub(crate) fn variables<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let mut variables = vec![("DATABASE_URL", self.url.as_str()), ("MAPAE_SIGNUP", "open")];
        // Beside a file it is made.
        variables.extend(self.server.as_ref().map(|_| ("MAPAE_MASTER_KEY", GOOD_KEY)));
        variables.extend(more);
        variables
    }

    /// The database as a URL.
    pub(crate) fn theirs_as_url(&self) -> String {
        if self.server.is_some() { self.theirs.clone() } else { format!("sqlite:///{}", self.theirs) }
    }

    /// Starts this script of `tests/shared`.
    pub(crate) fn start(&self, script: &str, arguments: &[&str]) -> Side {
        Side::start(script, &[&[self.theirs.as_str()], arguments].concat())
    }

    /// Removes a database on a server.
    pub(crate) async fn drop(self) {
        if let Some(server) = self.server {
            server.drop().await;
        }
    }
}

/// Each of these tests, which take a [`Place`], on a SQLite file and on a PostgreSQL database.
macro_rules! on_both_engines {
    ($prefix:literal: $($test:ident),*) => {
        mod on_a_file {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(&crate::sides::Place::file("app.db")).await;
            })*
        }

        mod on_postgresql {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                let name = concat!($prefix, stringify!($test));
                let Some(place) = crate::sides::Place::postgres(name).await else { return };
                super::$test(&place).await;
                place.drop().await;
            })*
        }
    };
}

pub(crate) use on_both_engines;

/// The other application, as a process that does what a line says.
pub(crate) struct Side {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Side {
    pub(crate) fn start(script: &str, arguments: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shared").join(script);
        let mut command = python();
        command.arg(script).args(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python runs");
        let (input, output) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let mut side = Self { child, input, output: BufReader::new(output) };
        let version = side.answer();
        assert!(version.as_str().is_some_and(|version| version.contains('.')), "{version}");
        side
    }

    pub(crate) fn tell(&mut self, what: &str, mut with: Value) {
        with["do"] = json!(what);
        writeln!(self.input, "{with}").expect("it reads");
    }

    pub(crate) fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it answers");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("it failed: {line:?}"))
    }

    pub(crate) fn ask(&mut self, what: &str, with: Value) -> Value {
        self.tell(what, with);
        self.answer()
    }

    pub(crate) fn create(&mut self, name: &str, password: &str) -> Value {
        self.ask("create", json!({ "name": name, "password": password }))
    }

    pub(crate) fn set_password(&mut self, name: &str, password: &str) {
        self.ask("set_password", json!({ "name": name, "password": password }));
    }

    pub(crate) fn set_active(&mut self, name: &str, active: bool) {
        self.ask("set_active", json!({ "name": name, "active": active }));
    }

    pub(crate) fn login(&mut self, name: &str, password: &str) -> Value {
        self.ask("login", json!({ "name": name, "password": password }))
    }

    pub(crate) fn row(&mut self, name: &str) -> Value {
        self.ask("row", json!({ "name": name }))
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // Fails only if it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
