//! From text or TOML to a setting's value.

use std::collections::BTreeMap;

use mapae::domain::SecretText;
use toml::de::DeValue;

use super::database::Database;
use super::setting::Kind;

/// A value of the kind that its setting asks for.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Integer(u64),
    Switch(bool),
    List(Vec<String>),
    Scopes(BTreeMap<String, String>),
    Secret(SecretText),
}

impl Value {
    /// The value as a flag takes it, if it may be shown.
    pub(crate) fn shown(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Secret(url) => {
                let database = Database::parse(url.expose()).ok()?;
                database.file().map(|_| url.expose().to_owned())
            }
            Self::Integer(_) | Self::Switch(_) | Self::List(_) | Self::Scopes(_) => None,
        }
    }
}

/// Reads a value from the text of a flag, a variable or a default.
///
/// # Errors
///
/// The end of a sentence that begins with the setting's name. It quotes no secret.
pub(crate) fn from_text(kind: Kind, text: &str) -> Result<Value, String> {
    match kind {
        Kind::Text | Kind::Path => non_empty(text).map(Value::Text),
        Kind::Secret | Kind::DatabaseUrl => non_empty(text).map(|text| Value::Secret(SecretText::new(text))),
        Kind::Integer { min, max } => text
            .trim()
            .parse()
            .ok()
            .filter(|number| (min..=max).contains(number))
            .map(Value::Integer)
            .ok_or_else(|| format!("{}, but must be a whole number from {min} to {max}", is_quoted(text))),
        Kind::Switch => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(Value::Switch(true)),
            "false" | "0" | "no" | "off" => Ok(Value::Switch(false)),
            _ => Err(format!("{}, but must be true or false", is_quoted(text))),
        },
        Kind::Choice(words) => choice(words, text.trim()),
        Kind::List => Ok(Value::List(
            text.split([',', ' ', '\t', '\n']).filter(|item| !item.is_empty()).map(str::to_owned).collect(),
        )),
        Kind::Scopes => scopes(text).map(Value::Scopes),
    }
}

/// Reads a value from `mapae.toml`.
///
/// # Errors
///
/// As [`from_text`]; a value of another type is refused rather than converted.
pub(crate) fn from_toml(kind: Kind, value: &DeValue<'_>) -> Result<Value, String> {
    let wrong = |wanted: &str| format!("is {}, but must be {wanted}", article(value.type_str()));
    match (kind, value) {
        (Kind::Text | Kind::Path | Kind::Secret | Kind::DatabaseUrl | Kind::Choice(_), DeValue::String(text)) => {
            from_text(kind, text)
        }
        (Kind::Text | Kind::Path | Kind::Secret | Kind::DatabaseUrl, _) => Err(wrong("a string")),
        (Kind::Choice(words), _) => Err(wrong(&format!("one of the strings {}", words.join(", ")))),
        (Kind::Integer { min, max }, DeValue::Integer(number)) => u64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .filter(|number| (min..=max).contains(number))
            .map(Value::Integer)
            .ok_or_else(|| format!("must be a whole number from {min} to {max}")),
        (Kind::Integer { min, max }, _) => Err(wrong(&format!("a whole number from {min} to {max}"))),
        (Kind::Switch, DeValue::Boolean(on)) => Ok(Value::Switch(*on)),
        (Kind::Switch, _) => Err(wrong("true or false")),
        (Kind::List, DeValue::Array(items)) => items
            .iter()
            .map(|item| item.get_ref().as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .map(Value::List)
            .ok_or_else(|| "must be an array of strings".to_owned()),
        (Kind::List, _) => Err(wrong("an array of strings")),
        (Kind::Scopes, DeValue::Table(table)) => table
            .iter()
            .map(|(name, text)| Some((name.get_ref().to_string(), text.get_ref().as_str()?.to_owned())))
            .collect::<Option<_>>()
            .map(Value::Scopes)
            .ok_or_else(|| "must be a table of scope names and descriptions, both strings".to_owned()),
        (Kind::Scopes, _) => Err(wrong("a table of scope names and descriptions")),
    }
}

/// A refused value as a sentence quotes it; `None` for one with an `@`: what stands before that may be a password, wherever
/// a URL was put by mistake.
pub(crate) fn quoted(text: &str) -> Option<String> {
    (!text.contains('@')).then(|| format!("{text:?}"))
}

/// The beginning of a sentence about a refused value.
pub(crate) fn is_quoted(text: &str) -> String {
    quoted(text).map_or_else(|| "has an @".to_owned(), |quoted| format!("is {quoted}"))
}

fn non_empty(text: &str) -> Result<String, String> {
    if text.is_empty() {
        Err("is empty".to_owned())
    } else if text.contains('\0') {
        Err("has a NUL character".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

fn choice(words: &[&str], text: &str) -> Result<Value, String> {
    if words.contains(&text) {
        return Ok(Value::Text(text.to_owned()));
    }
    Err(format!("{}, but must be one of {}", is_quoted(text), words.join(", ")))
}

fn scopes(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut scopes = BTreeMap::new();
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let (name, description) = part
            .split_once('=')
            .ok_or_else(|| format!("has {part:?}, but must read name=description;name=description"))?;
        let name = name.trim();
        if scopes.insert(name.to_owned(), description.trim().to_owned()).is_some() {
            return Err(format!("names the scope {name:?} twice"));
        }
    }
    Ok(scopes)
}

fn article(kind: &str) -> String {
    let vowel = kind.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {kind}", if vowel { "an" } else { "a" })
}
