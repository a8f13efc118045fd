//! A running server.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Ended, Home};

/// A password that no rule finds fault with.
pub(crate) const PASSWORD: &str = "wobbly giraffes juggle 7 kettles";
/// The address that tokens name, so that commands beside the server make tokens for it.
pub(crate) const BASE_URL: (&str, &str) = ("MAPAE_BASE_URL", "http://127.0.0.1");
/// Hashes that cost next to nothing.
pub(crate) const CHEAP: [(&str, &str); 2] = [("MAPAE_ARGON2_MEMORY_KIB", "8"), ("MAPAE_ARGON2_ITERATIONS", "1")];
const PATIENCE: Duration = Duration::from_secs(20);

/// A server on a free port, stopped when dropped.
pub(crate) struct Server {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    /// What it said when it began to listen.
    pub(crate) listening: Value,
    pub(crate) url: String,
}

impl Server {
    /// Starts, with cheap hashes.
    pub(crate) fn start(home: &Home, variables: &[(&str, &str)]) -> Self {
        Self::start_with(home, &[], &[&CHEAP, variables].concat())
    }

    /// Starts with exactly these flags and variables besides the address.
    pub(crate) fn start_with(home: &Home, flags: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::spawn(home, flags, &[&[BASE_URL], variables].concat())
    }

    /// Starts, with cheap hashes, and with the address that it listens on as base URL: for clients that find the rest
    /// from there.
    pub(crate) fn start_at_its_own_address(home: &Home, variables: &[(&str, &str)]) -> Self {
        Self::spawn(home, &[], &[&CHEAP, variables].concat())
    }

    fn spawn(home: &Home, flags: &[&str], variables: &[(&str, &str)]) -> Self {
        let arguments = [&["serve", "--listen", "127.0.0.1:0"], flags].concat();
        Self::of(home.command(&arguments, variables))
    }

    /// Starts by this command, and waits until it listens.
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command.spawn().expect("mapae runs");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (sender, receiver) = std::sync::mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let collected = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                collected.lock().expect("no panic").push(line.clone());
                // Nobody listens any more once the start is over.
                let _ = sender.send(line);
            }
        });
        let deadline = now() + PATIENCE;
        let mut seen = Vec::new();
        let listening = loop {
            let rest = deadline.saturating_duration_since(now());
            let line = receiver.recv_timeout(rest).unwrap_or_else(|_| panic!("it does not listen: {seen:#?}"));
            match serde_json::from_str::<Value>(&line) {
                Ok(value) if value["message"] == "listening" => break value,
                _ => seen.push(line),
            }
        };
        let url = format!("http://{}", listening["address"].as_str().expect("an address"));
        Self { child, lines, listening, url }
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Log lines so far.
    pub(crate) fn log(&self) -> Vec<Value> {
        let lines = self.lines.lock().expect("no panic");
        lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"))).collect()
    }

    /// Waits for a log line.
    pub(crate) fn wait_for(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = now() + PATIENCE;
        loop {
            if let Some(line) = self.log().into_iter().find(&wanted) {
                return line;
            }
            assert!(now() < deadline, "not in the log: {:#?}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let script = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &script]).status().expect("sh runs").success());
    }

    /// Kills it, without any warning.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it can be waited for");
    }

    /// Waits for the end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return status;
            }
            assert!(now() < deadline, "it does not stop: {:#?}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Stops it, which must succeed.
    pub(crate) fn stop(&mut self) {
        self.terminate();
        assert_eq!(self.wait().code(), Some(0), "{:#?}", self.log());
    }

    /// Everything on standard output, after the end.
    pub(crate) fn stdout(&mut self) -> String {
        let stdout: ChildStdout = self.child.stdout.take().expect("piped");
        std::io::read_to_string(stdout).expect("UTF-8")
    }

    /// `POST /token` with the password form; status and body.
    pub(crate) async fn sign_in(&self, name: &str, password: &str, scope: &str) -> (u16, Value) {
        let form = format!("username={}&password={}&scope={}", encode(name), encode(password), encode(scope));
        let answer = reqwest::Client::new()
            .post(format!("{}/token", self.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form)
            .send()
            .await
            .expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    /// The status of `GET` with a token.
    pub(crate) async fn status(&self, client: &reqwest::Client, path: &str, token: &str) -> u16 {
        let request = client.get(format!("{}{path}", self.url)).bearer_auth(token);
        request.send().await.expect("an answer").status().as_u16()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone when the test stopped it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Home {
    /// Runs a command as beside [`Server::start`].
    pub(crate) fn beside(&self, arguments: &[&str]) -> Ended {
        self.run(arguments, &[&CHEAP[..], &[BASE_URL]].concat())
    }

    /// As [`Home::beside`], with a password on standard input; it must succeed.
    pub(crate) fn add_user(&self, arguments: &[&str]) -> Ended {
        let arguments = [&["user", "add", "--password-stdin"], arguments].concat();
        let ended = self.run_with_input(&arguments, &[&CHEAP[..], &[BASE_URL]].concat(), &format!("{PASSWORD}\n"));
        assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
        ended
    }

    /// As [`Home::add_user`]; the account's id.
    pub(crate) fn sign_up(&self, name: &str) -> String {
        let said = self.add_user(&[name]).stdout;
        let id = said.split(['(', ')']).nth(1);
        id.unwrap_or_else(|| panic!("no id: {said}")).to_owned()
    }

    /// A home whose database and keys exist.
    pub(crate) fn migrated() -> Self {
        let home = Self::new();
        assert_eq!(home.run(&["db", "migrate"], &[]).status, Some(0));
        home
    }
}

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The time, for patience and for measuring.
#[expect(clippy::disallowed_methods, reason = "a test of a process lives in real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
