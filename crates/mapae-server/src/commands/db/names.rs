//! Names that a new file must not have, since what has them is taken for something else, and removed.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::draft::{directory_of, with_suffix};
use crate::commands::Failure;
use crate::config::Config;
use crate::{key_file, start_lock};

/// What SQLite and a start write beside a database.
const SIDES: [&str; 4] = ["-wal", "-shm", "-journal", start_lock::SUFFIX];

/// Refuses a place that belongs to this database, or to the master key.
pub(super) fn refuse_taken(place: &Path, config: &Config, database: Option<&Path>) -> Result<(), Failure> {
    let mut taken: Vec<PathBuf> = key_file::names(config).to_vec();
    if let Some(database) = database {
        // SQLite looks beside the file itself, and not beside a link to it.
        for database in [Some(database.to_owned()), fs::canonicalize(database).ok()].into_iter().flatten() {
            taken.extend(SIDES.map(|side| with_suffix(&database, side)));
        }
    }
    let spot = spot(place);
    if spot.is_none() || taken.iter().all(|taken| self::spot(taken) != spot) {
        return Ok(());
    }
    Err(Failure::command(format!(
        "{} is a name of what belongs to the database or its key, and a file there would be taken for that: name another.",
        place.display()
    )))
}

/// Refuses a place beside which is what SQLite would take for changes of the new file.
pub(super) fn refuse_leftovers(place: &Path) -> Result<(), Failure> {
    for left in ["-wal", "-journal"].map(|side| with_suffix(place, side)) {
        if fs::symlink_metadata(&left).is_ok() {
            return Err(Failure::command(format!(
                "{} is left of another database of this name, and would be taken for a part of the new one: move it away, \
                 or name another.",
                left.display()
            )));
        }
    }
    Ok(())
}

/// Where a file is or would be, however its directory is named.
fn spot(path: &Path) -> Option<(PathBuf, &OsStr)> {
    Some((fs::canonicalize(directory_of(path)).ok()?, path.file_name()?))
}
