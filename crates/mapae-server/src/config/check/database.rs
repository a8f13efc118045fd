//! Where the tables are, and how much of a server one process takes.

use std::path::{Path, PathBuf};

use mapae::domain::SecretText;

use super::Checker;
use crate::config::database::{self, Database};
use crate::config::value::Value;

/// The settings that only a server needs.
const OF_SERVERS: [&str; 4] = [
    "database_direct_url",
    "database_connections",
    "database_acquire_timeout_seconds",
    "database_statement_timeout_seconds",
];

impl Checker<'_> {
    pub(super) fn database(&mut self, data_dir: &Path) -> Database {
        let Some(url) = self.secret("database_url") else {
            let path = data_dir.join("mapae.db");
            if !self.get("database_url").is_given() {
                self.set("database_url", Value::Secret(SecretText::new(format!("sqlite:///{}", path.display()))));
            }
            return self.file(path);
        };
        match Database::parse(url.expose()) {
            Ok(Database::File(path)) => {
                if database::has_parameters(url.expose()) {
                    let subject = self.get("database_url").subject();
                    self.warnings.push(format!("The parameters after ? in {subject} are not used."));
                }
                self.file(path)
            }
            Ok(Database::Server(mut options)) => {
                options.direct_url = self.direct_url();
                options.connections = self.number("database_connections");
                options.acquire_timeout = self.seconds("database_acquire_timeout_seconds");
                options.statement_timeout = self.seconds("database_statement_timeout_seconds");
                Database::Server(options)
            }
            Err(reason) => {
                self.refuse("database_url", &reason);
                Database::File(PathBuf::new())
            }
        }
    }

    fn file(&mut self, path: PathBuf) -> Database {
        for name in OF_SERVERS.into_iter().filter(|name| self.get(name).is_given()).collect::<Vec<_>>() {
            let subject = self.get(name).subject();
            self.warnings.push(format!("{subject} is not used, since the database is a SQLite file."));
        }
        Database::File(path)
    }

    fn direct_url(&mut self) -> Option<String> {
        let url = self.secret("database_direct_url")?;
        match Database::parse(url.expose()) {
            Ok(Database::Server(options)) => Some(options.url),
            Ok(Database::File(_)) => {
                self.refuse("database_direct_url", "names a file, but DATABASE_URL a server: name the same server");
                None
            }
            Err(reason) => {
                self.refuse("database_direct_url", &reason);
                None
            }
        }
    }
}
