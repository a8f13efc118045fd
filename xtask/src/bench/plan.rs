//! What every row is given: how long to measure, on which cores, and where the programs are.

use std::path::PathBuf;

use super::cores::Cores;

/// How a run is done. A group of rows is one function, `fn rows(plan: &Plan) -> Result<Vec<Row>>`.
pub(crate) struct Plan {
    /// Fewer and shorter rounds, for the whole table in under 3 minutes.
    pub(crate) quick: bool,
    /// Which core serves and which one loads.
    pub(crate) cores: Cores,
    /// Where cargo puts what it builds, Python's and npm's packages below it.
    pub(crate) target: PathBuf,
}

impl Plan {
    /// One of our programs, built in release.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.target.join("release").join(name)
    }

    /// `full`, or `quick` if this run is to be quick.
    pub(crate) fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}
