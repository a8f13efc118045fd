//! The rows of a table, a page at a time, those apart that cannot even be read.

use std::marker::PhantomData;

use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult, IdenStatic, QueryFilter, QueryOrder, QueryResult, QuerySelect,
    QueryTrait, Value,
};
use sea_orm::{ConnectionTrait, DbErr};

use super::{Check, Place};
use crate::store::StoreError;
use crate::store::tables::key_column;

/// Rows that are read at once.
const PAGE: u64 = 1_000;

/// The rows of a table that were not read yet.
pub(super) struct Pages<E> {
    after: Option<Value>,
    at_end: bool,
    of: PhantomData<E>,
}

impl<E: EntityTrait> Pages<E> {
    pub(super) const fn new() -> Self {
        Self { after: None, at_end: false, of: PhantomData }
    }

    /// The next rows in the order of their keys; `None` at the end. Those that cannot be read are noted, and left out.
    pub(super) async fn next(&mut self, check: &mut Check<'_>) -> Result<Option<Vec<E::Model>>, StoreError> {
        if self.at_end {
            return Ok(None);
        }
        let key = key_column::<E>();
        let mut query = E::find().order_by_asc(key).limit(PAGE);
        if let Some(after) = self.after.take() {
            query = query.filter(key.gt(after));
        }
        let rows = check.db.query_all_raw(query.build(check.db.get_database_backend())).await?;
        let mut models = Vec::with_capacity(rows.len());
        for row in &rows {
            let found = key_of(row, key.as_str());
            match E::Model::from_query_result(row, "") {
                Ok(model) => models.push(model),
                Err(error) => {
                    let shown = found.as_ref().map_or("(unreadable)", |(_, shown)| shown);
                    let at = Place { table: E::default().table_name(), key: key.as_str(), row: shown };
                    let mend = "put the value right, or restore the row from a backup";
                    // Only a text or a number can be written into a statement for any engine.
                    let remedy = match &found {
                        Some((Value::Bytes(_), _)) | None => mend.to_owned(),
                        Some(_) => format!("{mend}; or, if nobody needs it, {}", at.delete()),
                    };
                    check.fault(&at, format!("a column is not of its type: {}", reason(&error)), remedy);
                }
            }
            // A key that cannot be read is of no type that others come after.
            self.after = found.map(|(value, _)| value);
        }
        self.at_end = (rows.len() as u64) < PAGE || self.after.is_none();
        Ok(Some(models))
    }
}

/// The key of a row, and as it is shown.
fn key_of(row: &QueryResult, key: &str) -> Option<(Value, String)> {
    if let Ok(text) = row.try_get::<String>("", key) {
        return Some((text.clone().into(), text));
    }
    if let Ok(number) = row.try_get::<i64>("", key) {
        return Some((number.into(), number.to_string()));
    }
    let bytes = row.try_get::<Vec<u8>>("", key).ok()?;
    Some((bytes.clone().into(), hex::encode(bytes)))
}

/// Without the words of the libraries around it.
fn reason(error: &DbErr) -> String {
    let text = error.to_string();
    text.rsplit_once("column \"").map_or(text.clone(), |(_, rest)| format!("\"{rest}"))
}
