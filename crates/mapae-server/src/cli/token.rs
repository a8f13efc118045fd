//! `mapae token …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{OfAccount, Output, UserName};

/// `mapae token …`
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make an access token for an account, without its password; or one that speaks for a thing.
    #[command(after_help = "Examples:
  curl -H \"Authorization: Bearer $(mapae token mint ada)\" http://127.0.0.1:8080/users/me
  mapae token mint ada --subject car:42 --scope drive
  mapae token mint ada --personal --scope items --label deploy --expires-in 7776000")]
    Mint(TokenMint),
    /// List the tokens that were minted from others, or as personal ones, and are still good.
    List(OfAccount),
    /// Revoke such a token, or all that speak for a thing.
    #[command(after_help = "Examples:
  mapae token revoke 0198c0de-0000-7000-8000-000000000001
  mapae token revoke --subject car:42")]
    Revoke(TokenRevoke),
    /// Decode any JWT, check it, and say in words why it is refused.
    #[command(after_help = "Examples:
  mapae token inspect eyJ…
  pbpaste | mapae token inspect -
  mapae token inspect eyJ… --key-file public.pem --expect-audience https://api.example.com")]
    Inspect(TokenInspect),
}

/// `mapae token mint`
#[derive(Args, Debug)]
pub(crate) struct TokenMint {
    #[command(flatten)]
    pub(crate) user: UserName,
    /// Ask for this scope instead of all that the account holds (may be repeated)
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(crate) scopes: Vec<String>,
    /// Speak for this thing, such as car:42; the account, an administrator's, answers for the token
    #[arg(long, value_name = "KIND:ID")]
    pub(crate) subject: Option<String>,
    /// Make a personal access token, which lives long and is exchanged or introspected
    #[arg(long)]
    pub(crate) personal: bool,
    /// Be meant for this audience alone
    // The id of the setting, which its flag gives way to.
    #[arg(id = "setting:audience", long = "audience", value_name = "AUD")]
    pub(crate) audience: Option<String>,
    /// Be good for so many seconds
    #[arg(long, value_name = "N")]
    pub(crate) expires_in: Option<u32>,
    /// What to call it in lists
    #[arg(long, value_name = "TEXT")]
    pub(crate) label: Option<String>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// `mapae token revoke`
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct TokenRevoke {
    /// The token's id, as in `mapae token list`
    #[arg(value_name = "TOKEN_ID")]
    pub(crate) token: Option<String>,
    /// Every token that speaks for this thing
    #[arg(long, value_name = "KIND:ID")]
    pub(crate) subject: Option<String>,
}

/// `mapae token inspect`
#[derive(Args, Debug)]
pub(crate) struct TokenInspect {
    /// The token; - or nothing reads it from standard input
    pub(crate) token: Option<String>,
    /// Check with this key (PEM, JWK, JWKS, or a shared secret) instead of the server's keys
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// With --key-file: expect this audience
    #[arg(long, value_name = "AUD", requires = "key_file")]
    pub(crate) expect_audience: Option<String>,
    /// With --key-file: expect this issuer
    #[arg(long, value_name = "ISS", requires = "key_file")]
    pub(crate) expect_issuer: Option<String>,
    #[command(flatten)]
    pub(crate) output: Output,
}
