//! `DATABASE_URL` as the tutorials and their tools write it.

use std::path::{Path, PathBuf};

/// The SQLite file that a database URL names.
///
/// Understood are SQLAlchemy's forms, `sqlite:///relative` and `sqlite:////absolute`, SQLx's `sqlite://relative` and
/// `sqlite:relative`, and drivers after `+`.
///
/// # Errors
///
/// The end of a sentence that begins with the setting's name. Nothing of the URL but its scheme is quoted, since it may
/// hold a password.
pub(crate) fn sqlite_path(url: &str) -> Result<PathBuf, String> {
    let (scheme, rest) = url.split_once(':').ok_or_else(not_a_url)?;
    let engine = scheme.split('+').next().unwrap_or_default().to_ascii_lowercase();
    match engine.as_str() {
        "sqlite" | "sqlite3" => {}
        "postgres" | "postgresql" => {
            return Err("asks for PostgreSQL, but this version of Mapae stores in SQLite only: unset it, or set \
                 MAPAE_DATABASE_URL=sqlite:///mapae-data/mapae.db, which wins over DATABASE_URL"
                .to_owned());
        }
        engine if engine.chars().all(|c| c.is_ascii_alphanumeric()) && rest.starts_with("//") => {
            return Err(format!(
                "asks for {engine}, but Mapae stores in SQLite: if it is another program's, set \
                 MAPAE_DATABASE_URL=sqlite:///mapae-data/mapae.db, which wins over DATABASE_URL"
            ));
        }
        _ => return Err(not_a_url()),
    }
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

/// Whether parameters follow the path. They are some driver's, and of no use here.
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
    "is not a database URL such as sqlite:///mapae-data/mapae.db".to_owned()
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
            assert_eq!(sqlite_path(url).as_deref(), Ok(Path::new(path)), "{url}");
        }
    }

    #[test]
    fn others_are_refused_without_their_passwords() {
        for (url, part) in [
            ("postgres://u:hunter2@h/db", "stores in SQLite only"),
            ("postgresql+asyncpg://u:hunter2@h/db", "stores in SQLite only"),
            ("mysql+aiomysql://u:hunter2@h/db", "asks for mysql"),
            ("mongodb://hunter2@h/db", "asks for mongodb"),
            ("hunter2", "not a database URL"),
            ("hunter2:x", "not a database URL"),
            ("sqlite://", "in memory"),
            ("sqlite:///:memory:", "in memory"),
            ("sqlite::memory:", "in memory"),
            ("sqlite:///file:x?mode=memory&uri=true", "in memory"),
        ] {
            let reason = sqlite_path(url).expect_err(url);
            assert!(reason.contains(part) && !reason.contains("hunter2"), "{url}: {reason}");
        }
    }

    #[test]
    fn three_slashes_before_an_absolute_path_are_explained() {
        let reason = sqlite_path("sqlite:///usr/lib/x.db").expect_err("refused");
        assert!(reason.contains("sqlite:////usr/lib/x.db"), "{reason}");
    }
}
