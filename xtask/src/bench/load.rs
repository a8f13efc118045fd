//! One round of load with wrk, and what its report says.

use std::fmt;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::cores::Cores;
use super::servers::Target;
use crate::process::Stopwatch;

/// What one round measured.
pub(crate) struct Sample {
    pub(crate) requests_per_second: f64,
    /// The part of one core that the server used.
    pub(crate) busy: f64,
}

impl Sample {
    /// CPU time of the server for each request, in µs.
    pub(crate) fn cpu_microseconds(&self) -> f64 {
        self.busy * 1e6 / self.requests_per_second
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9.0} requests/s, {:>3.0} % of a core", self.requests_per_second, self.busy * 100.0)
    }
}

/// Loads one server from 32 connections. An answer that is not 2xx, or a broken connection, is an error.
pub(crate) fn run(target: &mut Target, token: &str, cores: &Cores, seconds: u32) -> Result<Sample> {
    let mut wrk = cores.load(Path::new("wrk"));
    wrk.args(["--threads", "1", "--connections", "32", "--duration", &format!("{seconds}s")]);
    wrk.args(["--header", &format!("Authorization: Bearer {token}"), &target.url]);
    let before = cpu_seconds(target.process.id())?;
    let stopwatch = Stopwatch::start();
    let output = wrk.output().context("wrk")?;
    let elapsed = stopwatch.elapsed().as_secs_f64();
    target.process.check_running()?;
    let busy = (cpu_seconds(target.process.id())? - before) / elapsed;
    if !output.status.success() {
        bail!("wrk failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    let report = String::from_utf8_lossy(&output.stdout);
    let requests_per_second = parse(&report).with_context(|| format!("loading {}", target.name))?;
    Ok(Sample { requests_per_second, busy })
}

fn parse(report: &str) -> Result<f64> {
    let value = |name: &str| report.lines().find_map(|line| Some(line.trim().strip_prefix(name)?.trim()));
    if let Some(count) = value("Non-2xx or 3xx responses:") {
        bail!("{count} answers were errors");
    }
    if let Some(errors) = value("Socket errors:") {
        bail!("connections failed: {errors}");
    }
    let figure = value("Requests/sec:").with_context(|| format!("wrk reported no rate:\n{report}"))?;
    figure.parse().with_context(|| format!("wrk reported the rate {figure:?}"))
}

/// User and system time that a process has used (proc(5)); the kernel counts it in hundredths of a second.
fn cpu_seconds(process: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name in parentheses may hold anything; utime and stime are the 12th and 13th field after it.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let ticks: f64 = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    Ok(ticks / 100.0)
}

#[cfg(test)]
mod tests {
    use super::parse;

    const REPORT: &str =
        "Running 1s test @ http://127.0.0.1:1/\n  1 threads and 32 connections\n  5 requests in 1.00s\n";

    #[test]
    fn reads_the_rate() {
        assert_eq!(parse(&format!("{REPORT}Requests/sec:  55423.02\nTransfer/sec:  9.1MB\n")).unwrap(), 55423.02);
    }

    #[test]
    fn errors_are_never_speed() {
        for line in ["  Non-2xx or 3xx responses: 5", "  Socket errors: connect 0, read 3, write 0, timeout 0"] {
            let refused = parse(&format!("{REPORT}{line}\nRequests/sec:  55423.02\n"));
            assert!(refused.is_err(), "{line}");
        }
        assert!(parse(REPORT).is_err());
    }
}
