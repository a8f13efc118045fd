//! PgBouncer before the tests' PostgreSQL, in transaction mode, on 127.0.0.1 and a free port. Debian's own, of a release
//! that has a version which is new enough: where the installed release has none, its programs are unpacked below the
//! target directory and installed nowhere.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::debian::{self, Tool};
use crate::postgres::{self, Cluster};
use crate::process::{Background, Stopwatch, find, run, target_directory};

/// The oldest version that keeps prepared statements in transaction mode.
const OLDEST: (u32, u32) = (1, 21);
/// The first release of Debian that has it.
const RELEASE: &str = "trixie";
/// PgBouncer there, and what it is linked with, down to the loader.
const PACKAGES: &[&str] = &[
    "pgbouncer",
    "libaudit1",
    "libc6",
    "libcap-ng0",
    "libcap2",
    "libcares2",
    "libevent-2.1-7t64",
    "libpam0g",
    "libssl3t64",
    "libsystemd0",
    "libzstd1",
    "zlib1g",
];
/// Connections to the server for each database: fewer than one node asks for, so that clients share them.
const POOL: u32 = 8;
/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running PgBouncer. It is stopped when this value goes.
pub(crate) struct Pooler {
    _server: Background,
    port: u16,
    _directory: TempDir,
}

impl Pooler {
    /// Starts one before this server. `purpose` completes the sentence "… needs".
    pub(crate) fn start(purpose: &str, cluster: &Cluster) -> Result<Self> {
        let found = Found::ensure(purpose)?;
        let directory = tempfile::Builder::new().prefix("mapae-pgbouncer-").tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let settings = directory.path().join("pgbouncer.ini");
        fs::write(&settings, settings_for(port, cluster))?;
        let program = found.program(directory.path())?;
        let mut server = postgres::unprivileged_command(&program[0])?;
        server.args(&program[1..]).arg(&settings);
        postgres::open_to_unprivileged(directory.path())?;
        let log = directory.path().join("log");
        server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&log)?);
        let mut server = Background::start("PgBouncer", &mut server)?;
        let stopwatch = Stopwatch::start();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            server.check_running().with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
            if stopwatch.elapsed() > PATIENCE {
                bail!("PgBouncer does not answer on port {port} after {stopwatch}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { _server: server, port, _directory: directory })
    }

    /// What the tests are told of it: as [`Cluster::variables`], by way of the pooler.
    pub(crate) fn variables(&self) -> [(&'static str, String); 1] {
        [("MAPAE_TEST_POOLER", format!("postgres://{}@127.0.0.1:{}", postgres::USER, self.port))]
    }
}

/// What `docs/growing.md` asks for, and a pool that is small.
fn settings_for(port: u16, cluster: &Cluster) -> String {
    format!(
        "[databases]\n\
         * = host=127.0.0.1 port={} user={}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         auth_type = any\n\
         pool_mode = transaction\n\
         max_prepared_statements = 100\n\
         default_pool_size = {POOL}\n\
         max_client_conn = 2000\n\
         log_connections = 0\n\
         log_disconnections = 0\n",
        cluster.port(),
        postgres::USER
    )
}

/// Where PgBouncer is.
enum Found {
    /// Installed.
    Installed(PathBuf),
    /// In packages that are unpacked for each run, so that a user without privileges can read them.
    Unpacked(Vec<PathBuf>),
}

impl Found {
    fn ensure(purpose: &str) -> Result<Self> {
        if let Some(program) = installed() {
            return Ok(Self::Installed(program));
        }
        let get = "On Debian 13 or newer: sudo apt-get install pgbouncer\n\
                   On Debian 12 this task fetches what it needs by itself, with apt-get.";
        let wanted = format!("{purpose} needs PgBouncer {}.{} or newer", OLDEST.0, OLDEST.1);
        if find("apt-get").is_none() || find("dpkg-deb").is_none() {
            bail!("{wanted}, and PATH has none.\n{get}");
        }
        if candidate().is_some_and(|version| version >= OLDEST) {
            debian::ensure(purpose, &[Tool::new("pgbouncer", "pgbouncer")])?;
            return Ok(Self::Installed(installed().with_context(|| format!("{wanted}, and the package has none"))?));
        }
        let packages = packages(&wanted).with_context(|| format!("{wanted}.\n{get}"))?;
        Ok(Self::Unpacked(packages))
    }

    /// The words of the command that runs it; `directory` is for what is unpacked.
    fn program(&self, directory: &Path) -> Result<Vec<PathBuf>> {
        let packages = match self {
            Self::Installed(program) => return Ok(vec![program.clone()]),
            Self::Unpacked(packages) => packages,
        };
        for package in packages {
            run(Command::new("dpkg-deb").arg("--extract").arg(package).arg(directory))?;
        }
        let libraries = files(&directory.join("usr/lib"))?.into_iter().find(|path| loader(path).is_some());
        let libraries = libraries.context("the package libc6 has no loader where Debian puts it")?;
        let loader = loader(&libraries).context("found a moment ago")?;
        // Its libraries are of another release than this system's.
        Ok(vec![loader, "--library-path".into(), libraries, directory.join("usr/sbin/pgbouncer")])
    }
}

/// The program that is installed, if it is new enough.
fn installed() -> Option<PathBuf> {
    let program = find("pgbouncer")?;
    let output = Command::new(&program).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (version(text.strip_prefix("PgBouncer ")?)? >= OLDEST).then_some(program)
}

/// The version that apt-get would install.
fn candidate() -> Option<(u32, u32)> {
    let mut show = Command::new("apt-cache");
    let output = show.args(["show", "--no-all-versions", "pgbouncer"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    version(text.lines().find_map(|line| line.strip_prefix("Version: "))?)
}

/// The first two numbers of `1.24.1-1+deb13u2`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// The packages of a newer release, from wherever this system gets its own, checked against the keys that it trusts.
fn packages(wanted: &str) -> Result<Vec<PathBuf>> {
    let directory = target_directory()?.join("pgbouncer");
    // Written when everything was fetched, so that an interrupted run is begun again.
    let list = directory.join("packages");
    let debs = || -> Result<Vec<PathBuf>> {
        let files = files(&directory)?.into_iter();
        Ok(files.filter(|file| file.extension().is_some_and(|extension| extension == "deb")).collect())
    };
    if fs::read_to_string(&list).is_ok_and(|there| there == PACKAGES.join(" ")) {
        return debs();
    }
    println!("    {wanted}: fetching that of Debian's release {RELEASE} into {}", directory.display());
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    let apt = directory.join("apt");
    for part in ["lists/partial", "archives/partial"] {
        fs::create_dir_all(apt.join(part))?;
    }
    fs::write(apt.join("sources.list"), format!("deb {} {RELEASE} main\n", mirror()?))?;
    let apt_get = || {
        let mut command = Command::new("apt-get");
        let option = |name: &str, value: &str| format!("{name}={}", apt.join(value).display());
        for option in [
            option("Dir::Etc::SourceList", "sources.list"),
            option("Dir::State::Lists", "lists"),
            option("Dir::Cache", ""),
            "Dir::Etc::SourceParts=/dev/null".to_owned(),
            "Dir::State::Status=/dev/null".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::Retries=3".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            // As root it would hand the work to a user who may not enter here.
            "APT::Sandbox::User=root".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        command.args(["--quiet=2"]).current_dir(&directory);
        command
    };
    run(apt_get().arg("update"))?;
    run(apt_get().arg("download").args(PACKAGES))?;
    fs::remove_dir_all(apt)?;
    fs::write(list, PACKAGES.join(" "))?;
    debs()
}

/// From where this system gets Debian's packages.
fn mirror() -> Result<String> {
    let mut targets = Command::new("apt-get");
    targets.args(["indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"]);
    let output = targets.output().context("apt-get indextargets")?;
    let text = String::from_utf8(output.stdout)?;
    let mirror = text.lines().find_map(|line| line.strip_prefix("Debian "));
    mirror.map(str::to_owned).context("apt-get knows no source of Debian's packages: run apt-get update")
}

fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    Ok(entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?)
}

/// The program in this directory that starts others with its libraries.
fn loader(libraries: &Path) -> Option<PathBuf> {
    let is_loader =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ld-linux"));
    files(libraries).ok()?.into_iter().find(is_loader)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (text, is_new) in [("1.18.0-1+deb12u1", false), ("1.21.0", true), ("1.24.1-1+deb13u2", true), ("2.0", true)]
        {
            assert_eq!(version(text).unwrap() >= OLDEST, is_new, "{text}");
        }
        assert_eq!(version("none"), None);
    }
}
