//! From single values to a configuration whose parts fit together.

mod database;
mod keys;
mod network;
mod passwords;
mod subject_kinds;
mod users;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mapae::domain::DeclaredScope;
use mapae::domain::scope::Admin;
use mapae::domain::{BaseUrl, ScopeCatalogue, SecretText};
use mapae_verify::Scopes;
use url::{Host, Url};

use super::checked::{Config, FirstAdmin, LogFormat};
use super::listen::{Listen, Part};
use super::resolve::{Resolved, read_secret};
use super::setting::setting;
use super::value::{Value, quoted};

/// Checks everything, fills the defaults that follow other settings into `resolved`, and makes the configuration if
/// nothing is wrong.
pub(crate) fn check(
    resolved: &mut [Resolved],
    problems: &mut Vec<String>,
    warnings: &mut Vec<String>,
) -> Option<Config> {
    let before = problems.len();
    let mut checker = Checker { resolved, problems, warnings };
    let listen = checker.listen();
    let base_url = checker.base_url(&listen);
    let data_dir = PathBuf::from(checker.text("data_dir").unwrap_or_default());
    let database = checker.database(&data_dir);
    let (signing, master_key) = checker.keys();
    let audience = checker.audience();
    let signup_open = checker.signup(&listen);
    let (scopes, default_scopes) = checker.scopes();
    let config = Config {
        base_url,
        database,
        data_dir,
        old_secret_keys: checker.old_secret_keys(&signing),
        signing,
        key_rotation: checker.days("key_rotation_days"),
        master_key,
        access_token_lifetime: checker.lifetime(),
        session_idle: checker.days("session_idle_days"),
        session_lifetime: checker.days("session_max_days"),
        personal_token_lifetime: checker.days("personal_token_max_days"),
        subject_kinds: checker.subject_kinds(),
        leeway: checker.number("leeway_seconds"),
        audience,
        signup_open,
        scopes,
        default_scopes,
        cors_origins: checker.cors_origins(),
        trusted_proxies: checker.trusted_proxies(),
        password_min_length: checker.number("password_min_length"),
        breached_passwords: checker.breached_passwords(),
        argon2: checker.argon2(),
        peppers: checker.peppers(),
        users: checker.users(),
        hash_threads: checker.hash_threads(),
        hash_queue: checker.number("hash_queue"),
        throttle: checker.throttle(),
        body_limit_bytes: checker.number::<usize>("body_limit_kib") * 1024,
        request_timeout: checker.seconds("request_timeout_seconds"),
        shutdown_grace: checker.seconds("shutdown_grace_seconds"),
        metrics_listen: checker.metrics_listen(),
        traces_endpoint: checker.traces_endpoint(),
        audit_retention_days: checker.number("audit_retention_days"),
        log_format: match checker.text("log_format").as_deref() {
            Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            _ => LogFormat::Auto,
        },
        log_level: checker.text("log_level").and_then(|level| level.parse().ok()).unwrap_or(tracing::Level::INFO),
        first_admin: checker.first_admin(),
        migrate: !matches!(checker.get("no_migrate").value, Some(Value::Switch(true))),
        listen,
    };
    (checker.problems.len() == before).then_some(config)
}

/// Why a URL is refused that may hold a password, and so must not be quoted.
const NO_USER: &str = "cannot be used: it must be an absolute http or https URL without a user name or password";

/// What stands between several secrets in one setting, and so in none of them.
const SECRETS_APART: [char; 5] = [',', ' ', '\t', '\r', '\n'];

/// One pass over the settings. A value that was refused earlier reads as its type's default here, which is harmless:
/// its problem already keeps the configuration from being used.
struct Checker<'a> {
    resolved: &'a mut [Resolved],
    problems: &'a mut Vec<String>,
    warnings: &'a mut Vec<String>,
}

