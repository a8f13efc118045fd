//! The URL of a database that is none of the settings, and that may hold a password.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use mapae::domain::SecretText;
use mapae::store::without_password;

use super::Failure;
use crate::config::{Database, reason};

/// The longest URL that is read from a file.
const MAX_URL: u64 = 4096;

/// Others on this machine can read a command's arguments; `flag` is the one that keeps the URL from them.
pub(super) fn warn_of_password(url: &str, flag: &str) {
    let has_password = Database::parse(url).is_ok_and(|database| match database {
        Database::Server(options) => without_password(&options.url) != options.url,
        Database::File(_) => false,
    });
    if has_password {
        tracing::warn!("others on this machine can see the password in the arguments: {flag} keeps it from them");
    }
}

/// The URL in a file.
pub(super) fn from_file(path: &Path) -> Result<SecretText, Failure> {
    let mut text = String::new();
    // One more shows that there is more; a device may have no end.
    File::open(path)
        .and_then(|file| file.take(MAX_URL + 1).read_to_string(&mut text))
        .map_err(|error| Failure::command(format!("{} cannot be read: {}.", path.display(), reason(&error))))?;
    if text.len() as u64 > MAX_URL {
        return Err(Failure::command(format!("{} holds no URL of a database.", path.display())));
    }
    Ok(SecretText::new(text))
}
