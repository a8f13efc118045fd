//! Columns of another application's table as the database has them. PostgreSQL compares no text with a UUID and writes no
//! truth into a number, and finds an index only for a value of the column's own type.

use chrono::{DateTime, Utc};
use sea_orm::ExprTrait;
use sea_orm::sea_query::{Alias, Expr, IntoColumnRef};

use super::{Store, StoreError};
use crate::domain::user_mapping::IdType;
use crate::domain::{UserId, UserMapping};

/// A type for which a value of ours must be made into something else first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnType {
    /// PostgreSQL's `uuid`.
    Uuid,
    /// A text that is compared without regard to letter case.
    Citext,
    /// A text of fixed length.
    Bpchar,
    /// A whole number, which may stand for a truth.
    Integer,
    /// A time with its time zone.
    TimestampTz,
}

/// The columns that are of such a type. On SQLite none is, since any column there takes any value.
#[derive(Clone, Debug, Default)]
pub(super) struct ColumnTypes(pub(super) Vec<(String, ColumnType)>);

/// Where the database says nothing about them.
pub(super) static UNKNOWN: ColumnTypes = ColumnTypes(Vec::new());

impl ColumnTypes {
    fn get(&self, column: &str) -> Option<ColumnType> {
        self.0.iter().find(|(name, _)| name == column).map(|(_, column_type)| *column_type)
    }
}

/// Another application's table: which columns, and of what types.
#[derive(Clone, Copy)]
pub(super) struct Theirs<'a> {
    pub(super) mapping: &'a UserMapping,
    types: &'a ColumnTypes,
}

impl<'a> Theirs<'a> {
    pub(super) const fn new(mapping: &'a UserMapping, types: &'a ColumnTypes) -> Self {
        Self { mapping, types }
    }

    /// A column.
    pub(super) fn column(&self, column: &str) -> Expr {
        Expr::col((Alias::new(&self.mapping.table), Alias::new(column)).into_column_ref())
    }

    /// A column as text, whatever its type.
    pub(super) fn text(&self, column: &str) -> Expr {
        self.column(column).cast_as("TEXT")
    }

    /// A text as this column holds it.
    pub(super) fn value(&self, column: &str, text: &str) -> Expr {
        let value = Expr::val(text);
        match self.types.get(column) {
            Some(ColumnType::Uuid) => value.cast_as("uuid"),
            Some(ColumnType::Citext) => value.cast_as("citext"),
            Some(ColumnType::Bpchar) => value.cast_as("bpchar"),
            Some(ColumnType::Integer | ColumnType::TimestampTz) | None => value,
        }
    }

    /// A truth as this column holds it.
    pub(super) fn truth(&self, column: &str, value: bool) -> Expr {
        match self.types.get(column) {
            Some(ColumnType::Integer) => Expr::val(i32::from(value)),
            _ => Expr::val(value),
        }
    }

    /// A time as this column holds it; in UTC where it knows of no time zones.
    pub(super) fn time(&self, column: &str, time: DateTime<Utc>) -> Expr {
        match self.types.get(column) {
            Some(ColumnType::TimestampTz) => Expr::val(time),
            _ => Expr::val(time.naive_utc()),
        }
    }

    /// The condition that a row has this key; `None` for what cannot be one.
    pub(super) fn is_id(&self, id: &UserId) -> Option<Expr> {
        Some(self.column(&self.mapping.id).eq(self.key(id.as_str())?))
    }

    /// The condition that a row's key comes after this one; `None` for what cannot be one.
    pub(super) fn is_after(&self, id: &str) -> Option<Expr> {
        Some(self.column(&self.mapping.id).gt(self.key(id)?))
    }

    /// A key as its column holds it.
    fn key(&self, id: &str) -> Option<Expr> {
        let column = &self.mapping.id;
        match self.mapping.id_type {
            IdType::Integer => {
                let number: i64 = id.parse().ok()?;
                (number.to_string() == id).then(|| Expr::val(number))
            }
            IdType::Text | IdType::HexUuid if self.types.get(column) == Some(ColumnType::Uuid) => {
                id.parse::<uuid::Uuid>().ok().map(|_| self.value(column, id))
            }
            // PostgreSQL takes no text with a NUL; no key has one.
            IdType::Text | IdType::HexUuid => (!id.contains('\0')).then(|| self.value(column, id)),
        }
    }
}

impl Store {
    /// The mapped table, with the types of its columns as they were at the first look.
    pub(super) async fn theirs<'a>(&'a self, mapping: &'a UserMapping) -> Result<Theirs<'a>, StoreError> {
        let known = &self.0.mapped_types;
        if let Some(types) = known.get() {
            return Ok(Theirs::new(mapping, types));
        }
        let shape = self.table_shape(&mapping.table).await?;
        // It may yet be made.
        if shape.columns.is_empty() {
            return Ok(Theirs::new(mapping, &UNKNOWN));
        }
        let types = self.0.connections.engine.column_types(&shape);
        Ok(Theirs::new(mapping, known.get_or_init(|| types)))
    }
}
