//! What stands for PostgreSQL where it is not built in (without feature `postgres`).

use std::sync::Arc;

use sea_orm::{DatabaseConnection, DbErr};
use tokio::sync::Notify;

use super::{Connections, DatabaseOptions, OpenError};

/// Nothing to hear.
#[derive(Clone)]
pub(super) enum Listening {}

impl Listening {
    pub(super) async fn run(self, _news: Arc<Notify>) {
        match self {}
    }
}

pub(super) async fn connect(options: &DatabaseOptions) -> Result<Connections, OpenError> {
    Err(OpenError::UnsupportedEngine(options.shown()))
}

pub(super) async fn connect_to_schema(options: &DatabaseOptions) -> Result<DatabaseConnection, OpenError> {
    Err(OpenError::UnsupportedEngine(options.shown()))
}

pub(super) async fn connect_to_read(options: &DatabaseOptions) -> Result<DatabaseConnection, OpenError> {
    Err(OpenError::UnsupportedEngine(options.shown()))
}

pub(in crate::store) fn is_conflict(_error: &DbErr) -> bool {
    false
}
