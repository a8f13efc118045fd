//! What strangers send and the log repeats: each text once, and not without end.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Texts that are remembered; those that come after are not logged at all.
const CAPACITY: usize = 64;

/// Remembers which texts were logged.
#[derive(Default)]
pub(crate) struct Noted(Mutex<BTreeSet<String>>);

impl Noted {
    /// Whether to log this text: it is new, and there is room to remember it.
    pub(crate) fn is_new(&self, text: &str) -> bool {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.len() < CAPACITY && noted.insert(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_new_once_and_there_is_an_end() {
        let noted = Noted::default();
        assert!(noted.is_new("a"));
        assert!(!noted.is_new("a"));
        assert_eq!((0..10_000).filter(|number| noted.is_new(&number.to_string())).count(), CAPACITY - 1);
    }
}
