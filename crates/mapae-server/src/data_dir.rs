//! The data directory, the master key in it, and the database file: made at the first start, together or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64_simd::URL_SAFE_NO_PAD;
use mapae::domain::{MasterKey, Rng, SecretText};
use zeroize::Zeroizing;

use crate::commands::Failure;
use crate::config::{Config, read_secret, reason};
use crate::start_lock::StartLock;

/// The file that holds the master key.
const KEY_FILE: &str = "master.key";

/// Whether there is a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DatabaseFile {
    /// No file, or an empty one.
    New,
    Existing,
}

/// What this start has made. Dropped without [`Made::keep`], it is taken back, and only then may others start here.
#[derive(Debug, Default)]
pub(crate) struct Made {
    files: Vec<PathBuf>,
    /// The deepest first.
    directories: Vec<PathBuf>,
    /// Held by a first start alone: what was there before is never taken back.
    lock: Option<StartLock>,
}

impl Made {
    /// Whether the tables are new.
    pub(crate) fn is_first_start(&self) -> bool {
        self.lock.is_some()
    }

    /// Leaves everything where it is.
    pub(crate) fn keep(mut self) {
        self.files.clear();
        self.directories.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // Whatever cannot be removed stays: there is nobody left to tell, and the failure itself is reported.
        for file in &self.files {
            let _ = fs::remove_file(file);
        }
        if let Some(lock) = &mut self.lock {
            lock.remove_files();
        }
        for directory in &self.directories {
            let _ = fs::remove_dir(directory);
        }
    }
}

/// Where the master key is, unless it is given.
pub(crate) fn key_path(config: &Config) -> PathBuf {
    config.data_dir.join(KEY_FILE)
}

/// Whether the configured database exists. One on a server does, as far as files tell.
///
/// # Errors
/// A sentence, if that cannot be told, or it cannot be a database.
pub(crate) fn database_file(config: &Config) -> Result<DatabaseFile, String> {
    let Some(file) = config.database.file() else { return Ok(DatabaseFile::Existing) };
    let path = file.display();
    match fs::metadata(file) {
        Ok(metadata) if metadata.is_dir() => Err(format!("The database {path} is a directory: name a file.")),
        Ok(metadata) if metadata.len() > 0 => Ok(DatabaseFile::Existing),
        Ok(_) => Ok(DatabaseFile::New),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(DatabaseFile::New),
        Err(error) => Err(format!("The database {path} cannot be read: {}.", reason(&error))),
    }
}

/// The master key that is given or lies in the data directory, if there is one.
///
/// # Errors
/// A sentence, if there is one that cannot be used.
pub(crate) fn find_key(config: &Config) -> Result<Option<MasterKey>, String> {
    if let Some(given) = &config.master_key {
        return to_key(given).map(Some);
    }
    read_key(&key_path(config))
}

/// The master key in this file, if there is one.
///
/// # Errors
/// A sentence, if there is one that cannot be used.
pub(crate) fn read_key(path: &Path) -> Result<Option<MasterKey>, String> {
    let shown = path.display();
    match fs::metadata(path) {
        Ok(metadata) if metadata.mode() & 0o077 != 0 => {
            tracing::warn!("the master key {shown} can be read by other users of this machine: chmod 600 {shown}");
        }
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("The master key {shown} cannot be read: {}.", reason(&error))),
    }
    let text = read_secret(path)
        .map_err(|reason| format!("The master key {shown} {reason}; put it right, or restore it from the backup."))?;
    to_key(&text).map(Some).map_err(|_| {
        format!("The master key {shown} is shorter than 32 bytes, so it is not what was made here; restore it from the backup.")
    })
}

/// The sentence for a database whose key is gone, or was never given.
pub(crate) fn key_is_missing(config: &Config) -> String {
    let key = key_path(config);
    match config.database.file() {
        Some(file) => format!(
            "The master key {} is missing, and the database {} cannot be used without it: restore it from the backup, or \
             give it as MAPAE_MASTER_KEY.",
            key.display(),
            file.display()
        ),
        None => "The master key is not given. On PostgreSQL none is made, since every node needs the same: print one with \
                 `mapae secret generate`, keep it with the backups, and give it to every node as MAPAE_MASTER_KEY, or in a \
                 file that MAPAE_MASTER_KEY_FILE names."
            .to_owned(),
    }
}

