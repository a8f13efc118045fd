//! `.env`, read as python-dotenv reads it, which is what the tutorials use. Two differences: `${NAME}` is not filled in,
//! and nothing goes into the environment of the process.
//!
//! A file of this format usually serves several programs, so a line that cannot be read matters only to whose it is.

use std::iter::Peekable;
use std::str::CharIndices;

/// One `NAME=value` of the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// Counted from 1.
    pub(crate) line: usize,
    /// The value, or what is wrong with it as the end of a sentence.
    pub(crate) value: Result<String, &'static str>,
}

/// All entries, in the order of the file. Lines of other shapes are skipped.
pub(crate) fn parse(text: &str) -> Vec<Entry> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut entries = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while !rest.is_empty() {
        let (entry, used) = read_entry(rest, line);
        line += rest[..used].matches('\n').count();
        rest = &rest[used..];
        entries.extend(entry);
    }
    entries
}

/// Reads one line, or more when a quoted value goes on; also returns the number of bytes that it took.
fn read_entry(text: &str, line: usize) -> (Option<Entry>, usize) {
    let end = text.find('\n').map_or(text.len(), |newline| newline + 1);
    let Some((name, value)) = split_name(&text[..end]) else {
        return (None, end);
    };
    let start = end - value.len();
    let entry = |value| Some(Entry { name: name.to_owned(), line, value });
    let value = match text[start..].chars().next() {
        Some(quote @ ('"' | '\'')) => match unquote(&text[start + 1..], quote) {
            None => return (entry(Err("has a quote that is not closed")), end),
            Some((value, length)) => {
                let after = start + 1 + length;
                let last = text[after..].find('\n').map_or(text.len(), |newline| after + newline + 1);
                let tail = text[after..last].trim();
                if !tail.is_empty() && !tail.starts_with('#') {
                    // The quote may have met another program's apostrophe: the lines between are read for themselves.
                    return (entry(Err("has text after its closing quote")), end);
                }
                let reference = quote == '"' && value.contains("${");
                return (entry(if reference { Err(REFERENCE) } else { Ok(value) }), last);
            }
        },
        _ => strip_comment(value),
    };
    (entry(if value.contains("${") { Err(REFERENCE) } else { Ok(value.to_owned()) }), end)
}

const REFERENCE: &str =
    "refers to another variable with ${…}, which is not filled in here (single quotes make it plain text)";

/// The name, and the rest of the line from the first character of the value on.
fn split_name(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start();
    let line = line.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t'])).map_or(line, str::trim_start);
    let (name, value) = line.split_once('=')?;
    let name = name.trim_end();
    let valid = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
    // Only blanks of the same line: an empty value must not swallow the line that follows.
    valid.then(|| (name, value.trim_start_matches([' ', '\t'])))
}

/// A value without quotes ends where a blank and `#` begin a comment.
fn strip_comment(value: &str) -> &str {
    let comment = value.char_indices().find(|&(at, c)| c == '#' && (at == 0 || value[..at].ends_with([' ', '\t'])));
    value[..comment.map_or(value.len(), |(at, _)| at)].trim_end()
}

/// The value up to the closing quote, and the number of bytes including it.
fn unquote(text: &str, quote: char) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut characters = text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        match c {
            c if c == quote => return Some((value, at + c.len_utf8())),
            '\\' => value.push_str(&escape(&mut characters, quote)),
            c => value.push(c),
        }
    }
    None
}

/// What a backslash and the next character stand for; unknown pairs stay as they are.
fn escape(characters: &mut Peekable<CharIndices<'_>>, quote: char) -> String {
    let plain = match characters.peek().map(|&(_, c)| c) {
        Some(c @ ('\\' | '\'')) => c,
        Some('"') if quote == '"' => '"',
        Some('n') if quote == '"' => '\n',
        Some('r') if quote == '"' => '\r',
        Some('t') if quote == '"' => '\t',
        _ => return "\\".to_owned(),
    };
    characters.next();
    plain.to_string()
}

#[cfg(test)]
#[path = "dotenv_tests.rs"]
mod tests;
