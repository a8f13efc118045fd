//! A PostgreSQL server for the tests and the benchmark: a private one in a temporary directory, on 127.0.0.1 and a free
//! port, which is gone afterwards.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::debian::{self, Tool, is_root};
use crate::process::{Background, Stopwatch, find, run};

/// The oldest version that Mapae runs on.
const OLDEST: u32 = 13;
/// Where Debian puts the versions that are installed.
const DEBIAN: &str = "/usr/lib/postgresql";
/// The superuser of the private server; whoever reaches its port is let in.
pub(crate) const USER: &str = "mapae";
/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(60);
/// Users as whom it may run where we are root, as whom it refuses to.
const UNPRIVILEGED: &[&str] = &["postgres", "nobody"];

/// Whether what was committed is on the disk.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// As PostgreSQL does unless told otherwise.
    Durable,
    /// What a power cut would lose, nobody misses in a test.
    Forgetful,
}

/// A running server. It is stopped when this value goes.
pub(crate) struct Cluster {
    server: Option<Background>,
    programs: PathBuf,
    port: u16,
    directory: TempDir,
}

impl Cluster {
    /// Starts a server, after installing one if there is none. `purpose` completes the sentence "… needs".
    pub(crate) fn start(purpose: &str, durability: Durability) -> Result<Self> {
        ensure(purpose)?;
        let programs = programs().context("PostgreSQL was found a moment ago")?;
        let directory = tempfile::Builder::new().prefix("mapae-postgres-").tempdir()?;
        let owner = if is_root() { Some(unprivileged()?) } else { None };
        if let Some((user, group)) = owner {
            chown(directory.path(), Some(user), Some(group))?;
        }
        let certificates = directory.path().join("certificates");
        fs::create_dir(&certificates)?;
        certify(&certificates)?;
        for file in [certificates.clone(), certificates.join("server.key")] {
            owner.map_or(Ok(()), |(user, group)| chown(file, Some(user), Some(group)))?;
        }
        let data = directory.path().join("data");
        let mut init = command(&programs, "initdb", owner);
        init.arg("--pgdata").arg(&data).args(["--username", USER, "--auth=trust", "--no-sync"]);
        init.args(["--encoding=UTF8", "--locale=C"]).stdout(Stdio::null());
        run(&mut init)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut server = command(&programs, "postgres", owner);
        server.arg("-D").arg(&data).args(["-p", &port.to_string()]);
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=400",
            "log_min_messages=panic",
            "ssl=on",
        ] {
            server.args(["-c", setting]);
        }
        if durability == Durability::Forgetful {
            for setting in ["fsync=off", "full_page_writes=off", "synchronous_commit=off"] {
                server.args(["-c", setting]);
            }
        }
        for (setting, file) in [("ssl_cert_file", "server.pem"), ("ssl_key_file", "server.key")] {
            server.args(["-c", &format!("{setting}={}", certificates.join(file).display())]);
        }
        let log = fs::File::create(directory.path().join("log"))?;
        server.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let server = Background::start("PostgreSQL", &mut server)?;
        let mut cluster = Self { server: Some(server), programs, port, directory };
        cluster.wait()?;
        Ok(cluster)
    }

    /// What the tests are told of it: its URL, to which the name of a database is added; who vouches for its
    /// certificate, which names it `localhost`; and where its programs are, for tests that start and stop one of their
    /// own.
    pub(crate) fn variables(&self) -> [(&'static str, String); 3] {
        let authority = self.directory.path().join("certificates/ca.pem");
        [
            ("MAPAE_TEST_POSTGRES", format!("postgres://{USER}@127.0.0.1:{}", self.port)),
            ("MAPAE_TEST_POSTGRES_CA", authority.display().to_string()),
            ("MAPAE_TEST_POSTGRES_PROGRAMS", self.programs.display().to_string()),
        ]
    }

    /// Makes a database; its URL.
    pub(crate) fn database(&self, name: &str) -> Result<String> {
        run(self.client("createdb").arg(name))?;
        Ok(format!("postgres://{USER}@127.0.0.1:{}/{name}", self.port))
    }

    /// One of PostgreSQL's client programs, for this server.
    pub(crate) fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", USER]);
        command
    }

    /// On which port of 127.0.0.1 it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    fn wait(&mut self) -> Result<()> {
        let stopwatch = Stopwatch::start();
        loop {
            if self.client("pg_isready").arg("-q").status().is_ok_and(|status| status.success()) {
                return Ok(());
            }
            self.server.as_mut().map_or(Ok(()), Background::check_running)?;
            if stopwatch.elapsed() > PATIENCE {
                bail!("PostgreSQL does not answer on port {} after {stopwatch}", self.port);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            // It takes its own processes along, which killing it would leave to find out for themselves.
            server.interrupt(Duration::from_secs(10));
        }
    }
}

