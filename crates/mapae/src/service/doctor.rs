//! Whether the accounts can be used as the settings say, and what is wrong.

use std::collections::BTreeMap;

use mapae_password::{HashError, HashText};

use super::Service;
use super::directory::Directory;
use crate::domain::UserMapping;
use crate::domain::user_mapping::IdType;
use crate::store::{StoreError, TableColumn, TableShape};

/// Hashes read at once.
const PAGE: u64 = 2_000;

/// What a look at the accounts found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkup {
    /// What is wrong, a sentence each.
    pub problems: Vec<String>,
    /// How many accounts there are.
    pub accounts: u64,
    /// How many stored hashes are of each format.
    pub formats: BTreeMap<&'static str, u64>,
    /// How many stored hashes need each pepper, by its id.
    pub peppers: BTreeMap<String, u64>,
    /// Accounts without a password, which nobody can sign in with.
    pub without_password: u64,
}

impl Service {
    /// Compares the mapping with the other application's table as the database describes it; what is wrong, a sentence
    /// each. Reads no row. Addresses to sign in with must be unique by an index.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn check_mapping(&self) -> Result<Vec<String>, StoreError> {
        match self.directory() {
            Directory::Mapped(at) => {
                let shape = self.store().table_shape(&at.mapping.table).await?;
                let mut problems = self.misfits(&at.mapping, &shape);
                if problems.is_empty() {
                    problems.extend(login_email(&at.mapping).and_then(|email| not_unique(email, &shape)));
                }
                Ok(problems)
            }
            Directory::Own | Directory::Table(_) => Ok(Vec::new()),
        }
    }

    /// Checks the mapping, then every account: names that must be unique, and hashes. An application's own table that is
    /// reached by its own code is not looked at.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn check_accounts(&self) -> Result<Checkup, StoreError> {
        let mut checkup = Checkup::default();
        let mapping = match self.directory() {
            Directory::Own => None,
            Directory::Mapped(at) => Some(&at.mapping),
            Directory::Table(_) => return Ok(checkup),
        };
        if let Some(mapping) = mapping {
            let shape = self.store().table_shape(&mapping.table).await?;
            checkup.problems = self.misfits(mapping, &shape);
            // A table that does not fit cannot be read.
            if !checkup.problems.is_empty() {
                return Ok(checkup);
            }
            self.check_unique(mapping, &shape, &mut checkup.problems).await?;
        }
        self.count_hashes(mapping, &mut checkup).await?;
        Ok(checkup)
    }

    pub(super) fn misfits(&self, mapping: &UserMapping, shape: &TableShape) -> Vec<String> {
        let table = &mapping.table;
        if shape.columns.is_empty() {
            return vec![format!("There is no table {table}.")];
        }
        let find = |name: &str| shape.column(name);
        let mut problems = Vec::new();
        for (what, name) in mapping.read_columns() {
            match find(name) {
                None => problems.push(format!("The table {table} has no column {name} ({what}).")),
                Some(column) => problems.extend(self.wrong_type(mapping, what, column)),
            }
        }
        if mapping.read_only {
            return problems;
        }
        let filled = mapping.filled_columns();
        let further = mapping.insert.iter().map(|(name, _)| name).chain(&mapping.uniquifier);
        for name in further.filter(|name| find(name).is_none()) {
            problems.push(format!("The table {table} has no column {name}, which a new account would fill."));
        }
        for column in shape.columns.iter().filter(|column| column.not_null && !column.has_default) {
            if !filled.iter().any(|name| column.name.eq_ignore_ascii_case(name)) {
                problems.push(format!(
                    "The column {} of {table} must not be empty, and nothing fills it for a new account: add it to \
                     users_insert.",
                    column.name
                ));
            }
        }
        problems
    }

    /// What is wrong with a column's declared type; the loose types of SQLite pass wherever they can hold the value.
    fn wrong_type(&self, mapping: &UserMapping, what: &str, column: &TableColumn) -> Option<String> {
        let TableColumn { name, declared_type, .. } = column;
        let declared = declared_type.to_ascii_uppercase();
        let is_integer = column.is_integer();
        let is_bytes = declared.contains("BLOB") || declared == "BYTEA";
        let wanted = match (what, mapping.id_type) {
            ("id", IdType::Integer) if !is_integer => "a whole number, as users_id_type says",
            ("id", IdType::Text | IdType::HexUuid) if is_integer || is_bytes => "a text, as users_id_type says",
            ("active", _) if !(is_integer || declared.contains("BOOL") || declared.is_empty()) => "true or false",
            ("id" | "active", _) => return None,
            _ if is_integer || is_bytes || declared.contains("BOOL") => "a text",
            ("password", _) => {
                let room: Option<usize> =
                    declared.split_once('(').and_then(|(_, rest)| rest.trim_end_matches(')').trim().parse().ok());
                let needed = self.settings().passwords.dummy().as_str().len();
                let too_short = !mapping.read_only && room.is_some_and(|room| room < needed);
                return too_short.then(|| {
                    format!("The column {name} ({what}) is {declared_type}, but new hashes have {needed} letters.")
                });
            }
            _ => return None,
        };
        Some(format!("The column {name} ({what}) is {declared_type}, but must be {wanted}."))
    }

    async fn check_unique(
        &self,
        mapping: &UserMapping,
        shape: &TableShape,
        problems: &mut Vec<String>,
    ) -> Result<(), StoreError> {
        for column in mapping.username.as_deref().into_iter().chain(login_email(mapping)) {
            let count = self.store().count_mapped_duplicates(mapping, column).await?;
            if count > 0 {
                problems.push(format!(
                    "{count} values of {column} belong to several accounts, none of which can sign in with it."
                ));
            }
            problems.extend(not_unique(column, shape));
        }
        Ok(())
    }

    async fn count_hashes(&self, mapping: Option<&UserMapping>, checkup: &mut Checkup) -> Result<(), StoreError> {
        let mut refused: BTreeMap<String, u64> = BTreeMap::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.store().hashes_after(mapping, after.as_deref(), PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (_, hash) in &page {
                checkup.accounts += 1;
                if let Ok(Some(pepper)) = hash.pepper_id() {
                    *checkup.peppers.entry(pepper.as_str().to_owned()).or_default() += 1;
                }
                match self.settings().passwords.examine(hash) {
                    Ok(format) => *checkup.formats.entry(format.name()).or_default() += 1,
                    Err(HashError::UnknownScheme) if is_no_password(hash) => checkup.without_password += 1,
                    Err(error) => *refused.entry(error.to_string()).or_default() += 1,
                }
            }
        }
        let text = |(error, count): (String, u64)| format!("{count} accounts cannot sign in: {error}.");
        checkup.problems.extend(refused.into_iter().map(text));
        Ok(())
    }
}

/// The column of addresses, if people sign in with them.
fn login_email(mapping: &UserMapping) -> Option<&str> {
    mapping.email.as_deref().filter(|_| mapping.email_sign_in)
}

/// What is wrong with a column to sign in with, if two rows may have one value.
fn not_unique(column: &str, shape: &TableShape) -> Option<String> {
    (!shape.is_unique(column)).then(|| {
        format!(
            "No unique index covers {column}, so somebody could take another's: let the other application make one, or \
             sign in with something else."
        )
    })
}

/// Nothing, or what Django stores for an account without a password.
pub(super) fn is_no_password(hash: &HashText) -> bool {
    hash.as_str().is_empty() || hash.as_str().starts_with('!')
}
