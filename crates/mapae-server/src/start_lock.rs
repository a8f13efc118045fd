//! One start at a time in one place. A first start that fails takes back what it has made, so until that is settled no
//! other process may use it.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{Config, reason};

/// In the data directory.
pub(crate) const FILE: &str = "start.lock";
/// After the name of the database, which may be shared by several data directories.
pub(crate) const SUFFIX: &str = "-lock";
/// Between two looks at a lock that another start holds.
const PAUSE: Duration = Duration::from_millis(10);
/// A start that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// The exclusive locks of the data directory and of the database. Their files are there only while somebody holds or
/// awaits them.
#[derive(Debug)]
pub(crate) struct StartLock {
    held: Vec<File>,
    files: Vec<PathBuf>,
    /// Whether the data directory is locked, or why not.
    data_dir: io::Result<()>,
}

impl StartLock {
    /// Waits for other starts to end. A place that is missing or cannot be written is left unlocked: this process can
    /// make nothing there either.
    ///
    /// # Errors
    /// A sentence, if another start does not end.
    pub(crate) async fn take(config: &Config) -> Result<Self, String> {
        let mut lock = Self { held: Vec::new(), files: Vec::new(), data_dir: Ok(()) };
        // Always in this order, so that no two starts wait for each other.
        lock.data_dir = lock.add(config.data_dir.join(FILE)).await?;
        // A server has no file beside it, and no start there takes anything back.
        let Some(file) = config.database.file() else { return Ok(lock) };
        lock.add_beside(file).await?;
        Ok(lock)
    }

    /// Waits for starts that use this file to end, and keeps others from beginning.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub(crate) async fn beside_database(file: &Path) -> Result<Self, String> {
        let mut lock = Self { held: Vec::new(), files: Vec::new(), data_dir: Ok(()) };
        lock.add_beside(file).await?;
        Ok(lock)
    }

    /// Whether the data directory is locked; if not, why.
    pub(crate) fn data_dir(&self) -> Result<(), &io::Error> {
        self.data_dir.as_ref().copied()
    }

    /// Removes the lock files. The locks are held until this is dropped, but a new start need not wait any more.
    pub(crate) fn remove_files(&mut self) {
        for file in self.files.drain(..) {
            // One that stays does no harm.
            let _ = fs::remove_file(file);
        }
    }

    async fn add_beside(&mut self, database: &Path) -> Result<(), String> {
        let mut beside = OsString::from(database);
        beside.push(SUFFIX);
        // Without it the database cannot be made either, which is said there.
        let _ = self.add(beside.into()).await?;
        Ok(())
    }

    async fn add(&mut self, path: PathBuf) -> Result<io::Result<()>, String> {
        match tokio::time::timeout(PATIENCE, lock(&path)).await {
            Ok(Ok(file)) => {
                self.held.push(file);
                self.files.push(path);
                Ok(Ok(()))
            }
            Ok(Err(error)) => Ok(Err(error)),
            Err(_) => Err(format!(
                "Another `mapae` that is starting here, or copies this database, holds {} and does not come to an end: wait \
                 for it or stop it, and try again.",
                path.display()
            )),
        }
    }
}

impl Drop for StartLock {
    fn drop(&mut self) {
        self.remove_files();
    }
}

async fn lock(path: &Path) -> io::Result<File> {
    loop {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
                Err(TryLockError::Error(error)) => {
                    return Err(io::Error::new(error.kind(), format!("files cannot be locked ({})", reason(&error))));
                }
            }
        }
        // The one who held it has removed the file: a lock on what nobody else finds is none.
        if is_at(&file, path)? {
            return Ok(file);
        }
    }
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let held = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((held.dev(), held.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
