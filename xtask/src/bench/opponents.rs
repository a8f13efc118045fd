//! Theirs: a bare axum server, and the application of FastAPI's tutorial.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::http::Answer;
use super::plan::{On, Plan};
use super::servers::{Cost, Server, free_address};
use crate::debian::{self, Tool};
use crate::process::{find, root};
use crate::{packages, postgres};

/// Where the application is, and what it is called there.
const TUTORIAL: (&str, &str) = ("xtask/src/bench", "tutorial:app");

/// Installs what is missing. What cannot be installed is an error: no opponent is left out.
pub(crate) fn ensure() -> Result<()> {
    let purpose = "The benchmark";
    debian::ensure(
        purpose,
        &[
            Tool::new("strip", "binutils"),
            Tool::new("python3", "python3-venv").probed(&["-c", "import ensurepip, venv"]),
            Tool::new("npm", "npm"),
        ],
    )?;
    postgres::ensure(purpose)?;
    packages::ensure(purpose)
}

/// axum with nothing around one handler, which answers these bytes at `/users/me`.
pub(crate) fn bare(plan: &Plan, directory: &Path, answer: &Answer) -> Result<Server> {
    std::fs::create_dir_all(directory)?;
    let body = directory.join("answer");
    std::fs::write(&body, &answer.body)?;
    let address = free_address()?;
    let mut command = On::ServerCore.command(plan, &plan.program("bench-bare"));
    command.env_clear().arg(address.to_string()).arg(&answer.content_type).arg(&body);
    Server::start("bare axum", &mut command, address, "/users/me", directory)
}

/// The tutorial's application under uvicorn. Its worker processes end with it.
pub(crate) struct FastApi(Option<Server>);

impl FastApi {
    /// Starts it with the users `user0` and so on, all of whose passwords are hashed at the usual cost.
    pub(crate) fn start(plan: &Plan, directory: &Path, on: On, workers: u32, users: u32) -> Result<Self> {
        std::fs::create_dir_all(directory)?;
        let address = free_address()?;
        let mut command = on.command(plan, &python(plan));
        command.args(["-m", "uvicorn", "--app-dir"]).arg(root().join(TUTORIAL.0)).arg(TUTORIAL.1);
        command.args(["--host", "127.0.0.1", "--port", &address.port().to_string()]);
        command.args(["--workers", &workers.to_string(), "--no-access-log"]);
        command.env_clear().env("PYTHONDONTWRITEBYTECODE", "1").current_dir(directory);
        command.env("SECRET_KEY", super::servers::secret_key(plan)?).env("USERS", users.to_string());
        command.env("PASSWORD_HASH", Cost::USUAL.hash(plan)?);
        Ok(Self(Some(Server::start("FastAPI", &mut command, address, "/openapi.json", directory)?)))
    }

    pub(crate) fn server(&self) -> &Server {
        self.0.as_ref().expect("it is taken when this goes")
    }
}

impl Drop for FastApi {
    fn drop(&mut self) {
        if let Some(server) = self.0.take() {
            // Killed, it would leave its workers behind.
            server.process.interrupt(Duration::from_secs(30));
        }
    }
}

/// Python with the packages.
pub(crate) fn python(plan: &Plan) -> PathBuf {
    plan.target.join("python/bin/python")
}

/// The one among npm's packages, newer than Debian's, where there is one for this kind of machine.
pub(crate) fn node(plan: &Plan) -> Result<PathBuf> {
    let own = plan.target.join("node/node_modules/.bin/node");
    if own.is_file() { Ok(own) } else { find("node").context("PATH has no node") }
}

/// The version of each of these Python packages.
pub(crate) fn python_versions(plan: &Plan, packages: &[&str]) -> Result<Vec<(String, String)>> {
    let program = "import sys, importlib.metadata as m; [print(p, m.version(p)) for p in sys.argv[1:]]";
    let output = Command::new(python(plan)).args(["-c", program]).args(packages).output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().filter_map(|line| line.split_once(' ')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect())
}
