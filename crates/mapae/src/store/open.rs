//! Opening a database: connections, and the state of its schema.

use std::path::Path;

use sea_orm::sea_query::{Expr, Order, Query, SelectStatement};
use sea_orm::{ConnectionTrait, DatabaseConnection};
use sea_orm_migration::MigratorTrait;

use super::DatabaseOptions;
use super::engine::{Connections, Engine, Turn};
use super::error::{OpenError, StoreError};
use super::migrations::{self, MIGRATION_TABLE, Migrator};

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

/// Brings the schema up to date as `migrate` allows, and connects. `create` makes a missing file.
pub(super) async fn open(options: &DatabaseOptions, create: bool, migrate: Migrate) -> Result<Connections, OpenError> {
    self::migrate(options, create, migrate).await?;
    engine_of(options)?.connect(options).await
}

/// Brings the schema up to date as `migrate` allows; its state before. Another program's database is left exactly as it
/// is, unless it is adopted.
pub(super) async fn migrate(
    options: &DatabaseOptions,
    create: bool,
    migrate: Migrate,
) -> Result<SchemaStatus, OpenError> {
    let engine = engine_of(options)?;
    let db = engine.connect_to_schema(options, create).await?;
    let status = bring_up_to_date(engine, &db, migrate).await;
    db.close().await?;
    status
}

pub(super) fn engine_of(options: &DatabaseOptions) -> Result<Engine, OpenError> {
    Engine::of(&options.url).ok_or_else(|| OpenError::UnsupportedEngine(options.shown()))
}

/// Several processes may do this at once: one at a time gets through, and the others find nothing left to do. All or
/// nothing.
async fn bring_up_to_date(
    engine: Engine,
    db: &DatabaseConnection,
    migrate: Migrate,
) -> Result<SchemaStatus, OpenError> {
    let transaction = engine.begin(db).await?;
    engine.take_turn(Turn::Schema, &transaction).await?;
    let status = status(engine, &transaction, migrate == Migrate::Adopt).await?;
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
pub(super) async fn status<C: ConnectionTrait>(engine: Engine, db: &C, adopt: bool) -> Result<SchemaStatus, OpenError> {
    let tables = names(db, &engine.table_names()).await?;
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

async fn applied_migrations<C: ConnectionTrait>(db: &C) -> Result<Vec<String>, OpenError> {
    let query = Query::select()
        .expr_as(Expr::col("version"), "name")
        .from(MIGRATION_TABLE)
        .order_by("version", Order::Asc)
        .take();
    names(db, &query).await
}

pub(super) async fn names<C: ConnectionTrait>(db: &C, query: &SelectStatement) -> Result<Vec<String>, OpenError> {
    let rows = db.query_all(query).await?;
    rows.iter().map(|row| row.try_get("", "name").map_err(OpenError::from)).collect()
}

/// The SQL of the missing migrations. Makes no file and changes nothing.
pub(super) async fn pending_sql(options: &DatabaseOptions) -> Result<String, OpenError> {
    let engine = engine_of(options)?;
    let pending = match engine.connect_to_schema(options, false).await {
        Ok(db) => {
            let status = status(engine, &db, true).await;
            db.close().await?;
            status?.pending
        }
        // No database yet: everything is missing.
        Err(OpenError::Connect { .. }) => migrations::names().into_iter().map(str::to_owned).collect(),
        Err(error) => return Err(error),
    };
    Ok(migrations::sql(engine.backend(), &pending))
}

/// Writes a copy of a SQLite database, as of one moment, into an empty file.
pub(super) async fn back_up(options: &DatabaseOptions, into: &Path) -> Result<(), OpenError> {
    let engine = engine_of(options)?;
    let db = engine.connect_to_read(options).await?;
    let written = async {
        let tables = match names(&db, &engine.table_names()).await {
            Ok(tables) => tables,
            // Here a file shows that it is no database.
            Err(OpenError::Store(StoreError::Database(source))) => {
                return Err(OpenError::Connect { url: options.shown(), source });
            }
            Err(error) => return Err(error),
        };
        // Whatever its version: before an update is when it is needed.
        if !tables.iter().any(|name| name == MIGRATION_TABLE) {
            return Err(OpenError::NotOurs { tables: tables.join(", ") });
        }
        Ok(engine.back_up(&db, into).await?)
    };
    let written = written.await;
    db.close().await?;
    written
}
