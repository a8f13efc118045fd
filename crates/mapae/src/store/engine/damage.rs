//! Which errors tell that what is stored is damaged.

use sea_orm::{DbErr, RuntimeErr, sqlx};

/// Codes of errors that tell of damage.
const DAMAGE: &[&str] = &["11", "267", "523", "779", "26", "XX001", "XX002"];

/// Whether the error tells that what is stored is damaged: SQLite's `CORRUPT` and `NOTADB` with their extended codes,
/// PostgreSQL's class XX of damaged data and indexes, or a value that is not of its column's type.
pub(in crate::store) fn is_damage(error: &DbErr) -> bool {
    match error {
        DbErr::Type(_) => true,
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => match error.as_ref() {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => true,
            sqlx::Error::Database(error) => error.code().is_some_and(|code| DAMAGE.contains(&code.as_ref())),
            _ => false,
        },
        _ => false,
    }
}
