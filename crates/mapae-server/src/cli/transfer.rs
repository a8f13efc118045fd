//! `mapae user import`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use mapae::domain::user_mapping::Preset;

use super::Output;

/// `mapae user import`
#[derive(Args, Debug)]
pub(crate) struct UserImport {
    /// The file, or the database: a file of SQLite, sqlite:///… or postgres://…; - reads the file, or the URL, from
    /// standard input
    pub(crate) source: Option<PathBuf>,
    /// How the accounts are written; by default CSV if the file's name ends so, else JSON lines
    #[arg(long, value_enum)]
    pub(crate) format: Option<ImportFormat>,
    /// File that holds the URL of the database, which others on this machine would see on the command line
    #[arg(long, value_name = "FILE", conflicts_with = "source")]
    pub(crate) database_file: Option<PathBuf>,
    /// The table, if it is not called as in that framework
    #[arg(long, value_name = "NAME")]
    pub(crate) table: Option<String>,
    /// A column that is called otherwise, as in password=hashed_pw, or is not there, as in active=-; may be repeated
    #[arg(long = "column", value_name = "WHAT=NAME")]
    pub(crate) columns: Vec<String>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// How accounts are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportFormat {
    /// JSON lines, as `mapae user export` writes them
    Jsonl,
    /// CSV with a first line of column names, which are those of the members in JSON lines
    Csv,
    /// The users of a realm, exported by Keycloak as JSON, in one file or in several
    Keycloak,
    /// The table auth.users of Supabase or GoTrue, in a dump by pg_dump or the Supabase CLI
    Supabase,
    /// The table auth_user in the database of a Django project
    Django,
    /// The table user in the database of an application with fastapi-users
    FastapiUsers,
    /// The table users in the database of an application after FastAPI's tutorial on SQLAlchemy
    SqlalchemyTutorial,
    /// The table user in the database of an application with Flask-Security
    FlaskSecurity,
}

impl ImportFormat {
    /// Whose table, if accounts are read from a database.
    pub(crate) const fn preset(self) -> Option<Preset> {
        match self {
            Self::Jsonl | Self::Csv | Self::Keycloak | Self::Supabase => None,
            Self::Django => Some(Preset::Django),
            Self::FastapiUsers => Some(Preset::FastapiUsers),
            Self::SqlalchemyTutorial => Some(Preset::SqlalchemyTutorial),
            Self::FlaskSecurity => Some(Preset::FlaskSecurity),
        }
    }
}
