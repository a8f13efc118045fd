//! Where values come from: flags, then the environment, then `.env`, then `mapae.toml`.

use std::fmt;
use std::path::PathBuf;

use super::setting::{Kind, Setting};
use super::table::SETTINGS;
use super::value::{self, Value};

/// The place that gave a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A flag, with its dashes.
    Flag(String),
    /// A variable of the process's environment.
    Environment(String),
    /// A variable in `.env`.
    DotEnv { variable: String, line: usize },
    /// A name in the configuration file.
    File { path: PathBuf, name: String, line: usize },
    /// Nothing was given.
    Default,
    /// Nothing was given; the text says what the default follows.
    Derived(&'static str),
}

impl Origin {
    /// How an error names the value: what the person has to change.
    pub(crate) fn subject(&self, setting: &Setting) -> String {
        match self {
            Self::Flag(name) | Self::Environment(name) => name.clone(),
            Self::DotEnv { variable, line } => format!("{variable} (.env line {line})"),
            Self::File { path, name, line } => format!("{name} ({} line {line})", path.display()),
            Self::Default | Self::Derived(_) => setting.name.to_owned(),
        }
    }

    /// A word for the kind of source, for scripts.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Flag(_) => "flag",
            Self::Environment(_) => "environment",
            Self::DotEnv { .. } => ".env",
            Self::File { .. } => "file",
            Self::Default | Self::Derived(_) => "default",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "flag {name}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::DotEnv { variable, line } => write!(f, ".env line {line}, {variable}"),
            Self::File { path, line, .. } => write!(f, "{} line {line}", path.display()),
            Self::Default => f.write_str("default"),
            Self::Derived(from) => write!(f, "default, {from}"),
        }
    }
}

/// One value as a source gives it, before it is known whether a stronger source overrides it.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) setting: &'static Setting,
    pub(crate) name: Name,
    /// The value, or the end of a sentence on what is wrong with it. For a `…_FILE` it is the path.
    pub(crate) value: Result<Value, String>,
    pub(crate) origin: Origin,
}

/// By which of its names a setting was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// A tutorial's name, such as `SECRET_KEY`.
    pub(crate) alias: bool,
    /// The name with `_FILE` after it.
    pub(crate) file: bool,
}

impl Name {
    /// How the text under this name of the setting is read.
    pub(crate) fn kind(self, setting: &Setting) -> Kind {
        if self.file {
            Kind::Path
        } else if self.alias && setting.alias == Some("PORT") {
            Kind::Integer { min: 0, max: 65_535 }
        } else {
            setting.kind
        }
    }
}

/// What a source held.
#[derive(Debug, Default)]
pub(crate) struct Layer {
    pub(crate) candidates: Vec<Candidate>,
    /// Sentences that stop the start.
    pub(crate) problems: Vec<String>,
    /// Sentences for the log.
    pub(crate) warnings: Vec<String>,
}

impl Layer {
    /// Adds a value that was given as text.
    pub(crate) fn add_text(&mut self, setting: &'static Setting, name: Name, text: &str, origin: Origin) {
        let value = value::from_text(name.kind(setting), text);
        self.candidates.push(Candidate { setting, name, value, origin });
    }
}

/// The known name that is most like an unknown one, among `known`, with the words that people try instead first.
///
/// `word` is the unknown setting in snake case; `style` writes a setting's name as the source does.
pub(crate) fn nearest(word: &str, style: impl Fn(&Setting) -> String) -> String {
    let word = word.to_ascii_lowercase();
    if let Some(setting) = SETTINGS.iter().find(|setting| setting.hints.contains(&word.as_str())) {
        return style(setting);
    }
    let distance = |setting: &&Setting| strsim::damerau_levenshtein(&word, setting.name);
    SETTINGS.iter().min_by_key(distance).map(style).unwrap_or_default()
}
