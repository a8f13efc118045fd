//! `mapae db …`

mod backup;
mod check;
mod copy;
mod draft;
mod names;
mod progress;
mod target;

use mapae::store::{Store, without_password};

use super::{Failure, print, sentence};
use crate::cli::{DbCommand, DbMigrate};
use crate::config::Config;
use crate::service;

pub(super) async fn run(config: &Config, command: DbCommand) -> Result<(), Failure> {
    match command {
        DbCommand::Migrate(DbMigrate { sql: true, .. }) => {
            print(&Store::migration_sql(service::database(config)).await.map_err(sentence)?)
        }
        DbCommand::Migrate(DbMigrate { adopt, .. }) => {
            let applied = service::migrate(config, adopt).await?;
            if applied.is_empty() {
                return print("The database is up to date.\n");
            }
            print(&format!("Applied {}.\n", applied.join(", ")))
        }
        DbCommand::Check(output) => check::run(config, output.json).await,
        DbCommand::Backup(arguments) => backup::run(config, arguments).await,
        DbCommand::Copy(arguments) => copy::run(config, arguments).await,
    }
}

/// The URL of a server for somebody who adds the password.
fn no_password(url: &str) -> String {
    without_password(url).replacen(":%E2%80%A6@", "@", 1)
}
