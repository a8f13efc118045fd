//! Where the time comes from.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A source of the current time. Everything that needs the time takes one.
pub trait Clock: Send + Sync + 'static {
    /// Seconds since 1970-01-01T00:00:00Z, rounded down.
    fn now(&self) -> i64 {
        self.now_millis().div_euclid(1000)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    fn now_millis(&self) -> i64;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> i64 {
        (**self).now()
    }

    fn now_millis(&self) -> i64 {
        (**self).now_millis()
    }
}

/// The clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    fn now_millis(&self) -> i64 {
        // Before 1970 every token is "not yet valid"; saturating keeps that true without a panic.
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that stands still until it is moved; meant for tests. Clones show the same time.
#[derive(Debug, Clone, Default)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that shows `seconds` since 1970.
    #[must_use]
    pub fn new(seconds: i64) -> Self {
        Self(Arc::new(AtomicI64::new(seconds.saturating_mul(1000))))
    }

    /// Shows `seconds` since 1970 from now on.
    pub fn set(&self, seconds: i64) {
        self.set_millis(seconds.saturating_mul(1000));
    }

    /// Shows `millis` milliseconds since 1970 from now on.
    pub fn set_millis(&self, millis: i64) {
        self.0.store(millis, Ordering::SeqCst);
    }

    /// Moves by `seconds`; a negative number moves back.
    pub fn advance(&self, seconds: i64) {
        self.advance_millis(seconds.saturating_mul(1000));
    }

    /// Moves by `millis` milliseconds; a negative number moves back.
    pub fn advance_millis(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_millis(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manual_clock_moves_for_all_clones() {
        let clock = ManualClock::new(100);
        let other = clock.clone();
        clock.advance(5);
        clock.advance_millis(999);
        assert_eq!((other.now(), other.now_millis()), (105, 105_999));
        other.set(-1);
        assert_eq!((clock.now(), clock.now_millis()), (-1, -1000));
        other.advance_millis(1);
        assert_eq!(clock.now(), -1, "rounded down, not towards zero");
    }

    #[test]
    fn system_clock_is_later_than_this_code() {
        assert!(SystemClock.now() > 1_700_000_000);
    }
}
