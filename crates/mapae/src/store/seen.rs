//! Which rows of the log of changes were seen. Their ids are given out in order, but become visible in the order in which
//! transactions commit: an id that was skipped may yet come.

use sea_orm::{ColumnTrait, Condition};

use super::entity::invalidation::Column;

/// How long a skipped id is looked for, in milliseconds. Rows of the log are a transaction's last statements, and the
/// server undoes one that waits for a fraction of this; then the id never comes.
const PATIENCE: u64 = 30_000;
/// Before the newest row, so many ids may yet come when rows are first looked at: more than are given out while the server
/// lets a transaction wait.
const MAY_YET_COME: i64 = 50_000;
/// More ranges than this are thought of as one: what was seen between them is seen once more, which does no harm.
const MOST_GAPS: usize = 64;

/// The ids that were seen: all up to the newest, but some.
#[derive(Debug, Default)]
pub(super) struct Seen {
    newest: i64,
    /// Ranges without an id that was seen, in order.
    gaps: Vec<Gap>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gap {
    first: i64,
    last: i64,
    /// When it was found, in milliseconds.
    since: u64,
}

impl Seen {
    /// As if every id up to this newest one had been seen, but those of which some may not be there yet.
    pub(super) fn up_to(newest: i64, now: u64) -> Self {
        let open = Gap { first: (newest - MAY_YET_COME).max(0) + 1, last: newest, since: now };
        Self { newest, gaps: Some(open).filter(|gap| !gap.is_empty()).into_iter().collect() }
    }

    /// The rows that were not seen.
    pub(super) fn unseen(&self) -> Condition {
        let newer = Condition::any().add(Column::Id.gt(self.newest));
        self.gaps.iter().fold(newer, |any, gap| any.add(Column::Id.between(gap.first, gap.last)))
    }

    /// Notes an id at this time, in milliseconds of some clock that never goes back; whether it is new.
    pub(super) fn note(&mut self, id: i64, now: u64) -> bool {
        if id > self.newest {
            let skipped = Gap { first: self.newest + 1, last: id - 1, since: now };
            self.gaps.extend(Some(skipped).filter(|gap| !gap.is_empty()));
            self.newest = id;
            return true;
        }
        let Some(at) = self.gaps.iter().position(|gap| (gap.first..=gap.last).contains(&id)) else { return false };
        let gap = self.gaps[at];
        let parts = [Gap { last: id - 1, ..gap }, Gap { first: id + 1, ..gap }];
        self.gaps.splice(at..=at, parts.into_iter().filter(|part| !part.is_empty()));
        true
    }

    /// Gives up what did not come in time, and keeps the rest short.
    pub(super) fn tidy(&mut self, now: u64) {
        self.gaps.retain(|gap| now.saturating_sub(gap.since) < PATIENCE);
        if self.gaps.len() > MOST_GAPS
            && let (Some(first), Some(last)) = (self.gaps.first(), self.gaps.last())
        {
            let since = self.gaps.iter().map(|gap| gap.since).max().unwrap_or(now);
            self.gaps = vec![Gap { first: first.first, last: last.last, since }];
        }
    }
}

impl Gap {
    fn is_empty(&self) -> bool {
        self.first > self.last
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl Seen {
        fn asks_for(&self, id: i64) -> bool {
            id > self.newest || self.gaps.iter().any(|gap| (gap.first..=gap.last).contains(&id))
        }
    }

    #[test]
    fn a_skipped_id_is_looked_for_until_it_comes_or_time_is_up() {
        let mut seen = Seen::default();
        for id in [1, 2, 5] {
            assert!(seen.note(id, 0));
        }
        assert!(!seen.note(2, 0) && seen.asks_for(3) && seen.asks_for(4) && seen.asks_for(6) && !seen.asks_for(5));
        assert!(seen.note(4, 10) && !seen.asks_for(4) && seen.asks_for(3));
        seen.tidy(PATIENCE - 1);
        assert!(seen.asks_for(3));
        seen.tidy(PATIENCE);
        assert!(!seen.asks_for(3) && seen.gaps.is_empty());
    }

    #[test]
    fn a_first_look_leaves_room_for_what_is_late() {
        let mut seen = Seen::up_to(60_000, 0);
        assert!(!seen.asks_for(10_000) && seen.asks_for(10_001) && seen.asks_for(60_000) && seen.asks_for(60_001));
        for id in (10_001..=60_000).filter(|id| *id != 59_990) {
            assert!(seen.note(id, 0));
        }
        assert!(seen.asks_for(59_990) && seen.note(59_990, 5) && !seen.asks_for(59_990));
        let empty = Seen::up_to(0, 0);
        assert!(empty.gaps.is_empty() && empty.asks_for(1));
        assert!(Seen::up_to(3, 0).asks_for(1));
    }

    #[test]
    fn many_gaps_become_one() {
        let mut seen = Seen::default();
        for id in 1..=1_000 {
            seen.note(2 * id, 0);
        }
        seen.tidy(0);
        assert_eq!(seen.gaps, [Gap { first: 1, last: 1_999, since: 0 }]);
        assert!(seen.note(7, 1) && seen.asks_for(9) && !seen.asks_for(7));
    }

    proptest! {
        /// Whatever the order of the commits, each id is asked for until it was seen, and then never again.
        #[test]
        fn every_id_is_seen_once(ids in proptest::collection::hash_set(1_i64..60, 1..40)) {
            let order: Vec<i64> = ids.iter().copied().collect();
            let mut seen = Seen::default();
            for (at, id) in order.iter().enumerate() {
                prop_assert!(seen.asks_for(*id));
                prop_assert!(seen.note(*id, 0));
                seen.tidy(1);
                for known in &order[..=at] {
                    prop_assert!(!seen.asks_for(*known) && !seen.note(*known, 0));
                }
            }
        }
    }
}
