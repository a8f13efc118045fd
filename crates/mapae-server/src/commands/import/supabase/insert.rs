//! INSERT statements as pg_dump writes them: with the names of the columns, and a row or several on lines of their own.

use std::borrow::Cow;

/// What an INSERT statement into the table begins with.
const BEGIN: &str = "INSERT INTO auth.users ";
const VALUES: &str = ") VALUES";

/// The beginning of a statement.
pub(super) enum Begin {
    /// The names of the columns, and how many bytes of the line were read up to the first row.
    Columns(Vec<String>, usize),
    /// It does not name the columns.
    Unnamed,
}

/// Whether a line begins a statement for the table, and how. Names may be in quotes.
pub(super) fn begin(line: &str) -> Option<Begin> {
    let quoted = line.starts_with("INSERT INTO \"auth\".\"users\" ");
    if !quoted && !line.starts_with(BEGIN) {
        return None;
    }
    let named = || {
        let start = line.find('(')?;
        let end = line[start..].find(VALUES)? + start;
        // Values could hold the same text: names cannot.
        let names = &line[start + 1..end];
        let is_name = |name: &str| name.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
        let names: Vec<String> = names.split(", ").map(|name| name.trim_matches('"').to_owned()).collect();
        names.iter().all(|name| is_name(name)).then_some((names, end + VALUES.len()))
    };
    Some(named().map_or(Begin::Unnamed, |(names, read)| Begin::Columns(names, read)))
}

/// Whether a text is still open after this part of it: every quote opens or closes one, and a doubled one does both.
pub(super) fn is_open(was_open: bool, part: &[u8]) -> bool {
    was_open ^ (part.iter().filter(|byte| **byte == b'\'').count() % 2 == 1)
}

/// A row, and whether the statement ends with it.
pub(super) struct Row<'a> {
    pub(super) fields: Vec<Option<Cow<'a, str>>>,
    pub(super) is_last: bool,
}

/// The row that these lines are: `(1, 'two', NULL),` or, at the end of the statement, `);`.
pub(super) fn row(text: &str) -> Option<Row<'_>> {
    let mut rest = text.trim().strip_prefix('(')?;
    let mut fields = Vec::new();
    loop {
        let (field, after) = value(rest.trim_start())?;
        fields.push(field);
        let after = after.trim_start();
        match (after.strip_prefix(','), after.strip_prefix(')')) {
            (Some(more), _) => rest = more,
            (None, Some(end)) => {
                return match end {
                    "," => Some(Row { fields, is_last: false }),
                    // Statements that shall not fail on what is there already say so.
                    _ if end.trim_start().starts_with("ON CONFLICT") || end == ";" => {
                        Some(Row { fields, is_last: true })
                    }
                    _ => None,
                };
            }
            (None, None) => return None,
        }
    }
}

/// A value as it is written: NULL, a quoted text, or a bare word such as a number.
fn value(text: &str) -> Option<(Option<Cow<'_, str>>, &str)> {
    let Some(quoted) = text.strip_prefix('\'') else {
        let end = text.find([',', ')'])?;
        let word = text[..end].trim_end();
        // Anything else than these is an expression, or a text with escapes of its own.
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "+-.".contains(letter);
        if word.is_empty() || !word.chars().all(is_plain) {
            return None;
        }
        return Some(((word != "NULL").then_some(Cow::Borrowed(word)), &text[end..]));
    };
    let mut from = 0;
    loop {
        let end = quoted[from..].find('\'')? + from;
        if quoted[end + 1..].starts_with('\'') {
            from = end + 2;
            continue;
        }
        let inner = &quoted[..end];
        let inner = if inner.contains('\'') { Cow::Owned(inner.replace("''", "'")) } else { Cow::Borrowed(inner) };
        return Some((Some(inner), &quoted[end + 1..]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(Vec<Option<String>>, bool)> {
        row(text).map(|row| (row.fields.into_iter().map(|field| field.map(Cow::into_owned)).collect(), row.is_last))
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn values_are_read_as_postgresql_writes_them() {
        let fields = vec![some("1"), some("it's, (a)\\n"), None, some(""), some("''"), some("true"), some("-1.5")];
        let text = "\t(1, 'it''s, (a)\\n', NULL, '', '''''', true, -1.5)";
        assert_eq!(read(&format!("{text},")), Some((fields.clone(), false)));
        assert_eq!(read(&format!("{text};")), Some((fields.clone(), true)));
        assert_eq!(read(&format!("{text} ON CONFLICT DO NOTHING;")), Some((fields, true)));
        assert_eq!(read("('two\nlines');"), Some((vec![some("two\nlines")], true)));
    }

    #[test]
    fn what_is_no_row_is_not_guessed_at() {
        for text in ["", "(", "(1", "(1)", "(1);x", "(1, );", "('a);", "(E'a\\n');", "(now());", "1);", "('a' || 'b');"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_text_is_open_until_its_last_quote() {
        assert!(!is_open(false, b"('it''s'),"));
        assert!(is_open(false, b"('it''s"));
        assert!(!is_open(true, b"more'),"));
    }
}
