//! `mapae db backup`

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use mapae::service::Service;
use mapae::store::{DatabaseOptions, OpenError, Snapshot, Store};

use super::draft::Draft;
use super::names::{refuse_leftovers, refuse_taken};
use super::no_password;
use crate::cli::DbBackup;
use crate::commands::{Failure, print, sentence};
use crate::config::{Config, Database, reason, shell_word};
use crate::data_dir::{self, DatabaseFile};
use crate::key_file;
use crate::service::{self, absolute, sqlite_options};

pub(super) async fn run(config: &Config, arguments: DbBackup) -> Result<(), Failure> {
    let path = arguments.path;
    let file = match &config.database {
        Database::File(file) => file,
        Database::Server(options) => return Err(of_server(options, &path)),
    };
    if data_dir::database_file(config)? == DatabaseFile::New {
        return Err(service::no_database(config));
    }
    // Asked first, since nothing is to be written for a file that cannot take its place.
    if fs::symlink_metadata(&path).is_ok() {
        return Err(fails(&path, &ErrorKind::AlreadyExists.into()));
    }
    refuse_taken(&path, config, Some(file))?;
    refuse_leftovers(&path)?;
    let draft = Draft::make(&path).map_err(|error| fails(&path, &error))?;
    Store::back_up(sqlite_options(file), &absolute(draft.path())).await.map_err(|error| match error {
        OpenError::Store(error) => Failure::command(format!("The backup {} failed: {error}.", path.display())),
        error => sentence(error),
    })?;
    let key = which_key(config, draft.path()).await?;
    let bytes = draft.finish(&path).map_err(|error| fails(&path, &error))?;
    print(&format!(
        "Wrote {} ({bytes} bytes). The master key is not in it, and it is of no use without: {key}.\n",
        path.display()
    ))
}

/// What to do about the master key that this backup needs.
async fn which_key(config: &Config, backup: &Path) -> Result<String, Failure> {
    let known = key_file::candidates(config)?;
    let shown = |key: &key_file::Candidate| match &key.file {
        None => "the one that is given to the server".to_owned(),
        Some(file) => absolute(file).display().to_string(),
    };
    let keep = |key: &str| format!("back up {key} too, in another place");
    let Some(first) = known.first() else {
        let wanted = absolute(&data_dir::key_path(config));
        return Ok(format!("it is not at {} either, so find it", wanted.display()));
    };
    // Whatever cannot be told, such as of an older version's backup, leaves the one that is there.
    let Ok(snapshot) = Snapshot::open(sqlite_options(backup)).await else { return Ok(keep(&shown(first))) };
    let mut fits = None;
    for key in &known {
        match Service::is_master_key_of(&snapshot, &key.key).await {
            Ok(Some(false)) => {}
            Ok(Some(true) | None) | Err(_) => {
                fits = Some(key);
                break;
            }
        }
    }
    snapshot.close().await;
    Ok(match fits {
        Some(key) => keep(&shown(key)),
        None => format!("{} is another, so find the one that this database was made with", shown(first)),
    })
}

/// The way to back up a server.
fn of_server(options: &DatabaseOptions, path: &Path) -> Failure {
    // A pooler would take the session away from `pg_dump`.
    let url = no_password(options.direct_url.as_ref().unwrap_or(&options.url));
    Failure::command(format!(
        "The database is on a PostgreSQL server, which backs it up itself: pg_dump --format=custom --file={} '{}'. \
         pg_dump asks for the password, or reads it from ~/.pgpass.",
        shell_word(&path.display().to_string()),
        url.replace('\'', "%27")
    ))
}

fn fails(path: &Path, error: &io::Error) -> Failure {
    let shown = path.display();
    Failure::command(match error.kind() {
        ErrorKind::AlreadyExists => format!("{shown} is there already, and is not replaced: name a new file."),
        ErrorKind::NotFound => format!("The directory of {shown} does not exist."),
        _ => format!("The backup {shown} cannot be written: {}.", reason(error)),
    })
}
