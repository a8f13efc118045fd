//! The fields of spans as JSON, written straight down.

use std::fmt::{self, Debug, Display, Write};

use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FormatFields, FormattedFields};

/// The fields of most spans fit into this.
const USUAL_BYTES: usize = 64;

/// Writes the JSON object that tracing-subscriber takes the fields of a span from when it writes a line. Its own
/// `JsonFields` gathers them in a map first, and every request has a span: that alone was a twentieth of a request.
pub(super) struct SpanFields;

impl<'w> FormatFields<'w> for SpanFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        // Written at once, so that the string behind the writer takes its memory once.
        let mut text = String::with_capacity(USUAL_BYTES);
        text.push('{');
        Object { text: &mut text, is_empty: true }.record(fields);
        text.push('}');
        writer.write_str(&text)
    }

    fn add_fields(&self, current: &'w mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        if current.fields.pop().is_none() {
            current.fields.push('{');
        }
        let is_empty = current.fields.len() == 1;
        Object { text: &mut current.fields, is_empty }.record(fields);
        current.fields.push('}');
        Ok(())
    }
}

/// The inside of an object.
struct Object<'t> {
    text: &'t mut String,
    is_empty: bool,
}

impl Object<'_> {
    fn record(mut self, fields: impl RecordFields) {
        fields.record(&mut self);
    }

    fn name(&mut self, field: &Field) {
        self.text.push_str(if self.is_empty { "\"" } else { ",\"" });
        self.is_empty = false;
        self.text.push_str(field.name());
        self.text.push_str("\":");
    }

    fn plain(&mut self, field: &Field, value: impl Display) {
        self.name(field);
        // A string takes everything.
        let _ = write!(self.text, "{value}");
    }
}

impl Visit for Object<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.name(field);
        self.text.push('"');
        // Whatever could be written of it counts.
        let _ = write!(Escaped(self.text), "{value:?}");
        self.text.push('"');
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        self.text.push('"');
        Escaped(self.text).push(value);
        self.text.push('"');
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, value);
    }
}

/// The inside of a JSON string.
struct Escaped<'t>(&'t mut String);

impl Escaped<'_> {
    fn push(&mut self, text: &str) {
        let needs_escape = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
        if !text.bytes().any(needs_escape) {
            return self.0.push_str(text);
        }
        for c in text.chars() {
            match c {
                '"' | '\\' => self.0.extend(['\\', c]),
                '\0'..' ' => self.0.push_str(&format!("\\u{:04x}", u32::from(c))),
                _ => self.0.push(c),
            }
        }
    }
}

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tracing_subscriber::layer::SubscriberExt;

    use super::super::tests::Log;
    use super::*;

    #[test]
    fn lines_hold_the_fields_of_their_span() {
        let log = Log::default();
        let writer = log.clone();
        let layer = tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .fmt_fields(SpanFields)
            .with_writer(move || writer.clone());
        let odd = "a \"quoted\" \\ text,\n\u{1}of two lines, 한";
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let span = tracing::info_span!(
                "request", request_id = %"0123", odd, count = 3_u64, less = -3_i64, good = true, later = tracing::field::Empty
            );
            span.record("later", odd);
            tracing::info!(parent: &span, "line");
            let empty = tracing::info_span!("empty", later = tracing::field::Empty);
            empty.record("later", 1_u64);
            tracing::info!(parent: &empty, "line");
            tracing::info!(parent: &tracing::info_span!("bare"), "line");
        });
        let spans: Vec<Value> =
            log.text().lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["span"].take()).collect();
        assert_eq!(
            spans,
            [
                json!({
                    "name": "request", "request_id": "0123", "odd": odd, "count": 3, "less": -3, "good": true,
                    "later": odd,
                }),
                json!({ "name": "empty", "later": 1 }),
                json!({ "name": "bare" }),
            ]
        );
    }
}
