//! Python and npm packages that the tests use: installed below `target/`, in the versions that the repository names.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process::{find, line, root, run, target_directory};

/// Where the versions are written down, from the top of the repository.
const LISTS: &str = "crates/mapae-server/tests/clients";

/// Packages of one registry, in a directory of their own.
struct Packages {
    language: &'static str,
    /// Below the target directory; tests find it there.
    directory: &'static str,
    /// The file that names the versions.
    list: &'static str,
    /// What is there once they are installed.
    product: &'static str,
    install: fn(&Path, &Path) -> Result<()>,
}

const ALL: &[Packages] = &[
    Packages {
        language: "Python",
        directory: "python",
        list: "requirements.txt",
        product: "bin/python",
        install: install_python,
    },
    Packages {
        language: "npm",
        directory: "node",
        list: "package-lock.json",
        product: "node_modules",
        install: install_npm,
    },
];

/// Installs what is missing or of another version. `purpose` completes the sentence "… needs".
pub(crate) fn ensure(purpose: &str) -> Result<()> {
    let (lists, target) = (root().join(LISTS), target_directory()?);
    for packages in ALL {
        packages.ensure(purpose, &lists, &target)?;
    }
    Ok(())
}

impl Packages {
    fn ensure(&self, purpose: &str, lists: &Path, target: &Path) -> Result<()> {
        let directory = target.join(self.directory);
        let wanted = fs::read(lists.join(self.list)).with_context(|| format!("{LISTS}/{}", self.list))?;
        // Written when everything was installed, so that an interrupted installation is begun again.
        let installed = directory.join(format!("installed-{}", self.list));
        if directory.join(self.product).exists() && fs::read(&installed).is_ok_and(|there| there == wanted) {
            return Ok(());
        }
        let (language, shown) = (self.language, directory.display());
        println!("    {purpose} needs {language} packages: installing those of {LISTS}/{} into {shown}", self.list);
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        fs::create_dir_all(&directory)?;
        (self.install)(lists, &directory)?;
        Ok(fs::write(installed, wanted)?)
    }
}

fn install_python(lists: &Path, directory: &Path) -> Result<()> {
    say_and_run(program("python3")?.args(["-m", "venv"]).arg(directory))?;
    let mut pip = Command::new(directory.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    say_and_run(pip.arg(lists.join("requirements.txt")))
}

fn install_npm(lists: &Path, directory: &Path) -> Result<()> {
    for file in ["package.json", "package-lock.json"] {
        fs::copy(lists.join(file), directory.join(file)).with_context(|| format!("{LISTS}/{file}"))?;
    }
    let mut npm = program("npm")?;
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    say_and_run(npm.current_dir(directory))
}

fn program(name: &str) -> Result<Command> {
    let path: PathBuf = find(name).with_context(|| format!("PATH has no {name}"))?;
    Ok(Command::new(path))
}

fn say_and_run(command: &mut Command) -> Result<()> {
    println!("    {}", line(command));
    run(command)
}
