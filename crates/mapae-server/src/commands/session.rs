//! `mapae session …`

use chrono::{DateTime, Utc};
use mapae::Mapae;
use mapae::domain::{Session, UserId};
use mapae::service::{By, Ending};
use serde_json::json;

use super::user::find;
use super::{Failure, print, print_json, sentence};
use crate::cli::{OfAccount, SessionCommand, SessionEnd, UserName};

pub(super) async fn run(mapae: &Mapae, by: By<'_>, command: SessionCommand) -> Result<(), Failure> {
    match command {
        SessionCommand::List(arguments) => list(mapae, arguments).await,
        SessionCommand::End(arguments) => end(mapae, by, arguments).await,
    }
}

async fn list(mapae: &Mapae, arguments: OfAccount) -> Result<(), Failure> {
    let user = match arguments.user {
        Some(user) => Some(owner(mapae, user).await?),
        None => None,
    };
    let sessions = mapae.sessions(user.as_ref()).await.map_err(sentence)?;
    if arguments.output.json {
        return print_json(&sessions.iter().map(to_json).collect());
    }
    if sessions.is_empty() {
        return print("There are no open sessions.\n");
    }
    for session in &sessions {
        print(&row(session))?;
    }
    Ok(())
}

async fn end(mapae: &Mapae, by: By<'_>, arguments: SessionEnd) -> Result<(), Failure> {
    let SessionEnd { session, user, issued_before, all: _ } = arguments;
    let ending = match (session, user, issued_before) {
        (Some(session), _, _) => Ending::Session(session),
        (None, Some(user), _) => Ending::Of(owner(mapae, user).await?),
        (None, None, Some(time)) => Ending::BegunBefore(parse(&time)?),
        (None, None, None) => Ending::All,
    };
    match (mapae.end_sessions(&ending, by).await.map_err(sentence)?, ending) {
        (0, Ending::Session(_)) => Err(Failure::command("There is no such session, or it was ended before.")),
        (1, _) => print("Ended 1 session.\n"),
        (ended, _) => print(&format!("Ended {ended} sessions.\n")),
    }
}

/// Whose sessions are meant. Accounts of an application's own table are not seen from here, but their sessions are. Ids
/// first, as people choose their names.
pub(super) async fn owner(mapae: &Mapae, user: String) -> Result<UserId, Failure> {
    if let Some(id) = UserId::new(user.as_str())
        && !mapae.sessions(Some(&id)).await.map_err(sentence)?.is_empty()
    {
        return Ok(id);
    }
    Ok(find(mapae, &UserName { user }).await?.id)
}

fn parse(time: &str) -> Result<DateTime<Utc>, Failure> {
    let parsed = DateTime::parse_from_rfc3339(time);
    parsed.map(|time| time.to_utc()).map_err(|_| {
        Failure::usage("--issued-before takes a time of RFC 3339 with its offset, such as 2026-01-31T12:00:00Z.")
    })
}

fn row(session: &Session) -> String {
    // Names come from clients, and must not steer the terminal; control characters were left out when they came.
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    format!(
        "{}  {}  {:<12}  used {}  {:<15}  {}\n",
        session.id,
        session.user_id,
        session.client_id,
        session.last_used_at().to_rfc3339(),
        or_dash(&session.device.address),
        or_dash(&session.device.name),
    )
}

fn to_json(session: &Session) -> serde_json::Value {
    json!({
        "id": session.id,
        "user_id": session.user_id.as_str(),
        "client_id": session.client_id,
        "scope": session.scope.to_string(),
        "device_name": session.device.name,
        "address": session.device.address,
        "created_at": session.created_at,
        "last_used_at": session.last_used_at(),
        "expires_at": session.ends_at(),
    })
}
