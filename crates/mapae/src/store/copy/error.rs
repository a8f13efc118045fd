//! Why a database was not copied.

use crate::store::{OpenError, StoreError};

/// Why a database was not copied. Then nothing was written. Each text is one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The source cannot be opened, or has not the tables of this version.
    #[error("of the source: {0}")]
    Source(#[source] OpenError),
    /// The target cannot be opened, or is another program's.
    #[error("of the target: {0}")]
    Target(#[source] OpenError),
    /// The source is no database of ours.
    #[error("the source holds no tables of Mapae: name the database of a server")]
    NoTables,
    /// The source does not yield all that it holds.
    #[error(
        "the source is damaged ({found}), so rows would be missing in the copy, and none is made: `mapae db check` there \
         says more; restore it from a backup, or, where only an index is damaged, stop every server and make the indexes \
         anew with REINDEX; then copy again"
    )]
    Damaged {
        /// What was found first.
        found: String,
    },
    /// Both are one.
    #[error("source and target are the same database: name two")]
    SameDatabase,
    /// The target holds something else.
    #[error(
        "the target holds data that is not this copy ({found}): a copy goes into an empty database, so name another, or \
         empty this one if nobody needs what it holds"
    )]
    NotEmpty {
        /// What it holds.
        found: String,
    },
    /// The engine of the target does not take a value.
    #[error(
        "the row {key} of {table} has a NUL character in {column}, which PostgreSQL cannot store: take it out of the \
         source, and copy again"
    )]
    Unstorable {
        /// The table.
        table: &'static str,
        /// The primary key of the row.
        key: String,
        /// The column.
        column: &'static str,
    },
    /// A table of the source cannot be read.
    #[error("the table {table} of the source cannot be read: {source}; {}", reading_again(source))]
    Read {
        /// The table.
        table: &'static str,
        /// The reason.
        source: StoreError,
    },
    /// The target cannot be written.
    #[error(
        "the table {table} cannot be written to the target, where nothing is kept: {source}; put that right, and copy again"
    )]
    Write {
        /// The table.
        table: &'static str,
        /// The reason.
        source: StoreError,
    },
    /// What was written is not what was read.
    #[error("the table {table} is not in the target as in the source, so nothing is kept there: copy again")]
    Differs {
        /// The table.
        table: &'static str,
    },
    /// The target did not keep what was written.
    #[error(
        "the target did not confirm the copy: {0}; put that right, and copy again, which says so if it is there after all"
    )]
    Commit(#[source] StoreError),
}

/// What helps against damage does not help against a connection that was cut.
fn reading_again(error: &StoreError) -> &'static str {
    if error.is_damage() { "`mapae db check` there tells which row it is" } else { "copy again" }
}
