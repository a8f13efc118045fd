//! What stands for SQLite where it is not built in (without feature `sqlite`).

use sea_orm::DatabaseConnection;

use super::error::OpenError;
use super::open::{Connections, without_password};

pub(super) async fn connect(url: &str, _create: bool) -> Result<Connections, OpenError> {
    Err(OpenError::UnsupportedEngine(without_password(url)))
}

pub(super) async fn connect_only(url: &str) -> Result<DatabaseConnection, OpenError> {
    Err(OpenError::UnsupportedEngine(without_password(url)))
}
