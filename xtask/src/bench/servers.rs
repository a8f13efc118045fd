//! The two servers, started fresh for one run.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::Agent;

use super::cores::Cores;
use crate::process::{Background, Stopwatch, target_directory};

/// How long a server may take to answer for the first time.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A running server and the address to load.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) url: String,
    pub(crate) process: Background,
}

/// What both servers answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

/// Both servers, and a token for the real one. They end with this value, and its directory goes.
pub(crate) struct Servers {
    pub(crate) mapae: Target,
    pub(crate) bare: Target,
    pub(crate) token: String,
    pub(crate) answer: Answer,
    _directory: TempDir,
}

impl Servers {
    /// Starts `mapae` on an empty database, signs up and in, and starts the bare server with the answer it gave.
    pub(crate) fn start(cores: &Cores) -> Result<Self> {
        let directory = TempDir::new()?;
        let binaries = target_directory()?.join("release");
        let agent = agent();

        let (mut mapae, origin) = start_mapae(cores, &binaries.join("mapae"), directory.path())?;
        wait(&agent, &mut mapae.process, &format!("{origin}/health/ready"))
            .with_context(|| format!("mapae wrote:\n{}", log(directory.path())))?;
        let token = sign_in(&agent, &origin)?;
        let answer = fetch(&agent, &mapae.url, &token)?;

        let body = directory.path().join("answer");
        std::fs::write(&body, &answer.body)?;
        let address = free_address()?;
        let mut command = cores.server(&binaries.join("bare"));
        command.env_clear().arg(address.to_string()).arg(&answer.content_type).arg(&body);
        let url = format!("http://{address}/users/me");
        let mut bare = Target { name: "bare axum", url, process: Background::start("bare axum", &mut command)? };
        wait(&agent, &mut bare.process, &bare.url)?;
        ensure!(fetch(&agent, &bare.url, &token)? == answer, "the two servers answer differently");

        Ok(Self { mapae, bare, token, answer, _directory: directory })
    }
}

/// Nothing of the surroundings reaches the server: no variables, no `.env`, no `mapae.toml`.
fn start_mapae(cores: &Cores, binary: &Path, directory: &Path) -> Result<(Target, String)> {
    let address = free_address()?;
    let log = File::create(directory.join("log"))?;
    let mut command = cores.server(binary);
    command
        .arg("serve")
        .current_dir(directory)
        .env_clear()
        .env("MAPAE_LISTEN", address.to_string())
        .env("MAPAE_DATA_DIR", directory.join("data"))
        .env("MAPAE_SIGNUP", "open")
        .env("MAPAE_ARGON2_MEMORY_KIB", "64")
        .env("MAPAE_ARGON2_ITERATIONS", "1")
        .stdin(std::process::Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    let origin = format!("http://{address}");
    let process = Background::start("mapae", &mut command)?;
    Ok((Target { name: "mapae", url: format!("{origin}/users/me"), process }, origin))
}

/// An address that was free a moment ago.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn agent() -> Agent {
    let config = Agent::config_builder()
        .proxy(None)
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(10)))
        .build();
    config.into()
}

/// Waits until the server answers at all with success.
fn wait(agent: &Agent, process: &mut Background, url: &str) -> Result<()> {
    let stopwatch = Stopwatch::start();
    loop {
        process.check_running()?;
        if agent.get(url).call().is_ok_and(|response| response.status().is_success()) {
            return Ok(());
        }
        ensure!(stopwatch.elapsed() < START_LIMIT, "no answer from {url} within {START_LIMIT:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn sign_in(agent: &Agent, origin: &str) -> Result<String> {
    let password = "a tablet for nine post horses";
    post(
        agent,
        &format!("{origin}/users/signup"),
        &json!({
            "email": "rider@example.com", "username": "rider", "full_name": "A Rider", "password": password,
        }),
    )?;
    let answer = post(agent, &format!("{origin}/users/signin"), &json!({ "username": "rider", "password": password }))?;
    answer["access_token"].as_str().map(str::to_owned).context("the answer to the sign-in holds no token")
}

fn post(agent: &Agent, url: &str, body: &Value) -> Result<Value> {
    let mut response = agent.post(url).send_json(body)?;
    let status = response.status();
    let text = response.body_mut().read_to_string()?;
    if !status.is_success() {
        bail!("{url} answered {status}: {text}");
    }
    Ok(serde_json::from_str(&text)?)
}

fn fetch(agent: &Agent, url: &str, token: &str) -> Result<Answer> {
    let mut response = agent.get(url).header("Authorization", format!("Bearer {token}")).call()?;
    ensure!(response.status() == 200, "{url} answered {}", response.status());
    let content_type = response.headers().get("content-type").context("no Content-Type")?.to_str()?.to_owned();
    Ok(Answer { content_type, body: response.body_mut().read_to_vec()? })
}

/// The end of what the server wrote, for an error.
fn log(directory: &Path) -> String {
    let text = std::fs::read_to_string(directory.join("log")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
