//! `mapae key …` and `mapae secret …`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Output;

/// `mapae key …`
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// List the signing keys.
    List(Output),
    /// Let the next key sign; the old one still verifies until its last token has expired.
    #[command(after_help = "A running server does this by itself every key_rotation_days.

Examples:
  mapae key rotate
  mapae key rotate --now")]
    Rotate(KeyRotate),
    /// Drop a key that may be in other hands: tokens that it signed are refused. Sessions go on.
    #[command(after_help = "Examples:
  mapae key revoke \"$(mapae key list --json | jq -r '.[0].kid')\"
  mapae key revoke --leaked KID")]
    Revoke(KeyRevoke),
    /// Make a private key of another program the next key, or publish a key that only verifies.
    #[command(
        long_about = "Make a private key of another program the next key, or publish a key that only verifies.

The file is PEM (PKCS#8, PKCS#1 or RFC 5915, unencrypted) or a JWK. The key must be for the configured ALGORITHM: P-256 \
for ES256, Ed25519 for EdDSA, RSA of 2048 to 8192 bits for RS256. It is published at once, in the place of the next key, \
and signs when its time has come: an hour later with `mapae key rotate`, else on schedule.

With --verify-only the key signs nothing here; its public half is published, so that services which read the keys here \
still believe what the other program has signed.",
        after_help = "Examples:
  mapae key import old-system.pem
  mapae key import old-system-public.pem --verify-only --until 2026-12-31T00:00:00Z --kid key-2025"
    )]
    Import(KeyImport),
    /// Print the public keys, for verifiers that cannot fetch them.
    #[command(after_help = "Examples:
  mapae key export-public > jwks.json
  mapae key export-public --format pem --kid KID")]
    ExportPublic(KeyExport),
}

/// `mapae key revoke`
#[derive(Args, Debug)]
pub(crate) struct KeyRevoke {
    /// The key's id, as in `mapae key list`
    pub(crate) kid: String,
    /// The key is known to be in other hands: end every session too, since it could make tokens of any
    #[arg(long)]
    pub(crate) leaked: bool,
}

/// `mapae key rotate`
#[derive(Args, Debug)]
pub(crate) struct KeyRotate {
    /// Rotate even if verifiers may not have seen the next key yet
    #[arg(long)]
    pub(crate) now: bool,
}

/// `mapae key import`
#[derive(Args, Debug)]
pub(crate) struct KeyImport {
    /// The file of the key
    pub(crate) file: PathBuf,
    /// Publish the public half alone; a public key will do
    #[arg(long)]
    pub(crate) verify_only: bool,
    /// With --verify-only: until when it verifies, such as 2026-12-31T00:00:00Z; else as long as a key that retires now
    #[arg(long, value_name = "TIME", requires = "verify_only")]
    pub(crate) until: Option<String>,
    /// The id that its tokens name, if the file does not say it
    #[arg(long)]
    pub(crate) kid: Option<String>,
}

/// `mapae key export-public`
#[derive(Args, Debug)]
pub(crate) struct KeyExport {
    /// How they are written
    #[arg(long, value_enum, default_value_t = KeyFormat::Jwks)]
    pub(crate) format: KeyFormat,
    /// Only this key
    #[arg(long)]
    pub(crate) kid: Option<String>,
}

/// How public keys are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyFormat {
    /// A JWK Set, as at /.well-known/jwks.json
    Jwks,
    /// One PEM block for each key
    Pem,
}

/// `mapae secret …`
#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// Print a new random key of 256 bits, for SECRET_KEY or MAPAE_MASTER_KEY.
    #[command(after_help = "Example:\n  echo \"SECRET_KEY=$(mapae secret generate)\" >> .env")]
    Generate,
    /// Put another master key in the place of the present one: what it protects is encrypted anew.
    #[command(
        long_about = "Put another master key in the place of the present one: what it protects is encrypted anew.

Nobody is logged out, and a running server goes on; at its next start it needs the new key. Where the key is in master.key, \
that file is replaced. Where it is given by a setting, the new key is written to --new-key-file or else printed, and has to \
be put into that setting before the next start. Backups from before need the old key.

With --leaked, for a key that is in other hands together with the database: everything that it could open is replaced, and \
every session ends. Servers that are running accept and issue nothing until they are started with the new key. SECRET_KEY, \
if tokens are signed with it, is refused from then on: set a new one.",
        after_help = "Examples:
  mapae secret rotate
  mapae secret rotate --new-key-file /run/secrets/mapae-new
  mapae secret rotate --leaked"
    )]
    Rotate(SecretRotate),
}

/// `mapae secret rotate`
#[derive(Args, Debug)]
pub(crate) struct SecretRotate {
    /// The old key is in other hands: replace what it could open, and end every session
    #[arg(long)]
    pub(crate) leaked: bool,
    /// Where the master key is given by a setting: the file of the new key, which is made unless it is there
    #[arg(long, value_name = "FILE")]
    pub(crate) new_key_file: Option<PathBuf>,
}
