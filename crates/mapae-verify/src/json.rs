//! Reading JSON objects strictly: each member once, and an error that names the member at fault.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::VerifyError;

/// A string, borrowed from the document unless it has escapes.
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(TextVisitor)
    }
}

/// What is wrong, noted beside serde's error, which can carry text only.
#[derive(Default)]
pub(crate) struct Fault(Cell<Option<VerifyError>>);

impl Fault {
    /// The error to return, with the fault noted.
    pub(crate) fn fail<E: de::Error>(&self, fault: VerifyError) -> E {
        self.0.set(Some(fault));
        E::custom("fault")
    }

    /// Reads the value of a member; a value of another type is `fault`.
    pub(crate) fn value<'de, A: MapAccess<'de>, S: DeserializeSeed<'de>>(
        &self,
        map: &mut A,
        seed: S,
        fault: impl FnOnce() -> VerifyError,
    ) -> Result<S::Value, A::Error> {
        map.next_value_seed(seed).inspect_err(|_| self.0.set(Some(fault())))
    }
}

/// Reads one JSON object and nothing after it. `malformed` is the error for what is no JSON object.
pub(crate) fn read_object<'de, V: Visitor<'de>>(
    text: &'de str,
    fault: &Fault,
    visitor: V,
    malformed: &'static str,
) -> Result<V::Value, VerifyError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer.deserialize_map(visitor).and_then(|value| deserializer.end().map(|()| value)).map_err(|error| {
        // A fault counts only if the JSON itself is sound up to there.
        let fault = fault.0.take().filter(|_| error.is_data());
        fault.unwrap_or(VerifyError::Malformed(malformed))
    })
}

/// The names of members that were seen, to find one that comes twice.
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Names<'a> {
    seen: Vec<Cow<'a, str>>,
    most: usize,
}

/// Why a name is refused.
pub(crate) enum NameFault {
    Duplicate,
    TooMany,
}

impl<'a> Names<'a> {
    pub(crate) const fn at_most(most: usize) -> Self {
        Self { seen: Vec::new(), most }
    }

    pub(crate) fn add(&mut self, name: Cow<'a, str>) -> Result<(), NameFault> {
        if self.contains(&name) {
            return Err(NameFault::Duplicate);
        }
        if self.seen.len() >= self.most {
            return Err(NameFault::TooMany);
        }
        self.seen.push(name);
        Ok(())
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.seen.iter().any(|seen| seen == name)
    }
}
