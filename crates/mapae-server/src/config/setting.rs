//! What a setting is. Its word is the same everywhere: `listen` in `mapae.toml`, `MAPAE_LISTEN` in the
//! environment and in `.env`, `--listen` on the command line.

use super::table::SETTINGS;

/// What a setting holds, and so how its text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// A path, relative to the working directory unless absolute.
    Path,
    /// A whole number between two bounds, both included.
    Integer { min: u64, max: u64 },
    /// True or false.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Several texts: an array in TOML, separated by commas or blanks elsewhere.
    List,
    /// Scope names with their descriptions: a table in TOML, `name=description;name=description` elsewhere.
    Scopes,
    /// A secret. It may come from a file, and no part of it is ever shown.
    Secret,
    /// The database's address, which may hold a password.
    DatabaseUrl,
}

impl Kind {
    /// Whether the value may come as `…_FILE`, and is kept out of every output.
    pub(crate) fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::DatabaseUrl)
    }
}

/// What holds when no source gives the setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Default {
    /// This text, read as if it had been given.
    Is(&'static str),
    /// Worked out from other settings or the machine; the text says how.
    From(&'static str),
    /// Nothing; the text says what that means.
    Unset(&'static str),
}

/// One setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The word, in snake case.
    pub(crate) name: &'static str,
    /// An environment variable of the tutorials that means the same.
    pub(crate) alias: Option<&'static str>,
    /// What it holds.
    pub(crate) kind: Kind,
    /// What holds when it is not given.
    pub(crate) default: Default,
    /// Whether `mapae --help` lists it.
    pub(crate) common: bool,
    /// One line for people.
    pub(crate) help: &'static str,
    /// Words that people try instead, for the suggestion after an unknown name.
    pub(crate) hints: &'static [&'static str],
}

impl Setting {
    /// The environment variable: `MAPAE_LISTEN`.
    pub(crate) fn variable(&self) -> String {
        format!("MAPAE_{}", self.name.to_ascii_uppercase())
    }

    /// The flag without its dashes: `listen`.
    pub(crate) fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// Whether the value itself may stand on the command line, where other users of the machine can read it.
    pub(crate) fn has_plain_flag(&self) -> bool {
        self.kind != Kind::Secret
    }
}

/// The setting of that name. Only called with names that are in the table.
pub(crate) fn setting(name: &str) -> &'static Setting {
    SETTINGS.iter().find(|setting| setting.name == name).expect("the name of a setting in the table")
}
