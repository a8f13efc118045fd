//! Who acts: the `act` claim of delegated tokens.

use serde::{Deserialize, Serialize};

/// Who acts on behalf of a token's subject (`act`, RFC 8693 §4.1). A token that has it was minted from another one.
///
/// Other members of the claim are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The acting party; in tokens of Mapae the text of a [`Subject`](crate::Subject).
    pub sub: String,
    /// Who acted before, newest first: for the record, not for decisions (RFC 8693 §4.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Box<Self>>,
}

impl Actor {
    /// The first of a chain.
    pub fn new(sub: impl Into<String>) -> Self {
        Self { sub: sub.into(), act: None }
    }

    /// Everybody who acts and acted, newest first.
    pub fn chain(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(Some(self), |actor| actor.act.as_deref()).map(|actor| actor.sub.as_str())
    }
}
