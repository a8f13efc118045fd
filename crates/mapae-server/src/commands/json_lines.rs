//! JSON lines from elsewhere: of any number, each of a bounded length, and wiped.

use std::io::{BufRead, ErrorKind};

use serde::Deserialize;
use serde_json::Value;
use zeroize::{Zeroize, Zeroizing};

use super::Failure;
use crate::config::reason;

/// The longest line. The longest hash and password, every letter escaped, take some 15 KiB; the rest is for other members.
pub(super) const MAX_LINE: usize = 1024 * 1024;
/// As much of an id as a message quotes.
const SHOWN_ID_CHARS: usize = 100;
/// What some programs write at the beginning of a file.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Lines that are read one by one.
pub(super) struct JsonLines<R> {
    input: R,
    line: Zeroizing<Vec<u8>>,
    number: u64,
}

/// What was read.
pub(super) enum Read<'a> {
    /// A line that is not blank, without blanks around it.
    Line(&'a [u8]),
    /// Over [`MAX_LINE`] bytes; it was read past and not kept.
    TooLong,
    End,
}

impl<R: BufRead> JsonLines<R> {
    pub(super) fn new(input: R) -> Self {
        // Made at its full size, so that no part is left behind unwiped when it grows.
        Self { input, line: Zeroizing::new(Vec::with_capacity(MAX_LINE)), number: 0 }
    }

    /// The next line that is not blank, and its number; the first is 1.
    ///
    /// # Errors
    /// A sentence, if the input fails.
    pub(super) fn next(&mut self) -> Result<(u64, Read<'_>), Failure> {
        loop {
            match self.read_or_fail()? {
                (false, _) => return Ok((self.number, Read::End)),
                (true, true) => return Ok((self.number, Read::TooLong)),
                (true, false) if self.text().is_empty() => {}
                (true, false) => return Ok((self.number, Read::Line(self.text()))),
            }
        }
    }

    /// The next line as it stands, without its end, and its number.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub(super) fn next_raw(&mut self) -> Result<(u64, Read<'_>), Failure> {
        Ok(match self.read_or_fail()? {
            (false, _) => (self.number, Read::End),
            (true, true) => (self.number, Read::TooLong),
            (true, false) => (self.number, Read::Line(self.line.strip_suffix(b"\r").unwrap_or(&self.line))),
        })
    }

    fn text(&self) -> &[u8] {
        let text = self.line.trim_ascii();
        if self.number == 1 { text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text) } else { text }
    }

    fn read_or_fail(&mut self) -> Result<(bool, bool), Failure> {
        let read = self.read();
        read.map_err(|error| Failure::command(format!("Line {} cannot be read: {}.", self.number, reason(&error))))
    }

    /// Reads one line without its end: whether there was any, and whether it was too long.
    fn read(&mut self) -> std::io::Result<(bool, bool)> {
        // As far as it was used: all of it, for each line, would take longer than everything else.
        self.line.as_mut_slice().zeroize();
        self.line.clear();
        self.number += 1;
        let (mut any, mut too_long) = (false, false);
        loop {
            let available = match self.input.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                return Ok((any, too_long));
            }
            any = true;
            let end = available.iter().position(|byte| *byte == b'\n');
            let part = &available[..end.unwrap_or(available.len())];
            too_long |= part.len() > MAX_LINE - self.line.len();
            if !too_long {
                self.line.extend_from_slice(part);
            }
            let used = end.map_or(available.len(), |end| end + 1);
            self.input.consume(used);
            if end.is_some() {
                return Ok((any, too_long));
            }
        }
    }
}

/// What a message names a row by, also where the rest is wrong.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Id {
    id: Value,
}

/// The id of a line for a message, with a comma before it; empty if there is none.
pub(super) fn shown_id(line: &[u8]) -> String {
    let object = line.starts_with(b"{");
    match serde_json::from_slice(line).ok().filter(|_| object).unwrap_or_default() {
        Id { id: Value::Null } => String::new(),
        Id { id } => quoted_id(&id),
    }
}

/// An id for a message, in JSON so that it is one line whatever it holds.
pub(super) fn quoted_id(id: &Value) -> String {
    let text = id.to_string();
    let shown: String = text.chars().take(SHOWN_ID_CHARS).collect();
    format!(", id {shown}{}", if shown.len() < text.len() { "…" } else { "" })
}
