//! Which core serves and which one loads.

use std::fmt;
use std::path::Path;
use std::process::Command;

use crate::process::find;

/// One core for the servers and one for the load, or no choice at all.
pub(crate) struct Cores(Option<(u32, u32)>);

impl Cores {
    /// The first two cores that this process may use, if it may use two and `taskset` is there.
    pub(crate) fn pick() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let mut cores = allowed.map(parse_list).unwrap_or_default().into_iter();
        match (cores.next(), cores.next(), find("taskset")) {
            (Some(first), Some(second), Some(_)) => Self(Some((first, second))),
            _ => Self(None),
        }
    }

    /// A command for a server.
    pub(crate) fn server(&self, program: &Path) -> Command {
        self.pinned(self.0.map(|(server, _)| server), program)
    }

    /// A command for the load.
    pub(crate) fn load(&self, program: &Path) -> Command {
        self.pinned(self.0.map(|(_, load)| load), program)
    }

    /// `taskset` becomes the program it starts, so the process id is the program's own.
    fn pinned(&self, core: Option<u32>, program: &Path) -> Command {
        let Some(core) = core else { return Command::new(program) };
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", &core.to_string()]).arg(program);
        command
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((server, load)) => write!(f, "servers on core {server}, load on core {load}"),
            None => f.write_str("not pinned to cores: servers and load compete, so trust the ratio less"),
        }
    }
}

/// Reads `0-3,8,10-11`.
fn parse_list(list: &str) -> Vec<u32> {
    let ranges = list.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?)
    });
    ranges.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::parse_list;

    #[test]
    fn reads_the_kernels_lists() {
        assert_eq!(parse_list("\t0-1\n"), [0, 1]);
        assert_eq!(parse_list("3,5-7"), [3, 5, 6, 7]);
        assert_eq!(parse_list(""), [0; 0]);
    }
}
