//! The schema, one migration for each change. The statements of a migration are values, so that `db migrate --sql`
//! prints exactly what `db migrate` runs.

mod m0001_initial;
mod m0002_clients;
mod m0003_ticket;
mod m0004_shared_accounts;
mod m0005_audit;
mod m0006_throttle;
mod m0008_delegation;
mod m0009_administrators;

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use sea_orm_migration::sea_query::{Alias, DynIden, IntoIden};
use sea_orm_migration::{MigrationName, MigrationTrait, MigratorTrait, SchemaManager, async_trait::async_trait};

/// Our own table of applied migrations; the library's default name would clash with an embedding application's.
pub(super) const MIGRATION_TABLE: &str = "mapae_migrations";

/// Every migration, oldest first.
fn all() -> Vec<Migration> {
    vec![
        Migration { name: "m0001_initial", statements: m0001_initial::statements },
        Migration { name: "m0002_clients", statements: m0002_clients::statements },
        Migration { name: "m0003_ticket", statements: m0003_ticket::statements },
        Migration { name: "m0004_shared_accounts", statements: m0004_shared_accounts::statements },
        Migration { name: "m0005_audit", statements: m0005_audit::statements },
        Migration { name: "m0006_throttle", statements: m0006_throttle::statements },
        Migration { name: "m0008_delegation", statements: m0008_delegation::statements },
        Migration { name: "m0009_administrators", statements: m0009_administrators::statements },
    ]
}

/// One step of the schema.
pub(super) struct Migration {
    pub(super) name: &'static str,
    statements: fn(DbBackend) -> Vec<Statement>,
}

impl MigrationName for Migration {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), sea_orm::DbErr> {
        for statement in (self.statements)(manager.get_database_backend()) {
            manager.get_connection().execute_raw(statement).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// Runs the migrations, under our own table name.
pub(super) struct Migrator;

#[async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        all().into_iter().map(|migration| Box::new(migration) as Box<dyn MigrationTrait>).collect()
    }

    fn migration_table_name() -> DynIden {
        Alias::new(MIGRATION_TABLE).into_iden()
    }
}

/// Names of every migration that this version knows, oldest first.
pub(super) fn names() -> Vec<&'static str> {
    all().iter().map(|migration| migration.name).collect()
}

/// The SQL of the migrations in `pending`, as text for people and scripts.
pub(super) fn sql(backend: DbBackend, pending: &[String]) -> String {
    let mut text = String::new();
    for migration in all().iter().filter(|migration| pending.iter().any(|name| name == migration.name)) {
        text.push_str(&format!("-- {}\n", migration.name));
        for statement in (migration.statements)(backend) {
            text.push_str(&format!("{};\n", statement.sql));
        }
    }
    text
}
