//! What must be on the disk before it is answered: refreshes and sign-ups, against the disk and against PostgreSQL.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::load;
use super::plan::{On, Plan};
use super::report::{Row, Series, Unit, Wanted};
use super::servers::{Cost, Mapae, Server, secret_key};
use crate::postgres::{Cluster, Durability};
use crate::process::{Stopwatch, run};

/// Who refreshes.
const USERS: u32 = 16;
/// Connections at once, also of pgbench.
const CONNECTIONS: u32 = 16;
/// What a small transaction writes into the log of a database, and the size of the log, which is used again and again.
const WRITE: usize = 4096;
const LOG: u64 = 4 << 20;

/// The figures of one engine, round by round.
#[derive(Default)]
struct Figures {
    refresh: Vec<f64>,
    sign_up: Vec<f64>,
    theirs: Vec<f64>,
}

pub(crate) fn rows(plan: &Plan) -> Result<Vec<Row>> {
    let mut rows = on_sqlite(plan)?;
    rows.extend(on_postgres(plan)?);
    Ok(rows)
}

fn on_sqlite(plan: &Plan) -> Result<Vec<Row>> {
    let directory = plan.directory()?;
    let mapae = Mapae::new(plan, directory.path().join("mapae"), Cost::LEAST)?;
    let figures = measure(plan, &mapae, |seconds| fsyncs(directory.path(), seconds))?;
    let against = "write + fdatasync per second, of 4 KiB in the same directory";
    Ok(figures.rows("sqlite", "SQLite", against))
}

fn on_postgres(plan: &Plan) -> Result<Vec<Row>> {
    let cluster = Cluster::start("The benchmark", Durability::Durable)?;
    let database = cluster.database("mapae")?;
    cluster.database("pgbench")?;
    let mut init = cluster.client("pgbench");
    run(init.args(["-i", "-q", "-s", "10", "pgbench"]).stdout(Stdio::null()).stderr(Stdio::null()))?;
    let directory = plan.directory()?;
    let mapae = Mapae::new(plan, directory.path().join("mapae"), Cost::LEAST)?;
    let mapae = mapae.with("DATABASE_URL", database).with("MAPAE_MASTER_KEY", secret_key(plan)?);
    let figures = measure(plan, &mapae, |seconds| pgbench(&cluster, seconds))?;
    let against = "pgbench's simple-update (`-N -c 16`) on the same server";
    Ok(figures.rows("postgres", "PostgreSQL", against))
}

/// Refreshes, signs up and has the other side measured, in turns, which are short: a machine that is shared is slower for
/// seconds at a time.
fn measure(plan: &Plan, mapae: &Mapae<'_>, theirs: impl Fn(u32) -> Result<f64>) -> Result<Figures> {
    let (rounds, seconds) = plan.pick((12, 2), (2, 1));
    let server = mapae.serve(On::ServerCore)?;
    mapae.import(USERS, &Cost::LEAST.hash(plan)?)?;
    let rate = |server: &Server, kind| load::rate(plan, kind, &server.origin, USERS, CONNECTIONS, seconds);
    let mut figures = Figures::default();
    for round in 0..rounds {
        for turn in 0..3 {
            match (turn + round) % 3 {
                0 => figures.refresh.push(rate(&server, "refresh")?.per_second),
                1 => figures.sign_up.push(rate(&server, "sign-up")?.per_second),
                _ => figures.theirs.push(theirs(seconds)?),
            }
        }
    }
    Ok(figures)
}

impl Figures {
    fn rows(self, short: &str, engine: &str, against: &str) -> Vec<Row> {
        let row = |kind: &str, what: &str, ours: Vec<f64>| {
            let (name, what) = (format!("{kind}-{short}"), format!("{what}, durable, on {engine}, 16 at once"));
            Row::new(&name, &what, against, Unit::PerSecond, Wanted::Ratio(0.5))
                .measured(Series(ours), Series(self.theirs.clone()))
        };
        vec![
            row("refresh", "refreshes/s", self.refresh.clone()),
            row("sign-up", "sign-ups/s (least hash cost)", self.sign_up.clone()),
        ]
    }
}

/// How often a second something small comes to rest on the disk of a directory.
fn fsyncs(directory: &Path, seconds: u32) -> Result<f64> {
    let path = directory.join("fsync");
    let file = File::create(&path)?;
    let block = [7; WRITE];
    // Written once, so that its size does not change any more.
    (0..LOG / WRITE as u64).try_for_each(|number| file.write_all_at(&block, number * WRITE as u64))?;
    file.sync_all()?;
    let stopwatch = Stopwatch::start();
    let mut count = 0_u64;
    while stopwatch.elapsed() < Duration::from_secs(seconds.into()) {
        file.write_all_at(&block, count * WRITE as u64 % LOG)?;
        file.sync_data()?;
        count += 1;
    }
    let rate = count as f64 / stopwatch.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok(rate)
}

/// Transactions per second.
fn pgbench(cluster: &Cluster, seconds: u32) -> Result<f64> {
    let mut command = cluster.client("pgbench");
    command.args(["-n", "-N", "-c", &CONNECTIONS.to_string(), "-j", "1", "-T", &seconds.to_string(), "pgbench"]);
    let output = command.output().context("pgbench")?;
    if !output.status.success() {
        bail!("pgbench failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    parse(&String::from_utf8_lossy(&output.stdout))
}

fn parse(report: &str) -> Result<f64> {
    let figure = report.lines().find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next());
    figure.and_then(|figure| figure.parse().ok()).with_context(|| format!("pgbench reported no rate:\n{report}"))
}

#[cfg(test)]
mod tests {
    use super::{fsyncs, parse};

    #[test]
    fn reads_what_pgbench_reports() {
        let report = "transaction type: <builtin: simple update>\ntps = 3456.789 (without initial connection time)\n";
        assert_eq!(parse(report).unwrap(), 3456.789);
        assert!(parse("pgbench: error: connection failed\n").is_err());
    }

    #[test]
    fn the_disk_is_asked_and_left_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        assert!(fsyncs(directory.path(), 1).unwrap() > 0.0);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
