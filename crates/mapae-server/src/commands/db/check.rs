//! `mapae db check`

use mapae::domain::MasterKey;
use mapae::service::{RowCheck, Service, StartError};
use mapae::store::{OpenError, RowFault, Snapshot, StoreError};
use serde_json::{Value, json};

use crate::commands::{Failure, print, print_json, sentence};
use crate::config::Config;
use crate::data_dir::{self, DatabaseFile};
use crate::{key_file, service};

/// Broken rows that are named; the rest is only counted.
const MOST_NAMED: usize = 1_000;

/// Looks at the file itself, at its version, whether the master key fits, and at every row.
pub(super) async fn run(config: &Config, json: bool) -> Result<(), Failure> {
    let mut found = Found::default();
    let looked = look(config, &mut found).await;
    // Said only now: whoever reads slowly must not keep the database waiting.
    if json {
        looked?;
        let Found { problems, named, count } = found;
        let (is_well, more) = (problems.is_empty() && count == 0, count - named.len());
        let named: Vec<Value> = named.into_iter().map(shown).collect();
        print_json(&json!({ "ok": is_well, "problems": problems, "rows": named, "more_rows": more }))?;
        return if is_well { Ok(()) } else { Err(Failure::Silent) };
    }
    let Found { problems, named, count } = found;
    let more = count - named.len();
    for RowFault { table, row, problem, remedy } in named {
        let [row, problem, remedy] = [row, problem, remedy].map(|text| on_one_line(&text));
        print(&format!("{table} {row}: {problem}.\n    To do: {remedy}.\n"))?;
    }
    looked?;
    if !problems.is_empty() {
        return Err(Failure::command(format!(
            "The database is damaged ({}): put it right as said, or restore it from the backup.",
            problems.join("; ")
        )));
    }
    match (count, more) {
        (0, _) => print("The database is in order, and the master key fits.\n"),
        (1, _) => Err(Failure::command("1 row is broken: do as it says above.")),
        (_, 0) => Err(Failure::command(format!("{count} rows are broken: do as each says above."))),
        _ => Err(Failure::command(format!(
            "{count} rows are broken, of which the first {MOST_NAMED} are named: do as each says above, and check again."
        ))),
    }
}

/// Whoever wrote a broken row has no say in what a terminal does.
fn on_one_line(text: &str) -> String {
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(shown).collect()
}

fn shown(fault: RowFault) -> Value {
    let RowFault { table, row, problem, remedy } = fault;
    json!({ "table": table, "row": row, "problem": problem, "to_do": remedy })
}

/// What is wrong.
#[derive(Default)]
struct Found {
    /// With the database as a whole.
    problems: Vec<String>,
    /// The first rows that are broken.
    named: Vec<RowFault>,
    /// How many rows are.
    count: usize,
}

impl Found {
    fn note(&mut self, fault: RowFault) {
        self.count += 1;
        if self.named.len() < MOST_NAMED {
            self.named.push(fault);
        }
    }

    /// Notes damage. What is no damage ends the check, and says nothing of the database.
    fn damage(&mut self, error: &StoreError) -> Result<(), Failure> {
        if error.is_damage() {
            self.problems.push(error.to_string());
            return Ok(());
        }
        Err(Failure::command(format!(
            "The check was cut off ({error}), so it is not known whether the database is in order: check again."
        )))
    }
}

/// Notes what is wrong. An error says why it cannot be told.
async fn look(config: &Config, found: &mut Found) -> Result<(), Failure> {
    if data_dir::database_file(config)? == DatabaseFile::New {
        return Err(service::no_database(config));
    }
    let snapshot = match Snapshot::open(service::database(config)).await {
        Ok(snapshot) => snapshot,
        Err(OpenError::Connect { source, url }) => {
            let error = StoreError::from(source);
            if !error.is_damage() {
                return Err(Failure::command(format!(
                    "The database {url} cannot be opened ({error}), so it is not known whether it is in order: check again."
                )));
            }
            return found.damage(&error);
        }
        Err(OpenError::Store(error)) => return found.damage(&error),
        Err(error) => return Err(sentence(error)),
    };
    let looked = look_at(&snapshot, config, found).await;
    snapshot.close().await;
    looked
}

async fn look_at(snapshot: &Snapshot, config: &Config, found: &mut Found) -> Result<(), Failure> {
    match snapshot.check_integrity().await {
        Ok(problems) => found.problems.extend(problems),
        Err(error) => found.damage(&error)?,
    }
    let key = fitting_key(snapshot, config, found).await?;
    let passwords = service::password_context(config);
    let by = RowCheck { passwords: &passwords, master: &key, own_accounts: config.users.is_none() };
    match Service::check_rows(snapshot, &by, service::clock().as_ref(), &mut |fault| found.note(fault)).await {
        Ok(()) => Ok(()),
        Err(error) => found.damage(&error),
    }
}

/// The master key of the database. Without keys in it, it was never started, and any fits.
async fn fitting_key(snapshot: &Snapshot, config: &Config, found: &mut Found) -> Result<MasterKey, Failure> {
    let known = key_file::candidates(config)?;
    if known.is_empty() {
        return Err(data_dir::key_is_missing(config).into());
    }
    for key in known.into_iter().map(|known| known.key) {
        match Service::is_master_key_of(snapshot, &key).await {
            Ok(Some(false)) => {}
            Ok(Some(true) | None) => return Ok(key),
            Err(error) => {
                found.damage(&error)?;
                return Ok(key);
            }
        }
    }
    Err(sentence(StartError::WrongMasterKey))
}
