//! `cargo xtask upgrade`: the previous release goes on while the next one migrates its database.

mod load;
mod nodes;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde_json::Value;

use crate::postgres::{Cluster, Durability};
use crate::process::{self, Stopwatch, cargo, line, root, target_directory};
use load::Load;
use nodes::Node;

/// How long the load runs in each stage: only the previous release, both, only this one.
const STAGE: Duration = Duration::from_secs(5);
/// Between a node's leaving the load and its stop, as a load balancer leaves it: whoever chose it has asked it by then.
const DRAIN: Duration = Duration::from_millis(500);

/// Options of `cargo xtask upgrade`.
#[derive(Args)]
pub(crate) struct Options {
    /// The commit or tag of the previous release [default: the newest tag v… before this commit]
    #[arg(long, value_name = "REVISION")]
    from: Option<String>,
}

/// Builds both, runs them on one database under load, and checks every answer.
pub(crate) fn run(options: &Options) -> Result<()> {
    let revision = match &options.from {
        Some(revision) => revision.clone(),
        None => previous_release()?.context(
            "No release is tagged yet, so there is nothing to upgrade from. Name a commit instead: --from REVISION",
        )?,
    };
    let old = build_previous(&revision)?;
    let new = build(root())?;

    let cluster = Cluster::start("Upgrading", Durability::Forgetful)?;
    let database = cluster.database("upgrade")?;

    println!("==> two nodes of {revision}");
    let first = Node::start("the previous release", &old, &database)?;
    let second = Node::start("the previous release", &old, &database)?;
    let load = Load::start(&[first.origin(), second.origin()])?;
    std::thread::sleep(STAGE);
    println!("    {}", load.report());

    println!("==> a node of this commit migrates, and joins them");
    let stopwatch = Stopwatch::start();
    let third = Node::start("this commit", &new, &database)?;
    println!("    ready after {stopwatch}");
    load.set_origins(&[first.origin(), second.origin(), third.origin()]);
    std::thread::sleep(STAGE);
    println!("    {}", load.report());

    println!("==> the nodes of {revision} are replaced, one after the other");
    load.set_origins(&[second.origin(), third.origin()]);
    std::thread::sleep(DRAIN);
    first.stop();
    let fourth = Node::start("this commit", &new, &database)?;
    load.set_origins(&[third.origin(), fourth.origin()]);
    std::thread::sleep(DRAIN);
    second.stop();
    std::thread::sleep(STAGE);

    let counts = load.finish()?;
    ensure!(counts.answered > 0, "the load did nothing");
    println!("    {counts}\nEvery answer was right, and nobody was signed out.");
    Ok(())
}

/// The newest release before this commit.
pub(crate) fn previous_release() -> Result<Option<String>> {
    let mut describe = Command::new("git");
    describe.args(["describe", "--tags", "--abbrev=0", "--match", "v*", "HEAD"]).current_dir(root());
    let output = describe.output().context("git")?;
    Ok(output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned()))
}

/// The server as it was at that revision. It is built beside ours, and kept.
fn build_previous(revision: &str) -> Result<PathBuf> {
    let directory = target_directory()?.join("upgrade");
    let source = directory.join("source");
    let kept = directory.join("previous");
    if source.exists() {
        fs::remove_dir_all(&source)?;
    }
    fs::create_dir_all(&source)?;
    let mut archive = Command::new("git");
    archive.args(["archive", revision]).current_dir(root()).stdout(Stdio::piped());
    let mut archive = archive.spawn().context("git")?;
    let packed = archive.stdout.take().context("git has no output")?;
    process::run(Command::new("tar").arg("-x").current_dir(&source).stdin(packed))?;
    ensure!(archive.wait()?.success(), "git knows no revision {revision}");
    // It lies inside our workspace's target directory, whose next build would replace it.
    fs::copy(build(&source)?, &kept)?;
    Ok(kept)
}

/// Builds the server of that source with our target directory, so that both share the libraries.
fn build(source: &Path) -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["build", "--package", "mapae-server", "--bin", "mapae", "--message-format", "json"]);
    build.current_dir(source).env("CARGO_TARGET_DIR", target_directory()?);
    println!("==> build: {}", line(&build));
    let output = build.stderr(Stdio::inherit()).output().context("cargo")?;
    ensure!(output.status.success(), "`{}` failed ({})", line(&build), output.status);
    let messages = output.stdout.split(|byte| *byte == b'\n');
    let messages = messages.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let executables = messages.filter(|message| message["target"]["name"] == "mapae");
    let mut executables = executables.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    executables.next().context("cargo built no server")
}
