//! What every row is given: how long to measure, on which cores, and where the programs are.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use tempfile::TempDir;

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

/// Where a server may run.
#[derive(Clone, Copy)]
pub(crate) enum On {
    /// On the one core for servers.
    ServerCore,
    /// Wherever the system puts it.
    AllCores,
}

impl On {
    /// A command for a program there.
    pub(crate) fn command(self, plan: &Plan, program: &Path) -> Command {
        match self {
            Self::ServerCore => plan.cores.server(program),
            Self::AllCores => Command::new(program),
        }
    }
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

    /// A new directory on the disk that builds are on; the system's own for temporary files may be in memory.
    pub(crate) fn directory(&self) -> Result<TempDir> {
        let place = self.target.join("bench");
        std::fs::create_dir_all(&place)?;
        Ok(tempfile::Builder::new().prefix("run-").tempdir_in(place)?)
    }
}