impl Checker<'_> {
    fn get(&self, name: &str) -> &Resolved {
        let position = self.resolved.iter().position(|one| one.setting.name == name);
        &self.resolved[position.expect("the name of a setting in the table")]
    }

    /// Keeps the value that is really used, so that it is shown.
    fn set(&mut self, name: &str, value: Value) {
        if let Some(one) = self.resolved.iter_mut().find(|one| one.setting.name == name) {
            one.value = Some(value);
        }
    }

    /// Forgets a value that was refused, so that it is neither shown nor used for others.
    fn clear(&mut self, name: &str) {
        if let Some(one) = self.resolved.iter_mut().find(|one| one.setting.name == name) {
            one.value = None;
        }
    }

    fn refuse(&mut self, name: &str, reason: &str) {
        let sentence = format!("{} {reason}.", self.get(name).subject());
        self.problems.push(sentence);
    }

    fn text(&self, name: &str) -> Option<String> {
        match &self.get(name).value {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }

    fn list(&self, name: &str) -> Vec<String> {
        match &self.get(name).value {
            Some(Value::List(items)) => items.clone(),
            _ => Vec::new(),
        }
    }

    fn secret(&self, name: &str) -> Option<SecretText> {
        match &self.get(name).value {
            Some(Value::Secret(secret)) => Some(secret.clone()),
            _ => None,
        }
    }

    fn number<N: TryFrom<u64> + Default>(&self, name: &str) -> N {
        match self.get(name).value {
            Some(Value::Integer(number)) => N::try_from(number).unwrap_or_default(),
            _ => N::default(),
        }
    }

    fn seconds(&self, name: &str) -> Duration {
        Duration::from_secs(self.number(name))
    }

    fn listen(&self) -> Listen {
        let part = self.text("listen").and_then(|text| Part::parse(&text).ok()).unwrap_or_default();
        Listen { host: part.host.unwrap_or_default(), port: part.port.unwrap_or_default() }
    }

    fn base_url(&mut self, listen: &Listen) -> Option<BaseUrl> {
        let Some(text) = self.text("base_url") else {
            if !self.get("base_url").is_given() && !listen.host.is_empty() {
                let local = listen.local_url(listen.port);
                if !listen.is_loopback() {
                    self.warnings.push(format!(
                        "base_url is not set, so tokens name {local} as their issuer; set MAPAE_BASE_URL to the URL \
                         that clients use."
                    ));
                }
                self.set("base_url", Value::Text(local));
            }
            return None;
        };
        match BaseUrl::parse(&text) {
            Ok(url) => {
                if !url.is_https() && !is_loopback_url(&url) {
                    self.warnings.push(format!(
                        "{} is not https, so passwords and tokens can be read on the way.",
                        self.get("base_url").subject()
                    ));
                }
                self.set("base_url", Value::Text(url.to_string()));
                Some(url)
            }
            Err(error) => {
                match quoted(&text) {
                    Some(_) => self.refuse("base_url", &format!("cannot be used: {error}")),
                    None => self.refuse("base_url", NO_USER),
                }
                self.clear("base_url");
                None
            }
        }
    }

    fn lifetime(&mut self) -> u32 {
        let minutes: u32 = self.number("access_token_expire_minutes");
        if minutes > 60 {
            self.warnings.push(format!(
                "{} is {minutes}: a stolen access token works that many minutes on servers that only check its \
                 signature; 60 or fewer is advised.",
                self.get("access_token_expire_minutes").subject()
            ));
        }
        minutes * 60
    }

    /// Days, in seconds.
    fn days(&self, name: &str) -> u32 {
        self.number::<u32>(name) * 24 * 60 * 60
    }

    fn audience(&mut self) -> Vec<String> {
        let audience = self.list("audience");
        if audience.is_empty()
            && let Some(base_url) = self.text("base_url")
        {
            self.set("audience", Value::List(vec![base_url]));
        }
        audience
    }

    fn signup(&mut self, listen: &Listen) -> bool {
        if let Some(word) = self.text("signup") {
            return word == "open";
        }
        let open = listen.is_loopback();
        if !self.get("signup").is_given() && !listen.host.is_empty() {
            self.set("signup", Value::Text(if open { "open" } else { "closed" }.to_owned()));
        }
        open
    }

    fn scopes(&mut self) -> (ScopeCatalogue, Scopes) {
        let mut catalogue = ScopeCatalogue::default();
        let declared = match &self.get("scopes").value {
            Some(Value::Scopes(scopes)) => scopes.clone(),
            _ => BTreeMap::new(),
        };
        for (name, description) in &declared {
            if description.is_empty() {
                self.refuse("scopes", &format!("gives no description for {name:?}"));
            } else if let Err(error) = catalogue.declare(name, description) {
                self.refuse("scopes", &format!("cannot be used: {error}"));
            }
        }
        let defaults = Scopes::parse(&self.list("default_scopes").join(" "));
        match &defaults {
            Ok(scopes) if scopes.contains(Admin::NAME) => {
                self.refuse("default_scopes", "has mapae:admin, which would make everybody an administrator");
            }
            Ok(scopes) => {
                if let Err(error) = catalogue.check(scopes) {
                    self.refuse("default_scopes", &format!("cannot be used: {error}"));
                }
            }
            Err(error) => self.refuse("default_scopes", &format!("cannot be used: {error}")),
        }
        (catalogue, defaults.unwrap_or_default())
    }

    fn first_admin(&mut self) -> Option<FirstAdmin> {
        let (email, file) = (self.text("admin_email"), self.text("admin_password_file"));
        match (email, file) {
            (Some(email), Some(file)) => match read_secret(Path::new(&file)) {
                Ok(password) => Some(FirstAdmin { email, password }),
                Err(reason) => {
                    self.refuse("admin_password_file", &format!("names the file {file}, which {reason}"));
                    None
                }
            },
            (Some(_), None) if !self.get("admin_password_file").is_given() => {
                let other = setting("admin_password_file").variable();
                self.refuse("admin_email", &format!("is given without {other}; give both or neither"));
                None
            }
            (None, Some(_)) if !self.get("admin_email").is_given() => {
                let other = setting("admin_email").variable();
                self.refuse("admin_password_file", &format!("is given without {other}; give both or neither"));
                None
            }
            _ => None,
        }
    }
}

fn is_loopback_url(url: &BaseUrl) -> bool {
    match Url::parse(url.as_str()).ok().as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
