//! The command line, as types. What the commands do is in `commands`.

mod audit;
mod client;
mod db;
mod key;
mod password;
mod session;
mod settings;
mod token;
mod transfer;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

pub(crate) use audit::{AuditCommand, AuditFilter, AuditTail};
pub(crate) use client::{ClientAdd, ClientCommand, ClientRemove, ClientRotate, ClientShow, SecretSource};
pub(crate) use db::{DbBackup, DbCommand, DbCopy, DbMigrate};
pub(crate) use key::{KeyCommand, KeyExport, KeyFormat, KeyImport, KeyRevoke, KeyRotate, SecretCommand, SecretRotate};
pub(crate) use password::{PasswordCommand, PasswordHash};
pub(crate) use session::{OfAccount, SessionCommand, SessionEnd};
pub(crate) use settings::SettingFlags;
pub(crate) use token::{TokenCommand, TokenInspect, TokenMint, TokenRevoke};
pub(crate) use transfer::{ImportFormat, UserImport};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "mapae",
    version,
    about = "Mapae: JWT authentication for APIs. Password in, JWT out, protected routes.",
    after_help = EXAMPLES,
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) settings: SettingFlags,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  mapae                                    start on 127.0.0.1:8080, data in ./mapae-data
  mapae user add ada --admin               make the first administrator
  mapae serve --listen 0.0.0.0:80 --base-url https://auth.example.com
  mapae secret generate                    make a key for SECRET_KEY or MAPAE_MASTER_KEY
  mapae config show                        see every setting and where it came from
  mapae token mint ada --scope me          make a token without a password
  mapae token inspect eyJ…                 see what a token says, and why it is refused

Each command tells more: mapae user --help, mapae serve --help";

/// A command. Without one, the server starts.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the server (this is what happens without a command).
    #[command(after_help = "Examples:
  mapae serve
  PORT=9000 mapae serve
  mapae serve --listen 0.0.0.0:8080 --base-url https://auth.example.com --signup open
  ALGORITHM=HS256 SECRET_KEY=\"$(mapae secret generate)\" mapae serve")]
    Serve,
    /// Accounts: add, list, show, disable, enable, change passwords, delete, grant scopes.
    #[command(subcommand)]
    User(UserCommand),
    /// Sessions: list and end them.
    #[command(subcommand)]
    Session(SessionCommand),
    /// OAuth clients: add, list, show, give another secret, remove.
    #[command(subcommand)]
    Client(ClientCommand),
    /// Password hashes: try those of another program, or write one.
    #[command(subcommand)]
    Password(PasswordCommand),
    /// Tokens: make one, see what is in one, list and revoke those that were handed on.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Signing keys: list, rotate, revoke, import and export.
    #[command(subcommand)]
    Key(KeyCommand),
    /// The audit trail: who did what to whom.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Secrets: make a good one, and put another master key in the place of the present one.
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Configuration: see what holds and why.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// The database: migrate, check, back up, and copy.
    #[command(subcommand)]
    Db(DbCommand),
    /// Check the accounts: whether another application's table fits the settings, and every stored hash.
    #[command(after_help = "The exit status is 1 if anything is wrong.

Examples:
  mapae doctor
  mapae doctor --users-preset django --json")]
    Doctor(Output),
}

/// `mapae user …`
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Make an account; asks for the password.
    #[command(after_help = "Examples:
  mapae user add ada --email ada@example.com --admin
  mapae user add ada@example.com --scope me --scope items
  printf %s \"$PASSWORD\" | mapae user add ci-bot --password-stdin")]
    Add(UserAdd),
    /// List accounts.
    List(UserList),
    /// Show one account.
    Show(UserShow),
    /// Disable an account: its sessions end at once, and it cannot sign in.
    Disable(UserName),
    /// Enable a disabled account.
    Enable(UserName),
    /// Set a new password; asks for it. Sessions of the account end.
    Passwd(UserPasswd),
    /// Delete an account for good.
    Delete(UserDelete),
    /// Grant scopes to an account.
    #[command(after_help = "Example:\n  mapae user grant ada items mapae:admin")]
    Grant(UserScopes),
    /// Withdraw scopes from an account.
    Ungrant(UserScopes),
    /// Write all accounts as JSON lines, with their password hashes: keep the output safe.
    #[command(after_help = "Example:\n  (umask 077; mapae user export > accounts.jsonl)")]
    Export,
    /// Make accounts from elsewhere, with their ids and password hashes as they are.
    #[command(
        long_about = "Make accounts from elsewhere, with their ids and password hashes as they are: from a file, or straight \
from the database of a Django or SQLAlchemy application, which is only read.

