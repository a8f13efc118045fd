//! Single-use tickets.

use sea_orm::{DbBackend, DeriveIden, Statement, StatementBuilder};
use sea_orm_migration::prelude::{ColumnDef, Index, Table};

#[derive(DeriveIden)]
enum MapaeTicket {
    Table,
    Hash,
    Claims,
    Kid,
    CreatedAt,
    ExpiresAt,
    UsedAt,
}

pub(super) fn statements(backend: DbBackend) -> Vec<Statement> {
    let table = Table::create()
        .table(MapaeTicket::Table)
        .col(ColumnDef::new(MapaeTicket::Hash).text().not_null().primary_key())
        .col(ColumnDef::new(MapaeTicket::Claims).text().not_null())
        .col(ColumnDef::new(MapaeTicket::Kid).text())
        .col(ColumnDef::new(MapaeTicket::CreatedAt).timestamp_with_time_zone().not_null())
        .col(ColumnDef::new(MapaeTicket::ExpiresAt).timestamp_with_time_zone().not_null())
        .col(ColumnDef::new(MapaeTicket::UsedAt).timestamp_with_time_zone())
        .to_owned();
    let index = Index::create()
        .name("mapae_ticket_expires_at_idx")
        .table(MapaeTicket::Table)
        .col(MapaeTicket::ExpiresAt)
        .to_owned();
    vec![StatementBuilder::build(&table, &backend), StatementBuilder::build(&index, &backend)]
}
