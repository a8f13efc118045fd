//! `/admin/audit`: who did what to whom, for holders of `mapae:admin`.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::api::{ApiRouter, get_with};
use super::current_user::SignedIn;
use super::error::{ApiError, FieldProblem};
use super::query::{Params, cursor, decode_cursor, limit};
use super::times::written;
use crate::Service;
use crate::domain::audit::{Direction, Event, Filter, Outcome, Record};
use crate::domain::scope::Admin;

/// Rows on a page unless the request says otherwise.
const DEFAULT_LIMIT: u64 = 50;
/// The most rows on a page.
const MAX_LIMIT: u64 = 200;
/// The longest subject or actor, in bytes; no id is longer.
const MAX_ID_BYTES: usize = 300;

/// Which rows to list; all of them if nothing is given.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditQuery {
    /// To whom or what: the id of an account, `client:…` or `key:…`.
    subject: Option<String>,
    /// By whom: the id of an account or of a client, or the name of the operating system's user.
    actor: Option<String>,
    /// One event, such as `sign-in.refused`.
    event: Option<String>,
    /// `success` or `refused`.
    outcome: Option<String>,
    /// Not before this time (RFC 3339).
    since: Option<String>,
    /// Before this time (RFC 3339).
    until: Option<String>,
    /// From this network address.
    address: Option<String>,
    /// Rows on a page, 1 to 200; 50 unless given.
    limit: Option<u64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// One page of the audit trail, newest first.
#[derive(Serialize, JsonSchema)]
struct AuditPage {
    events: Vec<AuditEvent>,
    /// Give it as `cursor` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// What somebody did, or was refused.
#[derive(Serialize, JsonSchema)]
struct AuditEvent {
    /// UUID version 7: later rows have greater ones.
    id: String,
    #[serde(serialize_with = "written")]
    at: DateTime<Utc>,
    event: String,
    /// `success` or `refused`.
    outcome: Option<&'static str>,
    /// `user`, `client`, `command-line`, `system` or `anonymous`.
    actor_kind: String,
    /// Which one of its kind.
    actor: Option<String>,
    /// The id of an account, `client:…` or `key:…`.
    subject: Option<String>,
    /// The network address.
    address: Option<String>,
    /// The request's id, as in the log and in the answer's `X-Request-Id`.
    request_id: Option<String>,
    session_id: Option<String>,
    client_id: Option<String>,
    /// What else there is to say about this event.
    details: Map<String, Value>,
}

impl From<Record> for AuditEvent {
    fn from(record: Record) -> Self {
        Self {
            outcome: record.outcome().map(Outcome::as_str),
            id: record.id,
            at: record.at,
            event: record.event,
            actor_kind: record.actor_kind,
            actor: record.actor,
            subject: record.subject,
            address: record.address,
            request_id: record.request_id,
            session_id: record.session_id,
            client_id: record.client_id,
            details: record.details,
        }
    }
}

pub(super) fn router() -> ApiRouter<Service> {
    ApiRouter::new().api_route(
        "/admin/audit",
        get_with(list, |op| {
            op.id("list_audit")
                .tag("admin")
                .summary("Who did what to whom")
                .description("Newest first. Filters are combined: a row fulfils all of them.")
        }),
    )
}

async fn list(
    State(service): State<Service>,
    _admin: SignedIn<Admin>,
    Params(query): Params<AuditQuery>,
) -> Result<Json<AuditPage>, ApiError> {
    let mut problems = Vec::new();
    let limit = limit(query.limit, DEFAULT_LIMIT, MAX_LIMIT, &mut problems);
    let is_id = |text: String| Uuid::parse_str(&text).ok().map(|_| text);
    let before = decode_cursor(query.cursor.as_deref(), is_id, &mut problems);
    let filter = filter(query, &mut problems);
    if !problems.is_empty() {
        return Err(ApiError::validation(problems));
    }
    // One more than asked for tells whether there is another page.
    let mut records = service.audit(&filter, Direction::Back(before.as_deref()), limit + 1).await?;
    let more = records.len() as u64 > limit;
    records.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next_cursor = if more { records.last().map(|last| cursor(&last.id)) } else { None };
    Ok(Json(AuditPage { events: records.into_iter().map(AuditEvent::from).collect(), next_cursor }))
}

/// The filters, as far as they can be read.
fn filter(query: AuditQuery, problems: &mut Vec<FieldProblem>) -> Filter {
    let mut refuse = |name: &str, kind: &str, message: String| problems.push(FieldProblem::query(name, kind, message));
    let filter = Filter {
        event: query.event.as_deref().and_then(|word| {
            let words = || Event::ALL.iter().map(|event| event.as_str()).collect::<Vec<_>>().join(", ");
            word.parse().map_err(|()| refuse("event", "unknown_event", format!("Use one of: {}", words()))).ok()
        }),
        outcome: query.outcome.as_deref().and_then(|word| {
            let message = "Use success or refused".to_owned();
            word.parse().map_err(|()| refuse("outcome", "unknown_outcome", message)).ok()
        }),
        since: query.since.and_then(|text| time("since", &text, &mut refuse)),
        until: query.until.and_then(|text| time("until", &text, &mut refuse)),
        address: query.address.as_deref().and_then(|text| {
            let message = "Use an IPv4 or IPv6 address, such as 203.0.113.7".to_owned();
            text.parse().map_err(|_| refuse("address", "invalid_address", message)).ok()
        }),
        subject: query.subject.and_then(|text| id("subject", text, &mut refuse)),
        actor: query.actor.and_then(|text| id("actor", text, &mut refuse)),
    };
    if let (Some(since), Some(until)) = (filter.since, filter.until)
        && since >= until
    {
        refuse("until", "before_since", "Use a time after since".to_owned());
    }
    filter
}

fn time(name: &str, text: &str, refuse: &mut impl FnMut(&str, &str, String)) -> Option<DateTime<Utc>> {
    let parsed = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    let message = "Use a time of RFC 3339 with its offset, such as 2026-01-31T12:00:00Z".to_owned();
    parsed.map_err(|_| refuse(name, "invalid_time", message)).ok()
}

fn id(name: &str, text: String, refuse: &mut impl FnMut(&str, &str, String)) -> Option<String> {
    if text.is_empty() || text.len() > MAX_ID_BYTES || text.contains(char::is_control) {
        refuse(name, "invalid_id", format!("Use an id of 1 to {MAX_ID_BYTES} bytes without control characters"));
        return None;
    }
    Some(text)
}
