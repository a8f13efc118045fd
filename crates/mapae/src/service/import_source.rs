//! Accounts straight from the database of another application.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

use super::Service;
use super::import::ImportRow;
use crate::store::{SourceUser, StoreError, UserSource};

impl Service {
    /// Why accounts cannot be imported from this table, a sentence each. Reads no row.
    ///
    /// # Errors
    /// [`StoreError`] if a database fails.
    pub async fn check_source(&self, source: &UserSource) -> Result<Vec<String>, StoreError> {
        if self.store().holds(source).await? {
            return Ok(vec![
                "That is the database that Mapae itself is in. Write the accounts of its table to a file with \
                 `mapae user export`, and import that."
                    .to_owned(),
            ]);
        }
        let (mapping, shape) = (source.mapping(), source.shape());
        let mut problems = self.misfits(mapping, shape);
        if !shape.columns.is_empty() {
            if let Some(column) = source.created_at().filter(|column| shape.column(column).is_none()) {
                problems.push(format!("The table {} has no column {column} (created_at).", mapping.table));
            }
            if shape.column(&mapping.id).is_some() && !shape.is_unique(&mapping.id) {
                problems.push(format!("No unique index covers {} (id), so rows cannot be told apart.", mapping.id));
            }
        }
        Ok(problems)
    }
}

/// A row for the import, or a sentence on why there is none.
///
/// # Errors
/// If a value cannot be read.
pub fn import_row(source: &UserSource, user: SourceUser) -> Result<ImportRow, String> {
    let SourceUser { id, account } = user;
    let account = account.map_err(|_| "A value is not what its column should hold.".to_owned())?;
    let created_at = account.created_at.as_deref().map(|text| {
        time(text).ok_or_else(|| {
            let column = source.created_at().unwrap_or_default();
            format!("The time in {column} cannot be read; --column created_at=- does without.")
        })
    });
    Ok(ImportRow {
        id: Some(id),
        username: account.username,
        email: account.email,
        full_name: account.full_name,
        disabled: !account.is_active,
        scopes: None,
        password_hash: account.hash,
        created_at: created_at.transpose()?,
    })
}

/// A time as SQLite and PostgreSQL write it; in UTC unless it says otherwise.
fn time(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    if let Ok(time) = DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z") {
        return Some(time.to_utc());
    }
    let naive = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0));
    naive.map(|time| time.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_databases_write_them() {
        for (text, read) in [
            ("2019-05-01 12:00:00", "2019-05-01T12:00:00+00:00"),
            ("2019-05-01 12:00:00.250000", "2019-05-01T12:00:00.250+00:00"),
            ("2019-05-01 12:00:00+00", "2019-05-01T12:00:00+00:00"),
            ("2019-05-01 12:00:00.5+09", "2019-05-01T03:00:00.500+00:00"),
            ("2019-05-01 12:00:00-03:30", "2019-05-01T15:30:00+00:00"),
            ("2019-05-01T12:00:00Z", "2019-05-01T12:00:00+00:00"),
            ("2019-05-01", "2019-05-01T00:00:00+00:00"),
        ] {
            assert_eq!(time(text).expect(text).to_rfc3339(), read, "{text}");
        }
        for text in ["", "infinity", "1556712000", "yesterday", "2019-02-30 00:00:00"] {
            assert_eq!(time(text), None, "{text}");
        }
    }
}
