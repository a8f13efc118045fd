//! Counters of failed attempts.

use sea_orm::{DbBackend, DeriveIden, Statement, StatementBuilder};
use sea_orm_migration::prelude::{ColumnDef, Index, Table};

#[derive(DeriveIden)]
enum MapaeThrottle {
    Table,
    Counter,
    ClearAt,
    KnownUntil,
    ExpiresAt,
}

pub(super) fn statements(backend: DbBackend) -> Vec<Statement> {
    let table = Table::create()
        .table(MapaeThrottle::Table)
        .col(ColumnDef::new(MapaeThrottle::Counter).blob().not_null().primary_key())
        .col(ColumnDef::new(MapaeThrottle::ClearAt).timestamp_with_time_zone().not_null())
        .col(ColumnDef::new(MapaeThrottle::KnownUntil).timestamp_with_time_zone())
        .col(ColumnDef::new(MapaeThrottle::ExpiresAt).timestamp_with_time_zone().not_null())
        .to_owned();
    let index = Index::create()
        .name("mapae_throttle_expires_at_idx")
        .table(MapaeThrottle::Table)
        .col(MapaeThrottle::ExpiresAt)
        .to_owned();
    vec![StatementBuilder::build(&table, &backend), StatementBuilder::build(&index, &backend)]
}
