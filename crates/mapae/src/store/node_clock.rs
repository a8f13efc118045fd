//! One time for all nodes of a database.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

use mapae_verify::{Clock, SystemClock};

/// A clock on which the nodes of one PostgreSQL database agree: that of the database's server, carried on between two
/// looks by this machine's monotonic time. A wall clock that is wrong here, or is set, changes nothing. Until a
/// [`Store`](super::Store) was told to [keep it](super::Store::keep_time), and on SQLite always, it is the system's.
#[derive(Debug, Default)]
pub struct NodeClock {
    /// What is added to monotonic time, in milliseconds.
    offset: AtomicI64,
    /// Monotonic time of the last look, in milliseconds; 0 before the first.
    looked: AtomicU64,
}

impl Clock for NodeClock {
    fn now_millis(&self) -> i64 {
        match self.looked.load(Ordering::Acquire) {
            0 => SystemClock.now_millis(),
            _ => as_signed(monotonic_millis()).saturating_add(self.offset.load(Ordering::Acquire)),
        }
    }
}

impl NodeClock {
    /// Takes over what the server said its time was, some time between these two moments. Where that is no more exact than
    /// what is known, nothing changes, so that time goes on evenly.
    pub(super) fn set(&self, server: i64, asked: u64, answered: u64) {
        let unsure = as_signed(answered.saturating_sub(asked)) / 2 + 1;
        let offset = server.saturating_sub(as_signed(asked).saturating_add(unsure));
        let known = self.offset.load(Ordering::Acquire);
        if self.looked.load(Ordering::Acquire) == 0 || known.abs_diff(offset) > unsure.unsigned_abs() {
            self.offset.store(offset, Ordering::Release);
        }
        self.looked.store(answered, Ordering::Release);
    }
}

fn as_signed(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

/// Milliseconds of this process's own clock that no one sets; never 0.
#[expect(clippy::disallowed_methods, reason = "monotonic time within one process, not a time of day")]
pub(super) fn monotonic_millis() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = *START.get_or_init(Instant::now);
    u64::try_from(Instant::now().saturating_duration_since(start).as_millis()).unwrap_or(u64::MAX - 1) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_systems_until_a_server_has_said_otherwise() {
        let clock = NodeClock::default();
        assert!((clock.now_millis() - SystemClock.now_millis()).abs() < 1_000);
        let asked = monotonic_millis();
        clock.set(5_000_000, asked, asked);
        assert!((4_999_999..5_001_000).contains(&clock.now_millis()), "{}", clock.now_millis());
    }

    #[test]
    fn it_goes_on_evenly_and_follows_what_it_cannot_explain() {
        let clock = NodeClock::default();
        clock.set(1_000_000, 1_000, 1_010);
        let first = clock.offset.load(Ordering::Acquire);
        // An answer that took long says nothing better.
        clock.set(1_000_500, 1_400, 1_600);
        assert_eq!(clock.offset.load(Ordering::Acquire), first);
        // The server's clock was set, or another server has taken over.
        clock.set(2_000_000, 2_000, 2_010);
        assert_eq!(clock.offset.load(Ordering::Acquire), 2_000_000 - 2_006);
    }
}
