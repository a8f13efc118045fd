//! Replacing the master key, so that whenever this is cut off what is left can be started.
//!
//! The new key lies beside the old one before the database is changed, and takes its name afterwards. In between both are
//! there, and the database knows which one is right.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use base64_simd::URL_SAFE_NO_PAD;
use mapae::Mapae;
use mapae::domain::{MasterKey, Rng, SecretText};
use mapae::service::{By, Service};
use mapae::store::Store;
use zeroize::Zeroizing;

use crate::commands::{Failure, sentence};
use crate::config::{Config, read_secret, reason, weakness};
use crate::data_dir::{find_key, key_path, private_file, read_key, to_key};
use crate::start_lock::{self, StartLock};

/// A key of 256 random bits, as text that needs no quoting anywhere.
pub(crate) fn random_key(rng: &dyn Rng) -> SecretText {
    let mut key = Zeroizing::new([0; 32]);
    rng.fill(key.as_mut());
    SecretText::new(URL_SAFE_NO_PAD.encode_to_string(key.as_ref()))
}

/// The new key while it does not have the old one's name.
fn new_path(config: &Config) -> PathBuf {
    key_path(config).with_extension("key.new")
}

/// The names that keys have in the data directory, and the lock of a start.
pub(crate) fn names(config: &Config) -> [PathBuf; 3] {
    [key_path(config), new_path(config), config.data_dir.join(start_lock::FILE)]
}

/// Whether a rotation has begun that did not come to its end.
pub(crate) fn is_unsettled(config: &Config) -> bool {
    config.master_key.is_none() && new_path(config).exists()
}

/// A key that may be the database's.
pub(crate) struct Candidate {
    pub(crate) key: MasterKey,
    /// Where it was read, unless it was given.
    pub(crate) file: Option<PathBuf>,
}

/// The master key that is given or lies in the data directory, and the new one of a rotation that did not come to its end,
/// which may be the right one by now.
///
/// # Errors
/// A sentence, if there is a master key that cannot be used.
pub(crate) fn candidates(config: &Config) -> Result<Vec<Candidate>, String> {
    let file = config.master_key.is_none().then(|| key_path(config));
    let known = find_key(config)?.map(|key| Candidate { key, file });
    let is_unsettled = is_unsettled(config);
    let new = is_unsettled.then(|| read_key(&new_path(config)).ok().flatten()).flatten();
    let new = new.map(|key| Candidate { key, file: Some(new_path(config)) });
    Ok([known, new].into_iter().flatten().collect())
}

/// Ends a rotation that was cut off: the key that the database was encrypted with last is `master.key` from now on.
///
/// # Errors
/// A sentence, if neither key opens the database, or the files cannot be changed.
pub(crate) async fn settle(config: &Config, store: &Store) -> Result<(), Failure> {
    if !is_unsettled(config) {
        return Ok(());
    }
    // A rotation that is under way holds this.
    let _lock = StartLock::take(config).await?;
    settle_locked(config, store).await
}

async fn settle_locked(config: &Config, store: &Store) -> Result<(), Failure> {
    let (old, new) = (key_path(config), new_path(config));
    // Of a database without keys yet, the old one is as right as any.
    let opens = async |path: &Path, in_new_database: bool| match read_key(path) {
        Ok(Some(key)) => {
            let opens = Service::is_master_key(store, &key).await.map_err(sentence)?;
            Ok::<_, Failure>(opens.unwrap_or(in_new_database))
        }
        // A file that was not written to its end is no key, and nothing depends on it.
        Ok(None) | Err(_) => Ok(false),
    };
    if !new.exists() {
        return Ok(());
    }
    if opens(&new, false).await? {
        replace(&new, &old).map_err(|error| file_fails(&old, &error))?;
        tracing::warn!("a rotation of the master key that was cut off has been completed");
    } else if opens(&old, true).await? {
        fs::remove_file(&new).map_err(|error| file_fails(&new, &error))?;
        tracing::warn!("a rotation of the master key that was cut off has been taken back");
    } else {
        return Err(Failure::command(format!(
            "Neither {} nor {} is the master key of the database: restore it from the backup.",
            old.display(),
            new.display()
        )));
    }
    Ok(())
}

/// Replaces the key in the data directory. How many things it protects, and how many sessions ended.
///
/// # Errors
/// A sentence. What is there then can be started as before.
pub(crate) async fn rotate(
    config: &Config,
    mapae: &Mapae,
    by: By<'_>,
    leaked: bool,
    rng: &dyn Rng,
) -> Result<mapae::service::MasterRotation, Failure> {
    let _lock = StartLock::take(config).await?;
    settle_locked(config, mapae.store()).await?;
    let (old, new) = (key_path(config), new_path(config));
    let text = random_key(rng);
    write(&new, &text).map_err(|error| file_fails(&new, &error))?;
    match mapae.rotate_master_key(to_key(&text)?, leaked, by).await {
        Ok(done) => {
            replace(&new, &old).map_err(|error| file_fails(&old, &error))?;
            Ok(done)
        }
        Err(error) => {
            // The commit may have been made although its answer was lost.
            settle_locked(config, mapae.store()).await?;
            Err(sentence(error))
        }
    }
}

/// The new key that the file holds; a new file gets a new one.
///
/// # Errors
/// A sentence, if it cannot be used.
pub(crate) fn read_or_make(path: &Path, rng: &dyn Rng) -> Result<MasterKey, Failure> {
    if let Some(key) = read_key(path)? {
        let text = read_secret(path).map_err(|reason| Failure::command(format!("{} {reason}.", path.display())))?;
        if let Some(weakness) = weakness(text.expose()) {
            let shown = path.display();
            return Err(Failure::command(format!("The key in {shown} cannot be used: it {weakness}.")));
        }
        return Ok(key);
    }
    let text = random_key(rng);
    write(path, &text).map_err(|error| file_fails(path, &error))?;
    Ok(to_key(&text)?)
}

/// Writes a key that is on disk, with its name, when this returns.
fn write(path: &Path, text: &SecretText) -> io::Result<()> {
    let mut file = private_file(path)?;
    file.write_all(text.expose().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    sync_directory(path)
}

/// Gives one file the name of another, at once and for good.
fn replace(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_directory(to)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

fn file_fails(path: &Path, error: &io::Error) -> Failure {
    let what = if error.kind() == ErrorKind::AlreadyExists { "is there already" } else { "cannot be written" };
    Failure::command(format!("The key file {} {what}: {}.", path.display(), reason(error)))
}
