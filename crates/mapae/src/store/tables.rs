//! Every table of ours, to go over all of them whatever they hold: what must forget none begins here.

use std::pin::Pin;

use aws_lc_rs::digest::{Context, SHA256};
use chrono::DateTime;
use sea_orm::sea_query::{Alias, Expr, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, IdenStatic, Iterable, ModelTrait,
    PrimaryKeyToColumn, PrimaryKeyTrait, QueryFilter, QueryOrder, QuerySelect, Value,
};

use super::entity;

/// Rows that are read or written at once.
const MOST_ROWS: usize = 1_000;
/// Parameters of one statement; SQLite allows 32,766, PostgreSQL twice as many.
const MOST_PARAMETERS: usize = 30_000;

/// A table of ours.
#[derive(Clone)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: Vec<&'static str>,
    /// Which of the columns is the primary key.
    key: usize,
    /// Whether the database numbers the rows.
    pub(super) is_numbered: bool,
    page: for<'a> fn(&'a DatabaseTransaction, Option<Value>, u64) -> Page<'a>,
}

type Page<'a> = Pin<Box<dyn Future<Output = Result<Vec<Row>, DbErr>> + Send + 'a>>;

/// The values of a row in the order of [`Table::columns`], the same on every engine.
pub(super) type Row = Vec<Value>;

/// Every table but the one of migrations, which the library that runs them makes.
pub(super) fn all() -> Vec<Table> {
    vec![
        Table::of::<entity::audit::Entity>(),
        Table::of::<entity::client::Entity>(),
        Table::of::<entity::data_key::Entity>(),
        Table::of::<entity::invalidation::Entity>(),
        Table::of::<entity::revocation::Entity>(),
        Table::of::<entity::session::Entity>(),
        Table::of::<entity::shared_account::Entity>(),
        Table::of::<entity::signing_key::Entity>(),
        Table::of::<entity::throttle::Entity>(),
        Table::of::<entity::ticket::Entity>(),
        Table::of::<entity::user::Entity>(),
    ]
}

impl Table {
    fn of<E: EntityTrait>() -> Self {
        let key = key_column::<E>();
        let columns: Vec<_> = E::Column::iter().map(|column| column.as_str()).collect();
        Self {
            name: E::default().table_name(),
            key: columns.iter().position(|column| *column == key.as_str()).unwrap_or(0),
            columns,
            is_numbered: E::PrimaryKey::auto_increment(),
            page: page::<E>,
        }
    }

    pub(super) fn key(&self) -> &'static str {
        self.columns[self.key]
    }

    /// The key of a row.
    pub(super) fn key_of(&self, row: &Row) -> Value {
        row[self.key].clone()
    }

    /// As many rows as one statement can write.
    pub(super) fn rows_at_once(&self) -> u64 {
        (MOST_PARAMETERS / self.columns.len()).min(MOST_ROWS) as u64
    }

    /// Rows after the one with this key, in the order of the keys as this database has it: engines sort texts differently.
    pub(super) async fn page(&self, db: &DatabaseTransaction, after: Option<Value>) -> Result<Vec<Row>, DbErr> {
        (self.page)(db, after, self.rows_at_once()).await
    }

    /// Writes rows, no more than [`Self::rows_at_once`].
    pub(super) async fn insert(&self, rows: Vec<Row>, db: &DatabaseTransaction) -> Result<(), DbErr> {
        let mut insert = Query::insert();
        insert.into_table(Alias::new(self.name)).columns(self.columns.iter().map(|column| Alias::new(*column)));
        for row in rows {
            insert.values_panic(row.into_iter().map(Expr::val));
        }
        db.execute(&insert).await.map(drop)
    }
}

pub(super) fn key_column<E: EntityTrait>() -> E::Column {
    let mut columns = E::PrimaryKey::iter().map(PrimaryKeyToColumn::into_column);
    columns.next().expect("every table has a primary key")
}

