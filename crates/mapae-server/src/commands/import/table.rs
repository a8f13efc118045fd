//! The user table of a Django or SQLAlchemy application, in the database that it is in.

use std::path::Path;
use std::vec::IntoIter;

use mapae::Mapae;
use mapae::domain::user_mapping::{ActiveColumn, FullNameColumns, Preset};
use mapae::domain::{SecretText, UserMapping};
use mapae::service::import_source::import_row;
use mapae::store::{DatabaseOptions, SourceUser, UserSource};
use mapae_password::Pepper;

use super::super::json_lines::quoted_id;
use super::{BATCH, Progress, Source, SourceRow};
use crate::cli::UserImport;
use crate::commands::database_url::{from_file, warn_of_password};
use crate::commands::{Failure, password, sentence};
use crate::config::Database;
use crate::service::sqlite_options;

/// What stands for a column that this table lacks.
const NONE: &str = "-";

/// The rows of a table, in the order of their keys.
pub(super) struct TableRows {
    source: UserSource,
    page: IntoIter<SourceUser>,
    /// The key of the last row that was read.
    after: Option<String>,
    without_key: u64,
    /// The key of its hashes, where they need one.
    pepper: Option<Pepper>,
    progress: Progress,
}

/// Connects, and refuses a table that does not fit.
pub(super) async fn open(
    mapae: &Mapae,
    preset: Preset,
    arguments: &UserImport,
) -> Result<(TableRows, Progress), Failure> {
    let pepper = match preset {
        Preset::FlaskSecurity => {
            Some(mapae.settings().passwords.peppers.flask_security().cloned().ok_or_else(|| {
                Failure::usage(
                    "Flask-Security hashes an HMAC of the password: give its SECURITY_PASSWORD_SALT as \
                 MAPAE_USERS_PASSWORD_HMAC_KEY (or a file with MAPAE_USERS_PASSWORD_HMAC_KEY_FILE), here and to the \
                 server, until everybody has signed in once.",
                )
            })?)
        }
        Preset::Django | Preset::FastapiUsers | Preset::SqlalchemyTutorial => None,
    };
    let mut mapping = preset.mapping();
    let mut created_at = preset.created_at().map(str::to_owned);
    if let Some(table) = &arguments.table {
        mapping.table.clone_from(table);
    }
    for column in &arguments.columns {
        adapt(&mut mapping, &mut created_at, column)?;
    }
    let source = UserSource::open(database(arguments)?, mapping, created_at).await.map_err(sentence)?;
    let mut problems = mapae.check_source(&source).await.map_err(sentence)?;
    if !problems.is_empty() {
        if !source.shape().columns.is_empty() {
            problems.push("Say what is called otherwise with --column, as in --column password=hash.".to_owned());
        }
        source.close().await;
        return Err(Failure::Configuration(problems));
    }
    let (rows, without_key) = source.count().await.map_err(sentence)?;
    let progress = Progress::of_rows(rows);
    let page = Vec::new().into_iter();
    let rows = TableRows { source, page, after: None, without_key, pepper, progress: progress.clone() };
    Ok((rows, progress))
}

impl TableRows {
    pub(super) async fn close(self) {
        self.source.close().await;
    }
}

impl Source for TableRows {
    async fn next_row(&mut self) -> Result<Option<SourceRow>, Failure> {
        if self.page.as_slice().is_empty() {
            let page = self.source.page(self.after.as_deref(), BATCH as u64).await.map_err(sentence)?;
            self.page = page.into_iter();
        }
        let place = self.source.mapping().table.clone();
        if let Some(user) = self.page.next() {
            self.progress.row_read();
            self.after = Some(user.id.clone());
            let id = quoted_id(&user.id.as_str().into());
            let mut account = import_row(&self.source, user);
            if let (Ok(row), Some(pepper)) = (&mut account, &self.pepper) {
                row.password_hash = pepper.mark(&row.password_hash);
            }
            return Ok(Some(SourceRow { place, id, account }));
        }
        // Those are in no page, since nothing comes after them.
        let left = self.without_key.checked_sub(1);
        Ok(left.map(|left| {
            self.without_key = left;
            SourceRow { place, id: String::new(), account: Err("The row has no id.".to_owned()) }
        }))
    }
}

