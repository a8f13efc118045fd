//! Chores of this repository: `cargo xtask --help`.

mod bar;
mod bench;
mod debian;
mod packages;
mod pgbouncer;
mod postgres;
mod process;
mod soak;
mod upgrade;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Chores of this repository.
///
/// Everything that a task needs is set up by the task itself: on Debian, as root, missing packages are installed;
/// elsewhere it says what to install.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Check everything that a change must pass: format, lints, documentation, tests
    ///
    /// Stops at the first part that fails and says how to repeat that part alone. CI runs exactly this.
    Test(bar::Options),
    /// Install what the tests need besides Rust, for those who run `cargo test` by themselves
    ///
    /// Programs come from Debian's packages, as root; Python and npm packages go into the target directory.
    Setup,
    /// Measure against named alternatives, and write docs/benchmarks.md and docs/bench.json
    ///
    /// Builds everything in release, sets up what it compares with (a bare axum server, FastAPI's tutorial, PostgreSQL),
    /// and loads all in turns. With two cores or more, the servers get one to themselves. A missing opponent is an error.
    Bench(bench::Options),
    /// Run the previous release on PostgreSQL under load while this commit migrates its database and takes over
    ///
    /// Builds both, starts two nodes of the previous release, then one of this commit, then replaces the others. Every
    /// answer must be a success, and sessions from before must go on.
    Upgrade(upgrade::Options),
    /// Let three nodes under a load go through every fault, each for a minute
    ///
    /// Nodes are killed, restarted and have their clocks moved; PostgreSQL is restarted, unreachable, silent and out of disk
    /// space. Says for each fault what was acknowledged, refused and unavailable, and how long it took until all was well
    /// again; fails if anything was lost, or anybody let in who should not be. The tests do the same for five seconds
    /// each.
    Soak(soak::Options),
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Test(options) => bar::run(&options),
        Task::Setup => bar::setup(),
        Task::Bench(options) => bench::run(&options),
        Task::Upgrade(options) => upgrade::run(&options),
        Task::Soak(options) => soak::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\n{error:#}");
            ExitCode::FAILURE
        }
    }
}
