//! How late a refusal comes, so that its time tells nothing about the account.

use std::collections::HashMap;
#[cfg(feature = "testing")]
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use mapae_password::CostClass;
use tokio::time::Duration;

/// Checks of each class that are remembered.
const REMEMBERED: usize = 128;
/// Classes that are told apart; those that come after share one window.
pub(super) const MAX_CLASSES: usize = 32;

/// No refusal comes earlier than this: the p99 of recent checks of the costliest class of hashes in use. What a cheap
/// hash saves, and what a hash for nobody costs more or less, is hidden under it. Each class is remembered apart, so
/// that checks of a cheap one never lower the floor for everybody.
#[derive(Default)]
pub(super) struct RefusalFloor {
    classes: Mutex<HashMap<Option<CostClass>, Recent>>,
    /// For a test that shows what the floor hides.
    #[cfg(feature = "testing")]
    removed: AtomicBool,
}

#[derive(Default)]
struct Recent {
    took: Vec<Duration>,
    next: usize,
    p99: Duration,
}

impl RefusalFloor {
    /// Notes how long a check of a hash of this class took.
    pub(super) fn note(&self, class: Option<CostClass>, took: Duration) {
        let mut classes = self.classes.lock().unwrap_or_else(PoisonError::into_inner);
        let class = class.filter(|one| classes.len() < MAX_CLASSES || classes.contains_key(&Some(*one)));
        classes.entry(class).or_default().note(took);
    }

    pub(super) fn get(&self) -> Duration {
        #[cfg(feature = "testing")]
        if self.removed.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        let classes = self.classes.lock().unwrap_or_else(PoisonError::into_inner);
        classes.values().map(|recent| recent.p99).max().unwrap_or_default()
    }

    #[cfg(feature = "testing")]
    pub(super) fn remove(&self) {
        self.removed.store(true, Ordering::Relaxed);
    }
}

impl Recent {
    fn note(&mut self, took: Duration) {
        if self.took.len() < REMEMBERED {
            self.took.push(took);
        } else {
            self.took[self.next] = took;
            self.next = (self.next + 1) % REMEMBERED;
        }
        let mut sorted = self.took.clone();
        sorted.sort_unstable();
        // The nearest rank, rounded up: the maximum of fewer than a hundred.
        self.p99 = sorted[(sorted.len() * 99).div_ceil(100) - 1];
    }
}

#[cfg(test)]
mod tests {
    use mapae_password::{Argon2Params, Context};

    use super::*;

    fn class(memory_kib: u32) -> Option<CostClass> {
        let context = Context { argon2: Argon2Params::new(memory_kib, 1, 1).unwrap(), ..Context::default() };
        Some(context.cost_class(&context.dummy()).unwrap())
    }

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn the_floor_is_the_slow_end_of_the_costliest_class() {
        let floor = RefusalFloor::default();
        assert_eq!(floor.get(), Duration::ZERO);
        floor.note(class(64), ms(50));
        for _ in 0..10 {
            floor.note(class(64), ms(5));
        }
        assert_eq!(floor.get(), ms(50));
        floor.note(class(128), ms(140));
        for _ in 0..10 * REMEMBERED {
            floor.note(class(64), ms(5));
        }
        assert_eq!(floor.get(), ms(140), "checks of another class do not lower it");
        for _ in 0..REMEMBERED {
            floor.note(class(128), ms(60));
        }
        assert_eq!(floor.get(), ms(60), "those of the same class do");
    }

    #[test]
    fn classes_are_bounded_and_none_is_forgotten() {
        let floor = RefusalFloor::default();
        floor.note(class(8), ms(700));
        for memory in 9..200 {
            floor.note(class(memory), ms(1));
        }
        assert!(floor.classes.lock().unwrap().len() <= MAX_CLASSES + 1);
        assert_eq!(floor.get(), ms(700));
        for _ in 0..2 {
            floor.note(class(199), ms(800));
        }
        assert_eq!(floor.get(), ms(800), "classes past the bound count too");
    }
}