fn page<E: EntityTrait>(db: &DatabaseTransaction, after: Option<Value>, limit: u64) -> Page<'_> {
    Box::pin(async move {
        let key = key_column::<E>();
        let mut query = E::find().order_by_asc(key).limit(limit);
        if let Some(after) = after {
            query = query.filter(key.gt(after));
        }
        let rows = query.all(db).await?;
        Ok(rows.iter().map(|row| E::Column::iter().map(|column| same_everywhere(row.get(column))).collect()).collect())
    })
}

/// SQLite keeps times as they were given, PostgreSQL to the microsecond.
fn same_everywhere(value: Value) -> Value {
    match value {
        Value::ChronoDateTimeUtc(Some(time)) => {
            Value::ChronoDateTimeUtc(DateTime::from_timestamp_micros(time.timestamp_micros()))
        }
        other => other,
    }
}

/// How many rows there are and what is in them, the same on every engine for the same rows in whatever order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableSum {
    /// How many rows.
    pub rows: u64,
    /// The SHA-256 of each row, all of them combined by XOR: each has a key of its own, so none undoes another.
    pub checksum: [u8; 32],
}

impl TableSum {
    pub(super) fn add(&mut self, row: &Row) {
        let mut hash = Context::new(&SHA256);
        for value in row {
            add_value(value, &mut hash);
        }
        for (sum, byte) in self.checksum.iter_mut().zip(hash.finish().as_ref()) {
            *sum ^= byte;
        }
        self.rows += 1;
    }
}

/// What kind of value it is, how long, and its bytes, so that no two rows look the same.
fn add_value(value: &Value, hash: &mut Context) {
    let mut part = |kind: u8, bytes: &[u8]| {
        hash.update(&[kind]);
        hash.update(&(bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    match value {
        Value::String(Some(text)) => part(1, text.as_bytes()),
        Value::Bytes(Some(bytes)) => part(2, bytes),
        Value::BigInt(Some(number)) => part(3, &number.to_be_bytes()),
        Value::Bool(Some(whether)) => part(4, &[u8::from(*whether)]),
        Value::ChronoDateTimeUtc(Some(time)) => part(5, &time.timestamp_micros().to_be_bytes()),
        Value::String(None)
        | Value::Bytes(None)
        | Value::BigInt(None)
        | Value::Bool(None)
        | Value::ChronoDateTimeUtc(None) => part(0, &[]),
        // Of a type that no table has yet: its text is the same on every engine.
        other => part(255, format!("{other:?}").as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(rows: &[Row]) -> TableSum {
        let mut sum = TableSum::default();
        rows.iter().for_each(|row| sum.add(row));
        sum
    }

    #[test]
    fn a_sum_tells_rows_apart_but_not_their_order() {
        let row = |key: &str, text: Option<&str>| -> Row { vec![key.into(), text.map(str::to_owned).into()] };
        let (one, other) = (row("a", Some("b")), row("b", None));
        assert_eq!(sum(&[one.clone(), other.clone()]), sum(&[other.clone(), one.clone()]));
        for different in [
            vec![],
            vec![one.clone()],
            vec![other.clone()],
            vec![one.clone(), row("b", Some(""))],
            vec![row("ab", Some("")), other.clone()],
            vec![row("b", Some("a")), other.clone()],
        ] {
            assert_ne!(sum(&different), sum(&[one.clone(), other.clone()]), "{different:?}");
        }
    }

    #[test]
    fn times_have_microseconds_everywhere() {
        let time = |nanos| same_everywhere(DateTime::from_timestamp(-1, nanos).unwrap().into());
        assert_eq!(time(123_456_789), time(123_456_000));
        assert_ne!(time(123_456_789), time(123_457_000));
    }

    #[test]
    fn no_statement_has_too_many_parameters() {
        for table in all() {
            let rows = table.rows_at_once();
            assert!((100..=1_000).contains(&rows), "{}: {rows}", table.name);
            assert!(rows * table.columns.len() as u64 <= 32_766, "{}", table.name);
        }
    }
}
