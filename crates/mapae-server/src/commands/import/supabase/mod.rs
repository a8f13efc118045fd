//! The table `auth.users` of Supabase (GoTrue) in a plain dump: `pg_dump --data-only -t auth.users`, or
//! `supabase db dump --data-only`, with COPY or with INSERT statements that name their columns.

mod copy;
mod insert;

use std::borrow::Cow;
use std::io::BufRead;

use chrono::{DateTime, Utc};
use mapae::service::import::ImportRow;
use mapae_password::HashText;
use serde_json::Value;
use zeroize::Zeroizing;

use super::super::json_lines::{JsonLines, MAX_LINE, Read, quoted_id};
use super::{Source, SourceRow};
use crate::commands::Failure;

/// The statement whose rows are being read.
enum Statement {
    /// None, or another table's.
    Other,
    /// COPY, with these columns.
    Copy(Vec<String>),
    /// INSERT, with these columns.
    Insert(Vec<String>),
}

pub(super) struct DumpRows<R> {
    lines: JsonLines<R>,
    /// For bans that have ended.
    now_millis: i64,
    statement: Statement,
    /// The lines of a row of INSERT so far, whose last text goes on.
    open: Option<Zeroizing<String>>,
    found: bool,
}

impl<R: BufRead> DumpRows<R> {
    pub(super) fn new(input: R, now_millis: i64) -> Self {
        Self { lines: JsonLines::new(input), now_millis, statement: Statement::Other, open: None, found: false }
    }
}

impl<R: BufRead> Source for DumpRows<R> {
    async fn next_row(&mut self) -> Result<Option<SourceRow>, Failure> {
        loop {
            let (number, read) = self.lines.next_raw()?;
            let refused = |why: String| {
                Ok(Some(SourceRow { place: format!("line {number}"), id: String::new(), account: Err(why) }))
            };
            let line = match read {
                Read::Line(line) => line,
                Read::End if self.found => return Ok(None),
                Read::End => return Err(Failure::command("The dump has no data of the table auth.users.")),
                Read::TooLong if matches!(self.statement, Statement::Other) => continue,
                Read::TooLong => return refused(format!("The line is longer than {MAX_LINE} bytes.")),
            };
            let text = String::from_utf8_lossy(line);
            let row = match &self.statement {
                Statement::Other => {
                    if let Some(columns) = copy::columns(&text.replace('"', "")) {
                        (self.statement, self.found) = (Statement::Copy(columns), true);
                        continue;
                    }
                    match insert::begin(&text) {
                        None => continue,
                        Some(insert::Begin::Unnamed) => {
                            return Err(Failure::command(
                                "The dump has INSERT statements without the names of the columns; make it with \
                                 pg_dump --column-inserts, or without --inserts.",
                            ));
                        }
                        Some(insert::Begin::Columns(columns, read)) => {
                            (self.statement, self.found) = (Statement::Insert(columns), true);
                            text[read..].to_owned()
                        }
                    }
                }
                Statement::Copy(_) if line == b"\\." => {
                    self.statement = Statement::Other;
                    continue;
                }
                Statement::Copy(columns) => {
                    let fields = std::str::from_utf8(line).ok().and_then(copy::fields);
                    let (id, account) = account(columns, fields, self.now_millis);
                    return Ok(Some(SourceRow { place: format!("line {number}"), id, account }));
                }
                Statement::Insert(_) => text.into_owned(),
            };
            if let Some(row) = self.insert(number, Zeroizing::new(row)) {
                return Ok(Some(row));
            }
        }
    }
}

impl<R: BufRead> DumpRows<R> {
    /// The next line of an INSERT statement; the row that it ends.
    fn insert(&mut self, number: u64, line: Zeroizing<String>) -> Option<SourceRow> {
        let Statement::Insert(columns) = &self.statement else { return None };
        let is_open = insert::is_open(self.open.is_some(), line.as_bytes());
        let text = match self.open.take() {
            // Of a row that is too long only the end is looked for.
            Some(begun) if begun.len() > MAX_LINE => begun,
            Some(mut begun) => {
                begun.push('\n');
                begun.push_str(&line);
                begun
            }
            None => line,
        };
        if is_open {
            self.open = Some(text);
            return None;
        }
        if text.trim().is_empty() {
            return None;
        }
        let row = if text.len() > MAX_LINE { None } else { insert::row(&text) };
        let is_last = row.as_ref().map_or_else(|| text.ends_with(';'), |row| row.is_last);
        let (id, account) = account(columns, row.map(|row| row.fields), self.now_millis);
        if is_last {
            self.statement = Statement::Other;
        }
        Some(SourceRow { place: format!("line {number}"), id, account })
    }
}

/// The id for messages, and the account.
fn account(
    columns: &[String],
    fields: Option<Vec<Option<Cow<'_, str>>>>,
    now_millis: i64,
) -> (String, Result<ImportRow, String>) {
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
