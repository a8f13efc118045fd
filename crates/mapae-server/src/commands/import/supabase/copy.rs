//! COPY's text format.

use std::borrow::Cow;

/// The columns of the statement that begins the data. `line` is without the quotes around names.
pub(super) fn columns(line: &str) -> Option<Vec<String>> {
    let columns = line.strip_prefix("COPY auth.users (")?.strip_suffix(") FROM stdin;")?;
    Some(columns.split(", ").map(str::to_owned).collect())
}

/// The fields of a row, `None` for NULL.
pub(super) fn fields(line: &str) -> Option<Vec<Option<Cow<'_, str>>>> {
    line.split('\t').map(unescaped).collect()
}

/// A field: `Some(None)` is NULL, `None` no field at all.
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
