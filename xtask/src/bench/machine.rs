//! On what it was measured, and with which versions.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::opponents::{self, python_versions};
use super::plan::Plan;
use crate::postgres;
use crate::process::root;

/// Python packages whose speed is measured.
const PYTHON: [&str; 7] = ["fastapi", "uvicorn", "uvloop", "httptools", "pwdlib", "argon2-cffi", "PyJWT"];
/// npm packages whose speed is measured.
const NPM: [&str; 2] = ["jose", "fast-jwt"];
/// Crates whose speed is measured.
const CRATES: [&str; 6] = ["axum", "tokio", "aws-lc-rs", "argon2", "sea-orm", "jsonwebtoken"];

/// Processor, memory, system.
pub(crate) fn machine(plan: &Plan) -> BTreeMap<String, String> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
    let system = field(&read("/etc/os-release"), "PRETTY_NAME", '=').unwrap_or_else(|| "unknown".to_owned());
    let memory = field(&read("/proc/meminfo"), "MemTotal", ':').unwrap_or_default();
    let processor = field(&read("/proc/cpuinfo"), "model name", ':').unwrap_or_else(|| "unknown".to_owned());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    [
        ("processor", format!("{processor}, {cores} cores")),
        ("memory", memory),
        ("system", format!("{system}, Linux {kernel}")),
        ("pinning", plan.cores.to_string()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// Ours and the opponents'.
pub(crate) fn versions(plan: &Plan) -> Result<BTreeMap<String, String>> {
    let mut versions: BTreeMap<String, String> = [
        ("mapae", first_line(Command::new("git").args(["describe", "--always", "--dirty"]).current_dir(root()))),
        ("rustc", first_line(Command::new("rustc").arg("--version"))),
        ("Python", first_line(Command::new(plan.target.join("python/bin/python")).arg("--version"))),
        ("Node.js", first_line(Command::new(opponents::node(plan)?).arg("--version"))),
        ("PostgreSQL", first_line(&mut postgres::program("postgres", "--version")?)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.unwrap_or_else(|| "unknown".to_owned())))
    .collect();
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).context("Cargo.lock")?;
    let locked = CRATES.into_iter().filter_map(|name| Some((name.to_owned(), locked(&lock, name)?)));
    versions.extend(locked);
    versions.extend(python_versions(plan, &PYTHON)?);
    for name in NPM {
        let text = std::fs::read_to_string(plan.target.join("node/node_modules").join(name).join("package.json"))?;
        let package: serde_json::Value = serde_json::from_str(&text)?;
        versions.insert(name.to_owned(), package["version"].as_str().unwrap_or("unknown").to_owned());
    }
    Ok(versions)
}

/// What a program writes first, wherever it writes it and however it ends.
fn first_line(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    String::from_utf8_lossy(&text).lines().next().map(|line| line.trim().to_owned())
}

/// The value of a line such as `name: value`.
fn field(text: &str, name: &str, between: char) -> Option<String> {
    let mut lines = text.lines().filter_map(|line| line.split_once(between));
    lines.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().trim_matches('"').to_owned())
}

/// The version of a crate in `Cargo.lock`; the newest where there are several.
fn locked(lock: &str, name: &str) -> Option<String> {
    let packages = lock.split("[[package]]").filter(|package| field(package, "name", '=').as_deref() == Some(name));
    packages.filter_map(|package| field(package, "version", '=')).last()
}

#[cfg(test)]
mod tests {
    use super::{field, locked};

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let cpu = "processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n";
        assert_eq!(field(cpu, "model name", ':').unwrap(), "AMD EPYC");
        assert_eq!(field("NAME=\"x\"\nPRETTY_NAME=\"Debian 12\"\n", "PRETTY_NAME", '=').unwrap(), "Debian 12");
        assert_eq!(field(cpu, "memory", ':'), None);
    }

    #[test]
    fn the_lock_file_tells_versions() {
        let lock = "[[package]]\nname = \"axum\"\nversion = \"0.7.9\"\n\n[[package]]\nname = \"axum\"\nversion = \
                    \"0.8.9\"\n\n[[package]]\nname = \"axum-core\"\nversion = \"0.5.6\"\n";
        assert_eq!(locked(lock, "axum").unwrap(), "0.8.9");
        assert_eq!(locked(lock, "tokio"), None);
    }
}
