//! `mapae db check`

use mapae::service::{RowCheck, Service, StartError};
use mapae::store::{RowFault, Store};
use serde_json::{Value, json};

use crate::commands::{Failure, print, print_json, sentence};
use crate::config::Config;
use crate::service;

/// Broken rows that JSON names; the rest it only counts.
const MOST_NAMED: usize = 1_000;

/// Looks at the file itself, at its version, whether the master key fits, and at every row.
pub(super) async fn run(config: &Config, json: bool) -> Result<(), Failure> {
    let mut rows = Rows { json, named: Vec::new(), count: 0, output: Ok(()) };
    let problems = match look(config, &mut rows).await {
        Ok(problems) => problems,
        Err(Failure::Command(sentence)) if json => vec![sentence],
        Err(failure) => return Err(failure),
    };
    let Rows { named, count, output, .. } = rows;
    output?;
    let is_well = problems.is_empty() && count == 0;
    if json {
        let more = count - named.len();
        print_json(&json!({ "ok": is_well, "problems": problems, "rows": named, "more_rows": more }))?;
        return if is_well { Ok(()) } else { Err(Failure::Silent) };
    }
    if !problems.is_empty() {
        return Err(Failure::command(format!(
            "The database is damaged ({}): put it right as said, or restore it from the backup.",
            problems.join("; ")
        )));
    }
    match count {
        0 => print("The database is in order, and the master key fits.\n"),
        1 => Err(Failure::command("1 row is broken: do as it says above.")),
        count => Err(Failure::command(format!("{count} rows are broken: do as each says above."))),
    }
}

/// What is wrong with the database as a whole; `rows` is told of the rest.
async fn look(config: &Config, rows: &mut Rows) -> Result<Vec<String>, Failure> {
    let (store, _, key) = service::existing(config).await?;
    let looked = look_at(&store, config, &key, rows).await;
    store.close().await;
    looked
}

async fn look_at(
    store: &Store,
    config: &Config,
    key: &mapae::domain::MasterKey,
    rows: &mut Rows,
) -> Result<Vec<String>, Failure> {
    // A file too damaged to be asked is damaged.
    let mut problems = store.check_integrity().await.unwrap_or_else(|error| vec![error.to_string()]);
    match Service::is_master_key(store, key).await {
        Ok(Some(false)) => return Err(sentence(StartError::WrongMasterKey)),
        // Without keys it was never started.
        Ok(Some(true) | None) => {}
        Err(error) => problems.push(error.to_string()),
    }
    let passwords = service::password_context(config);
    let by = RowCheck { passwords: &passwords, master: key, own_accounts: config.users.is_none() };
    if let Err(error) = Service::check_rows(store, &by, &mut |fault| rows.note(fault)).await {
        problems.push(error.to_string());
    }
    Ok(problems)
}

/// The broken rows: named as they are found, or gathered.
struct Rows {
    json: bool,
    named: Vec<Value>,
    count: usize,
    output: Result<(), Failure>,
}

impl Rows {
    fn note(&mut self, fault: RowFault) {
        let RowFault { table, row, problem, remedy } = fault;
        self.count += 1;
        if !self.json {
            let said = print(&format!("{table} {row}: {problem}.\n    To do: {remedy}.\n"));
            self.output = std::mem::replace(&mut self.output, Ok(())).and(said);
        } else if self.named.len() < MOST_NAMED {
            self.named.push(json!({ "table": table, "row": row, "problem": problem, "to_do": remedy }));
        }
    }
}
