//! A file of breached passwords, searched where it lies.

use std::cmp::Ordering;
use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use mapae_password::policy::BreachedPasswords;

/// The longest line: 40 digits, a colon, a count of up to 20 digits, and a line's end.
const MAX_LINE: usize = 63;
/// What is read at once. What lies between two probes is read as a whole once it is as small as this.
const BLOCK: usize = 4096;

type Sha1 = [u8; 20];

/// A file in the format in which Have I Been Pwned gives its passwords away: one SHA-1 in hexadecimal on each line, in
/// ascending order, with or without `:COUNT` behind it. It may have any size: a search reads some thirty blocks of 4 KiB.
///
/// The file is opened for each search, so another one may be renamed into its place at any time.
#[derive(Clone, Debug)]
pub struct BreachedPasswordFile {
    path: PathBuf,
}

/// Why a file of breached passwords cannot be used; the end of a sentence about the file.
#[derive(Debug, thiserror::Error)]
pub enum BreachedFileError {
    /// The system does not let it be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// There is nothing in it.
    #[error("is empty")]
    Empty,
    /// It holds something else.
    #[error("has no SHA-1 in hexadecimal at the beginning of the line at byte {at}")]
    NotSha1 {
        /// Where the line begins.
        at: u64,
    },
    /// It holds hashes of another kind, with which no password is found.
    #[error("holds NTLM hashes; get the file of SHA-1 hashes")]
    Ntlm,
    /// A search would miss lines.
    #[error("is not sorted by hash: see the line at byte {at}")]
    NotSorted {
        /// Where the line begins.
        at: u64,
    },
}

impl BreachedPasswordFile {
    /// Takes the file at `path` after a look at its beginning, its end and some lines between. It blocks.
    ///
    /// # Errors
    /// [`BreachedFileError`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, BreachedFileError> {
        let path = path.into();
        let mut search = Search::open(&path)?;
        if search.length == 0 {
            return Err(BreachedFileError::Empty);
        }
        let first = search.block(0, MAX_LINE)?;
        let digits = first.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        if digits == 32 {
            return Err(BreachedFileError::Ntlm);
        }
        // A path of probes to either end and one through the middle, which finds most files in another order.
        for sha1 in [[0; 20], [0xff; 20], [0x7f; 20], [0x2a; 20], [0xd5; 20]] {
            search.find(&sha1)?;
        }
        Ok(Self { path })
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file has this SHA-1. It blocks.
    ///
    /// # Errors
    /// [`BreachedFileError`] if the file is gone, or turns out to be another than it was.
    pub fn contains(&self, sha1: &Sha1) -> Result<bool, BreachedFileError> {
        Search::open(&self.path)?.find(sha1)
    }
}

impl BreachedPasswords for BreachedPasswordFile {
    fn contains(&self, sha1: &Sha1) -> Result<bool, Box<dyn Error + Send + Sync>> {
        Ok(Self::contains(self, sha1)?)
    }
}

struct Search {
    file: File,
    length: u64,
}

impl Search {
    fn open(path: &Path) -> Result<Self, BreachedFileError> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no ordinary file").into());
        }
        Ok(Self { file, length: metadata.len() })
    }

    /// Binary search by byte. `low` is always where a line begins, `high` too or the end; every line before `low` is
    /// less than the wanted one, every line from `high` on greater.
    fn find(&mut self, wanted: &Sha1) -> Result<bool, BreachedFileError> {
        let (mut low, mut high) = (0, self.length);
        let (mut least, mut greatest): (Option<Sha1>, Option<Sha1>) = (None, None);
        while high - low > BLOCK as u64 {
            let middle = low + (high - low) / 2;
            let (start, line) = self.line_after(middle)?;
            let sha1 = sha1_of(&line).ok_or(BreachedFileError::NotSha1 { at: start })?;
            if least.is_some_and(|least| sha1 <= least) || greatest.is_some_and(|greatest| sha1 >= greatest) {
                return Err(BreachedFileError::NotSorted { at: start });
            }
            match sha1.cmp(wanted) {
                Ordering::Equal => return Ok(true),
                Ordering::Less => (low, least) = (start, Some(sha1)),
                Ordering::Greater => (high, greatest) = (start, Some(sha1)),
            }
        }
        self.scan(low, high, wanted)
    }

    /// Looks through all lines between.
    fn scan(&mut self, low: u64, high: u64, wanted: &Sha1) -> Result<bool, BreachedFileError> {
        let block = self.block(low, usize::try_from(high - low).unwrap_or(BLOCK))?;
        let (mut found, mut before, mut at) = (false, None, low);
        for line in block.split_inclusive(|byte| *byte == b'\n') {
            let sha1 = sha1_of(line).ok_or(BreachedFileError::NotSha1 { at })?;
            if before.is_some_and(|before| sha1 <= before) {
                return Err(BreachedFileError::NotSorted { at });
            }
            found |= sha1 == *wanted;
            before = Some(sha1);
            at += line.len() as u64;
        }
        Ok(found)
    }

    /// The first line that begins after `at`, and where. There is one: `at` is far enough from the end.
    fn line_after(&mut self, at: u64) -> Result<(u64, Vec<u8>), BreachedFileError> {
        let block = self.block(at, 2 * MAX_LINE)?;
        let end = block.iter().position(|byte| *byte == b'\n').filter(|end| *end <= MAX_LINE);
        let start = end.ok_or(BreachedFileError::NotSha1 { at })? + 1;
        Ok((at + start as u64, block[start..].to_vec()))
    }

    /// Up to `length` bytes from `at` on.
    fn block(&mut self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        self.file.seek(SeekFrom::Start(at))?;
        let mut bytes = Vec::with_capacity(length);
        self.file.by_ref().take(length as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// The hash at the beginning of a line.
fn sha1_of(line: &[u8]) -> Option<Sha1> {
    let (digits, rest) = line.split_at_checked(40)?;
    if !matches!(rest.first(), None | Some(b':' | b'\r' | b'\n')) {
        return None;
    }
    let mut sha1 = [0; 20];
    for (byte, pair) in sha1.iter_mut().zip(digits.chunks_exact(2)) {
        let value = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(value(pair[0])? << 4 | value(pair[1])?).ok()?;
    }
    Some(sha1)
}

#[cfg(test)]
#[path = "breached_tests.rs"]
mod tests;
