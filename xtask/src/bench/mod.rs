//! `cargo xtask bench`: what protecting a route costs.

mod cores;
mod load;
mod servers;

use anyhow::Result;
use clap::Args;

use crate::debian::{self, Tool};
use crate::process::{self, Stopwatch, cargo, line};
use cores::Cores;
use load::Sample;
use servers::Servers;

/// The share of the bare server's speed that is aimed at.
const AIM: f64 = 0.7;
/// A server that gets less of its core than this was held up by something else, and requests/s compare that instead.
const MOSTLY_BUSY: f64 = 0.9;

/// Options of `cargo xtask bench`.
#[derive(Args)]
pub(crate) struct Options {
    /// Fewer and shorter rounds: about 20 seconds of load, and a rougher figure
    #[arg(long)]
    quick: bool,
}

/// Builds, measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    debian::ensure("The benchmark", &[Tool::new("wrk", "wrk")])?;
    let (rounds, seconds) = if options.quick { (3, 3) } else { (7, 5) };

    let mut build = cargo();
    build.args(["build", "--release", "--package", "mapae-server", "--package", "xtask"]);
    build.args(["--features", "xtask/bare", "--bin", "mapae", "--bin", "bare"]);
    println!("==> build: {}", line(&build));
    let stopwatch = Stopwatch::start();
    process::run(&mut build)?;
    println!("    built in {stopwatch}");

    let cores = Cores::pick();
    println!("==> start: both servers ({cores})");
    let mut servers = Servers::start(&cores)?;
    println!("    both answer the same {} bytes of {}", servers.answer.body.len(), servers.answer.content_type);

    println!("==> load: {rounds} rounds of {seconds} s for each server, after one round to warm up");
    let (mut mapae, mut bare) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        // In turns, and each goes first as often as the other, so that a drift of the machine hits both alike.
        let mut turn = |is_mapae: bool| -> Result<()> {
            let (target, samples) =
                if is_mapae { (&mut servers.mapae, &mut mapae) } else { (&mut servers.bare, &mut bare) };
            let sample = load::run(target, &servers.token, &cores, seconds)?;
            if round > 0 {
                println!("    {round}/{rounds} {:<10} {sample}", target.name);
                samples.push(sample);
            }
            Ok(())
        };
        let mapae_first = round % 2 == 0;
        turn(mapae_first)?;
        turn(!mapae_first)?;
    }
    report(&mapae, &bare);
    Ok(())
}

fn report(mapae: &[Sample], bare: &[Sample]) {
    println!("\nGET /users/me with one valid token        requests/s (lowest – highest)   CPU per request");
    for (name, samples) in [("mapae", mapae), ("bare axum, no token checked", bare)] {
        let (lowest, middle, highest) = spread(samples, |sample| sample.requests_per_second);
        let (_, cpu, _) = spread(samples, |sample| sample.cpu_microseconds());
        println!("  {name:<34} {middle:>15.0} ({lowest:.0} – {highest:.0}) {cpu:>15.2} µs");
    }
    let middle = |samples: &[Sample], figure: fn(&Sample) -> f64| spread(samples, figure).1;
    let by_rate =
        middle(mapae, |sample| sample.requests_per_second) / middle(bare, |sample| sample.requests_per_second);
    let busy = middle(bare, |sample| sample.busy).min(middle(mapae, |sample| sample.busy));
    if busy >= MOSTLY_BUSY {
        println!("  ratio {by_rate:.2} (aim: {AIM} or more)");
        return;
    }
    let by_cpu = middle(bare, Sample::cpu_microseconds) / middle(mapae, Sample::cpu_microseconds);
    println!(
        "  ratio {by_cpu:.2} by CPU per request (aim: {AIM} or more). By requests/s it would be {by_rate:.2}, but that \
         says little:\n  wrk or other programs left the servers only {:.0} % of a core. Repeat it on a quiet machine.",
        busy * 100.0
    );
}

/// Lowest, median and highest.
fn spread(samples: &[Sample], figure: impl Fn(&Sample) -> f64) -> (f64, f64, f64) {
    let mut figures: Vec<f64> = samples.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    let at = |index: usize| figures.get(index).copied().unwrap_or(f64::NAN);
    (at(0), at(figures.len() / 2), at(figures.len().saturating_sub(1)))
}