/// Which database. It is never shown: its URL may hold a password.
fn database(arguments: &UserImport) -> Result<DatabaseOptions, Failure> {
    let url = match (&arguments.database_file, arguments.source.as_deref()) {
        (Some(file), _) => from_file(file)?,
        (None, None) => {
            return Err(Failure::usage("Name the database, as in sqlite:///db.sqlite3, or a file of SQLite."));
        }
        (None, Some(path)) if path == Path::new("-") => password::from_stdin("URL of the database")?,
        (None, Some(path)) => match path.to_str().filter(|text| text.contains(':') && !path.is_file()) {
            Some(url) => SecretText::new(url.to_owned()),
            None => return file(path),
        },
    };
    if arguments.source.is_some() && arguments.source.as_deref() != Some(Path::new("-")) {
        warn_of_password(url.expose(), "--database-file");
    }
    match Database::parse(url.expose().trim()) {
        Ok(Database::File(path)) => file(&path),
        Ok(Database::Server(options)) => Ok(*options),
        Err(reason) => Err(Failure::usage(&format!("The database to import from {reason}."))),
    }
}

fn file(path: &Path) -> Result<DatabaseOptions, Failure> {
    if path.is_file() {
        return Ok(sqlite_options(path));
    }
    Err(Failure::command(format!("There is no database {}.", path.display())))
}

/// Takes one `--column`.
fn adapt(mapping: &mut UserMapping, created_at: &mut Option<String>, argument: &str) -> Result<(), Failure> {
    let (what, name) = match argument.split_once('=') {
        Some((what, name)) if !name.is_empty() => (what, name.to_owned()),
        _ => return Err(Failure::usage("--column wants WHAT=NAME, as in password=hashed_pw, or active=- for none.")),
    };
    let given = (name != NONE).then(|| name.clone());
    match (what, given) {
        ("id" | "password", None) => {
            return Err(Failure::usage(&format!("An account cannot be imported without the column {what}.")));
        }
        ("id", Some(_)) => mapping.id = name,
        ("password", Some(_)) => mapping.password = name,
        ("username", given) => mapping.username = given,
        ("email", given) => mapping.email = given,
        ("active", given) => mapping.active = given.map(ActiveColumn::Active),
        ("disabled", given) => mapping.active = given.map(ActiveColumn::Disabled),
        ("full_name", given) => mapping.full_name = given.map(FullNameColumns::One),
        ("first_name", given) => mapping.full_name = full_name(given, last_name(mapping)),
        ("last_name", given) => mapping.full_name = full_name(first_name(mapping), given),
        ("created_at", given) => *created_at = given,
        _ => {
            return Err(Failure::usage(
                "--column knows id, username, email, password, active, disabled, full_name, first_name, last_name and \
                 created_at.",
            ));
        }
    }
    Ok(())
}

fn first_name(mapping: &UserMapping) -> Option<String> {
    match &mapping.full_name {
        Some(FullNameColumns::Two(first, _)) => Some(first.clone()),
        Some(FullNameColumns::One(_)) | None => None,
    }
}

fn last_name(mapping: &UserMapping) -> Option<String> {
    match &mapping.full_name {
        Some(FullNameColumns::Two(_, last)) => Some(last.clone()),
        Some(FullNameColumns::One(_)) | None => None,
    }
}

fn full_name(first: Option<String>, last: Option<String>) -> Option<FullNameColumns> {
    match (first, last) {
        (Some(first), Some(last)) => Some(FullNameColumns::Two(first, last)),
        (Some(one), None) | (None, Some(one)) => Some(FullNameColumns::One(one)),
        (None, None) => None,
    }
}
