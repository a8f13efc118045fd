//! Sessions of tokens that are minted from others.

use sea_orm::{DbBackend, DeriveIden, Statement, StatementBuilder};
use sea_orm_migration::prelude::{ColumnDef, Index, Table, TableAlterStatement};

#[derive(DeriveIden)]
enum MapaeSession {
    Table,
    Minted,
    ParentId,
    ParentJti,
    MadeInId,
    Depth,
    ExpiresAt,
    Subject,
    Audience,
    Actor,
    Label,
    TokenHash,
    LastUsedAt,
}

pub(super) fn statements(backend: DbBackend) -> Vec<Statement> {
    let columns = columns().map(|column| StatementBuilder::build(&column, &backend));
    let indexes = [
        Index::create()
            .name("mapae_session_parent_id_idx")
            .table(MapaeSession::Table)
            .col(MapaeSession::ParentId)
            .to_owned(),
        Index::create()
            .name("mapae_session_made_in_id_idx")
            .table(MapaeSession::Table)
            .col(MapaeSession::MadeInId)
            .to_owned(),
        Index::create()
            .name("mapae_session_minted_expires_at_idx")
            .table(MapaeSession::Table)
            .col(MapaeSession::Minted)
            .col(MapaeSession::ExpiresAt)
            .to_owned(),
        Index::create()
            .name("mapae_session_subject_idx")
            .table(MapaeSession::Table)
            .col(MapaeSession::Subject)
            .to_owned(),
        Index::create()
            .name("mapae_session_token_hash_key")
            .table(MapaeSession::Table)
            .col(MapaeSession::TokenHash)
            .unique()
            .to_owned(),
    ]
    .map(|index| StatementBuilder::build(&index, &backend));
    columns.into_iter().chain(indexes).collect()
}

/// One statement for each: SQLite adds one column at a time.
fn columns() -> [TableAlterStatement; 11] {
    [
        ColumnDef::new(MapaeSession::Minted).text().to_owned(),
        ColumnDef::new(MapaeSession::ParentId).text().to_owned(),
        ColumnDef::new(MapaeSession::ParentJti).text().to_owned(),
        ColumnDef::new(MapaeSession::MadeInId).text().to_owned(),
        ColumnDef::new(MapaeSession::Depth).big_integer().to_owned(),
        ColumnDef::new(MapaeSession::Subject).text().to_owned(),
        ColumnDef::new(MapaeSession::Audience).text().to_owned(),
        ColumnDef::new(MapaeSession::Actor).text().to_owned(),
        ColumnDef::new(MapaeSession::Label).text().to_owned(),
        ColumnDef::new(MapaeSession::TokenHash).text().to_owned(),
        ColumnDef::new(MapaeSession::LastUsedAt).timestamp_with_time_zone().to_owned(),
    ]
    .map(|mut column| Table::alter().table(MapaeSession::Table).add_column(&mut column).to_owned())
}
