//! The table `auth.users` of Supabase (GoTrue) in a plain dump: `pg_dump --data-only -t auth.users`, or
//! `supabase db dump --data-only --use-copy`.

use std::borrow::Cow;
use std::io::BufRead;

use chrono::{DateTime, Utc};
use mapae::service::import::ImportRow;
use mapae_password::HashText;
use serde_json::Value;

use super::super::json_lines::{JsonLines, MAX_LINE, Read, quoted_id};
use super::{Source, SourceRow};
use crate::commands::Failure;

pub(super) struct DumpRows<R> {
    lines: JsonLines<R>,
    /// For bans that have ended.
    now_millis: i64,
    /// Of the table that is being read.
    columns: Option<Vec<String>>,
    found: bool,
}

impl<R: BufRead> DumpRows<R> {
    pub(super) fn new(input: R, now_millis: i64) -> Self {
        Self { lines: JsonLines::new(input), now_millis, columns: None, found: false }
    }
}

impl<R: BufRead> Source for DumpRows<R> {
    fn next_row(&mut self) -> Result<Option<SourceRow>, Failure> {
        loop {
            let (number, read) = self.lines.next_raw()?;
            let place = format!("line {number}");
            match (read, &self.columns) {
                (Read::End, _) if self.found => return Ok(None),
                (Read::End, _) => {
                    return Err(Failure::command("The dump has no data of the table auth.users, copied with COPY."));
                }
                // Another table's, whatever it is.
                (Read::TooLong, None) => {}
                (Read::TooLong, Some(_)) => {
                    let account = Err(format!("The line is longer than {MAX_LINE} bytes."));
                    return Ok(Some(SourceRow { place, id: String::new(), account }));
                }
                (Read::Line(line), None) => {
                    let line = String::from_utf8_lossy(line).replace('"', "");
                    if line.starts_with("INSERT INTO auth.users ") {
                        return Err(Failure::command(
                            "The dump has INSERT statements; make it with COPY: pg_dump without --inserts, or supabase \
                             db dump with --use-copy.",
                        ));
                    }
                    self.columns = copied_columns(&line);
                    self.found |= self.columns.is_some();
                }
                (Read::Line(b"\\."), Some(_)) => self.columns = None,
                (Read::Line(line), Some(columns)) => {
                    let (id, account) = account(columns, line, self.now_millis);
                    return Ok(Some(SourceRow { place, id, account }));
                }
            }
        }
    }
}

/// The columns of the statement that begins the data.
fn copied_columns(line: &str) -> Option<Vec<String>> {
    let columns = line.strip_prefix("COPY auth.users (")?.strip_suffix(") FROM stdin;")?;
    Some(columns.split(", ").map(str::to_owned).collect())
}

/// The id for messages, and the account.
fn account(columns: &[String], line: &[u8], now_millis: i64) -> (String, Result<ImportRow, String>) {
    let fields: Option<Vec<Option<Cow<'_, str>>>> =
        std::str::from_utf8(line).ok().and_then(|line| line.split('\t').map(unescaped).collect());
    let Some(fields) = fields.filter(|fields| fields.len() == columns.len()) else {
        return (String::new(), Err("The line is no row of this table.".to_owned()));
    };
    let column = |name: &str| {
        let place = columns.iter().position(|known| known == name)?;
        fields[place].as_deref().filter(|text| !text.is_empty())
    };
    let id = column("id").map(|id| quoted_id(&Value::from(id))).unwrap_or_default();
    (id, read(column, now_millis))
}

fn read<'a>(column: impl Fn(&str) -> Option<&'a str>, now_millis: i64) -> Result<ImportRow, String> {
    if column("deleted_at").is_some() {
        return Err("The account was deleted there.".to_owned());
    }
    let hash = column("encrypted_password").ok_or("There is no password to sign in with.")?;
    let banned = match column("banned_until") {
        None => false,
        Some("infinity") => true,
        Some(text) => time("banned_until", text)?.timestamp_millis() > now_millis,
    };
    let about: Value =
        column("raw_user_meta_data").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let named = ["full_name", "name"].iter().find_map(|name| about.get(name)?.as_str());
    Ok(ImportRow {
        id: column("id").map(str::to_owned),
        username: None,
        email: column("email").map(str::to_owned),
        full_name: named.map(str::to_owned),
        disabled: banned,
        scopes: None,
        password_hash: HashText::new(hash),
        created_at: column("created_at").map(|text| time("created_at", text)).transpose()?,
    })
}

/// A time as PostgreSQL writes it, such as `2023-01-31 12:00:00.5+00`.
fn time(column: &str, text: &str) -> Result<DateTime<Utc>, String> {
    DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z")
        .map(|at| at.to_utc())
        .map_err(|_| format!("The column {column} is no time."))
}

/// A field of COPY's text format: `Some(None)` is NULL, `None` no field at all.
fn unescaped(field: &str) -> Option<Option<Cow<'_, str>>> {
    if field == "\\N" {
        return Some(None);
    }
    if !field.contains('\\') {
        return Some(Some(Cow::Borrowed(field)));
    }
    let mut text = String::with_capacity(field.len());
    let mut letters = field.chars();
    while let Some(letter) = letters.next() {
        text.push(match (letter, letter == '\\') {
            (letter, false) => letter,
            // pg_dump writes no other escapes than these and the backslash itself.
            (_, true) => match letters.next()? {
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'v' => '\u{b}',
                other => other,
            },
        });
    }
    Some(Some(Cow::Owned(text)))
}
