//! Which database, and how much of it one process takes.

use std::time::Duration;

/// Which database, and how much of it one process takes. A URL alone is enough: everything else has a default, and
/// concerns PostgreSQL alone.
#[derive(Clone)]
pub struct DatabaseOptions {
    /// `sqlite://path`, or `postgres://user:password@host:port/name`. Of the parameters after `?`, `sslmode` (with
    /// `verify-full` the certificate and its name are checked) and `sslrootcert` are the ones to know.
    pub url: String,
    /// The same database reached without a pooler such as PgBouncer in transaction mode, for migrations and for hearing
    /// of changes at once. Whoever gives it says that `url` leads through a pooler.
    pub direct_url: Option<String>,
    /// The most connections that requests use, half of them for reading and half for writing. Two more see
    /// changes, and for a while two others if one of them is lost.
    pub connections: u32,
    /// How long a request waits for a connection before it is answered with 503.
    pub acquire_timeout: Duration,
    /// How long one statement may run. Through a pooler it holds for what writes.
    pub statement_timeout: Duration,
    /// How long a statement may wait for a row that another transaction changes.
    pub lock_timeout: Duration,
    /// How long a transaction may wait for its next statement before the server undoes it, as that of a lost process: for
    /// so long, and no longer than `lock_timeout`, others wait for what it has locked.
    pub idle_in_transaction_timeout: Duration,
}

impl DatabaseOptions {
    /// The database at this URL, with the defaults: 20 connections; 5 s for a connection, 10 s for a statement, 5 s for
    /// a row that another changes, 2 s between two statements of a transaction.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            direct_url: None,
            connections: 20,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(5),
            idle_in_transaction_timeout: Duration::from_secs(2),
        }
    }

    /// The URL as it may be shown.
    pub(super) fn shown(&self) -> String {
        without_password(&self.url)
    }
}

impl From<&str> for DatabaseOptions {
    fn from(url: &str) -> Self {
        Self::new(url)
    }
}

impl From<String> for DatabaseOptions {
    fn from(url: String) -> Self {
        Self::new(url)
    }
}

impl From<&String> for DatabaseOptions {
    fn from(url: &String) -> Self {
        Self::new(url)
    }
}

impl From<&DatabaseOptions> for DatabaseOptions {
    fn from(options: &DatabaseOptions) -> Self {
        options.clone()
    }
}

/// Without passwords.
impl std::fmt::Debug for DatabaseOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatabaseOptions")
            .field("url", &self.shown())
            .field("direct_url", &self.direct_url.as_deref().map(without_password))
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

/// A database URL that may be shown.
pub fn without_password(url: &str) -> String {
    let Ok(mut parsed) = url::Url::parse(url) else { return url.to_owned() };
    if parsed.password().is_some() {
        // Only URLs that cannot have a password refuse this.
        let _ = parsed.set_password(Some("…"));
    }
    if parsed.query_pairs().any(|(name, _)| name == "password") {
        let others: Vec<_> = parsed.query_pairs().filter(|(name, _)| name != "password").collect();
        let others: Vec<(String, String)> = others.into_iter().map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
        parsed.set_query(None);
        if !others.is_empty() {
            parsed.query_pairs_mut().extend_pairs(others);
        }
    }
    parsed.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        for url in ["postgres://ann:hunter2@db/app?sslmode=verify-full", "postgres://db/app?password=hunter2&user=ann"]
        {
            let options = DatabaseOptions { direct_url: Some(url.to_owned()), ..DatabaseOptions::new(url) };
            let shown = format!("{options:?} {}", options.shown());
            assert!(shown.contains("db/app") && !shown.contains("hunter2"), "{shown}");
        }
    }
}
