//! Configuration: flags, then environment, then `.env`, then `mapae.toml`, then defaults.
//!
//! The environment is read here and nowhere else, and `.env` never goes into it. Merging is ours, over `clap` and
//! `toml`: a general merger such as figment guesses types out of variables (a `SECRET_KEY` of digits becomes a number),
//! keeps secrets in plain values, and quotes them in its errors.

mod check;
mod checked;
mod database;
mod dotenv;
mod environment;
mod file;
mod listen;
mod resolve;
mod setting;
mod show;
mod source;
mod table;
mod value;
mod weak_keys;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub(crate) use checked::{Config, FirstAdmin, LogFormat};
pub(crate) use database::Database;
pub(crate) use listen::Listen;
pub(crate) use resolve::{read_secret, reason};
pub(crate) use setting::{Default, Kind, Setting};
pub(crate) use show::show;
pub(crate) use source::{Layer, Name, Origin};
pub(crate) use table::SETTINGS;
pub(crate) use weak_keys::weakness;

use resolve::Resolved;

/// Everything known after reading all sources.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// Each setting's value and origin, valid or not.
    resolved: Vec<Resolved>,
    /// The configuration, if it is in order.
    config: Option<Config>,
    /// Sentences that stop the start.
    problems: Vec<String>,
    /// Sentences about names that nobody knows.
    unknown: Vec<String>,
    /// Sentences about values that are doubtful for a server.
    doubts: Vec<String>,
    /// The flags by which another command finds the same database, each with a blank before it.
    flags_again: String,
}

/// What the caller hands over: the command line and the environment.
#[derive(Debug)]
pub(crate) struct Given {
    /// Settings given as flags.
    pub(crate) flags: Layer,
    /// `--config`.
    pub(crate) config_file: Option<PathBuf>,
    /// The process's environment.
    pub(crate) environment: Vec<(OsString, OsString)>,
}

/// Reads all sources and checks what they say together.
pub(crate) fn load(given: Given) -> Loaded {
    let flags_again = flags_again(&given);
    let environment = environment::from_process(given.environment);
    let dotenv = environment::from_dotenv(Path::new(".env"));
    let named = given.config_file.or_else(|| environment.config_file.or(dotenv.config_file).map(PathBuf::from));
    let mut layers = [given.flags, environment.layer, dotenv.layer, file::read(named)];

    let mut problems: Vec<_> = layers.iter_mut().flat_map(|layer| std::mem::take(&mut layer.problems)).collect();
    let unknown = layers.iter_mut().flat_map(|layer| std::mem::take(&mut layer.warnings)).collect();
    let mut resolved = resolve::resolve(&layers, &mut problems);
    let mut doubts = Vec::new();
    let config = check::check(&mut resolved, &mut problems, &mut doubts);
    let config = config.filter(|_| problems.is_empty());
    Loaded { resolved, config, problems, unknown, doubts, flags_again }
}

/// Environment and files hold for every command in the same place; flags must be given again.
fn flags_again(given: &Given) -> String {
    const NEEDED: [&str; 4] = ["data_dir", "database_url", "secret_key", "master_key"];
    let config = given.config_file.iter().map(|path| ("--config".to_owned(), path.display().to_string()));
    let settings =
        given.flags.candidates.iter().filter(|candidate| {
            NEEDED.contains(&candidate.setting.name) || candidate.setting.name.starts_with("users_")
        });
    let settings = settings.filter_map(|candidate| match (&candidate.origin, &candidate.value) {
        (Origin::Flag(flag), Ok(value)) => Some((flag.clone(), value.shown()?)),
        _ => None,
    });
    config.chain(settings).map(|(flag, value)| format!(" {flag} {}", shell_word(&value))).collect()
}

/// A text as one word of a shell.
pub(crate) fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=+,@".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

impl Loaded {
    /// The configuration, and warnings for the log: about unknown names and, for a server, about doubtful values.
    ///
    /// # Errors
    ///
    /// Every problem as a sentence, if there are any.
    pub(crate) fn into_config(self, server: bool) -> Result<(Config, Vec<String>), Vec<String>> {
        match self.config {
            Some(config) if server => Ok((config, [self.unknown, self.doubts].concat())),
            Some(config) => Ok((config, self.unknown)),
            None => Err(self.problems),
        }
    }

    /// The flags by which another command finds the same database, each with a blank before it.
    pub(crate) fn flags_again(&self) -> &str {
        &self.flags_again
    }

    fn warnings(&self) -> impl Iterator<Item = &str> {
        self.unknown.iter().chain(&self.doubts).map(String::as_str)
    }

    /// What is wrong.
    pub(crate) fn problems(&self) -> &[String] {
        &self.problems
    }
}
