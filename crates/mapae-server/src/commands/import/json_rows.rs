//! JSON lines, as `mapae user export` writes them.

use std::io::BufRead;

use serde_json::error::Category;

use super::super::json_lines::{JsonLines, MAX_LINE, Read, shown_id};
use super::row::AccountLine;
use super::{Source, SourceRow};
use crate::commands::Failure;

pub(super) struct JsonRows<R>(JsonLines<R>);

impl<R: BufRead> JsonRows<R> {
    pub(super) fn new(input: R) -> Self {
        Self(JsonLines::new(input))
    }
}

impl<R: BufRead> Source for JsonRows<R> {
    async fn next_row(&mut self) -> Result<Option<SourceRow>, Failure> {
        let (line, read) = self.0.next()?;
        let (id, account) = match read {
            Read::End => return Ok(None),
            Read::TooLong => (String::new(), Err(format!("The line is longer than {MAX_LINE} bytes."))),
            Read::Line(text) => (shown_id(text), account(text).map(Into::into)),
        };
        Ok(Some(SourceRow { place: format!("line {line}"), id, account }))
    }
}

fn account(line: &[u8]) -> Result<AccountLine, String> {
    // A list would be taken for the members in their order.
    if !line.starts_with(b"{") {
        return Err("The line is no JSON object.".to_owned());
    }
    serde_json::from_slice(line).map_err(|error| {
        let text = error.to_string();
        let about = text.split(" at line ").next().unwrap_or_default();
        match error.classify() {
            // These quote names, the others values, of which one is the hash.
            Category::Data if ["unknown", "missing", "duplicate"].iter().any(|word| about.starts_with(word)) => {
                format!("The line does not fit: {}.", about.escape_debug())
            }
            Category::Data => format!("The member at column {} is of the wrong type.", error.column()),
            Category::Io | Category::Syntax | Category::Eof => {
                format!("The line is not JSON from column {} on.", error.column())
            }
        }
    })
}
