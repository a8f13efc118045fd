//! A file that has its name when it is whole and on disk, or never.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use base64_simd::URL_SAFE_NO_PAD;
use mapae::domain::{Rng, SystemRng};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::data_dir;

/// A database file while it is written, beside its place. Dropped unfinished, it is removed; one that stays says by its
/// name that it is unfinished.
pub(super) struct Draft(PathBuf);

impl Draft {
    /// For a file in this place.
    pub(super) fn make(place: &Path) -> io::Result<Self> {
        let mut number = [0; 9];
        SystemRng.fill(&mut number);
        let draft = with_suffix(place, &format!(".{}.part", URL_SAFE_NO_PAD.encode_to_string(number)));
        data_dir::private_file(&draft)?;
        Ok(Self(draft))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Gives it its name, unless something else has it by now; its size.
    pub(super) fn finish(self, place: &Path) -> io::Result<u64> {
        self.finish_by(place, take_name)
    }

    /// The same, where a file that nobody needs has the name.
    pub(super) fn replace(self, place: &Path) -> io::Result<u64> {
        self.finish_by(place, |from, to| fs::rename(from, to))
    }

    fn finish_by(self, place: &Path, name: impl FnOnce(&Path, &Path) -> io::Result<()>) -> io::Result<u64> {
        let file = File::open(&self.0)?;
        file.sync_all()?;
        name(&self.0, place)?;
        File::open(directory_of(place))?.sync_all()?;
        Ok(file.metadata()?.len())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Beside it SQLite notes how to undo what was not committed.
        for file in [&self.0, &with_suffix(&self.0, "-journal")] {
            let _ = fs::remove_file(file);
        }
    }
}

/// The directory that a file is in, or would be.
pub(super) fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The path with this after its last letter.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Gives a file another name that nothing has. USB sticks and many network shares have no hard links, others cannot rename
/// so.
fn take_name(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => fs::hard_link(from, to),
        renamed => Ok(renamed?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_once_and_nothing_is_left_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("mapae.db");
        let make = |text: &str| {
            let draft = Draft::make(&place).unwrap();
            fs::write(draft.path(), text).unwrap();
            fs::write(with_suffix(draft.path(), "-journal"), "").unwrap();
            draft
        };
        assert_eq!(make("first").finish(&place).unwrap(), 5);
        assert_eq!(make("second").finish(&place).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        drop(make("third"));
        assert_eq!(fs::read_to_string(&place).unwrap(), "first");
        assert_eq!(make("fourth").replace(&place).unwrap(), 6);
        assert_eq!(fs::read_to_string(&place).unwrap(), "fourth");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
