//! What was answered, how it came out, and what must never happen.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::server::now;

/// As many of what must never happen are told in full.
const TOLD: usize = 12;

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// 2xx: whatever it changed must be there from now on.
    Acknowledged,
    /// 4xx.
    Refused,
    /// 503 with `Retry-After`: whatever it was to change may have happened.
    Unavailable,
    /// The connection broke in the middle.
    CutOff,
}

/// Everything that the load saw.
#[derive(Default)]
pub(super) struct Ledger(Mutex<Book>);

#[derive(Default)]
struct Book {
    counts: BTreeMap<(&'static str, Outcome), usize>,
    /// When requests were sent that were answered with 503.
    unavailable: Vec<(Instant, String)>,
    slowest: Duration,
    wrong: Vec<String>,
    lasting: Option<Instant>,
    recovered: Option<Duration>,
}

impl Ledger {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, what: &'static str, outcome: Outcome, sent: Instant) {
        let mut book = self.book();
        *book.counts.entry((what, outcome)).or_default() += 1;
        book.slowest = book.slowest.max(sent.elapsed());
        if outcome == Outcome::Unavailable {
            book.unavailable.push((sent, what.to_owned()));
        }
    }

    /// Something that must never happen.
    pub(super) fn wrong(&self, what: String) {
        self.book().wrong.push(what);
    }

    /// The fault is over, and all was well again after this time.
    pub(super) fn recovered(&self, over: Instant, after: Duration) {
        let mut book = self.book();
        book.recovered = book.recovered.max(Some(after));
        book.lasting = Some(over);
    }

    /// From `limit` after the end of the fault on, nothing may be unavailable.
    pub(super) fn expect_well(&self, limit: Duration) {
        let mut book = self.book();
        let Some(over) = book.lasting else { return };
        let late: Vec<_> = book.unavailable.iter().filter(|(sent, _)| *sent > over + limit).collect();
        if let Some((sent, what)) = late.first() {
            let text =
                format!("{} of {} were unavailable {:?} after the fault", late.len(), what, sent.duration_since(over));
            book.wrong.push(text);
        }
        if book.recovered.is_none_or(|after| after > limit) {
            let text = format!("all was well only {:?} after the fault", book.recovered);
            book.wrong.push(text);
        }
    }

    /// How many came out so.
    pub(super) fn count(&self, outcome: Outcome) -> usize {
        self.book().counts.iter().filter(|((_, one), _)| *one == outcome).map(|(_, count)| count).sum()
    }

    /// Fails if anything happened that must never happen.
    pub(super) fn settle(&self) {
        let book = self.book();
        let shown: Vec<_> = book.wrong.iter().take(TOLD).collect();
        assert!(book.wrong.is_empty(), "{} wrong things, such as {shown:#?}", book.wrong.len());
    }
}

/// One line for people.
impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, outcome) in [
            ("acknowledged", Outcome::Acknowledged),
            ("refused", Outcome::Refused),
            ("unavailable", Outcome::Unavailable),
            ("cut off", Outcome::CutOff),
        ] {
            write!(f, "{} {name}, ", self.count(outcome))?;
        }
        let book = self.book();
        write!(f, "slowest {:.1} s", book.slowest.as_secs_f64())?;
        if let Some(after) = book.recovered {
            write!(f, ", well again after {:.2} s", after.as_secs_f64())?;
        }
        Ok(())
    }
}

/// Time since then.
pub(super) fn since(then: Instant) -> Duration {
    now().duration_since(then)
}
