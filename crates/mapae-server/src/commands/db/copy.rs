//! `mapae db copy`

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use mapae::domain::{MasterKey, SecretText};
use mapae::service::{Service, StartError};
use mapae::store::{Copied, CopiedTable, DatabaseOptions, Snapshot};
use rustix::process::{Flock, FlockOffsetType, FlockType, Pid, fcntl_getlk};
use serde_json::json;

use super::progress::Progress;
use crate::cli::DbCopy;
use crate::commands::database_url::{from_file, warn_of_password};
use crate::commands::{Failure, print, print_json, print_note, sentence};
use crate::config::{Config, Database, reason};
use crate::data_dir;
use crate::service::{absolute, sqlite_options};
use crate::start_lock::StartLock;

/// Where SQLite locks a file that is open, past every byte of it (`SHARED_FIRST`, `SHARED_SIZE`).
const OPEN: (u64, u64) = (0x4000_0002, 510);

pub(super) async fn run(config: &Config, arguments: DbCopy) -> Result<(), Failure> {
    let DbCopy { from, from_file, to, to_file, live, output } = arguments;
    let from = side("from", from, from_file.as_deref())?;
    let to = side("to", to, to_file.as_deref())?;
    let key = find_key(config)?;
    check_source_file(&from, live)?;
    let source = Snapshot::open_to_copy(options(&from)).await.map_err(sentence)?;
    let copied = from_source(&source, &key, &to, live).await;
    source.close().await;
    report(copied?, &from, &to, config, output.json)
}

/// One of the two databases.
fn side(which: &str, url: Option<String>, file: Option<&Path>) -> Result<Database, Failure> {
    let url = match (url, file) {
        (Some(url), _) => {
            warn_of_password(&url, &format!("--{which}-file"));
            SecretText::new(url)
        }
        (None, Some(file)) => from_file(file)?,
        (None, None) => return Err(Failure::usage(&format!("Name a database with --{which}."))),
    };
    Database::parse(url.expose().trim()).map_err(|reason| Failure::usage(&format!("The URL of --{which} {reason}.")))
}

fn options(database: &Database) -> DatabaseOptions {
    match database {
        Database::File(path) => sqlite_options(path),
        Database::Server(options) => (**options).clone(),
    }
}

fn find_key(config: &Config) -> Result<MasterKey, Failure> {
    data_dir::find_key(config)?.ok_or_else(|| {
        Failure::command(format!(
            "The master key of the source is not here, so it cannot be checked: give it as MAPAE_MASTER_KEY, in a file \
             that MAPAE_MASTER_KEY_FILE names, or as {}.",
            data_dir::key_path(config).display()
        ))
    })
}

/// Refuses a file that is not there or that a server is writing.
fn check_source_file(from: &Database, live: bool) -> Result<(), Failure> {
    let Some(path) = from.file() else { return Ok(()) };
    let unreadable =
        |error| Failure::command(format!("The source {} cannot be read: {}.", path.display(), reason(&error)));
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            Err(Failure::command(format!("The source {} is a directory.", path.display())))
        }
        Ok(_) => match open_in(path).map_err(unreadable)? {
            Some(pid) if !live => Err(in_use(&format!("process {}", pid.as_raw_nonzero()))),
            Some(_) | None => Ok(()),
        },
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(Failure::command(format!("There is no database {}.", path.display())))
        }
        Err(error) => Err(unreadable(error)),
    }
}

/// The process that has this file open as SQLite does. Only before this one has: closing a file takes its own locks away.
fn open_in(path: &Path) -> io::Result<Option<Pid>> {
    let file = File::open(path)?;
    let (start, length) = OPEN;
    let typ = FlockType::WriteLock;
    let lock = Flock { start, length, pid: None, typ, offset_type: FlockOffsetType::Set };
    // A file system without locks does not know.
    Ok(fcntl_getlk(&file, &lock).ok().flatten().and_then(|held| held.pid))
}

fn in_use(who: &str) -> Failure {
    Failure::command(format!(
        "A server is running on the source ({who}): stop it first, since what it writes from now on would not be in the \
         copy. To copy all the same, as for a trial, add --live."
    ))
}

async fn from_source(source: &Snapshot, key: &MasterKey, to: &Database, live: bool) -> Result<Copied, Failure> {
    if Service::is_master_key_of(source, key).await.map_err(sentence)? == Some(false) {
        return Err(sentence(StartError::WrongMasterKey));
    }
    let connections = source.other_connections().await.map_err(sentence)?;
    if connections > 0 && !live {
        return Err(in_use(&format!("{connections} connections")));
    }
    let target = Target::prepare(to).await?;
    let mut progress = Progress::new();
    let copied = source.copy_to(options(to), &mut |step| progress.show(step)).await;
    progress.end();
    let copied = copied.map_err(sentence)?;
    target.keep();
    Ok(copied)
}

/// The file of the target, if it is one. If it was made here, it is taken back unless it is kept.
struct Target {
    made: Option<PathBuf>,
    /// No server starts there meanwhile.
    _lock: Option<StartLock>,
}

impl Target {
    async fn prepare(to: &Database) -> Result<Self, Failure> {
        let Some(path) = to.file() else { return Ok(Self { made: None, _lock: None }) };
        let shown = path.display();
        if path.is_dir() {
            return Err(Failure::command(format!("The target {shown} is a directory: name a file.")));
        }
        let lock = StartLock::beside_database(path).await?;
        let made = match data_dir::private_file(path) {
            Ok(_) => Some(path.to_owned()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => None,
            Err(error) => {
                return Err(Failure::command(format!(
                    "The target {shown} cannot be made: {}. Its directory must exist and this user must be able to write \
                     it.",
                    reason(&error)
                )));
            }
        };
        Ok(Self { made, _lock: Some(lock) })
    }

    fn keep(mut self) {
        self.made = None;
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(path) = &self.made {
            // One that stays is empty, and does no harm.
            let _ = fs::remove_file(path);
        }
    }
}

fn report(copied: Copied, from: &Database, to: &Database, config: &Config, json: bool) -> Result<(), Failure> {
    let (is_new, tables) = match copied {
        Copied::Now(tables) => (true, tables),
        Copied::Before(tables) => (false, tables),
    };
    let rows: u64 = tables.iter().map(|table| table.sum.rows).sum();
    if json {
        let tables = tables
            .iter()
            .map(|table| json!({ "table": table.name, "rows": table.sum.rows, "checksum": checksum(table) }));
        print_json(&json!({ "copied": is_new, "rows": rows, "tables": tables.collect::<Vec<_>>() }))?;
    } else {
        let mut text = if is_new {
            format!("Copied {rows} rows from {} to {}. Both hold:\n", from.shown(), to.shown())
        } else {
            format!("There is nothing to do: {} holds every row of {} already:\n", to.shown(), from.shown())
        };
        for table in &tables {
            text.push_str(&format!("  {:<22}{:>10}  {}\n", table.name, table.sum.rows, &checksum(table)[..16]));
        }
        print(&text)?;
    }
    print_note(&format!(
        "Start the server on it with the same master key{}: DATABASE_URL={}\n",
        match config.master_key {
            Some(_) => String::new(),
            None => format!(" (MAPAE_MASTER_KEY_FILE={})", absolute(&data_dir::key_path(config)).display()),
        },
        match to {
            Database::File(path) => format!("sqlite:///{}", absolute(path).display()),
            Database::Server(_) => to.shown(),
        }
    ));
    Ok(())
}

fn checksum(table: &CopiedTable) -> String {
    table.sum.checksum.iter().map(|byte| format!("{byte:02x}")).collect()
}
