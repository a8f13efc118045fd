//! What the kernel counts of a process (proc(5)).

use std::time::Duration;

use anyhow::{Context as _, Result};

/// How long a server has done nothing when its memory is read. The pool that hashes keeps its own for less, also that of
/// the hash by which the server learns at its start how long one takes.
const IDLE: Duration = Duration::from_secs(4);

/// User and system time that a process has used, in seconds; the kernel counts it in hundredths of a second.
pub(crate) fn cpu_seconds(process: u32) -> Result<f64> {
    Ok(parse_cpu_seconds(&read(process, "stat")?))
}

/// The memory of a server that is left alone, in MiB.
pub(crate) fn idle(process: u32) -> Result<f64> {
    std::thread::sleep(IDLE);
    parse_mebibytes(&read(process, "status")?, "VmRSS")
}

/// The most memory that a process has had, in MiB.
pub(crate) fn peak(process: u32) -> Result<f64> {
    parse_mebibytes(&read(process, "status")?, "VmHWM")
}

fn read(process: u32, file: &str) -> Result<String> {
    let path = format!("/proc/{process}/{file}");
    std::fs::read_to_string(&path).with_context(|| path)
}

fn parse_cpu_seconds(stat: &str) -> f64 {
    // The name in parentheses may hold anything; utime and stime are the 12th and 13th field after it.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let ticks: f64 = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / 100.0
}

fn parse_mebibytes(status: &str, name: &str) -> Result<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    Ok(kib.with_context(|| format!("the kernel does not tell {name}"))? / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::{parse_cpu_seconds, parse_mebibytes};

    #[test]
    fn a_name_with_parentheses_shifts_nothing() {
        let fields = "S 1 2 3 4 5 6 7 8 9 10 150 50 0 0";
        assert_eq!(parse_cpu_seconds(&format!("7 (mapae) {fields}")), 2.0);
        assert_eq!(parse_cpu_seconds(&format!("7 (a) b (c 1 2) {fields}")), 2.0);
    }

    #[test]
    fn memory_is_read_by_its_name() {
        let status = "Name:\tmapae\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\n";
        assert_eq!(parse_mebibytes(status, "VmRSS").unwrap(), 10.0);
        assert_eq!(parse_mebibytes(status, "VmHWM").unwrap(), 20.0);
        assert!(parse_mebibytes(status, "Vm").is_err());
    }
}
