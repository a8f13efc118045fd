//! Processes on free ports, stopped when dropped.

use std::env::consts::EXE_SUFFIX;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tempfile::TempDir;

const EXAMPLE: &str = env!("CARGO_BIN_EXE_example-resource-server");
const PATIENCE: Duration = Duration::from_secs(20);

/// Stops its process when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Already gone when the test stopped it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `mapae serve` with a database of its own.
pub(crate) struct Mapae {
    pub(crate) url: String,
    home: TempDir,
    running: Running,
}

/// The server's binary, which is built beside the example's.
fn binary() -> PathBuf {
    let path = Path::new(EXAMPLE).with_file_name(format!("mapae{EXE_SUFFIX}"));
    assert!(path.exists(), "{} is missing: run `cargo build -p mapae-server` first", path.display());
    path
}

fn mapae(home: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command
        .args(arguments)
        .env_clear()
        .envs([
            ("MAPAE_SCOPES", "items=Read items.;drive=Drive a car."),
            ("MAPAE_SUBJECT_KINDS", "car"),
            ("MAPAE_DEFAULT_SCOPES", "me,items"),
            // Hashes that cost next to nothing.
            ("MAPAE_ARGON2_MEMORY_KIB", "8"),
            ("MAPAE_ARGON2_ITERATIONS", "1"),
        ])
        .current_dir(home.path())
        .stdin(Stdio::null());
    command
}

impl Mapae {
    /// On this port; 0 is any free one.
    pub(crate) fn start(port: u16) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut command = mapae(&home, &["serve", "--listen", &format!("127.0.0.1:{port}")]);
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let lines = lines(child.stderr.take().unwrap());
        let running = Running(child);
        let mut seen = Vec::new();
        loop {
            let line = lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("it does not listen: {seen:#?}"));
            let parsed: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            if parsed["message"] == "listening" {
                let url = format!("http://{}", parsed["address"].as_str().unwrap());
                return Self { url, home, running };
            }
            seen.push(line);
        }
    }

    /// Runs a command beside the server, which must succeed.
    pub(crate) fn command(&self, arguments: &[&str]) {
        let output = mapae(&self.home, arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    pub(crate) fn stop(&mut self) {
        self.running.0.kill().unwrap();
        self.running.0.wait().unwrap();
    }
}

/// The example.
pub(crate) struct Example {
    pub(crate) url: String,
    _running: Running,
}

impl Example {
    pub(crate) fn start(mapae_url: &str) -> Self {
        Self::start_with(mapae_url, &[])
    }

    /// With these variables.
    pub(crate) fn start_with(mapae_url: &str, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(EXAMPLE);
        command.env_clear().envs([("PORT", "0"), ("MAPAE_URL", mapae_url)]).stdin(Stdio::null());
        command.envs(variables.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = lines(child.stdout.take().unwrap());
        let running = Running(child);
        let url = lines.recv_timeout(PATIENCE).expect("the example says where it listens");
        assert!(url.starts_with("http://127.0.0.1:"), "{url}");
        Self { url, _running: running }
    }
}

/// The lines of a pipe, which is read to its end so that nobody blocks on it.
fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            // Nobody listens any more once the start is over.
            let _ = sender.send(line);
        }
    });
    receiver
}

/// A port that nobody listens on just now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
