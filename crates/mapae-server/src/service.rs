//! From configuration to a running service.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mapae::domain::{BaseUrl, MasterKey, SystemRng};
use mapae::settings::{HashPoolSettings, HttpSettings, Signup};
use mapae::store::{DatabaseOptions, Migrate, NodeClock, OpenError, Store};
use mapae::{Mapae, Settings};
use mapae_password::policy::BreachedPasswords;
use mapae_password::{Context, FormatSet};
use mapae_verify::{Clock, SystemClock};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use crate::commands::{Failure, sentence};
use crate::config::{Config, Database};
use crate::data_dir::{self, DatabaseFile, Made};
use crate::key_file;
use crate::start_lock::StartLock;

/// What stays as it is in the path of a database URL.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');

/// The system's clock, for what happens without a database.
pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// The database as the library names it.
pub(crate) fn database(config: &Config) -> DatabaseOptions {
    options(&config.database)
}

/// Any database as the library names it.
pub(crate) fn options(database: &Database) -> DatabaseOptions {
    match database {
        Database::File(path) => sqlite_options(path),
        Database::Server(options) => (**options).clone(),
    }
}

/// A SQLite file as the library names it.
pub(crate) fn sqlite_options(path: &Path) -> DatabaseOptions {
    let path = absolute(path);
    DatabaseOptions::new(format!("sqlite://{}", percent_encode(path.as_os_str().as_bytes(), IN_PATH)))
}

/// The path from the root on. Without a working directory it stays relative, and fails where it is used.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The library's settings, for a service that clients reach by `base_url`.
pub(crate) fn settings(config: &Config, base_url: BaseUrl) -> Settings {
    let mut settings = Settings::new(base_url);
    settings.audience = config.audience.clone();
    settings.signing = config.signing.clone();
    settings.old_secret_keys = config.old_secret_keys.clone();
    settings.key_rotation = config.key_rotation;
    settings.access_token_lifetime = config.access_token_lifetime;
    settings.session_idle = config.session_idle;
    settings.session_lifetime = config.session_lifetime;
    settings.personal_token_lifetime = config.personal_token_lifetime;
    settings.subject_kinds = config.subject_kinds.clone();
    settings.leeway = config.leeway;
    settings.signup = if config.signup_open { Signup::Open } else { Signup::Closed };
    settings.scopes = config.scopes.clone();
    settings.default_scopes = config.default_scopes.clone();
    settings.passwords = password_context(config);
    settings.mapped_users = config.users.as_ref().map(|users| users.mapping.clone());
    settings.password_hmac_key = config.users.as_ref().and_then(|users| users.hmac_key.clone());
    settings.password_policy.min_length = config.password_min_length;
    settings.password_policy.breached =
        config.breached_passwords.clone().map(|file| -> Arc<dyn BreachedPasswords> { Arc::new(file) });
    settings.hash_pool = HashPoolSettings { threads: config.hash_threads, queue: config.hash_queue };
    settings.audit_retention_days = config.audit_retention_days;
    settings.throttle = config.throttle;
    settings.http = HttpSettings {
        body_limit: config.body_limit_bytes,
        request_timeout: config.request_timeout,
        cors_origins: config.cors_origins.clone(),
        trusted_proxies: config.trusted_proxies.clone(),
        ..HttpSettings::default()
    };
    settings
}

/// How passwords are hashed, and which hashes are accepted.
pub(crate) fn password_context(config: &Config) -> Context {
    let mut context = Context { argon2: config.argon2, peppers: config.peppers.clone(), ..Context::default() };
    if let Some(users) = &config.users {
        context.write = users.format;
        context.argon2 = users.argon2.unwrap_or(context.argon2);
        context.deprecated = FormatSet::all().without(users.format);
        context.costs = users.costs.clone();
    }
    // What is set on purpose is not too expensive.
    context.limits.max_memory_kib = context.limits.max_memory_kib.max(context.argon2.memory_kib());
    context
}

