//! What stands for SQLite where it is not built in (without feature `sqlite`).

use sea_orm::DatabaseConnection;

use super::{Connections, DatabaseOptions, OpenError};

pub(super) async fn connect(options: &DatabaseOptions) -> Result<Connections, OpenError> {
    Err(OpenError::UnsupportedEngine(options.shown()))
}

pub(super) async fn connect_to_schema(
    options: &DatabaseOptions,
    _create: bool,
) -> Result<DatabaseConnection, OpenError> {
    Err(OpenError::UnsupportedEngine(options.shown()))
}

pub(super) async fn connect_to_read(options: &DatabaseOptions) -> Result<DatabaseConnection, OpenError> {
    Err(OpenError::UnsupportedEngine(options.shown()))
}
