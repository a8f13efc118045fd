//! Scopes of access tokens (RFC 6749 §3.3).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use compact_str::CompactString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest list of scopes that is read, in bytes.
pub const MAX_SCOPES_BYTES: usize = 4096;
/// Most scopes in one list.
pub const MAX_SCOPES: usize = 128;

/// Why a text is no scope, or no list of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// A scope has at least one character.
    #[error("a scope must not be empty")]
    Empty,
    /// Only printable ASCII without space, `"` and `\` is allowed (RFC 6749 §3.3).
    #[error("a scope holds a character that is not allowed")]
    InvalidCharacter,
    /// More than [`MAX_SCOPES_BYTES`].
    #[error("the list of scopes is too long")]
    TooLong,
    /// More than [`MAX_SCOPES`].
    #[error("there are too many scopes")]
    TooMany,
}

/// One `scope-token` of RFC 6749 §3.3, such as `me` or `mapae:admin`. Case matters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope(String);

impl Scope {
    /// Checks and takes one scope.
    ///
    /// # Errors
    /// When the text is empty, too long, or holds a character that is not allowed.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        check_token(text)?;
        Ok(Self(text.to_owned()))
    }

    /// The scope as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What stands between the spaces of a list.
fn tokens(text: &str) -> impl Iterator<Item = &str> + Clone {
    // Lists are short: a loop over bytes is faster than the search for a pattern.
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(' ');
        let end = rest.bytes().position(|byte| byte == b' ').unwrap_or(rest.len());
        let token;
        (token, rest) = rest.split_at(end);
        (!token.is_empty()).then_some(token)
    })
}

fn check_token(text: &str) -> Result<(), ScopeError> {
    if text.is_empty() {
        return Err(ScopeError::Empty);
    }
    if text.len() > MAX_SCOPES_BYTES {
        return Err(ScopeError::TooLong);
    }
    if !text.bytes().all(is_nqchar) {
        return Err(ScopeError::InvalidCharacter);
    }
    Ok(())
}

/// `NQCHAR` of RFC 6749, appendix A.
const fn is_nqchar(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for Scope {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        Self::parse(text)
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// A set of scopes that remembers the order in which they were given.
///
/// Two sets are equal when they hold the same scopes, whatever their order.
#[derive(Clone, Default)]
pub struct Scopes {
    /// Each scope once, separated by one space. Few short ones, as most tokens have, are not allocated.
    text: CompactString,
}

impl Scopes {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { text: CompactString::const_new("") }
    }

    /// Reads a space separated list. Repeated spaces and repeated scopes are tolerated; the empty text is the empty
    /// set.
    ///
    /// # Errors
    /// When a character is not allowed, or the list is too long ([`MAX_SCOPES_BYTES`], [`MAX_SCOPES`]).
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        if text.len() > MAX_SCOPES_BYTES {
            return Err(ScopeError::TooLong);
        }
        // One scope, as many tokens have, needs no look for others.
        if !text.is_empty() && text.bytes().all(is_nqchar) {
            return Ok(Self { text: text.into() });
        }
        let mut scopes = Self { text: CompactString::with_capacity(text.len()) };
        let mut count = 0;
        for token in tokens(text) {
            check_token(token)?;
            count += 1;
            if count > MAX_SCOPES {
                return Err(ScopeError::TooMany);
            }
            scopes.push(token);
        }
        Ok(scopes)
    }

    fn push(&mut self, token: &str) {
        if self.contains(token) {
            return;
        }
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(token);
    }

    /// The scopes, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        tokens(&self.text)
    }

    /// How many scopes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// True when there is no scope.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The scopes as one space separated text, in order.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// True when `scope` is among them.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        let mut held = self.text.as_bytes().split(|byte| *byte == b' ');
        !scope.is_empty() && held.any(|held| held == scope.as_bytes())
    }

    /// True when every scope of `other` is among them.
    #[must_use]
    pub fn contains_all(&self, other: &Self) -> bool {
        other.iter().all(|scope| self.contains(scope))
    }

    /// Those that are in both, in the order of `self`.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.iter_filtered(|scope| other.contains(scope))
    }

    /// Those of `self` that are not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.iter_filtered(|scope| !other.contains(scope))
    }

    /// Those of `self`, then those that only `other` has.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        for scope in other.iter() {
            all.push(scope);
        }
        all
    }

    fn iter_filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        let mut kept = Self::new();
        for scope in self.iter().filter(|scope| keep(scope)) {
            kept.push(scope);
        }
        kept
    }
}