/// Makes what a new SQLite database needs: the directory, its file, and a key if there is none yet. `needs_tables` says whether
/// the database is new, which is so only until another start has made it; so it is asked while no other start can.
///
/// # Errors
/// A sentence that says what to do. Nothing is left behind then.
pub(crate) async fn prepare(
    config: &Config,
    needs_tables: impl AsyncFn() -> Result<bool, Failure>,
    rng: &dyn Rng,
) -> Result<(MasterKey, Made), Failure> {
    let mut made = Made::default();
    let Some(file) = config.database.file() else {
        let key = find_key(config)?.ok_or_else(|| key_is_missing(config))?;
        return Ok((key, made));
    };
    loop {
        let lock = StartLock::take(config).await?;
        let new_tables = needs_tables().await?;
        match lock.data_dir() {
            _ if !new_tables => {
                let key = find_key(config)?.ok_or_else(|| key_is_missing(config))?;
                return Ok((key, made));
            }
            Ok(()) => {
                made.lock = Some(lock);
                let key = match find_key(config)? {
                    Some(key) => key,
                    None => make_key(&key_path(config), rng, &mut made)?,
                };
                make_database(file, &mut made)?;
                return Ok((key, made));
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                make_directory(&config.data_dir, &mut made)
                    .map_err(|error| data_dir_fails(config, "cannot be made", &error))?;
            }
            Err(error) => return Err(data_dir_fails(config, "cannot be written", error).into()),
        }
    }
}

fn data_dir_fails(config: &Config, what: &str, error: &io::Error) -> String {
    format!(
        "The data directory {} {what}: {}. Choose one that this user may write with --data-dir or MAPAE_DATA_DIR.",
        config.data_dir.display(),
        reason(error)
    )
}

fn make_directory(path: &Path, made: &mut Made) -> io::Result<()> {
    let missing: Vec<_> = path.ancestors().take_while(|part| !part.as_os_str().is_empty() && !part.exists()).collect();
    made.directories.extend(missing.into_iter().map(Path::to_owned));
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes a key of 256 random bits. The file appears whole or not at all, and an existing one is never replaced.
fn make_key(path: &Path, rng: &dyn Rng, made: &mut Made) -> Result<MasterKey, String> {
    let mut bytes = Zeroizing::new([0; 32]);
    rng.fill(bytes.as_mut());
    let text = SecretText::new(URL_SAFE_NO_PAD.encode_to_string(bytes.as_ref()));
    write_new(path, text.expose(), rng, made).map_err(|error| {
        format!(
            "The master key {} cannot be written: {}. Let this user write that directory, or choose another with \
             --data-dir or MAPAE_DATA_DIR.",
            path.display(),
            reason(&error)
        )
    })?;
    to_key(&text)
}

fn write_new(path: &Path, text: &str, rng: &dyn Rng, made: &mut Made) -> io::Result<()> {
    let mut number = [0; 9];
    rng.fill(&mut number);
    // A name that no start has used: a draft left by one that was killed may be the key itself by another name.
    let draft = path.with_extension(format!("key.{}", URL_SAFE_NO_PAD.encode_to_string(number)));
    let mut file = private_file(&draft)?;
    let mut write = || {
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::hard_link(&draft, path)?;
        made.files.push(path.to_owned());
        Ok(())
    };
    let written = write();
    let removed = fs::remove_file(&draft);
    written.and(removed)?;
    // The name itself must be on disk before a database depends on it.
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

/// SQLite would make the file readable for everybody.
fn make_database(path: &Path, made: &mut Made) -> Result<(), String> {
    match private_file(path) {
        Ok(_) => {
            for suffix in ["", "-wal", "-shm"] {
                let mut name = path.as_os_str().to_owned();
                name.push(suffix);
                made.files.push(name.into());
            }
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(format!(
            "The database {} cannot be made: {}. Its directory must exist and this user must be able to write it.",
            path.display(),
            reason(&error)
        )),
    }
}

pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

pub(crate) fn to_key(text: &SecretText) -> Result<MasterKey, String> {
    MasterKey::new(text.expose().as_bytes().to_vec()).map_err(|error| format!("{error}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Always(u8);

    impl Rng for Always {
        fn fill(&self, buf: &mut [u8]) {
            buf.fill(self.0);
        }
    }

    #[test]
    fn a_key_never_goes_over_another_file() {
        let directory = tempfile::tempdir().unwrap();
        let key = directory.path().join(KEY_FILE);
        fs::write(&key, "the key").unwrap();
        // Killed between linking and removing the draft: both names are the same file.
        let draft = key.with_extension(format!("key.{}", URL_SAFE_NO_PAD.encode_to_string([7; 9])));
        fs::hard_link(&key, &draft).unwrap();
        for number in [7, 8] {
            let mut made = Made::default();
            make_key(&key, &Always(number), &mut made).unwrap_err();
            drop(made);
            assert_eq!(fs::read_to_string(&key).unwrap(), "the key");
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "the second try left no draft of its own");
    }
}