/// Makes an authority, and the server's key and certificate, which names it `localhost` alone.
fn certify(directory: &Path) -> Result<()> {
    fs::write(directory.join("names"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n")?;
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    for arguments in [
        format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=tests"),
        format!("req {key} -keyout server.key -out server.csr -subj /CN=localhost"),
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile names"
            .to_owned(),
    ] {
        let mut openssl = Command::new("openssl");
        openssl.args(arguments.split(' ')).current_dir(directory).stderr(Stdio::null());
        run(&mut openssl)?;
    }
    Ok(())
}

/// One of PostgreSQL's programs with an argument, such as the one that makes it tell its version.
pub(crate) fn program(name: &str, argument: &str) -> Result<Command> {
    let mut command = Command::new(programs().context("there is no PostgreSQL")?.join(name));
    command.arg(argument);
    Ok(command)
}

/// Installs PostgreSQL if no version that is new enough is there.
pub(crate) fn ensure(purpose: &str) -> Result<()> {
    debian::ensure(purpose, &[Tool::new("openssl", "openssl")])?;
    if programs().is_some() {
        return Ok(());
    }
    debian::ensure(purpose, &[Tool::new("pg_ctlcluster", "postgresql")])?;
    match programs() {
        Some(_) => Ok(()),
        None => bail!(
            "{purpose} needs PostgreSQL {OLDEST} or newer, and there is none in {DEBIAN} or PATH.\n\
             On Debian: sudo apt-get install postgresql"
        ),
    }
}

/// The directory of the newest server's programs.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().filter_map(Result::ok);
    let numbered = versions.filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())));
    let there = numbered.map(|(version, path)| (version, path.join("bin")));
    let newest = there.filter(|(version, path)| *version >= OLDEST && path.join("initdb").is_file()).max();
    newest.map(|(_, path)| path).or_else(|| find("initdb")?.parent().map(Path::to_owned))
}

/// A program that refuses to run as root.
pub(crate) fn unprivileged_command(program: &Path) -> Result<Command> {
    let owner = if is_root() { Some(unprivileged()?) } else { None };
    Ok(run_as(program, owner))
}

/// Gives a temporary directory to whom [`unprivileged_command`] runs as.
pub(crate) fn open_to_unprivileged(directory: &Path) -> Result<()> {
    if is_root() {
        let (user, group) = unprivileged()?;
        chown(directory, Some(user), Some(group))?;
    }
    Ok(())
}

/// One of the server's programs, run as this user.
fn command(programs: &Path, name: &str, owner: Option<(u32, u32)>) -> Command {
    run_as(&programs.join(name), owner)
}

fn run_as(program: &Path, owner: Option<(u32, u32)>) -> Command {
    let Some((user, group)) = owner else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &user.to_string(), "--regid", &group.to_string(), "--clear-groups"]);
    // It does not outlive us, whatever ends us.
    command.args(["--pdeathsig", "INT"]).arg(program);
    // Theirs is a directory that this user may not enter.
    command.current_dir("/");
    command
}

/// The ids of a user without privileges, and of the group.
fn unprivileged() -> Result<(u32, u32)> {
    let id = |flag: &str, user: &str| -> Option<u32> {
        let output = Command::new("id").args([flag, user]).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    let ids = UNPRIVILEGED.iter().find_map(|user| Some((id("-u", user)?, id("-g", user)?)));
    ids.with_context(|| format!("PostgreSQL does not run as root, and there is no user {}", UNPRIVILEGED.join(" or ")))
}
