//! What ended before its access tokens expire, as a signed feed for verifiers elsewhere.
//!
//! An issuer collects [`Entries`] and signs them as a [`Feed`]; a verifier reads it back with [`Feed::verify`] and asks
//! the entries, which are [`Revocations`], about every token. With feature `remote` it is fetched in the background.
//!
//! ```
//! use mapae_verify::revocations::{Entries, Feed};
//! use mapae_verify::{Algorithm, KeySet, SigningKey};
//!
//! let key = SigningKey::generate(Algorithm::ES256)?;
//! let (now, issuer) = (1_800_000_000, "https://auth.example");
//!
//! let mut entries = Entries::new();
//! entries.end_session("5f0c");
//! let signed = Feed { iss: issuer.into(), iat: now, exp: now + 300, seq: 1, entries }.sign(&key)?;
//!
//! let keys = KeySet::from_keys([key.verification_key()])?;
//! let feed = Feed::verify(&signed, &keys, issuer, now * 1000, None)?;
//! assert_eq!((feed.seq, feed.entries.len()), (1, 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The format
//!
//! A feed is a compact JWS (RFC 7515 §7.1) whose header has `typ: mapae-revocations+jwt`, signed by a live key of the
//! issuer, never with a shared secret. Its payload is the byte `1E`, a JSON object, the byte `0A`, and the entries
//! without anything between them. The first byte keeps every reader of tokens from taking it for claims. The object
//! has exactly these members:
//!
//! | member | meaning |
//! |-|-|
//! | `iss` | the issuer, as in its tokens |
//! | `iat`, `exp` | when it was signed, and from when on it is not accepted, in seconds since 1970 |
//! | `seq` | never falls; of two feeds, the one with the lower number is the older |
//! | `sids`, `jtis`, `kids` | how many entries of these kinds there are |
//! | `subs` | a list of `[before, count]`: so many subjects whose tokens with an `iat` before that second are revoked |
//!
//! The entries follow in this order: sessions, tokens, keys, subjects. Each is the first 7 bytes of the SHA-256 of the
//! kind, a colon and the value, as in `sid:5f0c`. So 10,000 of them make a feed of less than 100 KB.

mod feed;
mod wire;

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

use aws_lc_rs::digest;
use foldhash::quality::RandomState;

pub use feed::{Feed, FeedError};

use crate::{RegisteredView, Revocations};

/// `typ` of a feed.
pub const FEED_TYPE: &str = "mapae-revocations+jwt";
/// The longest feed that is read, in bytes: about 110,000 entries. The limit for tokens does not apply to it.
pub const MAX_FEED_LENGTH: usize = 1024 * 1024;

/// Bytes of a SHA-256 that stand for a value.
const ENTRY: usize = 7;

/// What an entry is about. The names go into the hash, so that no value of one kind is ever one of another.
#[derive(Clone, Copy)]
enum Kind {
    Session,
    Token,
    Key,
    Subject,
}

impl Kind {
    const fn prefix(self) -> &'static [u8] {
        match self {
            Self::Session => b"sid:",
            Self::Token => b"jti:",
            Self::Key => b"kid:",
            Self::Subject => b"sub:",
        }
    }
}

/// The first [`ENTRY`] bytes of a SHA-256, as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Entry(u64);

impl Entry {
    fn new(kind: Kind, value: &str) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(kind.prefix());
        context.update(value.as_bytes());
        let mut bytes = [0; ENTRY];
        bytes.copy_from_slice(&context.finish().as_ref()[..ENTRY]);
        Self::from_bytes(bytes)
    }

    fn from_bytes(bytes: [u8; ENTRY]) -> Self {
        let mut number = [0; 8];
        number[1..].copy_from_slice(&bytes);
        Self(u64::from_be_bytes(number))
    }

    fn to_bytes(self) -> [u8; ENTRY] {
        let mut bytes = [0; ENTRY];
        bytes.copy_from_slice(&self.0.to_be_bytes()[1..]);
        bytes
    }
}

/// Sessions, tokens, subjects and keys that ended. Holds hashes only: nobody can read from it what they are.
///
/// Entries need to stay only until the last access token that they concern has expired.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    sessions: HashSet<Entry, RandomState>,
    tokens: HashSet<Entry, RandomState>,
    keys: HashSet<Entry, RandomState>,
    /// Tokens with an `iat` before this second are revoked.
    subjects: HashMap<Entry, i64, RandomState>,
}

impl Entries {
    /// Nothing ended.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Revokes the tokens with this `sid`.
    pub fn end_session(&mut self, sid: &str) {
        self.sessions.insert(Entry::new(Kind::Session, sid));
    }

    /// Revokes the token with this `jti`.
    pub fn revoke_token(&mut self, jti: &str) {
        self.tokens.insert(Entry::new(Kind::Token, jti));
    }

    /// Revokes every token that the key with this id verifies.
    pub fn revoke_key(&mut self, kid: &str) {
        self.keys.insert(Entry::new(Kind::Key, kid));
    }

    /// Revokes the tokens of this `sub` that were issued until now, in milliseconds since 1970. Returns the first
    /// `iat` that is accepted again.
    ///
    /// `iat` is in whole seconds. So this reaches to the end of the second: a token that was issued earlier in it must
    /// not survive, and one that is issued later in it cannot be told from that and is revoked too. An issuer that
    /// goes on for the same subject waits for that `iat`, or ends the sessions one by one.
    pub fn end_subject(&mut self, sub: &str, now_millis: i64) -> i64 {
        let before = now_millis.div_euclid(1000).saturating_add(1);
        self.insert_subject(Entry::new(Kind::Subject, sub), before);
        before
    }

    fn insert_subject(&mut self, subject: Entry, before: i64) {
        let latest = self.subjects.entry(subject).or_insert(before);
        *latest = before.max(*latest);
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len() + self.tokens.len() + self.keys.len() + self.subjects.len()
    }

    /// True when nothing ended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True when the key with this id was revoked.
    #[must_use]
    pub fn is_key_revoked(&self, kid: &str) -> bool {
        holds(&self.keys, Kind::Key, Some(kid))
    }

    fn is_subject_ended(&self, claims: &RegisteredView<'_>) -> bool {
        let Some(sub) = claims.sub.filter(|_| !self.subjects.is_empty()) else {
            return false;
        };
        // Without an `iat` nobody can say that it was issued later.
        let before = self.subjects.get(&Entry::new(Kind::Subject, sub));
        before.is_some_and(|before| claims.iat.is_none_or(|iat| iat < *before))
    }
}

impl Revocations for Entries {
    fn is_revoked(&self, claims: &RegisteredView<'_>) -> bool {
        holds(&self.sessions, Kind::Session, claims.sid)
            || self.is_subject_ended(claims)
            || holds(&self.tokens, Kind::Token, claims.jti)
            || holds(&self.keys, Kind::Key, claims.kid)
    }
}

/// Hashes nothing where there is nothing to find.
fn holds<S: BuildHasher>(entries: &HashSet<Entry, S>, kind: Kind, value: Option<&str>) -> bool {
    value.is_some_and(|value| !entries.is_empty() && entries.contains(&Entry::new(kind, value)))
}
