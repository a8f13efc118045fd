//! Asking for a password. It never comes as an argument, which others on the machine could read.

use std::io::Read;

use mapae::domain::SecretText;
use zeroize::Zeroizing;

use super::Failure;
use crate::cli::PasswordSource;
use crate::config::reason;

/// More than the longest password, so that a longer one is refused by the rule and not cut.
const LIMIT: u64 = 4096;

/// Reads a new password: from standard input, or typed twice.
pub(super) fn read(source: &PasswordSource) -> Result<SecretText, Failure> {
    if source.password_stdin {
        return from_stdin("password");
    }
    let first = ask("Password: ")?;
    let second = ask("Password again: ")?;
    if first != second {
        return Err(Failure::command("The two passwords differ; nothing was done."));
    }
    Ok(first)
}

fn ask(prompt: &str) -> Result<SecretText, Failure> {
    let typed = rpassword::prompt_password(prompt).map_err(|_| {
        Failure::command("There is no terminal to ask for the password on; pipe it in with --password-stdin.")
    })?;
    Ok(SecretText::new(typed))
}

/// Everything up to the end, without one line end, which `echo` adds.
pub(super) fn from_stdin(what: &str) -> Result<SecretText, Failure> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(LIMIT as usize + 1));
    std::io::stdin().take(LIMIT).read_to_end(&mut bytes).map_err(|error| {
        Failure::command(format!("The {what} cannot be read from standard input: {}.", reason(&error)))
    })?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Failure::command(format!("The {what} is not valid UTF-8.")))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(Failure::command(format!("There is no {what} on standard input.")));
    }
    Ok(SecretText::new(text.to_owned()))
}