Members of JSON lines, or columns of CSV: id, username, email, full_name, disabled, scopes, password_hash, created_at. One of username and email \
is needed, and password_hash; see docs/passwords.md for the formats. An account that is there already is left as it is, so \
an import can be run again. Every row that is refused is named on standard error with the reason; then the exit status is 1.",
        after_help = "Examples:
  mapae user import accounts.jsonl
  mapae user import people.csv
  mapae user import --format django db.sqlite3
  mapae user import --format django --database-file old-database-url
  mapae user import --format sqlalchemy-tutorial --table accounts --column password=hashed_pw app.db
  ssh old-host 'mapae user export' | mapae user import"
    )]
    Import(UserImport),
}

/// Whose account: a user name, an e-mail address, or an id.
#[derive(Args, Debug)]
pub(crate) struct UserName {
    /// User name, e-mail address or id
    #[arg(value_name = "USER")]
    pub(crate) user: String,
}

/// `mapae user add`
#[derive(Args, Debug)]
pub(crate) struct UserAdd {
    /// User name, or an e-mail address
    pub(crate) name: String,
    /// E-mail address, when NAME is a user name
    #[arg(long)]
    pub(crate) email: Option<String>,
    /// Full name
    #[arg(long)]
    pub(crate) full_name: Option<String>,
    /// Make an administrator: grants mapae:admin besides the default scopes
    #[arg(long)]
    pub(crate) admin: bool,
    /// Grant this scope instead of the default ones (may be repeated)
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(crate) scopes: Vec<String>,
    #[command(flatten)]
    pub(crate) password: PasswordSource,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// `mapae user list`
#[derive(Args, Debug)]
pub(crate) struct UserList {
    /// Only accounts whose name or address contains this
    #[arg(long, value_name = "TEXT")]
    pub(crate) search: Option<String>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// `mapae user show`
#[derive(Args, Debug)]
pub(crate) struct UserShow {
    #[command(flatten)]
    pub(crate) user: UserName,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// `mapae user passwd`
#[derive(Args, Debug)]
pub(crate) struct UserPasswd {
    #[command(flatten)]
    pub(crate) user: UserName,
    #[command(flatten)]
    pub(crate) password: PasswordSource,
}

/// `mapae user delete`
#[derive(Args, Debug)]
pub(crate) struct UserDelete {
    #[command(flatten)]
    pub(crate) user: UserName,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

/// `mapae user grant` and `ungrant`
#[derive(Args, Debug)]
pub(crate) struct UserScopes {
    #[command(flatten)]
    pub(crate) user: UserName,
    /// Scopes, such as items or mapae:admin
    #[arg(required = true, value_name = "SCOPE")]
    pub(crate) scopes: Vec<String>,
}

/// Where a password comes from. Never from an argument, which others on the machine could read.
#[derive(Args, Debug)]
pub(crate) struct PasswordSource {
    /// Read the password from standard input instead of asking for it
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

/// How results are printed.
#[derive(Args, Debug)]
pub(crate) struct Output {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `mapae config …`
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every effective setting and where it came from; secrets are not shown.
    Show(Output),
}

impl Cli {
    /// Reads the arguments, or prints help, version or a usage error and returns the exit status (0 or 2).
    pub(crate) fn from_args(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Self, u8> {
        let parsed = command().try_get_matches_from(arguments).and_then(|matches| Self::from_arg_matches(&matches));
        parsed.map_err(|error| {
            // Nowhere to report a closed terminal to.
            let _ = error.print();
            u8::try_from(error.exit_code()).unwrap_or(2)
        })
    }
}

/// The parser, with the settings in the help texts that list them.
fn command() -> clap::Command {
    let command = Cli::command();
    let with_settings = |command: clap::Command, all| {
        let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let section = settings::help_section(all);
        command.after_long_help(format!("{section}\n{examples}"))
    };
    with_settings(command, false).mut_subcommand("serve", |serve| with_settings(serve, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        command().debug_assert();
    }
}
