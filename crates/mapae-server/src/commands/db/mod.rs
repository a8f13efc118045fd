//! `mapae db …`

mod backup;
mod copy;
mod progress;

use mapae::store::Store;
use serde_json::json;

use super::{Failure, print, print_json, sentence};
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
        DbCommand::Check(output) => check(config, output.json).await,
        DbCommand::Backup(arguments) => backup::run(config, arguments).await,
        DbCommand::Copy(arguments) => copy::run(config, arguments).await,
    }
}

/// Looks at the file itself, at its version, and whether the master key fits.
async fn check(config: &Config, json: bool) -> Result<(), Failure> {
    let problems = match service::attach(config).await {
        Ok(mapae) => {
            let problems = mapae.store().check_integrity().await;
            mapae.store().close().await;
            // A file too damaged to be asked is damaged.
            problems.unwrap_or_else(|error| vec![error.to_string()])
        }
        Err(Failure::Command(sentence)) if json => vec![sentence],
        Err(failure) => return Err(failure),
    };
    if json {
        print_json(&json!({ "ok": problems.is_empty(), "problems": problems }))?;
    }
    match (problems.is_empty(), json) {
        (true, true) => Ok(()),
        (true, false) => print("The database is in order, and the master key fits.\n"),
        (false, true) => Err(Failure::Silent),
        (false, false) => Err(Failure::command(format!(
            "The database is damaged ({}): put it right as said, or restore it from the backup.",
            problems.join("; ")
        ))),
    }
}
