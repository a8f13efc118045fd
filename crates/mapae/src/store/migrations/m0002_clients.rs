//! Clients, sessions that can be refreshed, and what was revoked before it expired.

use sea_orm::{DbBackend, DeriveIden, Statement, StatementBuilder};
use sea_orm_migration::prelude::{
    ColumnDef, Index, IndexCreateStatement, Table, TableAlterStatement, TableCreateStatement,
};

#[derive(DeriveIden)]
enum MapaeClient {
    Table,
    Id,
    ClientType,
    Grants,
    Scopes,
    Audiences,
    AccessTokenSeconds,
    SessionIdleSeconds,
    SessionSeconds,
    SecretHash,
    CreatedAt,
    UpdatedAt,
}

#[derive(DeriveIden)]
enum MapaeSession {
    Table,
    ClientId,
    Scopes,
    EndReason,
    Generation,
    RefreshedAt,
    IdleExpiresAt,
    AccessExpiresAt,
    DeviceName,
    Address,
}

#[derive(DeriveIden)]
enum MapaeRevocation {
    Table,
    Seq,
    Kind,
    Value,
    Before,
    ExpiresAt,
}

pub(super) fn statements(backend: DbBackend) -> Vec<Statement> {
    let tables = [client(), revocation()].map(|table| StatementBuilder::build(&table, &backend));
    let columns = session_columns().map(|column| StatementBuilder::build(&column, &backend));
    let indexes = [
        index("mapae_session_client_id_idx").table(MapaeSession::Table).col(MapaeSession::ClientId).to_owned(),
        index("mapae_revocation_value_idx").table(MapaeRevocation::Table).col(MapaeRevocation::Value).to_owned(),
    ]
    .map(|index| StatementBuilder::build(&index, &backend));
    tables.into_iter().chain(columns).chain(indexes).collect()
}

fn index(name: &str) -> IndexCreateStatement {
    Index::create().name(name).to_owned()
}

/// One statement for each: SQLite adds one column at a time.
fn session_columns() -> [TableAlterStatement; 8] {
    [
        ColumnDef::new(MapaeSession::Scopes).text().not_null().default("").to_owned(),
        ColumnDef::new(MapaeSession::EndReason).text().to_owned(),
        ColumnDef::new(MapaeSession::Generation).big_integer().not_null().default(0).to_owned(),
        ColumnDef::new(MapaeSession::RefreshedAt).timestamp_with_time_zone().to_owned(),
        ColumnDef::new(MapaeSession::IdleExpiresAt).timestamp_with_time_zone().to_owned(),
        ColumnDef::new(MapaeSession::AccessExpiresAt).timestamp_with_time_zone().to_owned(),
        ColumnDef::new(MapaeSession::DeviceName).text().to_owned(),
        ColumnDef::new(MapaeSession::Address).text().to_owned(),
    ]
    .map(|mut column| Table::alter().table(MapaeSession::Table).add_column(&mut column).to_owned())
}

fn client() -> TableCreateStatement {
    Table::create()
        .table(MapaeClient::Table)
        .col(ColumnDef::new(MapaeClient::Id).text().not_null().primary_key())
        .col(ColumnDef::new(MapaeClient::ClientType).text().not_null())
        .col(ColumnDef::new(MapaeClient::Grants).text().not_null())
        .col(ColumnDef::new(MapaeClient::Scopes).text().not_null())
        .col(ColumnDef::new(MapaeClient::Audiences).text().not_null())
        .col(ColumnDef::new(MapaeClient::AccessTokenSeconds).big_integer())
        .col(ColumnDef::new(MapaeClient::SessionIdleSeconds).big_integer())
        .col(ColumnDef::new(MapaeClient::SessionSeconds).big_integer())
        .col(ColumnDef::new(MapaeClient::SecretHash).text())
        .col(ColumnDef::new(MapaeClient::CreatedAt).timestamp_with_time_zone().not_null())
        .col(ColumnDef::new(MapaeClient::UpdatedAt).timestamp_with_time_zone().not_null())
        .to_owned()
}

fn revocation() -> TableCreateStatement {
    Table::create()
        .table(MapaeRevocation::Table)
        .col(ColumnDef::new(MapaeRevocation::Seq).big_integer().not_null().primary_key())
        .col(ColumnDef::new(MapaeRevocation::Kind).text().not_null())
        .col(ColumnDef::new(MapaeRevocation::Value).text().not_null())
        .col(ColumnDef::new(MapaeRevocation::Before).timestamp_with_time_zone())
        .col(ColumnDef::new(MapaeRevocation::ExpiresAt).timestamp_with_time_zone().not_null())
        .to_owned()
}
