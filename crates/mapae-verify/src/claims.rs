//! The claims of an access token (RFC 7519 §4.1, RFC 9068 §2.2).

use std::fmt;

use compact_str::CompactString;
use serde::de::{self, Visitor};
use serde::ser::{Error as _, SerializeMap};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::{SmallVec, smallvec};

use crate::{Actor, Scopes, Subject};

/// The names that [`Claims`] itself reads and writes; extra claims can't use them.
pub const REGISTERED_CLAIMS: [&str; 11] =
    ["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "client_id", "scope", "sid", "act"];

/// No claims beyond those of [`Claims`]; others in a token are ignored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoExtra {}

/// The recipients of a token: one string or an array of strings on the wire (RFC 7519 §4.1.3).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audience(SmallVec<[CompactString; 1]>);

impl Audience {
    /// One recipient.
    #[must_use]
    pub fn one(recipient: impl AsRef<str>) -> Self {
        Self(smallvec![CompactString::new(recipient)])
    }

    /// The recipients, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(CompactString::as_str)
    }

    /// True when `recipient` is among them (compared byte for byte).
    #[must_use]
    pub fn contains(&self, recipient: &str) -> bool {
        self.iter().any(|held| held == recipient)
    }

    /// True when any of `recipients` is among them.
    #[must_use]
    pub fn contains_any<S: AsRef<str>>(&self, recipients: &[S]) -> bool {
        recipients.iter().any(|recipient| self.contains(recipient.as_ref()))
    }

    /// True when there is no recipient.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<S: AsRef<str>> From<S> for Audience {
    fn from(recipient: S) -> Self {
        Self::one(recipient)
    }
}

impl<S: AsRef<str>> FromIterator<S> for Audience {
    fn from_iter<I: IntoIterator<Item = S>>(recipients: I) -> Self {
        Self(recipients.into_iter().map(CompactString::new).collect())
    }
}

impl Serialize for Audience {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => serializer.serialize_str(one),
            several => several.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;

        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Audience;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings")
            }

            fn visit_str<E: de::Error>(self, one: &str) -> Result<Audience, E> {
                Ok(Audience::one(one))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Audience, A::Error> {
                let mut many = SmallVec::new();
                while let Some(item) = items.next_element()? {
                    many.push(item);
                }
                Ok(Audience(many))
            }
        }

        deserializer.deserialize_any(OneOrMany)
    }
}

/// The claims of an access token as RFC 9068 §2.2 has them, with the session's id and whatever the application adds.
///
/// Times are seconds since 1970. An absent `scope` is the empty set; an empty one is not written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Claims<E = NoExtra> {
    /// Who issued the token.
    pub iss: String,
    /// On whose behalf it speaks.
    pub sub: Subject,
    /// For whom it is meant.
    pub aud: Audience,
    /// When it ends: it is not valid at this second or later.
    #[serde(deserialize_with = "numeric_date")]
    pub exp: i64,
    /// When it was issued.
    #[serde(deserialize_with = "numeric_date")]
    pub iat: i64,
    /// From when on it is valid.
    #[serde(default, deserialize_with = "optional_numeric_date")]
    pub nbf: Option<i64>,
    /// The token's own id.
    pub jti: String,
    /// The OAuth client that it was issued to.
    pub client_id: String,
    /// What it allows.
    #[serde(default)]
    pub scope: Scopes,
    /// The session that it belongs to.
    #[serde(default)]
    pub sid: Option<String>,
    /// Who acts, if it was minted from another token (RFC 8693 §4.1).
    #[serde(default)]
    pub act: Option<Actor>,
    /// The application's own claims, beside the others.
    #[serde(flatten)]
    pub extra: E,
}

impl<E: Serialize> Serialize for Claims<E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let extra = match serde_json::to_value(&self.extra).map_err(S::Error::custom)? {
            serde_json::Value::Object(members) => members,
            serde_json::Value::Null => serde_json::Map::new(),
            _ => return Err(S::Error::custom("extra claims must be an object")),
        };
        if let Some(name) = extra.keys().find(|name| REGISTERED_CLAIMS.contains(&name.as_str())) {
            return Err(S::Error::custom(format_args!("extra claim `{name}` hides the registered one")));
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("iss", &self.iss)?;
        map.serialize_entry("sub", &self.sub)?;
        map.serialize_entry("aud", &self.aud)?;
        map.serialize_entry("exp", &self.exp)?;
        map.serialize_entry("iat", &self.iat)?;
        if let Some(nbf) = self.nbf {
            map.serialize_entry("nbf", &nbf)?;
        }
        map.serialize_entry("jti", &self.jti)?;
        map.serialize_entry("client_id", &self.client_id)?;
        if !self.scope.is_empty() {
            map.serialize_entry("scope", &self.scope)?;
        }
        if let Some(sid) = &self.sid {
            map.serialize_entry("sid", sid)?;
        }
        if let Some(act) = &self.act {
            map.serialize_entry("act", act)?;
        }
        for (name, value) in &extra {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Whole seconds; fractions are cut off. Whether a verifier tolerates fractions at all is its own policy.
fn numeric_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    struct Seconds;

    impl Visitor<'_> for Seconds {
        type Value = i64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("seconds since 1970")
        }

        fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<i64, E> {
            Ok(seconds)
        }

        fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<i64, E> {
            i64::try_from(seconds).map_err(E::custom)
        }

        fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<i64, E> {
            crate::registered::millis_of(seconds)
                .map(|millis| millis.div_euclid(1000))
                .ok_or_else(|| E::custom("not a time"))
        }
    }

    deserializer.deserialize_i64(Seconds)
}

fn optional_numeric_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    numeric_date(deserializer).map(Some)
}
