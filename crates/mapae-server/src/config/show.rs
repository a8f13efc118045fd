//! `mapae config show`: every effective value and where it came from.

use std::fmt::Write as _;

use serde_json::{Map, json};

use super::Loaded;
use super::database::Database;
use super::resolve::Resolved;
use super::setting::{Default, Kind};
use super::value::Value;

/// The settings as text in columns, or as JSON.
pub(crate) fn show(loaded: &Loaded, json: bool) -> String {
    if json { as_json(loaded) } else { as_text(loaded) }
}

fn as_text(loaded: &Loaded) -> String {
    let rows: Vec<_> = loaded.resolved.iter().map(|one| (one.setting.name, text_of(one), source_of(one))).collect();
    let width = |column: &dyn Fn(&(&str, String, String)) -> usize, most| {
        rows.iter().map(column).filter(|&width| width <= most).max().unwrap_or_default()
    };
    let (names, values) = (width(&|row| row.0.len(), 60), width(&|row| row.1.chars().count(), 48));
    let mut text = String::new();
    for (name, value, source) in &rows {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:names$}  {value:values$}  ({source})");
    }
    for warning in loaded.warnings() {
        let _ = writeln!(text, "Warning: {warning}");
    }
    text
}

fn as_json(loaded: &Loaded) -> String {
    let settings: Map<_, _> = loaded
        .resolved
        .iter()
        .map(|one| {
            let origins: Vec<_> = one.origins.iter().map(ToString::to_string).collect();
            let entry = json!({
                "value": json_of(one),
                "set": one.value.is_some(),
                "secret": one.setting.kind.is_secret(),
                "source": one.origins.first().map(|origin| origin.kind()),
                "from": origins,
                "file": one.file,
                "env": one.setting.variable(),
            });
            (one.setting.name.to_owned(), entry)
        })
        .collect();
    let shown =
        json!({ "settings": settings, "warnings": loaded.warnings().collect::<Vec<_>>(), "problems": loaded.problems });
    format!("{shown:#}\n")
}

fn source_of(one: &Resolved) -> String {
    let mut source = one.origins.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    if let Some(file) = &one.file {
        let _ = write!(source, ", from {}", file.display());
    }
    source
}

fn text_of(one: &Resolved) -> String {
    match &one.value {
        None if one.is_given() => "(wrong)".to_owned(),
        None => match one.setting.default {
            Default::Unset(meaning) | Default::From(meaning) => format!("({meaning})"),
            Default::Is(text) => text.to_owned(),
        },
        Some(Value::Text(text)) => text.clone(),
        Some(Value::Integer(number)) => number.to_string(),
        Some(Value::Switch(on)) => on.to_string(),
        Some(Value::List(items)) if items.is_empty() => "(none)".to_owned(),
        Some(Value::List(items)) => items.join(", "),
        Some(Value::Scopes(scopes)) => {
            scopes.iter().map(|(name, text)| format!("{name}={text}")).collect::<Vec<_>>().join("; ")
        }
        Some(Value::Secret(_)) => redacted(one),
    }
}

fn json_of(one: &Resolved) -> serde_json::Value {
    match &one.value {
        None => serde_json::Value::Null,
        Some(Value::Text(text)) => json!(text),
        Some(Value::Integer(number)) => json!(number),
        Some(Value::Switch(on)) => json!(on),
        Some(Value::List(items)) => json!(items),
        Some(Value::Scopes(scopes)) => json!(scopes),
        Some(Value::Secret(_)) => json!(redacted(one)),
    }
}

/// Of a secret, only that it is set; of a database, all but its password.
fn redacted(one: &Resolved) -> String {
    match (&one.value, one.setting.kind) {
        (Some(Value::Secret(url)), Kind::DatabaseUrl) => {
            Database::parse(url.expose()).map_or_else(|_| "(set, redacted)".to_owned(), |database| database.shown())
        }
        _ => "(set, redacted)".to_owned(),
    }
}
