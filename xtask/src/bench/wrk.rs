//! One round of load with wrk, and what its report says.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::plan::Plan;
use super::proc::cpu_seconds;
use super::report::Series;
use crate::process::Stopwatch;

/// Sends each token of a file once.
const SCRIPT: &str = "xtask/src/bench/tokens.lua";
/// A server that gets less of its core than this was held up by something else.
const MOSTLY_BUSY: f64 = 0.9;

/// What is loaded, with which token.
pub(crate) struct Lane {
    pub(crate) url: String,
    /// The process that serves it.
    pub(crate) process: u32,
    pub(crate) token: String,
    /// What each round measured.
    pub(crate) samples: Vec<Sample>,
}

/// What one round measured.
pub(crate) struct Sample {
    pub(crate) requests_per_second: f64,
    /// The part of one core that the server used.
    pub(crate) busy: f64,
}

impl Lane {
    pub(crate) fn new(url: String, process: u32, token: &str) -> Self {
        Self { url, process, token: token.to_owned(), samples: Vec::new() }
    }

    /// Loads it from 32 connections with its one token. An answer that is not 2xx, or a broken connection, is an error.
    pub(crate) fn load(&mut self, plan: &Plan, seconds: u32) -> Result<()> {
        let header = format!("Authorization: Bearer {}", self.token);
        let url = self.url.clone();
        self.run(plan, seconds, &["--header", &header, &url])
    }

    /// As [`Self::load`], with the tokens of a file, each once.
    pub(crate) fn load_with(&mut self, plan: &Plan, seconds: u32, tokens: &Path) -> Result<()> {
        let script: PathBuf = crate::process::root().join(SCRIPT);
        let (script, tokens) = (script.to_string_lossy(), tokens.to_string_lossy());
        let url = self.url.clone();
        self.run(plan, seconds, &["--script", &script, &url, "--", &tokens])
    }

    fn run(&mut self, plan: &Plan, seconds: u32, arguments: &[&str]) -> Result<()> {
        let mut wrk = plan.cores.load(Path::new("wrk"));
        wrk.args(["--threads", "1", "--connections", "32", "--duration", &format!("{seconds}s")]).args(arguments);
        let before = cpu_seconds(self.process)?;
        let stopwatch = Stopwatch::start();
        let output = wrk.output().context("wrk")?;
        let elapsed = stopwatch.elapsed().as_secs_f64();
        let busy = (cpu_seconds(self.process)? - before) / elapsed;
        if !output.status.success() {
            bail!("wrk failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        let report = String::from_utf8_lossy(&output.stdout);
        let requests_per_second = parse(&report).with_context(|| format!("loading {}", self.url))?;
        self.samples.push(Sample { requests_per_second, busy });
        Ok(())
    }

    /// Requests per second of each round.
    pub(crate) fn rates(&self) -> Series {
        self.samples.iter().map(|sample| sample.requests_per_second).collect()
    }

    /// What to say if the server did not get its core.
    pub(crate) fn held_up(&self) -> Option<String> {
        let busy = self.samples.iter().map(|sample| sample.busy).collect::<Series>().median();
        (busy < MOSTLY_BUSY).then(|| {
            format!("wrk or other programs left the server only {:.0} % of a core: trust it less.", busy * 100.0)
        })
    }
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
