//! Who or what a token is about: the `sub` claim.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use memchr::memchr;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest subject, in bytes (as OpenID Connect Core §2 has it for `sub`).
pub const MAX_SUBJECT_BYTES: usize = 255;

const CLIENT: &str = "client";

/// Why a text is no subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid subject")]
pub struct SubjectError;

/// The checked `sub` of a token. A user's id stands bare and never holds a `:`; every other kind is prefixed:
/// `client:<id>`, `car:42`. So no other kind can pass for a user.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    text: String,
    /// Length of the kind before the `:`; 0 for a user.
    kind: usize,
}

/// What a [`Subject`] is, for matching.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectKind<'a> {
    /// A user, by the account's id.
    User(&'a str),
    /// An OAuth client that acts for itself, by its client id.
    Client(&'a str),
    /// A thing of the application's own.
    Other {
        /// Which kind of thing, such as `car`.
        kind: &'a str,
        /// Which one, such as `42`.
        id: &'a str,
    },
}

impl Subject {
    /// A user with this account id: any text of at most [`MAX_SUBJECT_BYTES`] without `:` and control characters.
    ///
    /// # Errors
    /// When the id is empty, too long or holds such a character.
    pub fn user(id: impl Into<String>) -> Result<Self, SubjectError> {
        let text = id.into();
        // Plain ASCII, as most ids are, needs no decoding.
        let is_plain = text.bytes().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~') & (byte != b':'));
        let is_good = is_plain || !text.chars().any(|c| c == ':' || c.is_control());
        if text.is_empty() || text.len() > MAX_SUBJECT_BYTES || !is_good {
            return Err(SubjectError);
        }
        Ok(Self { text, kind: 0 })
    }

    /// The OAuth client with this id (of `[A-Za-z0-9._~-]`).
    ///
    /// # Errors
    /// When the id is empty, too long or holds another character.
    pub fn client(id: &str) -> Result<Self, SubjectError> {
        Self::prefixed(CLIENT, id)
    }

    /// A thing of the application's own; kind and id are of `[A-Za-z0-9._~-]`, and the kind is not `client`.
    ///
    /// # Errors
    /// When either is empty, too long, holds another character, or the kind is `client` in any letter case.
    pub fn other(kind: &str, id: &str) -> Result<Self, SubjectError> {
        if kind.eq_ignore_ascii_case(CLIENT) {
            return Err(SubjectError);
        }
        Self::prefixed(kind, id)
    }

    fn prefixed(kind: &str, id: &str) -> Result<Self, SubjectError> {
        if !is_name(kind) || !is_name(id) || kind.len() + 1 + id.len() > MAX_SUBJECT_BYTES {
            return Err(SubjectError);
        }
        Ok(Self { text: format!("{kind}:{id}"), kind: kind.len() })
    }

    /// Reads a `sub` claim.
    ///
    /// # Errors
    /// When it is neither a user's id nor a well-formed `kind:id`.
    pub fn parse(text: &str) -> Result<Self, SubjectError> {
        let Some(colon) = memchr(b':', text.as_bytes()) else { return Self::user(text) };
        match (&text[..colon], &text[colon + 1..]) {
            (CLIENT, id) => Self::client(id),
            (kind, id) => Self::other(kind, id),
        }
    }

    /// The claim's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What the subject is.
    #[must_use]
    pub fn kind(&self) -> SubjectKind<'_> {
        match self.text.split_at(self.kind) {
            ("", id) => SubjectKind::User(id),
            (CLIENT, rest) => SubjectKind::Client(&rest[1..]),
            (kind, rest) => SubjectKind::Other { kind, id: &rest[1..] },
        }
    }

    /// The account's id, if the subject is a user.
    #[must_use]
    pub fn as_user(&self) -> Option<&str> {
        match self.kind() {
            SubjectKind::User(id) => Some(id),
            SubjectKind::Client(_) | SubjectKind::Other { .. } => None,
        }
    }

    /// The client's id, if the subject is a client.
    #[must_use]
    pub fn as_client(&self) -> Option<&str> {
        match self.kind() {
            SubjectKind::Client(id) => Some(id),
            SubjectKind::User(_) | SubjectKind::Other { .. } => None,
        }
    }

    /// The thing's id, if the subject is of this kind (never for users and clients).
    #[must_use]
    pub fn as_other(&self, wanted: &str) -> Option<&str> {
        match self.kind() {
            SubjectKind::Other { kind, id } if kind == wanted => Some(id),
            SubjectKind::Other { .. } | SubjectKind::User(_) | SubjectKind::Client(_) => None,
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b'-'))
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subject").field(&self.text).finish()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl FromStr for Subject {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, SubjectError> {
        Self::parse(text)
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_apart() {
        let user = Subject::parse("0198c0de-0000-7000-8000-000000000000").unwrap();
        assert_eq!(user.as_user(), Some("0198c0de-0000-7000-8000-000000000000"));
        assert_eq!(Subject::parse("johndoe@example.com").unwrap().as_user(), Some("johndoe@example.com"));
        assert_eq!(Subject::parse("김철수").unwrap().as_user(), Some("김철수"));

        let client = Subject::parse("client:web-app").unwrap();
        assert_eq!((client.as_user(), client.as_client()), (None, Some("web-app")));
        assert_eq!(client, Subject::client("web-app").unwrap());

        let car = Subject::parse("car:42").unwrap();
        assert_eq!(car.kind(), SubjectKind::Other { kind: "car", id: "42" });
        assert_eq!((car.as_user(), car.as_client()), (None, None));
        assert_eq!((car.as_other("car"), car.as_other("ca")), (Some("42"), None));
        assert_eq!((client.as_other("client"), user.as_other("")), (None, None));
        assert_eq!(car, Subject::other("car", "42").unwrap());
    }

    #[test]
    fn nothing_else_passes_for_a_user_or_a_client() {
        for text in [
            "",
            ":",
            ":42",
            "car:",
            "client:",
            "client:a:b",
            "car:4 2",
            "car:4/2",
            "c ar:42",
            "https://example.com",
            "a\0b",
            "Client:web",
            "CLIENT:web",
            "a\nb",
            "\u{85}",
        ] {
            assert_eq!(Subject::parse(text), Err(SubjectError), "{text:?}");
        }
        for id in ["client:x", "a:b", ":", ""] {
            assert!(Subject::user(id).is_err(), "{id:?}");
        }
        assert!(Subject::other("client", "x").is_err());
        assert!(Subject::user("a".repeat(MAX_SUBJECT_BYTES)).is_ok());
        assert!(Subject::user("a".repeat(MAX_SUBJECT_BYTES + 1)).is_err());
        assert!(Subject::other("car", &"4".repeat(MAX_SUBJECT_BYTES - 3)).is_err());
    }

    #[test]
    fn on_the_wire_it_is_its_text() {
        let json = r#""client:web-app""#;
        let subject: Subject = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&subject).unwrap(), json);
        assert!(serde_json::from_str::<Subject>("42").is_err());
    }
}
