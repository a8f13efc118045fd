//! `cargo xtask bench`: what it costs, against named alternatives, on the machine of whoever asks.

mod compare;
mod cores;
mod durable;
mod flood;
mod http;
mod lane;
mod load;
mod logins;
mod machine;
mod opponents;
mod page;
mod plan;
mod proc;
mod protected_route;
mod report;
mod scale;
mod servers;
mod shown;
mod starts;
mod verify;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};

use crate::bar;
use crate::process::{self, Stopwatch, cargo, line, root, target_directory};
use cores::Cores;
use plan::Plan;
use report::{Report, Row};

/// Where the figures go, from the top of the repository.
const JSON: &str = "docs/bench.json";
/// The same for people.
const PAGE: &str = "docs/benchmarks.md";

/// What is built in release: the server, and what it is measured with.
const PROGRAMS: [&str; 7] =
    ["mapae", "bench-bare", "bench-embedded", "bench-hash", "bench-load", "bench-mint", "bench-verify"];

/// Options of `cargo xtask bench`.
#[derive(Args)]
pub(crate) struct Options {
    /// Fewer and shorter rounds, no tests and no million accounts: under 3 minutes once everything is built
    #[arg(long)]
    quick: bool,
    /// Measure only these rows (may be repeated); their figures take their places among those of the last run, if that
    /// was like this one
    #[arg(long, value_name = "ROWS")]
    only: Vec<Group>,
    /// Print what moved against the figures of an earlier run, such as docs/bench.json
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
}

/// Rows that are measured together.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Group {
    /// No rows: the tests of the server, on the very binary that is measured; not in a quick run
    Tests,
    /// GET /users/me against an unprotected route, a bare server and FastAPI
    UsersMe,
    /// The same with every token new
    NewTokens,
    /// Verifying one token, against the bare primitive and other libraries
    Verify,
    /// Sign-ins per second
    Logins,
    /// Others' requests, and memory, during a flood of sign-ins
    Flood,
    /// Refreshes and sign-ups per second, on SQLite and PostgreSQL
    Durable,
    /// Time to start, memory when idle, size
    Starts,
    /// Latency at up to a million accounts; not in a quick run
    Scale,
}

impl Options {
    /// What was asked for, in its order.
    fn groups(&self) -> Result<Vec<Group>> {
        if let Some(long) = self.only.iter().find(|group| self.quick && group.is_long()) {
            let name = long.name();
            bail!("{name} is not part of a quick run. To run it: cargo xtask bench --only {name}");
        }
        let asked = |group: &Group| match self.only.as_slice() {
            [] => !(self.quick && group.is_long()),
            only => only.contains(group),
        };
        Ok(Group::value_variants().iter().copied().filter(asked).collect())
    }
}

impl Group {
    fn rows(self, plan: &Plan) -> Result<Vec<Row>> {
        match self {
            Self::Tests => bar::test_server(&plan.program("mapae")).map(|()| Vec::new()),
            Self::UsersMe => protected_route::warm(plan),
            Self::NewTokens => protected_route::new_tokens(plan),
            Self::Verify => verify::rows(plan),
            Self::Logins => logins::rows(plan),
            Self::Flood => flood::rows(plan),
            Self::Durable => durable::rows(plan),
            Self::Starts => starts::rows(plan),
            Self::Scale => scale::rows(plan),
        }
    }

