//! `mapae client …`

use clap::{Args, Subcommand};

use super::Output;

/// `mapae client …`
#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// Register a client. Unless a secret is given, one is made and shown this once.
    #[command(after_help = "Examples:
  mapae client add --id app --grants refresh_token --scopes me
  mapae client add --id job --confidential --grants client_credentials --scopes items
  mapae client add --id api --confidential --audience https://api.example.com
  printf %s \"$SECRET\" | mapae client add --id web --confidential --secret-stdin --grants password,refresh_token \\
    --scopes \"me items\"")]
    Add(ClientAdd),
    /// List the clients.
    List(Output),
    /// Show one client.
    Show(ClientShow),
    /// Give a client another secret; the old one is of no use from then on.
    RotateSecret(ClientRotate),
    /// Remove a client: its sessions end, and its tokens are good for nothing.
    Remove(ClientRemove),
}

/// Where a secret comes from. Never from an argument, which others on the machine could read.
#[derive(Args, Debug)]
pub(crate) struct SecretSource {
    /// Read the secret from standard input instead of making one
    #[arg(long)]
    pub(crate) secret_stdin: bool,
}

/// `mapae client add`
#[derive(Args, Debug)]
pub(crate) struct ClientAdd {
    /// The client's id: letters, digits and . _ ~ -
    #[arg(long)]
    pub(crate) id: String,
    /// It can keep a secret: a program on a server, not an app or a page
    #[arg(long)]
    pub(crate) confidential: bool,
    #[command(flatten)]
    pub(crate) secret: SecretSource,
    /// Grants that it may use: password, refresh_token, client_credentials,
    /// urn:ietf:params:oauth:grant-type:token-exchange
    #[arg(long, value_name = "GRANT", value_delimiter = ',')]
    pub(crate) grants: Vec<String>,
    /// The most that its tokens may carry, such as "me items"
    // The id of the setting, which its flag gives way to.
    #[arg(id = "setting:scopes", long = "scopes", value_name = "SCOPES")]
    pub(crate) scopes: Vec<String>,
    /// Audience of its tokens instead of the server's own (may be repeated)
    #[arg(id = "setting:audience", long = "audience", value_name = "AUD")]
    pub(crate) audiences: Vec<String>,
    /// Lifetime of its access tokens in seconds, if shorter than the server's
    #[arg(long, value_name = "N")]
    pub(crate) access_token_seconds: Option<u32>,
    /// Seconds without a refresh after which its sessions are over, if fewer than the server's
    #[arg(long, value_name = "N")]
    pub(crate) session_idle_seconds: Option<u32>,
    /// Seconds after which its sessions are over, if fewer than the server's
    #[arg(long, value_name = "N")]
    pub(crate) session_max_seconds: Option<u32>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// `mapae client show`
#[derive(Args, Debug)]
pub(crate) struct ClientShow {
    /// The client's id
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// `mapae client rotate-secret`
#[derive(Args, Debug)]
pub(crate) struct ClientRotate {
    /// The client's id
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) secret: SecretSource,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// `mapae client remove`
#[derive(Args, Debug)]
pub(crate) struct ClientRemove {
    /// The client's id
    pub(crate) id: String,
}
