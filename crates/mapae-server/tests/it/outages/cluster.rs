//! A PostgreSQL server of one test's own, which can be stopped, restarted and filled up.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::disk::SmallDisk;
use crate::server::now;

/// Where `cargo xtask test` found the server's programs.
const PROGRAMS: &str = "MAPAE_TEST_POSTGRES_PROGRAMS";
/// The superuser; whoever reaches the port is let in.
const USER: &str = "mapae";
const PATIENCE: Duration = Duration::from_secs(60);
/// Users as whom it may run where we are root, as whom it refuses to.
const UNPRIVILEGED: &[&str] = &["postgres", "nobody"];

/// How PostgreSQL is told to stop.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stop {
    /// Connections are cut, and what was committed is written to its place.
    Fast,
    /// As in a crash: the next start recovers.
    Immediate,
}

/// The programs of PostgreSQL; `None` where there is none to test with.
pub(super) fn programs() -> Option<PathBuf> {
    std::env::var_os(PROGRAMS).map(PathBuf::from)
}

/// A server with its data, stopped when dropped.
pub(super) struct Cluster {
    server: Option<Child>,
    programs: PathBuf,
    owner: Option<(u32, u32)>,
    port: u16,
    /// Of the data. On a disk of its own, that must go first.
    data: PathBuf,
    _directory: TempDir,
    disk: Option<SmallDisk>,
}

impl Cluster {
    /// Starts one; on this disk if it is given.
    pub(super) fn start(programs: PathBuf, disk: Option<SmallDisk>) -> Self {
        let directory = tempfile::Builder::new().prefix("mapae-faults-").tempdir().expect("a temporary directory");
        let home = disk.as_ref().map_or_else(|| directory.path().to_owned(), |disk| disk.path().to_owned());
        let owner = (user_id("root") == Some(own_id())).then(unprivileged);
        for path in [directory.path(), &home] {
            if let Some((user, group)) = owner {
                chown(path, Some(user), Some(group)).expect("ours");
            }
        }
        let data = home.join("data");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let mut cluster = Self { server: None, programs, owner, port, data, _directory: directory, disk };
        let mut init = cluster.command("initdb");
        init.arg("--pgdata").arg(&cluster.data).args(["--username", USER, "--auth=trust", "--no-sync"]);
        // Small segments of the log, so that a small disk holds some.
        init.args(["--encoding=UTF8", "--locale=C", "--wal-segsize=1"]);
        let ended = init.output().expect("initdb runs");
        assert!(ended.status.success(), "{ended:?}");
        cluster.run();
        cluster
    }

    pub(super) fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// The disk that it is on.
    pub(super) fn disk(&self) -> &SmallDisk {
        self.disk.as_ref().expect("one was given")
    }

    /// Starts the server on the data that there is.
    pub(super) fn run(&mut self) {
        let mut server = self.command("postgres");
        server.arg("-D").arg(&self.data).args(["-p", &self.port.to_string()]);
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            // The machine does not crash; PostgreSQL does, and an answered commit must survive that.
            "fsync=off",
            "synchronous_commit=on",
            "max_connections=100",
            "min_wal_size=2MB",
            "max_wal_size=16MB",
            "log_min_messages=panic",
        ] {
            server.args(["-c", setting]);
        }
        server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.server = Some(server.spawn().expect("PostgreSQL runs"));
        let began = now();
        while !self.is_ready() {
            assert!(began.elapsed() < PATIENCE, "PostgreSQL does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(super) fn stop(&mut self, how: Stop) {
        let Some(mut server) = self.server.take() else { return };
        let signal = match how {
            Stop::Fast => "INT",
            Stop::Immediate => "QUIT",
        };
        let told = Command::new("kill").args([&format!("-{signal}"), &server.id().to_string()]).status();
        if !told.is_ok_and(|status| status.success()) {
            // Gone by itself, or not to be reached otherwise.
            let _ = server.kill();
        }
        server.wait().expect("it can be waited for");
    }

    /// Whether it is there; after a crash of its own it may be gone for good.
    pub(super) fn is_running(&mut self) -> bool {
        self.server.as_mut().is_some_and(|server| matches!(server.try_wait(), Ok(None)))
    }

    fn is_ready(&self) -> bool {
        let mut ready = Command::new(self.programs.join("pg_isready"));
        ready.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        ready.status().is_ok_and(|status| status.success())
    }

    /// One of the server's programs, as the user whose the data are.
    fn command(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let Some((user, group)) = self.owner else { return Command::new(program) };
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &user.to_string(), "--regid", &group.to_string(), "--clear-groups"]);
        // It does not outlive us, whatever ends us.
        command.args(["--pdeathsig", "INT"]).arg(program).current_dir("/");
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop(Stop::Immediate);
    }
}

/// Copies a database into a file, and back into an empty one.
pub(super) fn dump(programs: &Path, url: &str, file: &Path) {
    run(Command::new(programs.join("pg_dump")).args(["--format=custom", "--file"]).arg(file).arg(url));
}

/// See [`dump`].
pub(super) fn restore(programs: &Path, url: &str, file: &Path) {
    run(Command::new(programs.join("pg_restore"))
        .args(["--exit-on-error", "--single-transaction", "--dbname", url])
        .arg(file));
}

fn run(command: &mut Command) {
    let ended = command.output().expect("it runs");
    assert!(ended.status.success(), "{ended:?}");
}

fn own_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn user_id(user: &str) -> Option<u32> {
    id("-u", user)
}

fn id(flag: &str, user: &str) -> Option<u32> {
    let output = Command::new("id").args([flag, user]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

fn unprivileged() -> (u32, u32) {
    let ids = UNPRIVILEGED.iter().find_map(|user| Some((id("-u", user)?, id("-g", user)?)));
    ids.expect("a user as whom PostgreSQL can run")
}
