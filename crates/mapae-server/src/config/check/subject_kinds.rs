//! Kinds of things of the application's own.

use std::collections::BTreeSet;

use mapae_verify::Subject;

use super::Checker;

impl Checker<'_> {
    pub(super) fn subject_kinds(&mut self) -> BTreeSet<String> {
        let kinds = self.list("subject_kinds");
        for kind in kinds.iter().filter(|kind| Subject::other(kind, "1").is_err()) {
            let reason = "a kind has letters, digits and . _ ~ - and is not client";
            self.refuse("subject_kinds", &format!("has {kind:?}, which cannot be used: {reason}"));
        }
        kinds.into_iter().collect()
    }
}
