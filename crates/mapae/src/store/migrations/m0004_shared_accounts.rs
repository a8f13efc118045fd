//! What is ours about accounts in another application's table.

use sea_orm::{DbBackend, DeriveIden, Statement, StatementBuilder};
use sea_orm_migration::prelude::{ColumnDef, Table};

#[derive(DeriveIden)]
enum MapaeSharedAccount {
    Table,
    UserId,
    Fingerprint,
    Scopes,
    UpdatedAt,
}

pub(super) fn statements(backend: DbBackend) -> Vec<Statement> {
    let table = Table::create()
        .table(MapaeSharedAccount::Table)
        .col(ColumnDef::new(MapaeSharedAccount::UserId).text().not_null().primary_key())
        .col(ColumnDef::new(MapaeSharedAccount::Fingerprint).blob())
        .col(ColumnDef::new(MapaeSharedAccount::Scopes).text())
        .col(ColumnDef::new(MapaeSharedAccount::UpdatedAt).timestamp_with_time_zone().not_null())
        .to_owned();
    vec![StatementBuilder::build(&table, &backend)]
}
