//! Everything that can be set, as plain types. Reading files and the environment is the binary's business.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::time::Duration;

use ipnet::IpNet;
use mapae_password::Context;
use mapae_password::policy::PasswordPolicy;
use mapae_verify::{Algorithm, Scopes};

use crate::domain::throttle::Limit;
use crate::domain::{BaseUrl, DeclaredScope, ScopeCatalogue, SecretText, UserMapping, scope};

/// How long an access token is good unless set otherwise, in seconds.
pub const DEFAULT_TOKEN_LIFETIME: u32 = 15 * 60;

/// How new tokens are signed.
#[derive(Clone, Debug)]
pub enum Signing {
    /// With a key pair that the service makes and keeps in its database.
    Generated(Algorithm),
    /// With a shared secret, its UTF-8 bytes, as the tutorials do (HS256, HS384, HS512). Whoever can verify such a
    /// token can also make one.
    SharedSecret(Algorithm, SecretText),
}

impl Signing {
    /// The algorithm of new tokens.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Generated(algorithm) | Self::SharedSecret(algorithm, _) => *algorithm,
        }
    }
}

/// Who may make an account over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signup {
    /// Anybody.
    Open,
    /// Nobody: accounts are made by `mapae user add`.
    Closed,
}

/// The pool that hashes passwords.
#[derive(Clone, Copy, Debug)]
pub struct HashPoolSettings {
    /// Hashes at the same time; each takes a core and the memory of one hash.
    pub threads: NonZeroUsize,
    /// Requests that may wait for a thread; the next is answered 503.
    pub queue: usize,
}

impl Default for HashPoolSettings {
    fn default() -> Self {
        Self { threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN), queue: 256 }
    }
}

/// How far guessing is slowed down. Only failures count.
#[derive(Clone, Copy, Debug)]
pub struct ThrottleSettings {
    /// For one name from one network, from one known device, or in one session.
    pub place: Limit,
    /// For one name from all places together from which it has not signed in lately. As an account has up to two names,
    /// a user name and an address, twice as many are possible for one account.
    pub account: Limit,
    /// From one network, for all names together; and as many of random secrets, such as refresh tokens.
    pub network: Limit,
}

impl Default for ThrottleSettings {
    /// For one account, by both its names, at most 100 in the first hour and 60 in each after that: OWASP ASVS 4.0.3
    /// V2.2.1 allows 100.
    fn default() -> Self {
        Self {
            place: Limit { failures: 10, seconds: 120 },
            account: Limit { failures: 20, seconds: 120 },
            network: Limit { failures: 100, seconds: 10 },
        }
    }
}

/// Bounds of the HTTP interface.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// The largest request body, in bytes.
    pub body_limit: usize,
    /// The longest that one request may take.
    pub request_timeout: Duration,
    /// Origins of other sites' pages that may call this service from a browser. Empty: none.
    pub cors_origins: Vec<String>,
    /// Networks of proxies that are believed when they say in `X-Forwarded-For` who called them. Empty: none.
    pub trusted_proxies: Vec<IpNet>,
    /// Serve the documentation pages and the OpenAPI document.
    pub docs: bool,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            body_limit: 64 * 1024,
            request_timeout: Duration::from_secs(30),
            cors_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            docs: true,
        }
    }
}

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The public address; also the issuer of tokens.
    pub base_url: BaseUrl,
    /// `aud` of tokens; empty means the base URL.
    pub audience: Vec<String>,
    /// How tokens are signed.
    pub signing: Signing,
    /// Shared secrets whose tokens are still accepted, beside the one that signs. Not used with key pairs.
    pub old_secret_keys: Vec<SecretText>,
    /// How long an access token is good, in seconds.
    pub access_token_lifetime: u32,
    /// How long a session lasts without a refresh, in seconds.
    pub session_idle: u32,
    /// How long a session lasts however often it is refreshed, in seconds.
    pub session_lifetime: u32,
    /// Difference between clocks that is tolerated when a token is checked, in seconds.
    pub leeway: u32,
    /// How long a personal access token is good at most, in seconds.
    pub personal_token_lifetime: u32,
    /// Kinds of things of the application's own, such as `car`, for which administrators may have tokens minted.
    pub subject_kinds: BTreeSet<String>,
    /// How long a new signing key is published before it signs, in seconds.
    pub next_key_min_age: u32,
    /// How long a key signs until the next one takes over by itself, in seconds; 0 for never.
    pub key_rotation: u32,
    /// Who may sign up.
    pub signup: Signup,
    /// The scopes that exist.
    pub scopes: ScopeCatalogue,
    /// The scopes of new accounts.
    pub default_scopes: Scopes,
    /// How passwords are hashed, and which hashes are accepted.
    pub passwords: Context,
    /// Hash not the password but an HMAC of it under this key, as Flask-Security does (its `SECURITY_PASSWORD_SALT`).
    pub password_hmac_key: Option<SecretText>,
    /// The user table of another application in the same database, if accounts are there.
    pub mapped_users: Option<UserMapping>,
    /// What new passwords must fulfil.
    pub password_policy: PasswordPolicy,
    /// The pool that hashes.
    pub hash_pool: HashPoolSettings,
    /// How long rows of the audit trail are kept, in days; 0 keeps them for good.
    pub audit_retention_days: u32,
    /// How far guessing is slowed down; `None` not at all.
    pub throttle: Option<ThrottleSettings>,
    /// Memory for verified tokens, in bytes.
    pub token_cache_bytes: u64,
    /// Bounds of the HTTP interface.
    pub http: HttpSettings,
}

impl Settings {
    /// The defaults, for this address.
    pub fn new(base_url: BaseUrl) -> Self {
        Self {
            base_url,
            audience: Vec::new(),
            signing: Signing::Generated(Algorithm::ES256),
            old_secret_keys: Vec::new(),
            access_token_lifetime: DEFAULT_TOKEN_LIFETIME,
            session_idle: 30 * 24 * 60 * 60,
            session_lifetime: 90 * 24 * 60 * 60,
            leeway: 5,
            personal_token_lifetime: 365 * 24 * 60 * 60,
            subject_kinds: BTreeSet::new(),
            next_key_min_age: 60 * 60,
            key_rotation: 90 * 24 * 60 * 60,
            signup: Signup::Closed,
            scopes: ScopeCatalogue::default(),
            default_scopes: Scopes::parse(scope::Me::NAME).unwrap_or_default(),
            passwords: Context::default(),
            password_hmac_key: None,
            mapped_users: None,
            password_policy: PasswordPolicy::default(),
            hash_pool: HashPoolSettings::default(),
            audit_retention_days: 365,
            throttle: Some(ThrottleSettings::default()),
            token_cache_bytes: 16 * 1024 * 1024,
            http: HttpSettings::default(),
        }
    }

    /// `aud` of tokens: as set, or the base URL.
    pub fn audiences(&self) -> Vec<&str> {
        if self.audience.is_empty() {
            vec![self.base_url.as_str()]
        } else {
            self.audience.iter().map(String::as_str).collect()
        }
    }
}