    /// Whether it takes too long for a quick run.
    fn is_long(self) -> bool {
        matches!(self, Self::Tests | Self::Scale)
    }

    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// Builds, measures, prints and writes.
pub(crate) fn run(options: &Options) -> Result<()> {
    let stopwatch = Stopwatch::start();
    let groups = options.groups()?;
    // Before it is written over.
    let earlier = options.compare.as_deref().map(Report::read).transpose()?;
    opponents::ensure()?;
    build()?;
    let plan = Plan { quick: options.quick, cores: Cores::pick(), target: target_directory()? };
    println!("==> measure: {}", plan.cores);

    let mut rows = Vec::new();
    for group in groups {
        let (name, stopwatch) = (group.name(), Stopwatch::start());
        println!("==> {name}");
        let measured = group
            .rows(&plan)
            .with_context(|| format!("{name}. To repeat this part alone: cargo xtask bench --only {name}"))?;
        measured.iter().for_each(print);
        println!("    {name} took {stopwatch}");
        rows.extend(measured);
    }
    if rows.is_empty() {
        return Ok(());
    }
    let report =
        Report { quick: options.quick, machine: machine::machine(&plan), versions: machine::versions(&plan)?, rows };
    if let Some(earlier) = &earlier {
        println!("==> compare\n{}", compare::compare(earlier, &report));
    }
    summarize(&report, stopwatch);
    write(report, !options.only.is_empty())
}

fn build() -> Result<()> {
    let mut build = cargo();
    build.args(["build", "--release", "--package", "mapae-server", "--package", "xtask"]);
    build.args(["--features", "xtask/bench"]);
    build.args(PROGRAMS.iter().flat_map(|program| ["--bin", program]));
    println!("==> build: {}", line(&build));
    let stopwatch = Stopwatch::start();
    process::run(&mut build)?;
    println!("    built in {stopwatch}");
    Ok(())
}

fn print(row: &Row) {
    let ratio = row.ratio();
    println!("    {:<7} {}: {}", shown::verdict(row), row.name, shown::series(&row.ours, Some(row.unit)));
    println!("            against {}: {}", row.against, shown::series(&row.theirs, Some(row.unit)));
    println!("            ratio {}, wanted {}", shown::series(&ratio, None), shown::wanted(row));
    if let Some(note) = &row.note {
        println!("            {note}");
    }
}

fn summarize(report: &Report, stopwatch: Stopwatch) {
    let judged = report.rows.iter().filter(|row| row.is_met().is_some()).count();
    let missed: Vec<&str> =
        report.rows.iter().filter(|row| row.is_met() == Some(false)).map(|row| row.name.as_str()).collect();
    println!("==> {} of {judged} met, in {stopwatch}", judged - missed.len());
    if !missed.is_empty() {
        println!("    missed: {}", missed.join(", "));
    }
}

/// Writes the figures and the page. Those of a part only join others of their kind.
fn write(report: Report, is_part: bool) -> Result<()> {
    let (json, page_file) = (root().join(JSON), root().join(PAGE));
    let report = match Report::read(&json) {
        Ok(last) if is_part && report.is_alike(&last) => report.added_to(last),
        Ok(_) if is_part => {
            println!("    {JSON} is of another machine, or of a run that was not as quick: left as it is");
            return Ok(());
        }
        _ => report,
    };
    report.write(&json)?;
    std::fs::write(page_file, page::page(&report)).context(PAGE)?;
    println!("    written: {PAGE}, {JSON}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Group, Options};

    fn groups(quick: bool, only: &[Group]) -> Option<Vec<String>> {
        let options = Options { quick, only: only.to_vec(), compare: None };
        options.groups().ok().map(|groups| groups.into_iter().map(Group::name).collect())
    }

    #[test]
    fn what_takes_long_is_never_left_out_unsaid() {
        let all = groups(false, &[]).unwrap();
        assert_eq!((all.first().unwrap().as_str(), all.last().unwrap().as_str()), ("tests", "scale"));
        assert_eq!(groups(true, &[]).unwrap(), all[1..all.len() - 1]);
        assert_eq!(groups(false, &[Group::Tests]).unwrap(), ["tests"]);
        assert_eq!(groups(true, &[Group::Flood]).unwrap(), ["flood"]);
        assert_eq!(groups(true, &[Group::Flood, Group::Tests]), None);
        assert_eq!(groups(true, &[Group::Scale]), None);
    }
}
