//! `mapae db copy`

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

use mapae::domain::SecretText;
use mapae::service::{Service, StartError};
use mapae::store::{Copied, CopiedTable, CopyError, Snapshot};
use rustix::process::{Flock, FlockOffsetType, FlockType, fcntl_getlk};
use serde_json::json;

use super::names::refuse_taken;
use super::no_password;
use super::progress::Progress;
use super::target::Target;
use crate::cli::DbCopy;
use crate::commands::database_url::{from_file, warn_of_password};
use crate::commands::{Failure, print, print_json, print_note, sentence};
use crate::config::{Config, Database, reason};
use crate::data_dir;
use crate::key_file::{self, Candidate};
use crate::listener::StopSignals;
use crate::service::{absolute, options};
use crate::start_lock::StartLock;

/// Where SQLite locks a file that is open, past every byte of it (`SHARED_FIRST`, `SHARED_SIZE`).
const OPEN: (u64, u64) = (0x4000_0002, 510);
/// Tables of others that are named to people.
const MOST_NAMED: usize = 10;

pub(super) async fn run(config: &Config, arguments: DbCopy) -> Result<(), Failure> {
    let DbCopy { from, from_file, to, to_file, live, output } = arguments;
    let from = side("from", from, from_file.as_deref())?;
    let to = side("to", to, to_file.as_deref())?;
    let keys = find_keys(config)?;
    check_source_file(&from)?;
    refuse_same_file(&from, &to)?;
    if let Some(place) = to.file() {
        refuse_taken(place, config, from.file())?;
    }
    // No server starts on the source before the copy is whole, since the copy would lack what it writes.
    let _lock = match from.file().filter(|_| !live) {
        Some(file) => Some(StartLock::beside_database(file).await?),
        None => None,
    };
    refuse_open_file(&from, live)?;
    let source = Snapshot::open_to_copy(options(&from)).await.map_err(sentence)?;
    // Caught, so that what is unfinished is taken back.
    let mut stop = StopSignals::catch()?;
    let done = tokio::select! {
        done = from_source(&source, &keys, &to, live) => done,
        () = stop.next() => Err(Failure::command("The copy was cut off, and nothing of it is kept.")),
    };
    source.close().await;
    let done = done?;
    // One that was just starting had let go of the lock, but had not opened the file yet.
    refuse_open_file(&from, live).map_err(|_| started_meanwhile())?;
    report(&done, &from, &to, output.json)
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

fn find_keys(config: &Config) -> Result<Vec<Candidate>, Failure> {
    let keys = key_file::candidates(config)?;
    if keys.is_empty() {
        return Err(Failure::command(format!(
            "The master key of the source is not here, so it cannot be checked: give it as MAPAE_MASTER_KEY, in a file \
             that MAPAE_MASTER_KEY_FILE names, or as {}.",
            data_dir::key_path(config).display()
        )));
    }
    Ok(keys)
}

/// Refuses a file that is not there.
fn check_source_file(from: &Database) -> Result<(), Failure> {
    let Some(path) = from.file() else { return Ok(()) };
    let unreadable =
        |error| Failure::command(format!("The source {} cannot be read: {}.", path.display(), reason(&error)));
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            Err(Failure::command(format!("The source {} is a directory.", path.display())))
        }
        Ok(_) => File::open(path).map(drop).map_err(unreadable),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(Failure::command(format!("There is no database {}.", path.display())))
        }
        Err(error) => Err(unreadable(error)),
    }
}

/// Refuses one file as both sides, whose lock cannot be taken twice.
fn refuse_same_file(from: &Database, to: &Database) -> Result<(), Failure> {
    let (Some(from), Some(to)) = (from.file(), to.file()) else { return Ok(()) };
    match (fs::canonicalize(from), fs::canonicalize(to)) {
        (Ok(from), Ok(to)) if from == to => Err(sentence(CopyError::SameDatabase)),
        _ => Ok(()),
    }
}

/// Refuses a file that a server is writing.
fn refuse_open_file(from: &Database, live: bool) -> Result<(), Failure> {
    let Some(path) = from.file().filter(|_| !live) else { return Ok(()) };
    match who_has_open(path) {
        Ok(None) => Ok(()),
        Ok(Some(who)) => Err(in_use(&who)),
        Err(error) => {
            print_note(&format!(
                "Whether a server is running on {} cannot be told ({}): make sure that none is.\n",
                path.display(),
                reason(&error)
            ));
            Ok(())
        }
    }
}

/// Who has this file open as SQLite does. Only while this process has not: closing a file takes its own locks away.
fn who_has_open(path: &Path) -> io::Result<Option<String>> {
    let file = File::open(path)?;
    let (start, length) = OPEN;
    let typ = FlockType::WriteLock;
    let lock = Flock { start, length, pid: None, typ, offset_type: FlockOffsetType::Set };
    Ok(fcntl_getlk(&file, &lock)?.as_ref().map(holder))
}

