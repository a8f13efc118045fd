//! `cargo xtask soak`: three nodes under a load through every fault, for longer than in the tests.

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::bar::{FAULTS, SERVER, tests_of};
use crate::debian::{self, Tool};
use crate::postgres::{Cluster, Durability};
use crate::process::{self, Stopwatch, line};

/// What says how long a fault lasts.
const SECONDS: &str = "MAPAE_FAULT_SECONDS";

/// Options of `cargo xtask soak`.
#[derive(Args)]
pub(crate) struct Options {
    /// How long each fault lasts
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Only faults with this in their names, such as network (may be repeated)
    #[arg(long, value_name = "FAULT")]
    only: Vec<String>,
}

/// Runs the faults one after the other; each says what it saw.
pub(crate) fn run(options: &Options) -> Result<()> {
    debian::ensure("The soak", &[Tool::new("faketime", "faketime")])?;
    let program = tests_of(SERVER)?;
    let listed = Command::new(&program).args(["--list", "--format", "terse"]).output().context("the tests")?;
    let listed = String::from_utf8(listed.stdout)?;
    let names = listed.lines().filter_map(|line| line.strip_suffix(": test"));
    let faults: Vec<&str> = names.filter(|name| name.starts_with(FAULTS)).collect();
    let is_wanted = |name: &&str| options.only.is_empty() || options.only.iter().any(|part| name.contains(part));
    let wanted: Vec<&str> = faults.iter().copied().filter(is_wanted).collect();
    if wanted.is_empty() {
        bail!("No fault has that in its name. There are:\n  {}", faults.join("\n  "));
    }
    let cluster = Cluster::start("The soak", Durability::Forgetful)?;
    let mut tests = Command::new(program);
    tests.current_dir(process::root().join(SERVER)).env(SECONDS, options.seconds.to_string());
    tests.envs(cluster.variables()).args(["--exact", "--nocapture", "--test-threads", "1"]).args(&wanted);
    println!("==> {} faults of {} s: {}", wanted.len(), options.seconds, line(&tests));
    let stopwatch = Stopwatch::start();
    process::run(&mut tests)?;
    println!("    all is well after {stopwatch}");
    Ok(())
}
