//! One server of one release.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Result, bail};
use tempfile::TempDir;

use super::load::agent;
use crate::process::{Background, Stopwatch};

/// How long a node may take to start, or to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server; its directory goes with it.
pub(super) struct Node {
    process: Background,
    origin: String,
    directory: TempDir,
}

impl Node {
    /// Starts one on that database and waits until it is ready.
    pub(super) fn start(name: &'static str, binary: &Path, database: &str) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let log = File::create(directory.path().join("log"))?;
        let mut command = Command::new(binary);
        // The same on every node: the load moves from one to the other.
        let settings = [
            ("DATABASE_URL", database),
            ("MAPAE_MASTER_KEY", "for-an-upgrade-on-loopback-and-nothing-else-0123456789"),
            ("MAPAE_BASE_URL", "http://localhost:8000"),
            ("MAPAE_SIGNUP", "open"),
            ("MAPAE_ARGON2_MEMORY_KIB", "64"),
            ("MAPAE_ARGON2_ITERATIONS", "1"),
        ];
        command.arg("serve").current_dir(directory.path()).env_clear().envs(settings);
        command.env("MAPAE_LISTEN", address.to_string());
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let process = Background::start(name, &mut command)?;
        let mut node = Self { process, origin: format!("http://{address}"), directory };
        node.wait(name)?;
        Ok(node)
    }

    /// Where it answers.
    pub(super) fn origin(&self) -> String {
        self.origin.clone()
    }

    /// Ends it as Ctrl-C does: it answers what is under way.
    pub(super) fn stop(self) {
        self.process.interrupt(PATIENCE);
    }

    fn wait(&mut self, name: &str) -> Result<()> {
        let agent = agent();
        let ready = format!("{}/health/ready", self.origin);
        let stopwatch = Stopwatch::start();
        while !agent.get(&ready).call().is_ok_and(|answer| answer.status() == 200) {
            let ended = self.process.check_running().err();
            if ended.is_some() || stopwatch.elapsed() > PATIENCE {
                let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
                bail!("{name} is not ready after {stopwatch}; it wrote:\n{log}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}
