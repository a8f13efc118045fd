//! An account as JSON lines and CSV write it.

use chrono::{DateTime, Utc};
use mapae::service::import::ImportRow;
use mapae::store::Credential;
use mapae_password::HashText;
use serde::{Deserialize, Serialize};

/// A line of `mapae user export`.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::commands) struct AccountLine {
    #[serde(default)]
    id: Option<Id>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    full_name: Option<String>,
    #[serde(default)]
    disabled: bool,
    #[serde(default)]
    scopes: Option<ScopeList>,
    password_hash: String,
    #[serde(default)]
    created_at: Option<DateTime<Utc>>,
}

/// Ids are text here; many databases have numbers.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(u64),
}

/// As a list or, as in a token, as one text.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum ScopeList {
    List(Vec<String>),
    Text(String),
}

impl From<&Credential> for AccountLine {
    fn from(Credential { user, hash }: &Credential) -> Self {
        Self {
            id: Some(Id::Text(user.id.to_string())),
            username: user.username.clone(),
            email: user.email.clone(),
            full_name: user.full_name.clone(),
            disabled: user.disabled,
            scopes: Some(ScopeList::List(user.scopes.iter().map(|scope| scope.to_string()).collect())),
            password_hash: hash.as_str().to_owned(),
            created_at: user.created_at,
        }
    }
}

impl From<AccountLine> for ImportRow {
    fn from(line: AccountLine) -> Self {
        Self {
            id: line.id.map(|id| match id {
                Id::Text(text) => text,
                Id::Number(number) => number.to_string(),
            }),
            username: line.username,
            email: line.email,
            full_name: line.full_name,
            disabled: line.disabled,
            scopes: line.scopes.map(|scopes| match scopes {
                ScopeList::List(scopes) => scopes.join(" "),
                ScopeList::Text(text) => text,
            }),
            password_hash: HashText::new(line.password_hash),
            created_at: line.created_at,
        }
    }
}

/// The names of the columns in CSV, which are those of the members in JSON lines.
pub(super) const COLUMNS: [&str; 8] =
    ["id", "username", "email", "full_name", "disabled", "scopes", "password_hash", "created_at"];

/// A line of CSV: the text under a column, `None` where it is blank.
pub(super) fn from_columns<'a>(column: impl Fn(&str) -> Option<&'a str>) -> Result<ImportRow, String> {
    let text = |name: &str| column(name).map(str::to_owned);
    let disabled = match column("disabled").map(str::to_ascii_lowercase).as_deref() {
        None | Some("false" | "f" | "0" | "no") => false,
        Some("true" | "t" | "1" | "yes") => true,
        Some(_) => return Err("The column disabled must be true or false.".to_owned()),
    };
    let created_at = column("created_at")
        .map(DateTime::parse_from_rfc3339)
        .transpose()
        .map_err(|_| "The column created_at must be a time such as 2026-01-31T12:00:00Z.".to_owned())?;
    Ok(ImportRow {
        id: text("id"),
        username: text("username"),
        email: text("email"),
        full_name: text("full_name"),
        disabled,
        scopes: text("scopes"),
        password_hash: HashText::new(column("password_hash").unwrap_or_default()),
        created_at: created_at.map(|at| at.to_utc()),
    })
}
