//! `mapae password …`

use std::io::{BufRead, ErrorKind, Write};

use mapae::domain::{Rng, SystemRng};
use mapae_password::{Context, HashError, HashText, Password, Peppers, Workspace, flask_security};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use zeroize::{Zeroize, Zeroizing};

use super::{Failure, password, print, sentence};
use crate::cli::{PasswordCommand, PasswordHash};
use crate::config::{Config, reason};
use crate::service::password_context;

/// The longest line. The longest hash and password, every letter escaped, take some 15 KiB; the rest is for other members.
const MAX_LINE: usize = 1024 * 1024;
/// What some programs write at the beginning of a file.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// As much of an id as a message quotes.
const SHOWN_ID_CHARS: usize = 100;

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
    let password = Password::new(typed.expose()).map_err(sentence)?;
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

/// What a message names the row by, also where the rest is wrong.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Id {
    id: Value,
}

fn hidden<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

fn hidden_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Zeroizing<String>>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Zeroizing::new))
}

fn check(context: &Context) -> Result<(), Failure> {
    let mut input = std::io::stdin().lock();
    // Grown at once, so that no part of it is left behind unwiped.
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE));
    let mut workspace = Workspace::new();
    let (mut number, mut all_understood) = (0_u64, true);
    loop {
        number += 1;
        let read = next_line(&mut input, &mut line).map_err(|error| {
            Failure::command(format!("Standard input cannot be read at line {number}: {}.", reason(&error)))
        })?;
        let mut text = line.trim_ascii();
        if number == 1 {
            text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        }
        let answer = match read {
            Read::End => break,
            Read::Line if text.is_empty() => continue,
            Read::Line => try_row(context, text, &mut workspace).map_err(|why| (shown_id(text), why)),
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

/// The id for a message, in JSON so that it is one line whatever it holds.
fn shown_id(line: &[u8]) -> String {
    let object = line.starts_with(b"{");
    match serde_json::from_slice(line).ok().filter(|_| object).unwrap_or_default() {
        Id { id: Value::Null } => String::new(),
        Id { id } => {
            let text = id.to_string();
            let shown: String = text.chars().take(SHOWN_ID_CHARS).collect();
            format!(", id {shown}{}", if shown.len() < text.len() { "…" } else { "" })
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    Line,
    /// Over [`MAX_LINE`] bytes; it was read past and not kept.
    TooLong,
    End,
}

/// Reads the next line into `line`, without its end.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<Read> {
    line.zeroize();
    let (mut any, mut too_long) = (false, false);
    loop {
        let available = match input.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if available.is_empty() {
            break;
        }
        any = true;
        let end = available.iter().position(|byte| *byte == b'\n');
        let part = &available[..end.unwrap_or(available.len())];
        too_long |= part.len() > MAX_LINE - line.len();
        if !too_long {
            line.extend_from_slice(part);
        }
        let used = end.map_or(available.len(), |end| end + 1);
        input.consume(used);
        if end.is_some() {
            break;
        }
    }
    Ok(match (any, too_long) {
        (false, _) => Read::End,
        (true, false) => Read::Line,
        (true, true) => Read::TooLong,
    })
}
