//! `mapae audit …`

use clap::{Args, Subcommand};

/// `mapae audit …`
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Show the newest rows, oldest first.
    #[command(after_help = "Examples:
  mapae audit tail
  mapae audit tail --follow --outcome refused
  mapae audit tail --user ada --lines 100")]
    Tail(AuditTail),
    /// Write rows as JSON lines, oldest first.
    #[command(after_help = "Examples:
  mapae audit export > audit.jsonl
  mapae audit export --since 2026-01-01T00:00:00Z --until 2026-02-01T00:00:00Z --event sign-in.refused")]
    Export(AuditFilter),
}

/// `mapae audit tail`
#[derive(Args, Debug)]
pub(crate) struct AuditTail {
    /// How many rows
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    pub(crate) lines: u64,
    /// Go on with new rows, until interrupted
    #[arg(short, long)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) filter: AuditFilter,
    /// Print JSON lines
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which rows; all of them if nothing is given.
#[derive(Args, Debug)]
pub(crate) struct AuditFilter {
    /// About this account: user name, e-mail address or id
    #[arg(long, value_name = "USER", conflicts_with = "subject")]
    pub(crate) user: Option<String>,
    /// About this: the id of an account (perhaps a deleted one), client:… or key:…
    #[arg(long, value_name = "ID")]
    pub(crate) subject: Option<String>,
    /// By this one: the id of an account or a client, or the operating system's user
    #[arg(long, value_name = "ID")]
    pub(crate) actor: Option<String>,
    /// This event, such as sign-in.refused
    #[arg(long)]
    pub(crate) event: Option<String>,
    /// success or refused
    #[arg(long)]
    pub(crate) outcome: Option<String>,
    /// Not before this time, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// From this network address
    #[arg(long)]
    pub(crate) address: Option<String>,
}
