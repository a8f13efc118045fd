//! Ours: the server on a database of its own, and the library in an application.

use std::fs::File;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::http::{self, PASSWORD};
use super::plan::{On, Plan};
use crate::process::{Background, Stopwatch, run};

/// How long a server may take to answer for the first time.
const PATIENCE: Duration = Duration::from_secs(60);

/// The cost of a password hash.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) memory_kib: u32,
    pub(crate) iterations: u32,
    pub(crate) parallelism: u32,
}

impl Cost {
    /// What RFC 9106 recommends second, and what pwdlib takes unless told otherwise.
    pub(crate) const USUAL: Self = Self { memory_kib: 65_536, iterations: 3, parallelism: 4 };
    /// The server's own, unless set.
    pub(crate) const DEFAULT: Self = Self { memory_kib: 19_456, iterations: 2, parallelism: 1 };
    /// The least that there is: what is left is everything but the hash.
    pub(crate) const LEAST: Self = Self { memory_kib: 8, iterations: 1, parallelism: 1 };

    /// As arguments of `bench-hash`.
    pub(crate) fn arguments(self) -> [String; 3] {
        [self.memory_kib, self.iterations, self.parallelism].map(|number| number.to_string())
    }

    /// A hash of [`PASSWORD`].
    pub(crate) fn hash(self, plan: &Plan) -> Result<String> {
        let mut command = Command::new(plan.program("bench-hash"));
        command.args(self.arguments()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("bench-hash")?;
        child.stdin.take().context("bench-hash reads nothing")?.write_all(PASSWORD.as_bytes())?;
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "bench-hash failed ({})", output.status);
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}

/// A running server. It is killed when this value goes.
pub(crate) struct Server {
    /// Such as `http://127.0.0.1:8080`.
    pub(crate) origin: String,
    pub(crate) process: Background,
}

impl Server {
    /// Starts a server and waits until `path` answers. What it writes goes to `log` in the directory.
    pub(crate) fn start(
        name: &'static str,
        command: &mut Command,
        address: SocketAddr,
        path: &str,
        directory: &Path,
    ) -> Result<Self> {
        let log = File::create(directory.join("log"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut server = Self { origin: format!("http://{address}"), process: Background::start(name, command)? };
        server.wait(path).with_context(|| format!("{name} wrote:\n{}", tail(&directory.join("log"))))?;
        Ok(server)
    }

    fn wait(&mut self, path: &str) -> Result<()> {
        let (url, agent, stopwatch) = (self.url(path), http::agent(), Stopwatch::start());
        loop {
            self.process.check_running()?;
            if http::answers(&agent, &url) {
                return Ok(());
            }
            ensure!(stopwatch.elapsed() < PATIENCE, "no answer from {url} within {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }
}

/// The server's settings and its directory.
pub(crate) struct Mapae<'a> {
    plan: &'a Plan,
    directory: PathBuf,
    pub(crate) address: SocketAddr,
    settings: Vec<(&'static str, String)>,
}

impl<'a> Mapae<'a> {
    /// On an empty database in this directory, which is made.
    pub(crate) fn new(plan: &'a Plan, directory: PathBuf, cost: Cost) -> Result<Self> {
        std::fs::create_dir_all(&directory)?;
        let address = free_address()?;
        let settings = vec![
            ("MAPAE_LISTEN", address.to_string()),
            ("MAPAE_DATA_DIR", directory.join("data").display().to_string()),
            ("MAPAE_SIGNUP", "open".to_owned()),
            ("ACCESS_TOKEN_EXPIRE_MINUTES", "60".to_owned()),
            ("MAPAE_ARGON2_MEMORY_KIB", cost.memory_kib.to_string()),
            ("MAPAE_ARGON2_ITERATIONS", cost.iterations.to_string()),
            ("MAPAE_ARGON2_PARALLELISM", cost.parallelism.to_string()),
        ];
        Ok(Self { plan, directory, address, settings })
    }

    /// With one more setting.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.settings.push((name, value.into()));
        self
    }

    /// Serves until the value that this gives goes.
    pub(crate) fn serve(&self, on: On) -> Result<Server> {
        let mut command = self.command(on);
        Server::start("mapae", command.arg("serve"), self.address, "/health/ready", &self.directory)
    }

    /// Nothing of the surroundings reaches the server: no variables, no `.env`, no `mapae.toml`.
    pub(crate) fn command(&self, on: On) -> Command {
        let mut command = on.command(self.plan, &self.plan.program("mapae"));
        command.env_clear().envs(self.settings.iter().map(|(name, value)| (name, value)));
        command.current_dir(&self.directory);
        command
    }

    /// Makes the accounts `user0` and so on, all with the same hash. The database must be there.
    pub(crate) fn import(&self, users: u32, hash: &str) -> Result<()> {
        let rows = self.directory.join("rows.jsonl");
        let mut file = std::io::BufWriter::new(File::create(&rows)?);
        for number in 0..users {
            writeln!(file, "{}", json!({ "username": format!("user{number}"), "password_hash": hash }))?;
        }
        file.flush()?;
        let mut command = self.command(On::AllCores);
        run(command.args(["user", "import"]).arg(&rows).stdout(Stdio::null()).stderr(Stdio::null()))?;
        Ok(std::fs::remove_file(rows)?)
    }
}

/// The library in an application, with an unprotected route `/open` that answers the bytes of the file `answer` in its
/// directory.
pub(crate) fn embedded(plan: &Plan, directory: &Path, algorithm: &str, secret_key: Option<&str>) -> Result<Server> {
    std::fs::create_dir_all(directory)?;
    let address = free_address()?;
    let mut command = On::ServerCore.command(plan, &plan.program("bench-embedded"));
    command.env_clear().envs(secret_key.map(|key| ("SECRET_KEY", key)));
    command.arg(address.to_string()).arg(directory.join("db")).arg(algorithm).arg(directory.join("answer"));
    Server::start("the embedded service", &mut command, address, "/health/ready", directory)
}

/// A key as `SECRET_KEY` wants it.
pub(crate) fn secret_key(plan: &Plan) -> Result<String> {
    let output = Command::new(plan.program("mapae")).args(["secret", "generate"]).output().context("mapae")?;
    ensure!(output.status.success(), "mapae secret generate failed ({})", output.status);
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// An address that was free a moment ago.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// The end of what the server wrote, for an error.
fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
