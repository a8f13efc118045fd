//! One round of load on what is compared, and what it measured.

use anyhow::{Result, ensure};

use super::load;
use super::plan::Plan;
use super::proc::cpu_seconds;
use super::report::Series;

const CONNECTIONS: u32 = 32;
/// A server that gets less of its core than this was held up by something else.
const MOSTLY_BUSY: f64 = 0.9;

/// What is loaded, with which tokens.
pub(crate) struct Lane {
    pub(crate) url: String,
    /// The process that serves it.
    pub(crate) process: u32,
    /// The token of every request, or `@` and a file that has one for each.
    pub(crate) tokens: String,
    /// What each round measured.
    pub(crate) samples: Vec<Sample>,
}

/// What one round measured.
pub(crate) struct Sample {
    pub(crate) requests_per_second: f64,
    /// The part of one core that the server used while it was loaded.
    pub(crate) busy: f64,
}

impl Lane {
    pub(crate) fn new(url: String, process: u32, token: &str) -> Self {
        Self { url, process, tokens: token.to_owned(), samples: Vec::new() }
    }

    /// Loads these in turns, of which each has so many. An answer that is not 2xx, or a broken connection, is an error.
    pub(crate) fn load(plan: &Plan, lanes: &mut [&mut Self], turns: u32) -> Result<()> {
        let [connections, turns] = [CONNECTIONS, turns].map(|number| number.to_string());
        let mut arguments = vec!["turns", "--connections", &connections, "--turns", &turns];
        arguments.extend(lanes.iter().flat_map(|lane| [lane.url.as_str(), &lane.tokens]));
        let used = |lanes: &[&mut Self]| lanes.iter().map(|lane| cpu_seconds(lane.process)).collect::<Result<Vec<_>>>();

        let before = used(lanes)?;
        let measured: load::Turns = load::run(plan, &arguments)?;
        let after = used(lanes)?;
        ensure!(measured.lanes.len() == lanes.len(), "{} rates of {} lanes", measured.lanes.len(), lanes.len());
        // One process may serve several.
        let processes: Vec<u32> = lanes.iter().map(|lane| lane.process).collect();
        let loaded = |process: u32| {
            let of_it = processes.iter().zip(&measured.lanes).filter(|(other, _)| **other == process);
            of_it.map(|(_, turn)| turn.loaded_seconds).sum::<f64>()
        };
        for (((lane, turn), before), after) in lanes.iter_mut().zip(&measured.lanes).zip(before).zip(after) {
            let busy = (after - before) / loaded(lane.process);
            lane.samples.push(Sample { requests_per_second: turn.per_second, busy });
        }
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
            format!("The load or other programs left the server only {:.0} % of a core: trust it less.", busy * 100.0)
        })
    }
}