fn holder(lock: &Flock) -> String {
    match lock.pid {
        Some(pid) => format!("process {}", pid.as_raw_nonzero()),
        // The kernel knows it, but by no number that is one here.
        None => "a process that is not seen from here, as in another container".to_owned(),
    }
}

fn in_use(who: &str) -> Failure {
    Failure::command(format!(
        "The source is open, most likely in a server ({who}): stop it first, since what it writes from now on would not \
         be in the copy. To copy all the same, as for a trial, add --live."
    ))
}

fn started_meanwhile() -> Failure {
    Failure::command(
        "A server was started on the source while the copy was made. The target holds the copy, but not what that server \
         has written since: stop it, empty the target, and copy again.",
    )
}

/// What was done.
struct Done<'a> {
    copied: Copied,
    /// Tables of the source that are another program's.
    others: Vec<String>,
    /// The master key of both.
    key: &'a Candidate,
}

async fn from_source<'a>(
    source: &Snapshot,
    keys: &'a [Candidate],
    to: &Database,
    live: bool,
) -> Result<Done<'a>, Failure> {
    let key = fitting(source, keys).await?;
    let connections = source.other_connections().await.map_err(sentence)?;
    if connections > 0 && !live {
        return Err(in_use(&format!("{connections} connections")));
    }
    let others = source.other_tables().await.map_err(sentence)?;
    let target = Target::prepare(to).await?;
    let mut progress = Progress::new();
    let copied = source.copy_to(target.options(to), &mut |step| progress.show(step)).await;
    progress.end();
    let copied = copied.map_err(sentence)?;
    target.finish()?;
    if !live && source.other_connections().await.map_err(sentence)? > 0 {
        return Err(started_meanwhile());
    }
    Ok(Done { copied, others, key })
}

/// The key that the source was made with. Any fits one that holds none yet.
async fn fitting<'a>(source: &Snapshot, keys: &'a [Candidate]) -> Result<&'a Candidate, Failure> {
    for key in keys {
        if Service::is_master_key_of(source, &key.key).await.map_err(sentence)? != Some(false) {
            return Ok(key);
        }
    }
    Err(sentence(StartError::WrongMasterKey))
}

fn report(done: &Done<'_>, from: &Database, to: &Database, json: bool) -> Result<(), Failure> {
    let Done { copied, others, key } = done;
    let (is_new, tables) = match copied {
        Copied::Now(tables) => (true, tables),
        Copied::Before(tables) => (false, tables),
    };
    let rows: u64 = tables.iter().map(|table| table.sum.rows).sum();
    if json {
        let tables = tables
            .iter()
            .map(|table| json!({ "table": table.name, "rows": table.sum.rows, "checksum": checksum(table) }));
        let tables = tables.collect::<Vec<_>>();
        print_json(&json!({ "copied": is_new, "rows": rows, "tables": tables, "not_copied": others }))?;
    } else {
        let mut text = if is_new {
            format!("Copied {rows} rows from {} to {}. Both hold:\n", from.shown(), to.shown())
        } else {
            format!("There is nothing to do: {} holds every row of {} already:\n", to.shown(), from.shown())
        };
        for table in tables {
            text.push_str(&format!("  {:<22}{:>10}  {}\n", table.name, table.sum.rows, &checksum(table)[..16]));
        }
        print(&text)?;
    }
    if !others.is_empty() {
        let more = match others.len().saturating_sub(MOST_NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        print_note(&format!(
            "Not copied, since another program made them: {}{more}. What the server needs of them, such as accounts in a \
             table of another program's, must be at the target before it starts there.\n",
            others[..others.len().min(MOST_NAMED)].join(", ")
        ));
    }
    let key = key.file.as_ref().map(|file| format!(" (MAPAE_MASTER_KEY_FILE={})", absolute(file).display()));
    print_note(&format!(
        "Start the server on it with the same master key{}: DATABASE_URL={}\n",
        key.unwrap_or_default(),
        match to {
            Database::File(path) => format!("sqlite:///{}", absolute(path).display()),
            Database::Server(options) => {
                let url = no_password(&options.url);
                if url == options.url { url } else { format!("{url} with its password") }
            }
        }
    ));
    Ok(())
}

fn checksum(table: &CopiedTable) -> String {
    table.sum.checksum.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use rustix::process::Pid;

    use super::*;

    #[test]
    fn a_lock_of_a_process_that_is_not_seen_from_here_is_one() {
        let lock =
            |pid| Flock { start: 0, length: 1, pid, typ: FlockType::WriteLock, offset_type: FlockOffsetType::Set };
        assert_eq!(holder(&lock(Pid::from_raw(7))), "process 7");
        assert!(holder(&lock(None)).contains("another container"));
    }
}
