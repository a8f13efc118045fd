//! Accounts, sessions, signing keys, data keys and the invalidation log.

use sea_orm::{DbBackend, DeriveIden, Statement, StatementBuilder};
use sea_orm_migration::prelude::{ColumnDef, Index, IndexCreateStatement, Table, TableCreateStatement};

#[derive(DeriveIden)]
enum MapaeUser {
    Table,
    Id,
    Username,
    UsernameCanonical,
    Email,
    EmailCanonical,
    FullName,
    Search,
    PasswordHash,
    Disabled,
    Scopes,
    CreatedAt,
    UpdatedAt,
}

#[derive(DeriveIden)]
enum MapaeSession {
    Table,
    Id,
    UserId,
    ClientId,
    CreatedAt,
    ExpiresAt,
    EndedAt,
}

#[derive(DeriveIden)]
enum MapaeSigningKey {
    Table,
    Kid,
    Algorithm,
    State,
    PublicJwk,
    WrappedPrivate,
    CreatedAt,
    ActivatedAt,
    RetiredAt,
}

#[derive(DeriveIden)]
enum MapaeDataKey {
    Table,
    Name,
    Wrapped,
    CreatedAt,
}

#[derive(DeriveIden)]
enum MapaeInvalidation {
    Table,
    Id,
    Kind,
    Subject,
    CreatedAt,
}

pub(super) fn statements(backend: DbBackend) -> Vec<Statement> {
    let tables = [user(), session(), signing_key(), data_key(), invalidation()];
    let indexes = [
        unique_index("mapae_user_username_canonical_key", MapaeUser::UsernameCanonical),
        unique_index("mapae_user_email_canonical_key", MapaeUser::EmailCanonical),
        Index::create()
            .name("mapae_session_user_id_idx")
            .table(MapaeSession::Table)
            .col(MapaeSession::UserId)
            .to_owned(),
        Index::create()
            .name("mapae_session_expires_at_idx")
            .table(MapaeSession::Table)
            .col(MapaeSession::ExpiresAt)
            .to_owned(),
    ];
    let build = |statement: &dyn BuildFor| statement.build_for(backend);
    tables.iter().map(|table| build(table)).chain(indexes.iter().map(|index| build(index))).collect()
}

/// Tables and indexes alike become statements of one engine.
trait BuildFor {
    fn build_for(&self, backend: DbBackend) -> Statement;
}

impl<S: StatementBuilder> BuildFor for S {
    fn build_for(&self, backend: DbBackend) -> Statement {
        StatementBuilder::build(self, &backend)
    }
}

fn unique_index(name: &str, column: MapaeUser) -> IndexCreateStatement {
    Index::create().name(name).table(MapaeUser::Table).col(column).unique().to_owned()
}

fn user() -> TableCreateStatement {
    Table::create()
        .table(MapaeUser::Table)
        .col(ColumnDef::new(MapaeUser::Id).text().not_null().primary_key())
        .col(ColumnDef::new(MapaeUser::Username).text())
        .col(ColumnDef::new(MapaeUser::UsernameCanonical).text())
        .col(ColumnDef::new(MapaeUser::Email).text())
        .col(ColumnDef::new(MapaeUser::EmailCanonical).text())
        .col(ColumnDef::new(MapaeUser::FullName).text())
        .col(ColumnDef::new(MapaeUser::Search).text().not_null())
        .col(ColumnDef::new(MapaeUser::PasswordHash).text().not_null())
        .col(ColumnDef::new(MapaeUser::Disabled).boolean().not_null())
        .col(ColumnDef::new(MapaeUser::Scopes).text().not_null())
        .col(ColumnDef::new(MapaeUser::CreatedAt).timestamp_with_time_zone().not_null())
        .col(ColumnDef::new(MapaeUser::UpdatedAt).timestamp_with_time_zone().not_null())
        .to_owned()
}

fn session() -> TableCreateStatement {
    Table::create()
        .table(MapaeSession::Table)
        .col(ColumnDef::new(MapaeSession::Id).text().not_null().primary_key())
        .col(ColumnDef::new(MapaeSession::UserId).text().not_null())
        .col(ColumnDef::new(MapaeSession::ClientId).text().not_null())
        .col(ColumnDef::new(MapaeSession::CreatedAt).timestamp_with_time_zone().not_null())
        .col(ColumnDef::new(MapaeSession::ExpiresAt).timestamp_with_time_zone().not_null())
        .col(ColumnDef::new(MapaeSession::EndedAt).timestamp_with_time_zone())
        .to_owned()
}

fn signing_key() -> TableCreateStatement {
    Table::create()
        .table(MapaeSigningKey::Table)
        .col(ColumnDef::new(MapaeSigningKey::Kid).text().not_null().primary_key())
        .col(ColumnDef::new(MapaeSigningKey::Algorithm).text().not_null())
        .col(ColumnDef::new(MapaeSigningKey::State).text().not_null())
        .col(ColumnDef::new(MapaeSigningKey::PublicJwk).text().not_null())
        .col(ColumnDef::new(MapaeSigningKey::WrappedPrivate).blob().not_null())
        .col(ColumnDef::new(MapaeSigningKey::CreatedAt).timestamp_with_time_zone().not_null())
        .col(ColumnDef::new(MapaeSigningKey::ActivatedAt).timestamp_with_time_zone())
        .col(ColumnDef::new(MapaeSigningKey::RetiredAt).timestamp_with_time_zone())
        .to_owned()
}

fn data_key() -> TableCreateStatement {
    Table::create()
        .table(MapaeDataKey::Table)
        .col(ColumnDef::new(MapaeDataKey::Name).text().not_null().primary_key())
        .col(ColumnDef::new(MapaeDataKey::Wrapped).blob().not_null())
        .col(ColumnDef::new(MapaeDataKey::CreatedAt).timestamp_with_time_zone().not_null())
        .to_owned()
}

fn invalidation() -> TableCreateStatement {
    Table::create()
        .table(MapaeInvalidation::Table)
        .col(ColumnDef::new(MapaeInvalidation::Id).big_integer().not_null().auto_increment().primary_key())
        .col(ColumnDef::new(MapaeInvalidation::Kind).text().not_null())
        .col(ColumnDef::new(MapaeInvalidation::Subject).text().not_null())
        .col(ColumnDef::new(MapaeInvalidation::CreatedAt).timestamp_with_time_zone().not_null())
        .to_owned()
}
