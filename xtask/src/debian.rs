//! Programs that are not Rust: installed from Debian's packages where that is possible.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process::{find, line, run};

/// A program and the Debian package that brings it.
pub(crate) struct Tool {
    /// Its name in `PATH`.
    pub(crate) program: &'static str,
    /// The package.
    pub(crate) package: &'static str,
}

/// Installs what is missing: as root, with apt-get. Elsewhere an error says what to install. `purpose` completes the
/// sentence "… needs".
pub(crate) fn ensure(purpose: &str, tools: &[Tool]) -> Result<()> {
    let missing: Vec<&Tool> = tools.iter().filter(|tool| find(tool.program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let programs = missing.iter().map(|tool| tool.program).collect::<Vec<_>>().join(", ");
    let packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    if find("apt-get").is_none() || !is_root() {
        bail!(
            "{purpose} needs {programs}, and PATH has no such program.\n\
             On Debian: sudo apt-get install {}\n\
             As root on Debian, this task installs what it needs by itself.",
            packages.join(" ")
        );
    }
    println!("    {purpose} needs {programs}: installing from Debian's packages");
    // A source that is out of reach need not be the one that has the packages.
    if let Err(error) = run(apt_get().args(["--quiet", "update"])) {
        println!("    {error}; going on with the lists that are there");
    }
    let mut install = apt_get();
    install.args(["--quiet", "install", "--yes", "--no-install-recommends"]).args(packages);
    println!("    {}", line(&install));
    run(&mut install)?;
    match missing.iter().find(|tool| find(tool.program).is_none()) {
        Some(tool) => bail!("the package {} was installed, yet PATH has no {}", tool.package, tool.program),
        None => Ok(()),
    }
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command.args(["-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=120"]);
    command
}

fn is_root() -> bool {
    let answer = Command::new("id").arg("-u").output().context("id");
    answer.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
