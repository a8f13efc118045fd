//! `mapae audit …`

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use mapae::Mapae;
use mapae::domain::audit::{Direction, Event, Filter, Outcome, Record};
use serde_json::json;

use super::user::find;
use super::{Failure, print, sentence};
use crate::cli::{AuditCommand, AuditFilter, AuditTail, UserName};

/// Rows read at once.
const PAGE: u64 = 500;
/// How often new rows are looked for.
const LOOK: Duration = Duration::from_millis(250);
/// Rows are seen when their transaction is over, so one may come after another that is later than it by so much.
const OVERLAP: TimeDelta = TimeDelta::seconds(10);

pub(super) async fn run(mapae: &Mapae, command: AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::Tail(arguments) => tail(mapae, arguments).await,
        AuditCommand::Export(filter) => export(mapae, &read(mapae, filter).await?).await,
    }
}

async fn export(mapae: &Mapae, filter: &Filter) -> Result<(), Failure> {
    let mut after = None;
    loop {
        let page = mapae.audit(filter, Direction::Forward(after.as_deref()), PAGE).await.map_err(sentence)?;
        print(&page.iter().map(json_line).collect::<String>())?;
        match page.into_iter().last() {
            Some(last) => after = Some(last.id),
            None => return Ok(()),
        }
    }
}

async fn tail(mapae: &Mapae, arguments: AuditTail) -> Result<(), Failure> {
    let filter = read(mapae, arguments.filter).await?;
    let line = if arguments.json { json_line } else { text_line };
    let newest = mapae.audit(&filter, Direction::Back(None), arguments.lines.max(1)).await.map_err(sentence)?;
    let last = newest.first().map(|row| (row.id.clone(), row.at));
    let lines = usize::try_from(arguments.lines).unwrap_or(usize::MAX);
    print(&newest.iter().take(lines).rev().map(line).collect::<String>())?;
    if !arguments.follow {
        return Ok(());
    }
    let (last, mut latest) = last.unwrap_or_else(|| (String::new(), filter.since.unwrap_or(DateTime::UNIX_EPOCH)));
    // Rows that were looked at, of the time that is looked at again.
    let mut seen: BTreeMap<String, DateTime<Utc>> = BTreeMap::new();
    let mut first = true;
    loop {
        tokio::time::sleep(LOOK).await;
        let from = latest - OVERLAP;
        let again = Filter { since: Some(filter.since.map_or(from, |since| since.max(from))), ..filter.clone() };
        let mut after = None;
        loop {
            let page = mapae.audit(&again, Direction::Forward(after.as_deref()), PAGE).await.map_err(sentence)?;
            let Some(end) = page.last() else { break };
            after = Some(end.id.clone());
            latest = latest.max(end.at);
            let is_new = |row: &&Record| !seen.contains_key(&row.id) && (!first || row.id > last);
            print(&page.iter().filter(is_new).map(line).collect::<String>())?;
            seen.extend(page.into_iter().map(|row| (row.id, row.at)));
        }
        first = false;
        seen.retain(|_, at| *at >= latest - OVERLAP);
    }
}

/// The arguments as a filter.
async fn read(mapae: &Mapae, arguments: AuditFilter) -> Result<Filter, Failure> {
    let subject = match arguments.user {
        Some(user) => Some(find(mapae, &UserName { user }).await?.id.to_string()),
        None => arguments.subject,
    };
    let events = || Event::ALL.iter().map(|event| event.as_str()).collect::<Vec<_>>().join(", ");
    Ok(Filter {
        subject,
        actor: arguments.actor,
        event: parse(arguments.event, || format!("--event takes one of {}.", events()))?,
        outcome: parse(arguments.outcome, || {
            let [success, refused] = Outcome::ALL.map(Outcome::as_str);
            format!("--outcome takes {success} or {refused}.")
        })?,
        since: parse(arguments.since, || time("--since"))?,
        until: parse(arguments.until, || time("--until"))?,
        address: parse(arguments.address, || "--address takes an IPv4 or IPv6 address.".to_owned())?,
    })
}

fn time(flag: &str) -> String {
    format!("{flag} takes a time of RFC 3339 with its offset, such as 2026-01-31T12:00:00Z.")
}

fn parse<T: FromStr>(text: Option<String>, help: impl FnOnce() -> String) -> Result<Option<T>, Failure> {
    text.map(|text| text.parse()).transpose().map_err(|_| Failure::Configuration(vec![help()]))
}

fn written(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// As the HTTP interface writes a row.
fn json_line(record: &Record) -> String {
    let line = json!({
        "id": record.id,
        "at": written(record.at),
        "event": record.event,
        "outcome": record.outcome().map(Outcome::as_str),
        "actor_kind": record.actor_kind,
        "actor": record.actor,
        "subject": record.subject,
        "address": record.address,
        "request_id": record.request_id,
        "session_id": record.session_id,
        "client_id": record.client_id,
        "details": record.details,
    });
    format!("{line}\n")
}

/// For people. Nothing in it was typed by a stranger, so it cannot steer the terminal.
fn text_line(record: &Record) -> String {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let actor = match &record.actor {
        Some(actor) => format!("{} {actor}", record.actor_kind),
        None => record.actor_kind.clone(),
    };
    let details: String = record.details.iter().map(|(name, value)| format!("  {name}={value}")).collect();
    format!(
        "{}  {:<22}  {:<15}  by {actor}  to {}{details}\n",
        written(record.at),
        record.event,
        or_dash(&record.address),
        or_dash(&record.subject),
    )
}
