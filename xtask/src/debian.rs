//! Programs that are not Rust: installed from Debian's packages where that is possible.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::process::{find, line, run};

/// A program and the Debian package that brings it.
pub(crate) struct Tool {
    /// Its name in `PATH`.
    pub(crate) program: &'static str,
    /// The package.
    pub(crate) package: &'static str,
    /// Arguments with which it succeeds if all that is needed of it is there.
    probe: &'static [&'static str],
}

impl Tool {
    pub(crate) const fn new(program: &'static str, package: &'static str) -> Self {
        Self { program, package, probe: &[] }
    }

    /// As [`Self::new`], where having the program is not enough.
    pub(crate) const fn probed(self, probe: &'static [&'static str]) -> Self {
        Self { probe, ..self }
    }

    fn is_missing(&self) -> bool {
        let Some(program) = find(self.program) else { return true };
        let succeeds = || {
            let mut command = Command::new(program);
            command.args(self.probe).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        !self.probe.is_empty() && !succeeds()
    }
}

/// Installs what is missing: as root, with apt-get. Elsewhere an error says what to install. `purpose` completes the
/// sentence "… needs".
pub(crate) fn ensure(purpose: &str, tools: &[Tool]) -> Result<()> {
    let missing: Vec<&Tool> = tools.iter().filter(|tool| tool.is_missing()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let programs = missing.iter().map(|tool| tool.program).collect::<Vec<_>>().join(", ");
    let packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    if find("apt-get").is_none() || !is_root() {
        bail!(
            "{purpose} needs {programs}, and PATH has no such program, or not all of it.\n\
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
    match missing.iter().find(|tool| tool.is_missing()) {
        Some(tool) => bail!("the package {} was installed, yet {} is not there", tool.package, tool.program),
        None => Ok(()),
    }
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    // The programs are wanted, not the services that come with some of them.
    command.env("RUNLEVEL", "1");
    command.args(["-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=120"]);
    command
}

/// Whether this process may do everything.
pub(crate) fn is_root() -> bool {
    let answer = Command::new("id").arg("-u").output().context("id");
    answer.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
