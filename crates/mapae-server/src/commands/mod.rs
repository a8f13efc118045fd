//! What each command does.

mod audit;
mod client;
mod config;
mod database_url;
mod db;
mod doctor;
mod export;
mod hashes;
mod import;
mod json_lines;
mod key;
mod minted;
mod password;
mod secret;
mod serve;
mod session;
mod token;
mod user;

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::time::Duration;

use mapae::Mapae;
use mapae::service::By;
use tracing::Level;

use crate::cli::{Cli, Command, ConfigCommand, SecretCommand, TokenCommand};
use crate::config::{Config, Given, LogFormat, load, reason};
use crate::service::attach;
use crate::telemetry;
use crate::traces::Traces;

/// Why a command ended without doing its work. The texts are whole sentences.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The configuration or the arguments are not in order.
    Configuration(Vec<String>),
    /// The work itself failed.
    Command(String),
    /// The work failed, and the output says so.
    Silent,
    /// Whoever read our output has gone, as with `| head`.
    OutputClosed,
}

impl Failure {
    pub(crate) fn command(sentence: impl Into<String>) -> Self {
        Self::Command(sentence.into())
    }

    fn usage(sentence: &str) -> Self {
        Self::Configuration(vec![sentence.to_owned()])
    }

    /// Says what happened on standard error; returns the exit status.
    pub(crate) fn report(&self) -> u8 {
        let (sentences, status) = match self {
            Self::Configuration(problems) => (problems.as_slice(), 2),
            Self::Command(sentence) => (std::slice::from_ref(sentence), 1),
            Self::Silent => (&[][..], 1),
            Self::OutputClosed => (&[][..], 0),
        };
        for sentence in sentences {
            // Nowhere to report a closed standard error to.
            let _ = writeln!(std::io::stderr(), "mapae: {sentence}");
        }
        status
    }
}

impl From<String> for Failure {
    /// A sentence.
    fn from(sentence: String) -> Self {
        Self::Command(sentence)
    }
}

/// An error of the library as a sentence.
pub(crate) fn sentence(error: impl Display) -> Failure {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    Failure::Command(format!("{first}{}{end}", letters.as_str()))
}

/// Runs the command.
pub(crate) fn run(cli: Cli, environment: Vec<(OsString, OsString)>) -> Result<(), Failure> {
    let command = cli.command.unwrap_or(Command::Serve);
    let operator = operator(&environment);
    let by = By::CommandLine(operator.as_deref());
    if let Command::Secret(SecretCommand::Generate) = command {
        // The way out of a refused key must not be refused itself.
        return secret::generate();
    }
    let loaded = load(Given { flags: cli.settings.layer, config_file: cli.settings.config_file, environment });
    if let Command::Config(ConfigCommand::Show(output)) = command {
        return config::show(&loaded, output.json);
    }
    let again = loaded.flags_again().to_owned();
    let server = matches!(command, Command::Serve);
    let config = loaded.into_config(server);
    if let Command::Token(TokenCommand::Inspect(arguments)) = command {
        return block_on(token::inspect(config.map(|(config, _)| config), arguments));
    }
    let (config, warnings) = config.map_err(Failure::Configuration)?;
    let traces = match &config.traces_endpoint {
        Some(collector) if server => Some(Traces::start(collector)?),
        Some(_) | None => None,
    };
    if server {
        telemetry::start(config.log_format, config.log_level, traces.as_ref());
    } else {
        // Whoever runs a command waits for its result; lines about success would be in the way.
        let format = if config.log_format == LogFormat::Auto { LogFormat::Text } else { config.log_format };
        let quiet = if config.log_level > Level::INFO { config.log_level } else { config.log_level.min(Level::WARN) };
        telemetry::start(format, quiet, None);
    }
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    if let Command::Password(command) = command {
        return hashes::run(&config, command);
    }
    let result = block_on(async {
        match command {
            Command::Serve => serve::serve(config, &again).await,
            Command::Db(command) => db::run(&config, command).await,
            Command::Doctor(output) => with_service(&config, async |mapae| doctor::run(mapae, &output).await).await,
            Command::User(command) => with_service(&config, async |mapae| user::run(mapae, by, command).await).await,
            Command::Session(command) => {
                with_service(&config, async |mapae| session::run(mapae, by, command).await).await
            }
            Command::Client(command) => {
                with_service(&config, async |mapae| client::run(mapae, by, command).await).await
            }
            Command::Audit(command) => with_service(&config, async |mapae| audit::run(mapae, command).await).await,
            Command::Key(command) => with_service(&config, async |mapae| key::run(mapae, by, command).await).await,
            Command::Token(TokenCommand::Mint(arguments)) => {
                let guessed = config.base_url.is_none();
                with_service(&config, async |mapae| token::mint(mapae, by, arguments, guessed).await).await
            }
            Command::Secret(SecretCommand::Rotate(arguments)) => {
                with_service(&config, async |mapae| secret::rotate(&config, mapae, by, arguments).await).await
            }
            Command::Token(TokenCommand::List(arguments)) => {
                with_service(&config, async |mapae| minted::list(mapae, arguments).await).await
            }
            Command::Token(TokenCommand::Revoke(arguments)) => {
                with_service(&config, async |mapae| minted::revoke(mapae, by, arguments).await).await
            }
            Command::Token(TokenCommand::Inspect(_))
            | Command::Secret(SecretCommand::Generate)
            | Command::Config(_)
            | Command::Password(_) => Ok(()),
        }
    });
    if let Some(traces) = traces {
        traces.stop();
    }
    result
}

/// Who runs the command, for the audit trail, as far as the environment tells.
fn operator(environment: &[(OsString, OsString)]) -> Option<String> {
    // Whoever became root for this is asked for first.
    ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|variable| {
        let (_, name) = environment.iter().find(|(name, value)| name == variable && !value.is_empty())?;
        Some(name.to_string_lossy().into_owned())
    })
}

/// Works on the database of a server, which may be running, and closes it properly.
async fn with_service(config: &Config, work: impl AsyncFnOnce(&Mapae) -> Result<(), Failure>) -> Result<(), Failure> {
    let mapae = attach(config).await?;
    let result = work(&mapae).await;
    mapae.store().close().await;
    result
}

fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::command(format!("The system gives no threads: {}.", reason(&error))))?;
    let result = runtime.block_on(work);
    // Requests that were cut off may still hash: nobody waits for that.
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}

/// Writes to standard output.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::OutputClosed,
        _ => Failure::command(format!("The output cannot be written: {}.", reason(&error))),
    })
}

/// Writes to standard error what a person should know besides the output.
fn print_note(text: &str) {
    // Nowhere to report a closed standard error to.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    print(&format!("{value:#}\n"))
}
