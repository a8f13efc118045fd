//! The payload of a feed.
//!
//! Entries as text inside the JSON would be base64url within base64url, a third longer, and the whole would be claims
//! that a careless reader might take for those of a token.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ENTRY, Entries, Entry, Feed, FeedError};
use crate::registered::LATEST;

/// Begins the JSON object (as in RFC 7464); no JSON text begins with it.
const START: u8 = 0x1e;
/// Ends it; within the object serde writes it as an escape.
const END: u8 = b'\n';

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    iss: String,
    iat: i64,
    exp: i64,
    seq: u64,
    sids: usize,
    jtis: usize,
    kids: usize,
    subs: Vec<(i64, usize)>,
}

pub(super) fn encode(feed: &Feed) -> Result<Vec<u8>, serde_json::Error> {
    let Entries { sessions, tokens, keys, subjects } = &feed.entries;
    let mut cuts: BTreeMap<i64, Vec<Entry>> = BTreeMap::new();
    for (subject, before) in subjects {
        cuts.entry(*before).or_default().push(*subject);
    }
    let head = Head {
        iss: feed.iss.clone(),
        iat: feed.iat,
        exp: feed.exp,
        seq: feed.seq,
        sids: sessions.len(),
        jtis: tokens.len(),
        kids: keys.len(),
        subs: cuts.iter().map(|(before, subjects)| (*before, subjects.len())).collect(),
    };
    let mut payload = vec![START];
    serde_json::to_writer(&mut payload, &head)?;
    payload.push(END);
    payload.reserve(feed.entries.len() * ENTRY);
    let sets = [sessions, tokens, keys].map(|set| set.iter().copied().collect());
    for mut section in sets.into_iter().chain(cuts.into_values()) {
        section.sort_unstable();
        payload.extend(section.into_iter().flat_map(Entry::to_bytes));
    }
    Ok(payload)
}

pub(super) fn decode(payload: &[u8]) -> Result<Feed, FeedError> {
    let malformed = FeedError::Malformed;
    let payload = payload.strip_prefix(&[START]).ok_or(malformed("it does not begin as one"))?;
    let end = payload.iter().position(|byte| *byte == END).ok_or(malformed("its head has no end"))?;
    let (head, entries) = (&payload[..end], &payload[end + 1..]);
    let head: Head = serde_json::from_slice(head).map_err(|_| malformed("its head is not as it must be"))?;
    let (entries, rest) = entries.as_chunks::<ENTRY>();
    let announced = [head.sids, head.jtis, head.kids].into_iter().chain(head.subs.iter().map(|(_, count)| *count));
    let announced = announced.fold(0, usize::saturating_add);
    if announced != entries.len() || !rest.is_empty() {
        return Err(malformed("there are more or fewer entries than it says"));
    }
    if head.subs.iter().any(|(before, _)| !(0..=LATEST).contains(before)) {
        return Err(malformed("a time is out of range"));
    }

    let mut entries = entries.iter().map(|bytes| Entry::from_bytes(*bytes));
    let mut list = Entries {
        sessions: entries.by_ref().take(head.sids).collect(),
        tokens: entries.by_ref().take(head.jtis).collect(),
        keys: entries.by_ref().take(head.kids).collect(),
        ..Entries::default()
    };
    for (before, count) in head.subs {
        for subject in entries.by_ref().take(count) {
            list.insert_subject(subject, before);
        }
    }
    Ok(Feed { iss: head.iss, iat: head.iat, exp: head.exp, seq: head.seq, entries: list })
}
