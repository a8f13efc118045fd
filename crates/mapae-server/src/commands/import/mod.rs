//! `mapae user import`: accounts from elsewhere, with their ids and hashes as they are.

mod csv_rows;
mod json_rows;
mod keycloak;
mod progress;
pub(super) mod row;
mod supabase;
mod table;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use mapae::Mapae;
use mapae::service::By;
use mapae::service::import::{ImportCounts, ImportOutcome, ImportRow};
use serde_json::json;

use super::{Failure, print, print_json, sentence};
use crate::cli::{ImportFormat, UserImport};
use crate::config::reason;
use crate::service::clock;
use progress::{Counted, Progress};

/// Rows in one transaction: enough that the disk is not waited for too often, few enough that sign-ins beside it do not
/// wait long.
const BATCH: usize = 1_000;

/// A row of the source.
struct SourceRow {
    /// Where it is, as in "line 7".
    place: String,
    /// For messages, with a comma before it; empty if there is none.
    id: String,
    /// The account, or a sentence on why there is none.
    account: Result<ImportRow, String>,
}

/// Where rows come from.
trait Source {
    /// The next row, `None` at the end. What ends the whole import is a failure.
    async fn next_row(&mut self) -> Result<Option<SourceRow>, Failure>;
}

pub(super) async fn run(mapae: &Mapae, by: By<'_>, arguments: UserImport) -> Result<(), Failure> {
    let json = arguments.output.json;
    let counts = match arguments.format.and_then(ImportFormat::preset) {
        Some(preset) => {
            let (mut source, progress) = table::open(mapae, preset, &arguments).await?;
            let imported = import(mapae, by, &mut source, &progress).await;
            source.close().await;
            progress.end();
            imported?
        }
        None => from_file(mapae, by, arguments).await?,
    };
    if json {
        print_json(&json!({
            "imported": counts.imported,
            "already_there": counts.already_there,
            "refused": counts.refused,
        }))?;
    } else {
        print(&format!(
            "Imported {}; {} were there already; {} were refused.\n",
            counts.imported, counts.already_there, counts.refused
        ))?;
    }
    if counts.refused == 0 { Ok(()) } else { Err(Failure::Silent) }
}

async fn from_file(mapae: &Mapae, by: By<'_>, arguments: UserImport) -> Result<ImportCounts, Failure> {
    if arguments.database_file.is_some() || arguments.table.is_some() || !arguments.columns.is_empty() {
        return Err(Failure::usage(
            "--database-file, --table and --column are for databases: say with --format whose, such as django.",
        ));
    }
    let file = arguments.source.as_deref().filter(|path| *path != Path::new("-"));
    // Not as a file that is not there: what is not there is shown.
    if file.and_then(Path::to_str).is_some_and(|file| file.contains("://")) {
        return Err(Failure::usage("That is a database: say with --format whose, such as django."));
    }
    let format = arguments.format.unwrap_or_else(|| match file.and_then(Path::extension) {
        Some(extension) if extension.eq_ignore_ascii_case("csv") => ImportFormat::Csv,
        _ => ImportFormat::Jsonl,
    });
    let (input, bytes): (Box<dyn BufRead + Send>, _) = match file {
        None => (Box::new(BufReader::new(std::io::stdin())), None),
        Some(path) => {
            let unreadable =
                |error| Failure::command(format!("{} cannot be read: {}.", path.display(), reason(&error)));
            let file = File::open(path).map_err(unreadable)?;
            let bytes = file.metadata().map_err(unreadable)?.len();
            (Box::new(BufReader::new(file)), Some(bytes))
        }
    };
    let progress = Progress::new(bytes);
    let input = Counted::new(input, &progress);
    let imported = match format {
        ImportFormat::Csv => import(mapae, by, &mut csv_rows::CsvRows::new(input)?, &progress).await,
        ImportFormat::Supabase => {
            import(mapae, by, &mut supabase::DumpRows::new(input, clock().now_millis()), &progress).await
        }
        ImportFormat::Keycloak => import(mapae, by, &mut keycloak::KeycloakRows::new(input), &progress).await,
        ImportFormat::Jsonl
        // Read from databases, and so not here.
        | ImportFormat::Django
        | ImportFormat::FastapiUsers
        | ImportFormat::SqlalchemyTutorial
        | ImportFormat::FlaskSecurity => import(mapae, by, &mut json_rows::JsonRows::new(input), &progress).await,
    };
    progress.end();
    imported
}

async fn import(
    mapae: &Mapae,
    by: By<'_>,
    source: &mut impl Source,
    progress: &Progress,
) -> Result<ImportCounts, Failure> {
    let mut run = mapae.begin_import(by);
    loop {
        let (mut places, mut accounts) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        let mut at_end = false;
        while accounts.len() < BATCH && !at_end {
            match source.next_row().await? {
                None => at_end = true,
                Some(SourceRow { place, id, account: Ok(account) }) => {
                    places.push((place, id));
                    accounts.push(account);
                }
                Some(SourceRow { place, id, account: Err(why) }) => {
                    run.unreadable();
                    progress.say(&format!("mapae: {place}{id}: {why}"));
                }
            }
        }
        let outcomes = mapae.import_accounts(&mut run, accounts).await.map_err(sentence)?;
        for ((place, id), outcome) in places.iter().zip(outcomes) {
            if let ImportOutcome::Refused(why) = outcome {
                progress.say(&format!("mapae: {place}{id}: {why}"));
            }
        }
        let counts = run.counts();
        progress.rows(counts.imported + counts.already_there + counts.refused);
        if at_end {
            return Ok(counts);
        }
    }
}
