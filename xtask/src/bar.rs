//! `cargo xtask test`: what every change must pass.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::debian::{self, Tool};
use crate::packages;
use crate::pgbouncer::Pooler;
use crate::postgres::{self, Cluster, Durability};
use crate::process::{self, Stopwatch, cargo, line};
use crate::upgrade;

/// The library and the server, from the top of the repository.
const LIBRARY: &str = "crates/mapae";
pub(crate) const SERVER: &str = "crates/mapae-server";
/// Where the server's tests of faults are, and nothing else is: test programs look for it anywhere in a name.
pub(crate) const FAULTS: &str = "outages::";

/// What the tests drive from outside: clients that are not ours, a browser, a proxy.
const TOOLS: &[Tool] = &[
    Tool::new("curl", "curl"),
    Tool::new("chromium", "chromium"),
    Tool::new("chromedriver", "chromium-driver"),
    Tool::new("nginx", "nginx"),
    Tool::new("faketime", "faketime"),
    Tool::new("python3", "python3-venv").probed(&["-c", "import ensurepip, venv"]),
    Tool::new("npm", "npm"),
];

/// Options of `cargo xtask test`.
#[derive(Args)]
pub(crate) struct Options {
    /// Run only this part (may be repeated)
    #[arg(long, value_name = "PART")]
    only: Vec<Part>,
    /// Arguments of the test programs, such as a part of a test's name
    #[arg(last = true, value_name = "ARGUMENT")]
    arguments: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// cargo fmt --check
    Fmt,
    /// cargo clippy, warnings are errors
    Clippy,
    /// cargo clippy of the library without its features
    Features,
    /// cargo doc, warnings are errors
    Doc,
    /// cargo test, with the programs that the tests need and PostgreSQL
    Test,
    /// Three nodes through every fault, one after the other: how soon all is well says little while other tests run
    Faults,
    /// The tests of the library once more, on PostgreSQL
    Postgres,
    /// The same, through PgBouncer
    Pgbouncer,
    /// The previous release beside this commit on one database, once a release is tagged
    Upgrade,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Clippy => "clippy",
            Self::Features => "features",
            Self::Doc => "doc",
            Self::Test => "test",
            Self::Faults => "faults",
            Self::Postgres => "postgres",
            Self::Pgbouncer => "pgbouncer",
            Self::Upgrade => "upgrade",
        }
    }

    /// `servers` are the variables by which tests find the servers that they need.
    fn command(self, servers: Vec<(&str, String)>, arguments: &[String]) -> Result<Command> {
        let mut cargo = cargo();
        cargo.envs(servers.clone());
        match self {
            Self::Fmt => cargo.args(["fmt", "--all", "--check"]),
            Self::Clippy => {
                cargo.args(["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"])
            }
            Self::Features => {
                cargo.args(["clippy", "--package", "mapae", "--no-default-features", "--", "-D", "warnings"])
            }
            Self::Doc => {
                cargo.env("RUSTDOCFLAGS", "-D warnings");
                cargo.args(["doc", "--workspace", "--no-deps", "--all-features"])
            }
            Self::Test if arguments.is_empty() => {
                cargo.args(["test", "--workspace", "--all-features", "--", "--skip", FAULTS])
            }
            Self::Test => cargo.args(["test", "--workspace", "--all-features", "--"]).args(arguments),
            Self::Faults => {
                let mut tests = server_tests(servers)?;
                tests.args([FAULTS, "--test-threads", "1"]).args(arguments);
                return Ok(tests);
            }
            Self::Postgres | Self::Pgbouncer => {
                let mut tests = Command::new(tests_of(LIBRARY)?);
                tests.current_dir(process::root().join(LIBRARY)).envs(servers);
                tests.env("MAPAE_TEST_ENGINE", "postgres").args(arguments);
                return Ok(tests);
            }
            Self::Upgrade => cargo.args(["xtask", "upgrade"]),
        };
        Ok(cargo)
    }

    /// Whether it takes a PostgreSQL server.
    fn needs_postgres(self) -> bool {
        matches!(self, Self::Test | Self::Faults | Self::Postgres | Self::Pgbouncer)
    }
}

/// Installs what the tests need besides Rust and is not there yet.
pub(crate) fn setup() -> Result<()> {
    debian::ensure("The test suite", TOOLS)?;
    postgres::ensure("The test suite")?;
    packages::ensure("The test suite")
}

/// The tests of the server, on another build of it.
pub(crate) fn test_server(program: &Path) -> Result<()> {
    setup()?;
    let cluster = Cluster::start("The test suite", Durability::Forgetful)?;
    let mut tests = server_tests(cluster.variables().into())?;
    process::run(tests.env("MAPAE_TEST_PROGRAM", program).args(["--quiet", "--skip", FAULTS]))
}

fn server_tests(servers: Vec<(&str, String)>) -> Result<Command> {
    let mut tests = Command::new(tests_of(SERVER)?);
    tests.current_dir(process::root().join(SERVER)).envs(servers);
    Ok(tests)
}

/// The program that the tests of a crate in this directory were built into; built exactly as the part `test` builds it.
pub(crate) fn tests_of(directory: &str) -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["test", "--workspace", "--all-features", "--test", "it", "--no-run", "--message-format", "json"]);
    let output = build.stderr(Stdio::inherit()).output().context("cargo")?;
    if !output.status.success() {
        bail!("`{}` failed ({})", line(&build), output.status);
    }
    let manifest = process::root().join(directory).join("Cargo.toml");
    let messages = output.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let built = |message: Value| {
        let is_it =
            message["manifest_path"].as_str().map(Path::new) == Some(&manifest) && message["target"]["name"] == "it";
        message["executable"].as_str().filter(|_| is_it).map(PathBuf::from)
    };
    messages.into_iter().find_map(built).with_context(|| format!("cargo built no tests of {directory}"))
}

/// Runs the parts that were asked for, or all.
pub(crate) fn run(options: &Options) -> Result<()> {
    let all = Part::value_variants();
    let mut parts: Vec<Part> =
        all.iter().copied().filter(|part| options.only.is_empty() || options.only.contains(part)).collect();
    if options.only.is_empty() && upgrade::previous_release()?.is_none() {
        println!("note: without the part upgrade, since no release is tagged yet");
        parts.retain(|part| *part != Part::Upgrade);
    }
    if parts.iter().any(|part| matches!(part, Part::Test | Part::Faults)) {
        setup()?;
    }
    let cluster = match parts.iter().any(|part| part.needs_postgres()) {
        true => Some(Cluster::start("The test suite", Durability::Forgetful)?),
        false => None,
    };
    for (number, part) in parts.iter().enumerate() {
        let name = part.name();
        let mut servers = Vec::new();
        if part.needs_postgres() {
            servers.extend(cluster.iter().flat_map(Cluster::variables));
        }
        // Only for as long as this part takes.
        let pooler = match (part, &cluster) {
            (Part::Pgbouncer, Some(cluster)) => Some(Pooler::start("The test suite", cluster)?),
            _ => None,
        };
        servers.extend(pooler.iter().flat_map(Pooler::variables));
        let mut command = part.command(servers, &options.arguments)?;
        println!("==> {}/{} {name}: {}", number + 1, parts.len(), line(&command));
        let stopwatch = Stopwatch::start();
        process::run(&mut command).map_err(|error| {
            anyhow!("{name}: {error:#}.\nTo repeat this part alone: cargo xtask test --only {name}")
        })?;
        println!("    {name} passed in {stopwatch}");
    }
    Ok(())
}
