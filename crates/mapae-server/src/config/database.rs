//! `DATABASE_URL` as the tutorials and their tools write it.

use std::path::{Path, PathBuf};

use mapae::store::{DatabaseOptions, without_password};
use url::Url;

/// Where the tables are.
#[derive(Clone, Debug)]
pub(crate) enum Database {
    /// In a SQLite file.
    File(PathBuf),
    /// On a PostgreSQL server.
    Server(Box<DatabaseOptions>),
}

impl Database {
    /// What a database URL names.
    ///
    /// Understood are SQLAlchemy's forms, `sqlite:///relative` and `sqlite:////absolute`, SQLx's `sqlite://relative` and
    /// `sqlite:relative`, `postgres://…` and `postgresql://…`, and drivers after `+`.
    ///
    /// # Errors
    ///
    /// The end of a sentence that begins with the setting's name. Nothing of the URL but its scheme is quoted, since it
    /// may hold a password.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once(':').ok_or_else(not_a_url)?;
        let engine = scheme.split('+').next().unwrap_or_default().to_ascii_lowercase();
        match engine.as_str() {
            "sqlite" | "sqlite3" => sqlite_path(url, rest).map(Self::File),
            "postgres" | "postgresql" => server_url(rest).map(|url| Self::Server(Box::new(DatabaseOptions::new(url)))),
            engine if engine.chars().all(|c| c.is_ascii_alphanumeric()) && rest.starts_with("//") => Err(format!(
                "asks for {engine}, but Mapae stores in SQLite or PostgreSQL: if it is another program's, set \
                 MAPAE_DATABASE_URL=sqlite:///mapae-data/mapae.db, which wins over DATABASE_URL"
            )),
            _ => Err(not_a_url()),
        }
    }

    /// The URL as it may be shown.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::File(path) => format!("sqlite:///{}", path.display()),
            Self::Server(options) => without_password(&options.url),
        }
    }

    /// The SQLite file, if it is one.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Server(_) => None,
        }
    }
}

/// The URL of a PostgreSQL server, without the driver that another program uses.
fn server_url(rest: &str) -> Result<String, String> {
    let url = format!("postgres:{rest}");
    let parsed = Url::parse(&url).map_err(|_| not_a_url())?;
    if !rest.starts_with("//") {
        return Err(not_a_url());
    }
    // Other drivers' words for what must not be overlooked.
    if let Some((name, _)) = parsed.query_pairs().find(|(name, _)| ["ssl", "sslcontext", "ssl_mode"].contains(&&**name))
    {
        return Err(format!(
            "says how to encrypt by the parameter {name}, which is another driver's: write sslmode=require, or \
             sslmode=verify-full&sslrootcert=FILE to check the server's certificate"
        ));
    }
    Ok(url)
}

fn sqlite_path(url: &str, rest: &str) -> Result<PathBuf, String> {
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let path = match path.strip_prefix("//") {
        Some(path) => path.strip_prefix('/').unwrap_or(path),
        None => path,
    };
    if path.is_empty() || path.contains(":memory:") || path.starts_with("file:") || url.contains("mode=memory") {
        return Err("asks for a database in memory, which would lose every account at the stop: name a file, as in \
             sqlite:///mapae-data/mapae.db"
            .to_owned());
    }
    let path = Path::new(path);
    if is_absolute_by_mistake(path) {
        return Err(format!(
            "names the relative file {0}, whose directory does not exist: for /{0} write four slashes, sqlite:////{0}",
            path.display()
        ));
    }
    Ok(path.to_owned())
}

/// Whether parameters follow the path. Those of SQLite are some driver's, and of no use here.
pub(crate) fn has_parameters(url: &str) -> bool {
    url.contains('?')
}

/// SQLx and others take `sqlite:///var/lib/x.db` for an absolute path, SQLAlchemy for a relative one.
fn is_absolute_by_mistake(path: &Path) -> bool {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .is_some_and(|parent| parent.is_relative() && !parent.exists() && Path::new("/").join(parent).is_dir())
}

fn not_a_url() -> String {
    "is not a database URL such as sqlite:///mapae-data/mapae.db or postgres://user:password@host/name".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_in_every_spelling() {
        for (url, path) in [
            ("sqlite:///planner.db", "planner.db"),
            ("sqlite:///./planner.db", "./planner.db"),
            ("sqlite+aiosqlite:///./planner.db?check_same_thread=false", "./planner.db"),
            ("SQLite+pysqlite:////srv/x/planner.db", "/srv/x/planner.db"),
            ("sqlite://planner.db", "planner.db"),
            ("sqlite:planner.db", "planner.db"),
            ("sqlite:/srv/planner.db", "/srv/planner.db"),
        ] {
            let database = Database::parse(url).expect(url);
            assert_eq!(database.file(), Some(Path::new(path)), "{url}");
        }
    }

    #[test]
    fn postgresql_in_every_spelling() {
        for url in ["postgres://u:hunter2@h:6432/db", "postgresql+asyncpg://u:hunter2@h:6432/db"] {
            let database = Database::parse(url).expect(url);
            let Database::Server(options) = &database else { panic!("{url}") };
            assert_eq!(options.url, "postgres://u:hunter2@h:6432/db");
            assert!(
                database.shown().contains("h:6432/db")
                    && !format!("{database:?}{}", database.shown()).contains("hunter2")
            );
        }
    }

    #[test]
    fn others_are_refused_without_their_passwords() {
        for (url, part) in [
            ("postgresql+asyncpg://u:hunter2@h/db?ssl=require", "sslmode=require"),
            ("postgres:u:hunter2", "not a database URL"),
            ("mysql+aiomysql://u:hunter2@h/db", "asks for mysql"),
            ("mongodb://hunter2@h/db", "asks for mongodb"),
            ("hunter2", "not a database URL"),
            ("hunter2:x", "not a database URL"),
            ("sqlite://", "in memory"),
            ("sqlite:///:memory:", "in memory"),
            ("sqlite::memory:", "in memory"),
            ("sqlite:///file:x?mode=memory&uri=true", "in memory"),
        ] {
            let reason = Database::parse(url).expect_err(url);
            assert!(reason.contains(part) && !reason.contains("hunter2"), "{url}: {reason}");
        }
    }

    #[test]
    fn three_slashes_before_an_absolute_path_are_explained() {
        let reason = Database::parse("sqlite:///usr/lib/x.db").expect_err("refused");
        assert!(reason.contains("sqlite:////usr/lib/x.db"), "{reason}");
    }
}
