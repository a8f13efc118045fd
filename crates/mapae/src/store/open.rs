//! Opening a database: connections, and the state of its schema.

use sea_orm::sea_query::{Expr, Order, Query, SelectStatement};
use sea_orm::{ConnectionTrait, DatabaseConnection, SqliteTransactionMode, TransactionOptions, TransactionTrait};
use sea_orm::{DbBackend, ExprTrait};
use sea_orm_migration::MigratorTrait;

use super::error::OpenError;
use super::migrations::{self, MIGRATION_TABLE, Migrator};
use super::sqlite;

/// What may be done about a schema that is not up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migrate {
    /// Apply what is missing.
    Apply,
    /// Apply what is missing, even beside another program's tables.
    Adopt,
    /// Change nothing; fail if something is missing.
    Never,
}

/// The state of a schema, without changing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaStatus {
    /// Migrations that were applied, oldest first.
    pub applied: Vec<String>,
    /// Migrations that are missing, oldest first.
    pub pending: Vec<String>,
}

pub(super) struct Connections {
    pub(super) read: DatabaseConnection,
    pub(super) write: DatabaseConnection,
    pub(super) watch: DatabaseConnection,
}

impl Connections {
    /// Closes all of them; the last one folds the write-ahead log into the database file.
    pub(super) async fn close(self) {
        for connection in [self.watch, self.read, self.write] {
            if let Err(error) = connection.close().await {
                tracing::warn!(%error, "a database connection did not close cleanly");
            }
        }
    }
}

/// Connects without touching the schema. `create` makes the file if it is missing. Another program's database is left
/// exactly as it is unless `adopt`.
pub(super) async fn connect(url: &str, create: bool, adopt: bool) -> Result<Connections, OpenError> {
    if !url.starts_with("sqlite:") || !cfg!(feature = "sqlite") {
        return Err(OpenError::UnsupportedEngine(without_password(url)));
    }
    match look(url, adopt).await {
        Err(OpenError::Connect { .. }) if create => {}
        looked => _ = looked?,
    }
    sqlite::connect(url, create).await
}

/// The state of the schema of a database that may be another program's; changes nothing, not even the journal mode.
async fn look(url: &str, adopt: bool) -> Result<SchemaStatus, OpenError> {
    let db = sqlite::connect_only(url).await?;
    let status = status(&db, adopt).await;
    db.close().await?;
    status
}

/// Every write transaction takes the write lock at once: SQLite refuses to upgrade a reader whose snapshot is old.
pub(super) fn write_transaction() -> TransactionOptions {
    TransactionOptions { sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), ..Default::default() }
}

/// Brings the schema up to date as `migrate` allows. Several processes may do this at once: the write lock lets
/// one through, and the others find nothing left to do. All or nothing.
pub(super) async fn migrate(write: &DatabaseConnection, migrate: Migrate) -> Result<SchemaStatus, OpenError> {
    let transaction = write.begin_with_options(write_transaction()).await?;
    let status = status(&transaction, migrate == Migrate::Adopt).await?;
    if status.pending.is_empty() {
        return Ok(status);
    }
    if migrate == Migrate::Never {
        return Err(OpenError::Pending { pending: status.pending.join(", ") });
    }
    Migrator::up(&transaction, None).await?;
    transaction.commit().await?;
    Ok(status)
}

/// Reads the state of the schema. Another program's database is refused unless `adopt`.
pub(super) async fn status<C: ConnectionTrait>(db: &C, adopt: bool) -> Result<SchemaStatus, OpenError> {
    let tables = table_names(db).await?;
    let mut applied = Vec::new();
    if tables.iter().any(|name| name == MIGRATION_TABLE) {
        applied = applied_migrations(db).await?;
    } else if !tables.is_empty() && !adopt {
        let shown = tables.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
        return Err(OpenError::NotOurs { tables: shown });
    }
    let known = migrations::names();
    if let Some(newer) = applied.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(OpenError::Newer { migration: newer.clone() });
    }
    let pending =
        known.iter().filter(|name| !applied.iter().any(|done| done == *name)).map(|name| (*name).to_owned()).collect();
    Ok(SchemaStatus { applied, pending })
}

/// The tables of this database that are not the engine's own.
async fn table_names<C: ConnectionTrait>(db: &C) -> Result<Vec<String>, OpenError> {
    let query = Query::select()
        .column("name")
        .from("sqlite_master")
        .and_where(Expr::col("type").eq("table"))
        .and_where(Expr::col("name").not_like("sqlite_%"))
        .take();
    names(db, &query).await
}

async fn applied_migrations<C: ConnectionTrait>(db: &C) -> Result<Vec<String>, OpenError> {
    let query = Query::select()
        .expr_as(Expr::col("version"), "name")
        .from(MIGRATION_TABLE)
        .order_by("version", Order::Asc)
        .take();
    names(db, &query).await
}

async fn names<C: ConnectionTrait>(db: &C, query: &SelectStatement) -> Result<Vec<String>, OpenError> {
    let rows = db.query_all(query).await?;
    rows.iter().map(|row| row.try_get("", "name").map_err(OpenError::from)).collect()
}

/// A database URL that may be shown.
pub fn without_password(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut parsed) if parsed.password().is_some() => {
            // Only URLs that cannot have a password refuse this.
            let _ = parsed.set_password(Some("…"));
            parsed.to_string()
        }
        _ => url.to_owned(),
    }
}

/// The SQL of the missing migrations. Makes no file and changes nothing.
pub(super) async fn pending_sql(url: &str) -> Result<String, OpenError> {
    let pending = match look(url, true).await {
        Ok(status) => status.pending,
        // No database yet: everything is missing.
        Err(OpenError::Connect { .. }) => migrations::names().into_iter().map(str::to_owned).collect(),
        Err(error) => return Err(error),
    };
    Ok(migrations::sql(DbBackend::Sqlite, &pending))
}
