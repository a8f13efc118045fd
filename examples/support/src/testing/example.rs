//! An example as a process of its own, in a folder of its own.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use reqwest::header::AUTHORIZATION;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use tempfile::TempDir;

use super::Answer;

/// `SECRET_KEY` of every example, unless a test sets another. Fixed tokens in the tests are signed with it.
pub const KEY: &str = "0123456789abcdef0123456789abcdef";

/// How an example is started.
pub struct Launch {
    program: &'static str,
    arguments: Vec<&'static str>,
    variables: Vec<(&'static str, &'static str)>,
    folder: TempDir,
}

impl Launch {
    /// The program in an empty folder, on a free port, with [`KEY`].
    pub fn of(program: &'static str) -> Self {
        let variables = vec![("PORT", "0"), ("SECRET_KEY", KEY)];
        Self { program, arguments: Vec::new(), variables, folder: tempfile::tempdir().unwrap() }
    }

    /// With this argument.
    #[must_use]
    pub fn argument(mut self, argument: &'static str) -> Self {
        self.arguments.push(argument);
        self
    }

    /// With this variable.
    #[must_use]
    pub fn set(mut self, name: &'static str, value: &'static str) -> Self {
        self = self.unset(name);
        self.variables.push((name, value));
        self
    }

    /// Without this variable.
    #[must_use]
    pub fn unset(mut self, name: &str) -> Self {
        self.variables.retain(|(set, _)| *set != name);
        self
    }

    /// With this file in its folder.
    #[must_use]
    pub fn file(self, name: &str, content: &str) -> Self {
        std::fs::write(self.folder.path().join(name), content).unwrap();
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.program);
        // What the tests' own environment says is not meant for the example.
        for name in ["PORT", "SECRET_KEY", "DATABASE_URL"] {
            command.env_remove(name);
        }
        let command_line = command.args(&self.arguments).envs(self.variables.iter().copied());
        command_line.current_dir(&self.folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts it, and waits until it says where it listens.
    pub fn start(self) -> Example {
        let mut process = self.command().spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut stderr = process.stderr.take().unwrap();
        let said = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        let line = lines.next().unwrap_or_default();
        let Some((url, docs)) = line.split_once("  docs: ") else {
            panic!("{} says {line:?}, not its address; {}", self.program, said.join().unwrap());
        };
        assert_eq!(docs, format!("{url}/docs"));
        let http = Client::builder().redirect(Policy::none()).no_proxy().build().unwrap();
        Example { url: url.to_owned(), launch: self, process, said: Some(said), http }
    }

    /// Runs it until it gives up by itself. What it said.
    pub fn fails(self) -> String {
        let output = self.command().output().unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

/// A running example; it ends with this value.
pub struct Example {
    /// Where it listens, without a slash at the end.
    pub url: String,
    launch: Launch,
    process: Child,
    said: Option<JoinHandle<String>>,
    http: Client,
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Example {
    /// The program, started as [`Launch::of`] has it.
    pub fn start(program: &'static str) -> Self {
        Launch::of(program).start()
    }

    /// Its working directory.
    pub fn folder(&self) -> &Path {
        self.launch.folder.path()
    }

    /// Ends it without a warning; what it said on its standard error.
    pub fn kill(&mut self) -> String {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.said.take().map(|said| said.join().unwrap()).unwrap_or_default()
    }

    /// Ends it without a warning, and starts it again in the same folder.
    pub fn restart(mut self) -> Self {
        self.kill();
        let empty = Launch::of(self.launch.program);
        std::mem::replace(&mut self.launch, empty).start()
    }

    /// A request that follows no redirect.
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.http.request(Method::from_bytes(method.as_bytes()).unwrap(), format!("{}{path}", self.url))
    }

    /// A GET without a token.
    pub async fn get(&self, path: &str) -> Answer {
        Answer::to(self.request("GET", path)).await
    }

    /// A GET with this `Authorization`.
    pub async fn get_as(&self, path: &str, authorization: &str) -> Answer {
        Answer::to(self.request("GET", path).header(AUTHORIZATION, authorization)).await
    }

    /// A GET with this token.
    pub async fn get_with(&self, path: &str, token: &str) -> Answer {
        self.get_as(path, &format!("Bearer {token}")).await
    }

    /// A POST of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::to(self.request("POST", path).json(body)).await
    }

    /// A POST of JSON with a token.
    pub async fn post_with(&self, path: &str, token: &str, body: &Value) -> Answer {
        Answer::to(self.request("POST", path).bearer_auth(token).json(body)).await
    }

    /// A POST of form fields.
    pub async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        Answer::to(self.request("POST", path).form(fields)).await
    }

    /// A GET that follows redirects as clients do, with a token.
    pub async fn follow_with(&self, path: &str, token: &str) -> Answer {
        let http = Client::builder().no_proxy().build().unwrap();
        Answer::to(http.get(format!("{}{path}", self.url)).bearer_auth(token)).await
    }
}
