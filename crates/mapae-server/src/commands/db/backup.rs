//! `mapae db backup`

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use base64_simd::URL_SAFE_NO_PAD;
use mapae::domain::{Rng, SystemRng};
use mapae::store::{OpenError, Store};

use crate::cli::DbBackup;
use crate::commands::{Failure, print, sentence};
use crate::config::{Config, Database, reason};
use crate::data_dir::{self, DatabaseFile};
use crate::service::{self, absolute};

pub(super) async fn run(config: &Config, arguments: DbBackup) -> Result<(), Failure> {
    let path = arguments.path;
    let Database::File(file) = &config.database else {
        return Err(Failure::command(format!(
            "The database is on a PostgreSQL server, which backs it up itself: pg_dump --format=custom --file={} '{}'. \
             pg_dump asks for the password, or reads it from ~/.pgpass.",
            path.display(),
            without_password(&config.database)
        )));
    };
    if data_dir::database_file(config)? == DatabaseFile::New {
        return Err(service::no_database(config));
    }
    // Asked first, since nothing is to be written for a file that cannot take its place.
    if fs::symlink_metadata(&path).is_ok() {
        return Err(fails(&path, &ErrorKind::AlreadyExists.into()));
    }
    let draft = Draft::make(&path).map_err(|error| fails(&path, &error))?;
    Store::back_up(service::sqlite_options(file), &absolute(&draft.0)).await.map_err(|error| match error {
        OpenError::Store(error) => Failure::command(format!("The backup {} failed: {error}.", path.display())),
        error => sentence(error),
    })?;
    let bytes = draft.finish(&path).map_err(|error| fails(&path, &error))?;
    let key = match config.master_key {
        Some(_) => "the one that is given to the server".to_owned(),
        None => absolute(&data_dir::key_path(config)).display().to_string(),
    };
    print(&format!(
        "Wrote {} ({bytes} bytes). The master key is not in it, and it is of no use without: back up {key} too, in another \
         place.\n",
        path.display()
    ))
}

/// The file while it is written. It has its name when it is whole and on disk, or never.
struct Draft(PathBuf);

impl Draft {
    fn make(path: &Path) -> io::Result<Self> {
        let mut number = [0; 9];
        SystemRng.fill(&mut number);
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}.part", URL_SAFE_NO_PAD.encode_to_string(number)));
        let path = PathBuf::from(name);
        data_dir::private_file(&path)?;
        Ok(Self(path))
    }

    /// Gives it its name, unless something else has it by now; its size.
    fn finish(self, path: &Path) -> io::Result<u64> {
        let file = File::open(&self.0)?;
        file.sync_all()?;
        fs::hard_link(&self.0, path)?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory)?.sync_all()?;
        Ok(file.metadata()?.len())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // One that stays says by its name that it is unfinished.
        let _ = fs::remove_file(&self.0);
    }
}

fn fails(path: &Path, error: &io::Error) -> Failure {
    let shown = path.display();
    Failure::command(match error.kind() {
        ErrorKind::AlreadyExists => format!("{shown} is there already, and is not replaced: name a new file."),
        ErrorKind::NotFound => format!("The directory of {shown} does not exist."),
        _ => format!("The backup {shown} cannot be written: {}.", reason(error)),
    })
}

/// The URL as `pg_dump` takes it, without its password.
fn without_password(database: &Database) -> String {
    let shown = database.shown();
    shown.replacen(":%E2%80%A6@", "@", 1)
}
