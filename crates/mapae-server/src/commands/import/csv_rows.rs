//! CSV with a line of column names.

use std::cell::Cell;
use std::io::{Error, Read, Result as IoResult};
use std::rc::Rc;

use csv::{Reader, ReaderBuilder, StringRecord, Terminator};
use serde_json::Value;

use super::super::json_lines::quoted_id;
use super::row::{COLUMNS, from_columns};
use super::{Source, SourceRow};
use crate::commands::Failure;
use crate::config::reason;

/// The longest record. One whose quotes are never closed would be read to the end of the file.
const MAX_RECORD: usize = 1024 * 1024;

pub(super) struct CsvRows<R: Read> {
    reader: Reader<Bounded<R>>,
    budget: Rc<Cell<usize>>,
    columns: Vec<String>,
    record: StringRecord,
}

/// Reads on only as long as there is something left of the budget.
struct Bounded<R> {
    input: R,
    budget: Rc<Cell<usize>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        let left = self.budget.get();
        if left == 0 {
            return Err(Error::other(format!("the record is longer than {MAX_RECORD} bytes; is a quote not closed?")));
        }
        let most = buffer.len().min(left);
        let read = self.input.read(&mut buffer[..most])?;
        self.budget.set(left - read);
        Ok(read)
    }
}

impl<R: Read> CsvRows<R> {
    /// Reads the names of the columns.
    pub(super) fn new(input: R) -> Result<Self, Failure> {
        let budget = Rc::new(Cell::new(MAX_RECORD));
        let bounded = Bounded { input, budget: Rc::clone(&budget) };
        let mut reader = ReaderBuilder::new()
            .has_headers(true)
            .flexible(true)
            // With the other kind, lines that end in CRLF are counted one short.
            .terminator(Terminator::Any(b'\n'))
            .from_reader(bounded);
        let header = reader.headers().map_err(|error| failure(&error))?;
        let columns: Vec<String> =
            header.iter().map(|name| name.trim_start_matches('\u{feff}').trim().to_owned()).collect();
        for (place, name) in columns.iter().enumerate() {
            if !COLUMNS.contains(&name.as_str()) {
                let known = COLUMNS.join(", ");
                return Err(Failure::command(format!("There is no column {name:?}; known columns: {known}.")));
            }
            if columns[..place].contains(name) {
                return Err(Failure::command(format!("There are two columns {name}.")));
            }
        }
        if !columns.iter().any(|name| name == "password_hash") {
            return Err(Failure::command("The first line must name the columns, and one must be password_hash."));
        }
        Ok(Self { reader, budget, columns, record: StringRecord::new() })
    }
}

impl<R: Read> Source for CsvRows<R> {
    async fn next_row(&mut self) -> Result<Option<SourceRow>, Failure> {
        let line = loop {
            self.budget.set(MAX_RECORD);
            let before = self.reader.position().line();
            match self.reader.read_record(&mut self.record) {
                Ok(false) => return Ok(None),
                Ok(true) => {}
                // The rest of the file is in order.
                Err(error) if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) => {
                    let line = error.position().map_or(before, csv::Position::line);
                    let account = Err("The record is not valid UTF-8.".to_owned());
                    return Ok(Some(SourceRow { place: format!("line {line}"), id: String::new(), account }));
                }
                Err(error) => return Err(failure(&error)),
            }
            if self.record.len() > 1 || self.field(0) != Some("") {
                // Blank lines before the record were read with it, and it may have line ends in quotes.
                let crossed = self.reader.position().line() - before;
                let within = self.record.iter().map(|field| field.matches('\n').count() as u64).sum::<u64>();
                break before + crossed.saturating_sub(1 + within);
            }
        };
        let column = |name: &str| {
            let place = self.columns.iter().position(|known| known == name)?;
            self.field(place).filter(|text| !text.is_empty())
        };
        let id = column("id").map(|id| quoted_id(&Value::from(id))).unwrap_or_default();
        let (fields, columns) = (self.record.len(), self.columns.len());
        let account = if fields == columns {
            from_columns(column)
        } else {
            Err(format!("The record has {fields} fields, but there are {columns} columns."))
        };
        Ok(Some(SourceRow { place: format!("line {line}"), id, account }))
    }
}

impl<R: Read> CsvRows<R> {
    /// A field of the record, without the half of a line's end that the reader leaves.
    fn field(&self, place: usize) -> Option<&str> {
        self.record.get(place).map(|text| text.strip_suffix('\r').unwrap_or(text))
    }
}

/// What ends the import. The texts of other errors may quote a record.
fn failure(error: &csv::Error) -> Failure {
    let line = error.position().map(|position| format!(" after line {}", position.line())).unwrap_or_default();
    match error.kind() {
        csv::ErrorKind::Io(error) => Failure::command(format!("The input cannot be read{line}: {}.", reason(error))),
        _ => Failure::command(format!("The input is no CSV in UTF-8{line}.")),
    }
}
