//! Into what a copy is written.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use mapae::store::DatabaseOptions;

use super::draft::Draft;
use super::names::refuse_leftovers;
use crate::commands::Failure;
use crate::config::{Database, reason};
use crate::service::{options, sqlite_options};
use crate::start_lock::StartLock;

/// Where the copy goes.
#[derive(Default)]
pub(super) struct Target {
    /// The file while it is written, its place, and whether an empty file is there.
    draft: Option<(Draft, PathBuf, bool)>,
    /// No server starts there meanwhile.
    _lock: Option<StartLock>,
}

impl Target {
    pub(super) async fn prepare(to: &Database) -> Result<Self, Failure> {
        let Some(path) = to.file() else { return Ok(Self::default()) };
        let shown = path.display();
        let cannot_be_made = |error: &io::Error| {
            Failure::command(format!(
                "The target {shown} cannot be made: {}. Its directory must exist and this user must be able to write it.",
                reason(error)
            ))
        };
        if path.is_dir() {
            return Err(Failure::command(format!("The target {shown} is a directory: name a file.")));
        }
        let lock = Some(StartLock::beside_database(path).await?);
        let there = match fs::metadata(path) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(cannot_be_made(&error)),
        };
        let (place, is_there) = match there {
            // It has tables, which are written in one transaction.
            Some(metadata) if metadata.len() > 0 => {
                if metadata.permissions().mode() & 0o077 != 0 {
                    tracing::warn!("the target {shown} can be read by other users of this machine: chmod 600 {shown}");
                }
                return Ok(Self { draft: None, _lock: lock });
            }
            Some(_) => (fs::canonicalize(path).map_err(|error| cannot_be_made(&error))?, true),
            None => (path.to_owned(), false),
        };
        refuse_leftovers(&place)?;
        let draft = Draft::make(&place).map_err(|error| cannot_be_made(&error))?;
        Ok(Self { draft: Some((draft, place, is_there)), _lock: lock })
    }

    /// What is written to.
    pub(super) fn options(&self, to: &Database) -> DatabaseOptions {
        match &self.draft {
            Some((draft, ..)) => sqlite_options(draft.path()),
            None => options(to),
        }
    }

    /// The copy is whole.
    pub(super) fn finish(self) -> Result<(), Failure> {
        let Some((draft, place, is_there)) = self.draft else { return Ok(()) };
        let finished = if is_there { draft.replace(&place) } else { draft.finish(&place) };
        let fails = |error: io::Error| {
            let (shown, reason) = (place.display(), reason(&error));
            Failure::command(format!("The target {shown} cannot be made, and nothing is kept: {reason}."))
        };
        finished.map(drop).map_err(fails)
    }
}
