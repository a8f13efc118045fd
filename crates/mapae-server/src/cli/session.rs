//! `mapae session …`

use clap::{Args, Subcommand};

use super::Output;

/// `mapae session …`
#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// List the open sessions of an account, or everybody's.
    List(OfAccount),
    /// End sessions: nothing of them is accepted any more.
    #[command(after_help = "Examples:
  mapae session end 0198c0de-0000-7000-8000-000000000001
  mapae session end --user ada
  mapae session end --issued-before 2026-01-31T12:00:00Z
  mapae session end --all")]
    End(SessionEnd),
}

/// `mapae session list` and `mapae token list`
#[derive(Args, Debug)]
pub(crate) struct OfAccount {
    /// Only of this account: user name, e-mail address or id
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// `mapae session end`
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct SessionEnd {
    /// The session's id
    #[arg(value_name = "SESSION")]
    pub(crate) session: Option<String>,
    /// Every session of this account: user name, e-mail address or id
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Every session that began before this time, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) issued_before: Option<String>,
    /// Everybody's sessions
    #[arg(long)]
    pub(crate) all: bool,
}
