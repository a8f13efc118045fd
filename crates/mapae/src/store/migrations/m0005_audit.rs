//! The audit trail.

use sea_orm::{DbBackend, DeriveIden, Statement, StatementBuilder};
use sea_orm_migration::prelude::{ColumnDef, Index, IndexCreateStatement, Table};

#[derive(DeriveIden)]
enum MapaeAudit {
    Table,
    Id,
    At,
    Event,
    ActorKind,
    Actor,
    Subject,
    Address,
    RequestId,
    SessionId,
    ClientId,
    Details,
}

pub(super) fn statements(backend: DbBackend) -> Vec<Statement> {
    let table = Table::create()
        .table(MapaeAudit::Table)
        .col(ColumnDef::new(MapaeAudit::Id).text().not_null().primary_key())
        .col(ColumnDef::new(MapaeAudit::At).timestamp_with_time_zone().not_null())
        .col(ColumnDef::new(MapaeAudit::Event).text().not_null())
        .col(ColumnDef::new(MapaeAudit::ActorKind).text().not_null())
        .col(ColumnDef::new(MapaeAudit::Actor).text())
        .col(ColumnDef::new(MapaeAudit::Subject).text())
        .col(ColumnDef::new(MapaeAudit::Address).text())
        .col(ColumnDef::new(MapaeAudit::RequestId).text())
        .col(ColumnDef::new(MapaeAudit::SessionId).text())
        .col(ColumnDef::new(MapaeAudit::ClientId).text())
        .col(ColumnDef::new(MapaeAudit::Details).text())
        .to_owned();
    // Each with the id, by which pages go on.
    let indexes = [
        index("mapae_audit_event_idx", MapaeAudit::Event),
        index("mapae_audit_actor_idx", MapaeAudit::Actor),
        index("mapae_audit_subject_idx", MapaeAudit::Subject),
        index("mapae_audit_address_idx", MapaeAudit::Address),
    ];
    let indexes = indexes.map(|index| StatementBuilder::build(&index, &backend));
    std::iter::once(StatementBuilder::build(&table, &backend)).chain(indexes).collect()
}

fn index(name: &str, column: MapaeAudit) -> IndexCreateStatement {
    Index::create().name(name).table(MapaeAudit::Table).col(column).col(MapaeAudit::Id).to_owned()
}