impl PartialEq for Scopes {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text || (self.len() == other.len() && self.contains_all(other))
    }
}

impl Eq for Scopes {}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Scopes").field(&self.text).finish()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl FromStr for Scopes {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        Self::parse(text)
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        let mut set = Self::new();
        set.extend(scopes);
        set
    }
}

impl<'a> FromIterator<&'a Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = &'a Scope>>(scopes: I) -> Self {
        let mut set = Self::new();
        for scope in scopes {
            set.push(scope.as_str());
        }
        set
    }
}

impl Extend<Scope> for Scopes {
    fn extend<I: IntoIterator<Item = Scope>>(&mut self, scopes: I) {
        for scope in scopes {
            self.push(scope.as_str());
        }
    }
}

impl From<Scope> for Scopes {
    fn from(scope: Scope) -> Self {
        Self { text: scope.0.into() }
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(text: &str) -> Scopes {
        Scopes::parse(text).unwrap()
    }

    #[test]
    fn order_is_kept_and_repeats_are_dropped() {
        assert_eq!(scopes("items  me items ").as_str(), "items me");
        assert_eq!(scopes("").len(), 0);
        assert!(scopes("  ").is_empty());
        assert_eq!(scopes("a b"), scopes("b a"));
        assert_ne!(scopes("a b"), scopes("a"));
        assert_ne!(scopes("a b"), scopes("a c"));
    }

    #[test]
    fn membership_is_of_whole_tokens() {
        let held = scopes("items:read me");
        assert!(held.contains("me"));
        for other in ["items", "m", "me items:read", "", " ", "ME"] {
            assert!(!held.contains(other), "{other:?}");
        }
        assert!(held.contains_all(&scopes("me")));
        assert!(held.contains_all(&Scopes::new()));
        assert!(!held.contains_all(&scopes("me admin")));
    }

    #[test]
    fn set_operations() {
        let (a, b) = (scopes("x y z"), scopes("z w y"));
        assert_eq!(a.intersection(&b).as_str(), "y z");
        assert_eq!(a.union(&b).as_str(), "x y z w");
        assert_eq!(a.difference(&b).as_str(), "x");
    }

    #[test]
    fn bad_characters_and_sizes_are_errors() {
        for text in ["a\tb", "a\nb", "\"a\"", "a\\b", "é", "a\u{a0}b", "a\0", "\u{7f}"] {
            assert_eq!(Scopes::parse(text), Err(ScopeError::InvalidCharacter), "{text:?}");
        }
        assert_eq!(Scopes::parse(&"a".repeat(MAX_SCOPES_BYTES + 1)), Err(ScopeError::TooLong));
        let many = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>().join(" ");
        assert!(Scopes::parse(&many(MAX_SCOPES)).is_ok());
        assert_eq!(Scopes::parse(&many(MAX_SCOPES + 1)), Err(ScopeError::TooMany));
        assert_eq!(Scope::parse(""), Err(ScopeError::Empty));
        assert_eq!(Scope::parse("a b"), Err(ScopeError::InvalidCharacter));
    }

    #[test]
    fn on_the_wire_it_is_one_string() {
        assert_eq!(serde_json::to_string(&scopes("me items")).unwrap(), r#""me items""#);
        assert_eq!(serde_json::from_str::<Scopes>(r#""items me""#).unwrap(), scopes("me items"));
        for bad in [r#"["me"]"#, "1", "null", r#""a\nb""#] {
            assert!(serde_json::from_str::<Scopes>(bad).is_err(), "{bad}");
        }
    }
}
