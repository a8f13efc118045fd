//! One round of load with `bench-load`, and what it reports.

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::plan::Plan;

/// Answers of connections that each wait for theirs.
#[derive(Deserialize)]
pub(crate) struct Rate {
    pub(crate) per_second: f64,
}

/// What was loaded in turns.
#[derive(Deserialize)]
pub(crate) struct Turns {
    pub(crate) lanes: Vec<Turn>,
}

/// One of them.
#[derive(Deserialize)]
pub(crate) struct Turn {
    pub(crate) per_second: f64,
    /// How long it was loaded, in seconds; some of that does not count for the rate.
    pub(crate) loaded_seconds: f64,
}

/// The times of a steady rate of requests.
#[derive(Deserialize)]
pub(crate) struct Probe {
    pub(crate) p99_ms: f64,
    /// How many sign-ins were answered beside them.
    pub(crate) sign_ins: u32,
}

/// The times of single requests.
#[derive(Deserialize)]
pub(crate) struct Latency {
    pub(crate) sign_in_ms: f64,
    pub(crate) me_ms: f64,
}

/// Counts what was not answered as wanted.
#[derive(Deserialize)]
struct Refusals {
    #[serde(default)]
    refused: u32,
    #[serde(default)]
    first_refusal: Option<String>,
}

/// Runs it on the core for the load. One refusal is an error: refusing is quick, and no speed.
pub(crate) fn run<T: DeserializeOwned>(plan: &Plan, arguments: &[&str]) -> Result<T> {
    let output = plan.cores.load(&plan.program("bench-load")).args(arguments).output().context("bench-load")?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("bench-load {} failed ({}): {error}", arguments[0], output.status);
    }
    parse(&output.stdout).with_context(|| format!("bench-load {}", arguments[0]))
}

/// The rate of a kind of request from so many connections.
pub(crate) fn rate(plan: &Plan, kind: &str, origin: &str, users: u32, connections: u32, seconds: u32) -> Result<Rate> {
    let [users, connections, seconds] = [users, connections, seconds].map(|number| number.to_string());
    run(plan, &[kind, origin, "--users", &users, "--connections", &connections, "--seconds", &seconds])
}

fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<T> {
    let refusals: Refusals = serde_json::from_slice(line)?;
    if refusals.refused > 0 {
        bail!(
            "{} requests were refused, the first with: {}",
            refusals.refused,
            refusals.first_refusal.unwrap_or_default()
        );
    }
    Ok(serde_json::from_slice(line)?)
}

#[cfg(test)]
mod tests {
    use super::{Latency, Rate, parse};

    #[test]
    fn what_was_refused_is_never_speed() {
        assert_eq!(parse::<Rate>(br#"{"per_second":25.5,"answered":50,"refused":0}"#).unwrap().per_second, 25.5);
        let refused = parse::<Rate>(br#"{"per_second":9e9,"answered":50,"refused":1,"first_refusal":"503"}"#);
        assert!(refused.err().unwrap().to_string().contains("503"));
        assert_eq!(parse::<Latency>(br#"{"sign_in_ms":1.5,"me_ms":0.5}"#).unwrap().me_ms, 0.5);
        assert!(parse::<Rate>(b"").is_err());
    }
}
