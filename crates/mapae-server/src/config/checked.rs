//! The configuration as the rest of the program uses it: typed, checked, complete.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use mapae::domain::{BaseUrl, ScopeCatalogue, SecretText, UserMapping};
use mapae::service::BreachedPasswordFile;
use mapae::settings::{Signing, ThrottleSettings};
use mapae_password::{Argon2Params, Costs, Format, Peppers};
use mapae_verify::Scopes;
use url::Url;

use super::database::Database;
use super::listen::Listen;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    Text,
    Json,
}

/// The first administrator of an unattended start.
#[derive(Clone, Debug)]
pub(crate) struct FirstAdmin {
    pub(crate) email: String,
    pub(crate) password: SecretText,
}

/// The user table of another application.
#[derive(Clone, Debug)]
pub(crate) struct SharedUsers {
    pub(crate) mapping: UserMapping,
    /// The format of new hashes.
    pub(crate) format: Format,
    /// Their cost in Argon2, unless `argon2_…` say it.
    pub(crate) argon2: Option<Argon2Params>,
    /// Their cost in other formats.
    pub(crate) costs: Costs,
    /// What Flask-Security calls its salt.
    pub(crate) hmac_key: Option<SecretText>,
}

/// Configuration in order.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) listen: Listen,
    pub(crate) data_dir: PathBuf,
    pub(crate) database: Database,
    /// As configured; see [`Config::base_url`].
    pub(crate) base_url: Option<BaseUrl>,
    pub(crate) signing: Signing,
    /// Shared secrets whose tokens are still accepted.
    pub(crate) old_secret_keys: Vec<SecretText>,
    /// In seconds; 0 for never.
    pub(crate) key_rotation: u32,
    /// The master key, unless it is in the data directory.
    pub(crate) master_key: Option<SecretText>,
    /// In seconds.
    pub(crate) access_token_lifetime: u32,
    /// In seconds.
    pub(crate) session_idle: u32,
    /// In seconds.
    pub(crate) session_lifetime: u32,
    /// In seconds.
    pub(crate) personal_token_lifetime: u32,
    /// Kinds of things for which administrators may have tokens minted.
    pub(crate) subject_kinds: BTreeSet<String>,
    /// In seconds.
    pub(crate) leeway: u32,
    /// Empty means the base URL.
    pub(crate) audience: Vec<String>,
    pub(crate) signup_open: bool,
    pub(crate) scopes: ScopeCatalogue,
    pub(crate) default_scopes: Scopes,
    /// Origins as browsers write them.
    pub(crate) cors_origins: Vec<String>,
    /// Proxies that are believed when they say who called them.
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) password_min_length: usize,
    pub(crate) breached_passwords: Option<BreachedPasswordFile>,
    pub(crate) argon2: Argon2Params,
    pub(crate) peppers: Peppers,
    /// The user table of another application, if accounts are there.
    pub(crate) users: Option<SharedUsers>,
    pub(crate) hash_threads: NonZeroUsize,
    pub(crate) hash_queue: usize,
    /// `None` if guessing is not slowed down.
    pub(crate) throttle: Option<ThrottleSettings>,
    pub(crate) body_limit_bytes: usize,
    pub(crate) request_timeout: Duration,
    pub(crate) shutdown_grace: Duration,
    pub(crate) metrics_listen: Option<Listen>,
    /// The collector that traces are sent to, if they are made.
    pub(crate) traces_endpoint: Option<Url>,
    /// 0 keeps them for good.
    pub(crate) audit_retention_days: u32,
    pub(crate) log_format: LogFormat,
    pub(crate) log_level: tracing::Level,
    pub(crate) first_admin: Option<FirstAdmin>,
    pub(crate) migrate: bool,
}

impl Config {
    /// The URL by which clients reach the server, when it listens on `port` (which `listen` may have left open).
    pub(crate) fn base_url(&self, port: u16) -> BaseUrl {
        let local = || BaseUrl::parse(&self.listen.local_url(port)).expect("host and port were checked");
        self.base_url.clone().unwrap_or_else(local)
    }
}
