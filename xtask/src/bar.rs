//! `cargo xtask test`: what every change must pass.

use std::process::Command;

use anyhow::{Result, anyhow};
use clap::{Args, ValueEnum};

use crate::debian::{self, Tool};
use crate::packages;
use crate::process::{self, Stopwatch, cargo, line};

/// What the tests drive from outside: clients that are not ours, a browser, a proxy.
const TOOLS: &[Tool] = &[
    Tool::new("curl", "curl"),
    Tool::new("chromium", "chromium"),
    Tool::new("chromedriver", "chromium-driver"),
    Tool::new("nginx", "nginx"),
    Tool::new("python3", "python3-venv").probed(&["-c", "import ensurepip, venv"]),
    Tool::new("npm", "npm"),
];

/// Options of `cargo xtask test`.
#[derive(Args)]
pub(crate) struct Options {
    /// Run only this part (may be repeated)
    #[arg(long, value_name = "PART")]
    only: Vec<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// cargo fmt --check
    Fmt,
    /// cargo clippy, warnings are errors
    Clippy,
    /// cargo clippy of the library without its features
    Features,
    /// cargo doc, warnings are errors
    Doc,
    /// cargo test, with the programs that the tests need
    Test,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Clippy => "clippy",
            Self::Features => "features",
            Self::Doc => "doc",
            Self::Test => "test",
        }
    }

    fn command(self) -> Command {
        let mut cargo = cargo();
        match self {
            Self::Fmt => cargo.args(["fmt", "--all", "--check"]),
            Self::Clippy => {
                cargo.args(["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"])
            }
            Self::Features => {
                cargo.args(["clippy", "--package", "mapae", "--no-default-features", "--", "-D", "warnings"])
            }
            Self::Doc => {
                cargo.env("RUSTDOCFLAGS", "-D warnings");
                cargo.args(["doc", "--workspace", "--no-deps", "--all-features"])
            }
            Self::Test => cargo.args(["test", "--workspace", "--all-features"]),
        };
        cargo
    }
}

/// Installs what the tests need besides Rust and is not there yet.
pub(crate) fn setup() -> Result<()> {
    debian::ensure("The test suite", TOOLS)?;
    packages::ensure("The test suite")
}

/// Runs the parts that were asked for, or all.
pub(crate) fn run(options: &Options) -> Result<()> {
    let all = Part::value_variants();
    let parts: Vec<Part> =
        all.iter().copied().filter(|part| options.only.is_empty() || options.only.contains(part)).collect();
    if parts.contains(&Part::Test) {
        setup()?;
    }
    for (number, part) in parts.iter().enumerate() {
        let name = part.name();
        let mut command = part.command();
        println!("==> {}/{} {name}: {}", number + 1, parts.len(), line(&command));
        let stopwatch = Stopwatch::start();
        process::run(&mut command).map_err(|error| {
            anyhow!("{name}: {error:#}.\nTo repeat this part alone: cargo xtask test --only {name}")
        })?;
        println!("    {name} passed in {stopwatch}");
    }
    Ok(())
}
