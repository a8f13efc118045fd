//! `mapae user import`

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Output;

/// `mapae user import`
#[derive(Args, Debug)]
pub(crate) struct UserImport {
    /// The file; - or nothing reads standard input
    pub(crate) file: Option<PathBuf>,
    /// How the accounts are written; by default CSV if the file's name ends so, else JSON lines
    #[arg(long, value_enum)]
    pub(crate) format: Option<ImportFormat>,
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
}
