//! Programs that are not ours. `cargo xtask setup` installs them, and the packages that they need into the target
//! directory.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tempfile::TempDir;

use crate::server::now;

/// What a program may take to start, or a script to end, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

const HOW: &str = "`cargo xtask setup` (or `cargo xtask test`) installs it";

fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is inside the target directory")
}

/// The program in `PATH`, or among the system's.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let found = directories.find_map(|directory| Some(directory.join(name)).filter(|file| file.is_file()));
    found.unwrap_or_else(|| panic!("{name} is not installed: {HOW}"))
}

/// Python, with the packages of `tests/clients/requirements.txt`.
pub(crate) fn python() -> Command {
    let wanted = include_str!("../clients/requirements.txt");
    let directory = installed("python", "requirements.txt", wanted);
    let mut command = Command::new(directory.join("bin/python"));
    command.env_clear().env("PYTHONUNBUFFERED", "1").stdin(Stdio::null());
    command
}

/// Node.js: the one among the packages of `tests/clients/package-lock.json`, newer than Debian's, where there is one for
/// this kind of machine. It finds the others from a script in a [`node_directory`].
pub(crate) fn node() -> Command {
    let own = target().join("node/node_modules/.bin/node");
    let mut command = Command::new(if own.is_file() { own } else { program("node") });
    command.env_clear().stdin(Stdio::null());
    command
}

/// An empty directory for scripts.
pub(crate) fn node_directory() -> TempDir {
    let wanted = include_str!("../clients/package-lock.json");
    let directory = installed("node", "package-lock.json", wanted);
    tempfile::tempdir_in(directory).expect("a temporary directory")
}

fn installed(directory: &str, list: &str, wanted: &str) -> PathBuf {
    let directory = target().join(directory);
    let there = std::fs::read_to_string(directory.join(format!("installed-{list}"))).unwrap_or_default();
    assert!(there == wanted, "{} is not what tests/clients/{list} says: {HOW}", directory.display());
    directory
}

/// A port that nobody listens on just now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address").port()
}

/// Runs a script to its end; the JSON that it printed.
pub(crate) fn run(mut script: Command) -> serde_json::Value {
    let mut child = script.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let (stdout, stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let read = |mut pipe: Box<dyn Read + Send>| {
        std::thread::spawn(move || {
            let mut text = String::new();
            pipe.read_to_string(&mut text).expect("UTF-8");
            text
        })
    };
    let (stdout, stderr) = (read(Box::new(stdout)), read(Box::new(stderr)));
    let deadline = now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            break status;
        }
        if now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{script:?} does not end: {}", stderr.join().expect("no panic"));
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let (stdout, stderr) = (stdout.join().expect("no panic"), stderr.join().expect("no panic"));
    assert!(status.success(), "{script:?}: {stderr}");
    serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{script:?} prints no JSON: {stdout}"))
}

/// A program in the background; it ends with this value.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let (sender, lines) = channel();
        let stdout: Box<dyn Read + Send> = Box::new(child.stdout.take().expect("piped"));
        let stderr: Box<dyn Read + Send> = Box::new(child.stderr.take().expect("piped"));
        for pipe in [stdout, stderr] {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    // Nobody listens any more once the start is over, and yet it must not block.
                    let _ = sender.send(line);
                }
            });
        }
        Self { child, lines }
    }

    /// The address on this machine that it says it listens on.
    pub(crate) fn url(&self) -> String {
        const HERE: &str = "http://127.0.0.1:";
        let mut said = Vec::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("it does not listen: {said:#?}"));
            if let Some(port) = line.split(HERE).nth(1) {
                let port = port.split(|letter: char| !letter.is_ascii_digit()).next().expect("at least one part");
                return format!("{HERE}{port}");
            }
            said.push(line);
        }
    }

    /// Whether it still runs; what it said until now, if not.
    pub(crate) fn check(&mut self) -> Result<(), String> {
        match self.child.try_wait().expect("it can be waited for") {
            None => Ok(()),
            Some(status) => Err(format!("{status}: {:#?}", self.lines.try_iter().collect::<Vec<_>>())),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails only if it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
