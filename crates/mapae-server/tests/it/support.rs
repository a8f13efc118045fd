//! Runs `mapae` in a directory of its own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A key that no check finds fault with.
pub(crate) const GOOD_KEY: &str = "b1c0e7f4a92d4f6c8e3a5b7d9f10263748596a7b8c9daebfc0d1e2f304152637";
/// Another one.
pub(crate) const OTHER_KEY: &str = "hX2vQ9mB7nL4pR8sT1wY6zA3cD5eF0gKjU-_iOoPlMn";

/// A working directory.
pub(crate) struct Home(TempDir);

/// What a process left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// What is tested: the program that was built with the tests, unless the variable names another build of it.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("MAPAE_TEST_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_mapae").into()).into()
}

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file into the directory.
    pub(crate) fn with(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.path().join(name), content).expect("the file is written");
        self
    }

    pub(crate) fn command(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new(program());
        command
            .args(arguments)
            .env_clear()
            .envs(variables.iter().copied())
            .current_dir(self.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs to the end.
    pub(crate) fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
        Ended::of(self.command(arguments, variables).output().expect("mapae runs"))
    }

    /// Runs to the end with this on standard input.
    pub(crate) fn run_with_input(&self, arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Ended {
        let mut child = self.command(arguments, variables).stdin(Stdio::piped()).spawn().expect("mapae runs");
        child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("input is read");
        Ended::of(child.wait_with_output().expect("mapae ends"))
    }

    /// `config show --json`; it must be in order.
    pub(crate) fn settings(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Shown {
        let arguments = [&["config", "show", "--json"], arguments].concat();
        let ended = self.run(&arguments, variables);
        assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
        ended.shown()
    }

    /// What the start says when it refuses the configuration.
    pub(crate) fn refusal(&self, arguments: &[&str], variables: &[(&str, &str)]) -> String {
        let ended = self.run(&[&["serve"], arguments].concat(), variables);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        assert!(!self.path().join("mapae-data").exists(), "nothing is half-made");
        ended.stderr
    }
}

impl Ended {
    pub(crate) fn of(output: std::process::Output) -> Self {
        Self {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    pub(crate) fn shown(&self) -> Shown {
        Shown(serde_json::from_str(&self.stdout).expect("JSON"))
    }
}

/// The output of `config show --json`.
pub(crate) struct Shown(pub(crate) serde_json::Value);

impl Shown {
    pub(crate) fn value(&self, name: &str) -> &serde_json::Value {
        self.entry(name, "value")
    }

    pub(crate) fn source(&self, name: &str) -> &str {
        self.entry(name, "source").as_str().expect("a word")
    }

    pub(crate) fn from(&self, name: &str) -> Vec<&str> {
        self.entry(name, "from").as_array().expect("a list").iter().map(|from| from.as_str().expect("text")).collect()
    }

    pub(crate) fn warnings(&self) -> Vec<&str> {
        self.0["warnings"].as_array().expect("a list").iter().map(|text| text.as_str().expect("text")).collect()
    }

    fn entry(&self, name: &str, part: &str) -> &serde_json::Value {
        self.0["settings"][name].get(part).unwrap_or_else(|| panic!("{name}.{part} in {}", self.0))
    }
}
