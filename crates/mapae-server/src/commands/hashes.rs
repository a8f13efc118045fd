//! `mapae password …`

use std::io::Write;

use mapae::domain::{Rng, SystemRng};
use mapae_password::{Context, HashError, HashText, Password, Peppers, Workspace, flask_security};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use super::json_lines::{JsonLines, MAX_LINE, Read, shown_id};
use super::{Failure, password, print, sentence};
use crate::cli::{PasswordCommand, PasswordHash};
use crate::config::{Config, read_secret};
use crate::service::password_context;

pub(super) fn run(config: &Config, command: PasswordCommand) -> Result<(), Failure> {
    match command {
        PasswordCommand::Check => check(&password_context(config)),
        PasswordCommand::Hash(arguments) => hash(password_context(config), &arguments),
    }
}

fn hash(mut context: Context, arguments: &PasswordHash) -> Result<(), Failure> {
    context.write = arguments.format;
    if arguments.no_pepper {
        context.peppers = Peppers::default();
    }
    let typed = password::read(&arguments.password)?;
    let mut password = Password::new(typed.expose()).map_err(sentence)?;
    if let Some(file) = &arguments.hmac_sha512_key_file {
        let key = read_secret(file).map_err(|why| {
            Failure::command(format!("--hmac-sha512-key-file names {}, which {why}.", file.display()))
        })?;
        password = flask_security::prehash(&password, key.expose().as_bytes());
    }
    let mut salt = [0; 16];
    SystemRng.fill(&mut salt);
    let hash = context.hash(&password, &salt, &mut Workspace::new()).map_err(sentence)?;
    print(&format!("{}\n", hash.as_str()))
}

/// A row to try. What else the line holds is ignored.
#[derive(Deserialize)]
struct Row {
    #[serde(deserialize_with = "hidden")]
    hash: Zeroizing<String>,
    #[serde(deserialize_with = "hidden")]
    password: Zeroizing<String>,
    #[serde(default, deserialize_with = "hidden_or_none")]
    hmac_sha512_key: Option<Zeroizing<String>>,
}

fn hidden<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

fn hidden_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Zeroizing<String>>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Zeroizing::new))
}

fn check(context: &Context) -> Result<(), Failure> {
    let mut lines = JsonLines::new(std::io::stdin().lock());
    let mut workspace = Workspace::new();
    let mut all_understood = true;
    loop {
        let (number, read) = lines.next()?;
        let answer = match read {
            Read::End => break,
            Read::Line(text) => try_row(context, text, &mut workspace).map_err(|why| (shown_id(text), why)),
            Read::TooLong => Err((String::new(), format!("longer than {MAX_LINE} bytes"))),
        };
        if let Err((id, why)) = &answer {
            all_understood = false;
            // Nowhere to report a closed standard error to.
            let _ = writeln!(std::io::stderr(), "mapae: line {number}{id}: {why}");
        }
        print(if answer == Ok(true) { "true\n" } else { "false\n" })?;
    }
    if all_understood { Ok(()) } else { Err(Failure::Silent) }
}

/// Whether the row's password is the one of its hash, or why that cannot be told. The reason quotes nothing of the row.
fn try_row(context: &Context, line: &[u8], workspace: &mut Workspace) -> Result<bool, String> {
    const NO_ROW: &str = "must be a JSON object with the texts \"hash\" and \"password\"";
    // A list would be taken for the members in their order.
    if !line.starts_with(b"{") {
        return Err(NO_ROW.to_owned());
    }
    // The error itself may quote the password.
    let row: Row = serde_json::from_slice(line).map_err(|error| match error.is_data() {
        true => NO_ROW.to_owned(),
        false => format!("not JSON from column {} on", error.column()),
    })?;
    let tried = Password::new(row.password.as_str()).and_then(|password| {
        let hashed = match &row.hmac_sha512_key {
            None => password,
            Some(key) => flask_security::prehash(&password, key.as_bytes()),
        };
        context.verify_as_typed(&HashText::new(row.hash.as_str()), &hashed, workspace)
    });
    tried.map(|seen| seen.matches).map_err(|error: HashError| error.to_string())
}