/// Starts the service for the server: on an empty place this makes everything.
///
/// # Errors
/// A sentence that says what to do; nothing is left behind then. Whoever gives up later closes the store and then drops
/// what was made: SQLite would tidy up by name, and by then the name may be another start's.
pub(crate) async fn start(config: &Config, base_url: BaseUrl) -> Result<(Mapae, Made), Failure> {
    settle_key(config).await?;
    let (key, made) = data_dir::prepare(config, async || needs_tables(config, false).await, &SystemRng).await?;
    let migrate = if config.migrate { Migrate::Apply } else { Migrate::Never };
    let (store, clock) = open(config, migrate).await?;
    match Mapae::start(store.clone(), settings(config, base_url), key, clock).await {
        Ok(mapae) => Ok((mapae, made)),
        Err(error) => {
            store.close().await;
            Err(sentence(error))
        }
    }
}

/// Ends a rotation of the master key that was cut off, if there was one.
async fn settle_key(config: &Config) -> Result<(), Failure> {
    if !key_file::is_unsettled(config) || data_dir::database_file(config)? == DatabaseFile::New {
        return Ok(());
    }
    let store = Store::open(database(config), false, Migrate::Never, clock()).await;
    // Whatever is wrong with it is said by the start itself.
    let Ok(store) = store else { return Ok(()) };
    let settled = key_file::settle(config, &store).await;
    store.close().await;
    settled
}

/// Opens the database, with the clock that goes with it.
async fn open(config: &Config, migrate: Migrate) -> Result<(Store, Arc<NodeClock>), Failure> {
    let clock = Arc::new(NodeClock::default());
    let store = Store::open(database(config), false, migrate, clock.clone()).await.map_err(sentence)?;
    if let Err(error) = store.keep_time(clock.clone()).await {
        store.close().await;
        return Err(sentence(error));
    }
    Ok((store, clock))
}

/// Starts the service for a command that works on the database of a server, which may be running.
///
/// # Errors
/// As [`existing`].
pub(crate) async fn attach(config: &Config) -> Result<Mapae, Failure> {
    let (store, clock, key) = existing(config).await?;
    let base_url = config.base_url(config.listen.port);
    Mapae::attach(store, settings(config, base_url), key, clock).await.map_err(sentence)
}

/// Opens the database of a server, which may be running, with its clock and the master key that should fit.
///
/// # Errors
/// A sentence that says what to do, also when there is no database yet: making one in the wrong directory would only
/// hide the mistake.
pub(crate) async fn existing(config: &Config) -> Result<(Store, Arc<NodeClock>, MasterKey), Failure> {
    // A first start that is under way may yet take its database back.
    let lock = StartLock::take(config).await?;
    let file = data_dir::database_file(config)?;
    drop(lock);
    if file == DatabaseFile::New {
        return Err(no_database(config));
    }
    // Before the key, so that another program's database is called that, and not one without a key.
    let (store, clock) = open(config, Migrate::Never).await?;
    key_file::settle(config, &store).await?;
    let key = data_dir::find_key(config)?.ok_or_else(|| data_dir::key_is_missing(config))?;
    Ok((store, clock, key))
}

/// What a command says that finds no database.
pub(crate) fn no_database(config: &Config) -> Failure {
    Failure::command(format!(
        "There is no database {} yet: start `mapae` once, or say where it is with --data-dir or MAPAE_DATA_DIR.",
        config.database.file().unwrap_or(Path::new("")).display()
    ))
}

/// Makes or updates the tables; the names of the migrations that were missing.
///
/// # Errors
/// As [`start`].
pub(crate) async fn migrate(config: &Config, adopt: bool) -> Result<Vec<String>, Failure> {
    let (_key, made) = data_dir::prepare(config, async || needs_tables(config, adopt).await, &SystemRng).await?;
    let migrate = if adopt { Migrate::Adopt } else { Migrate::Apply };
    let status = Store::migrate(database(config), false, migrate).await.map_err(sentence)?;
    made.keep();
    Ok(status.pending)
}

/// Whether our tables are not there yet, so that a key may be made together with them. Another program's database is
/// refused unless it is adopted.
async fn needs_tables(config: &Config, adopt: bool) -> Result<bool, Failure> {
    if data_dir::database_file(config)? == DatabaseFile::New {
        return Ok(true);
    }
    match Store::migrate(database(config), false, Migrate::Never).await {
        Ok(_) | Err(OpenError::Pending { .. }) => Ok(false),
        Err(OpenError::NotOurs { .. }) if adopt => Ok(true),
        Err(error) => Err(sentence(error)),
    }
}
