//! `mapae db …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Output;

/// `mapae db …`
#[derive(Debug, Subcommand)]
pub(crate) enum DbCommand {
    /// Bring the database's tables up to date.
    Migrate(DbMigrate),
    /// Look for damage, and say what to do.
    #[command(
        long_about = "Look for damage: at the file itself, whether the master key fits, and at every row. Each row that is \
broken is named with what to do. Run it with the server's settings. Works beside a running server, and changes nothing.",
        after_help = "The exit status is 1 if anything is wrong.

Examples:
  mapae db check
  DATABASE_URL=sqlite:///copy.db mapae db check --json"
    )]
    Check(Output),
    /// Write a consistent copy of the SQLite database into a new file, while the server runs.
    #[command(
        long_about = "Write a consistent copy of the SQLite database into a new file, while the server runs: everything \
that was answered before the command began is in it. The master key is not: keep both. On PostgreSQL use pg_dump.",
        after_help = "Example:\n  mapae db backup /backups/mapae-$(date +%F).db"
    )]
    Backup(DbBackup),
    /// Copy everything into another database: from SQLite to PostgreSQL, or back.
    #[command(
        long_about = "Copy everything into another database: from SQLite to PostgreSQL, or back, or to another of the \
same kind. Accounts, sessions, clients, keys and all else stay valid. Every table is compared afterwards, row by row. \
Nothing is kept of a copy that is cut off; run it again.

Stop the server first: what it writes while the copy is made is not in it, so none starts on the file meanwhile. The \
source is not changed. The target must be empty. The new server needs the same master key.",
        after_help = "Examples:
  mapae db copy --from sqlite:///mapae-data/mapae.db --to postgres://mapae@db.example.com/mapae
  mapae db copy --from sqlite:///mapae-data/mapae.db --to-file new-database-url
  mapae db copy --from-file database-url --to sqlite:///mapae.db"
    )]
    Copy(DbCopy),
}

/// `mapae db migrate`
#[derive(Args, Debug)]
pub(crate) struct DbMigrate {
    /// Put Mapae's tables (all named mapae_…) beside those of another program
    #[arg(long)]
    pub(crate) adopt: bool,
    /// Print the SQL that would run, and change nothing
    #[arg(long, conflicts_with = "adopt")]
    pub(crate) sql: bool,
}

/// `mapae db backup`
#[derive(Args, Debug)]
pub(crate) struct DbBackup {
    /// The file to write, which must not be there yet
    pub(crate) path: PathBuf,
}

/// `mapae db copy`
#[derive(Args, Debug)]
pub(crate) struct DbCopy {
    /// The database to read: sqlite:///… or postgres://…
    #[arg(long, value_name = "URL", required_unless_present = "from_file")]
    pub(crate) from: Option<String>,
    /// File that holds the URL to read, which others on this machine would see on the command line
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    pub(crate) from_file: Option<PathBuf>,
    /// The database to write, which must be empty: sqlite:///… or postgres://…
    #[arg(long, value_name = "URL", required_unless_present = "to_file")]
    pub(crate) to: Option<String>,
    /// File that holds the URL to write
    #[arg(long, value_name = "FILE", conflicts_with = "to")]
    pub(crate) to_file: Option<PathBuf>,
    /// Copy although a server is running on the source: what it writes meanwhile is not copied
    #[arg(long)]
    pub(crate) live: bool,
    #[command(flatten)]
    pub(crate) output: Output,
}
