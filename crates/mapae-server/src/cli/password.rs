//! `mapae password …`

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use mapae_password::Format;

use super::PasswordSource;

/// `mapae password …`
#[derive(Debug, Subcommand)]
pub(crate) enum PasswordCommand {
    /// Try stored hashes of other programs against known passwords, before an import.
    #[command(
        long_about = "Try stored hashes of other programs against known passwords, before an import.

Reads JSON lines from standard input, each {\"id\": …, \"hash\": \"…\", \"password\": \"…\"}; for rows of Flask-Security also \
\"hmac_sha512_key\" (its SECURITY_PASSWORD_SALT). Other members are ignored, and so are blank lines. Each line is answered \
with true or false on standard output before the next is read.

A hash that is refused (malformed, of an unknown scheme, too expensive) and a line that is not understood are answered \
false, and standard error says why. The exit status is 0 if every line was understood, and 1 otherwise.

Passwords are compared exactly as given, as the program that made the hash compares them. Signing in is kinder: where \
the password as typed does not match, its composed Unicode form (NFC) is tried too.",
        after_help = "Examples:
  mapae password check < export.jsonl
  echo '{\"id\": 1, \"hash\": \"$2b$12$…\", \"password\": \"secret\"}' | mapae password check"
    )]
    Check,
    /// Print the hash of a password; asks for it.
    #[command(
        long_about = "Print the hash of a password; asks for it.

The rules for new passwords are not applied. Argon2 costs what the settings say; other formats cost what the libraries \
use by default. Where a pepper is configured it is used, so that only this server can verify the hash: --no-pepper \
leaves it out.",
        after_help = "Examples:
  mapae password hash
  printf %s \"$PASSWORD\" | mapae password hash --password-stdin --format django-pbkdf2-sha256"
    )]
    Hash(PasswordHash),
}

/// `mapae password hash`
#[derive(Args, Debug)]
pub(crate) struct PasswordHash {
    /// The format, named after the library that reads it
    #[arg(long, value_name = "FORMAT", default_value = Format::Argon2id.name(), value_parser = formats())]
    pub(crate) format: Format,
    /// Leave out the configured pepper, for a hash that another program shall read
    #[arg(long)]
    pub(crate) no_pepper: bool,
    /// File with Flask-Security's SECURITY_PASSWORD_SALT, under which it hashes an HMAC of the password
    #[arg(long, value_name = "FILE")]
    pub(crate) hmac_sha512_key_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) password: PasswordSource,
}

/// All but Firebase's, which takes a project's parameters that a command line has no place for.
fn formats() -> impl TypedValueParser<Value = Format> {
    let writable = Format::all().iter().filter(|format| **format != Format::FirebaseScrypt);
    PossibleValuesParser::new(writable.map(|format| PossibleValue::new(format.name()).help(format.made_by())))
        .try_map(|name| name.parse::<Format>())
}
