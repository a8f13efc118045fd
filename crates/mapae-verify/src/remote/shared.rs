//! What requests and the background task share: who waits for which fetch.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::fetch::FetchError;
use super::schedule::millis;
use crate::Clock;

/// Requests that find nothing to check with ask again no sooner than this after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// How far the clock may be set back before what was fetched counts as old.
const SET_BACK: Duration = Duration::from_secs(60);

/// Why a request wants a fetch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// Nothing was fetched, or it is too old.
    Nothing,
    /// The keys do not hold the token's.
    UnknownKey,
}

pub(super) struct Shared {
    clock: Arc<dyn Clock>,
    /// Milliseconds between two fetches for the sake of unknown keys.
    unknown_key_interval: i64,
    /// From when until when what was fetched may be used, in milliseconds since 1970.
    fresh_from: AtomicI64,
    fresh_until: AtomicI64,
    /// How many fetches have ended.
    finished: AtomicU64,
    /// The same number, for waiting. Closed when the task has ended.
    ended: watch::Receiver<u64>,
    /// Wakes the task.
    wake: mpsc::Sender<()>,
    state: Mutex<State>,
}

struct State {
    /// A fetch is under way, or asked for.
    is_pending: bool,
    last_error: FetchError,
    failed_at: Option<i64>,
    unknown_key_at: Option<i64>,
}

/// The ends of [`Shared`] that the task keeps.
pub(super) struct TaskEnds {
    pub(super) ended: watch::Sender<u64>,
    pub(super) woken: mpsc::Receiver<()>,
}

impl Shared {
    /// The task begins with a fetch, so one is pending.
    pub(super) fn new(clock: Arc<dyn Clock>, unknown_key_interval: Duration) -> (Self, TaskEnds) {
        let (ended_sender, ended) = watch::channel(0);
        let (wake, woken) = mpsc::channel(1);
        let shared = Self {
            clock,
            unknown_key_interval: millis(unknown_key_interval),
            fresh_from: AtomicI64::new(i64::MAX),
            fresh_until: AtomicI64::new(i64::MIN),
            finished: AtomicU64::new(0),
            ended,
            wake,
            state: Mutex::new(State {
                is_pending: true,
                last_error: FetchError::Stopped,
                failed_at: None,
                unknown_key_at: None,
            }),
        };
        (shared, TaskEnds { ended: ended_sender, woken })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now_millis(&self) -> i64 {
        self.clock.now_millis()
    }

    pub(super) fn is_fresh(&self) -> bool {
        let now = self.clock.now_millis();
        now < self.fresh_until.load(Ordering::Acquire) && now >= self.fresh_from.load(Ordering::Acquire)
    }

    /// How many fetches have ended. A request looks first, so that it knows later which were made since.
    pub(super) fn finished(&self) -> u64 {
        self.finished.load(Ordering::Acquire)
    }

    /// Waits until there is something to check with, or a fetch has failed.
    pub(super) async fn ready(&self) -> Result<(), FetchError> {
        let seen = self.finished();
        if !self.is_fresh() {
            self.fetched(Reason::Nothing, seen).await;
        }
        if self.is_fresh() { Ok(()) } else { Err(self.state().last_error.clone()) }
    }

    /// Waits for a fetch to end, unless one has since `seen`. False when there is none to wait for, since the last one
    /// was too recent.
    pub(super) async fn fetched(&self, reason: Reason, seen: u64) -> bool {
        self.ask(reason, seen) && self.ended.clone().wait_for(|ended| *ended > seen).await.is_ok()
    }

    fn ask(&self, reason: Reason, seen: u64) -> bool {
        let mut state = self.state();
        if state.is_pending || self.finished() > seen {
            return true;
        }
        let now = self.clock.now_millis();
        let (last, interval) = match reason {
            Reason::Nothing => (state.failed_at, millis(RETRY)),
            Reason::UnknownKey => (state.unknown_key_at, self.unknown_key_interval),
        };
        // A clock that was set back must not keep anybody waiting.
        if last.is_some_and(|last| (last..last.saturating_add(interval)).contains(&now)) {
            return false;
        }
        if reason == Reason::UnknownKey {
            state.unknown_key_at = Some(now);
        }
        state.is_pending = true;
        // Full only if the task was woken already and has not begun.
        let _ = self.wake.try_send(());
        true
    }

    /// The task begins another fetch, by its own schedule or because it was asked to.
    pub(super) fn begin(&self, woken: &mut mpsc::Receiver<()>) {
        self.state().is_pending = true;
        // Nobody asks while one is pending: what was asked until now is what begins.
        while woken.try_recv().is_ok() {}
    }

    /// A fetch has ended. What it brought is good for so long.
    pub(super) fn end(&self, outcome: Result<Duration, FetchError>, ended: &watch::Sender<u64>) {
        let mut state = self.state();
        let now = self.clock.now_millis();
        match outcome {
            Ok(kept) => {
                // How old it is cannot be told by a clock that was set back by more than it may differ.
                self.fresh_from.store(now.saturating_sub(millis(SET_BACK)), Ordering::Release);
                self.fresh_until.store(now.saturating_add(millis(kept)), Ordering::Release);
                state.failed_at = None;
            }
            Err(error) => {
                state.last_error = error;
                state.failed_at = Some(now);
            }
        }
        state.is_pending = false;
        let finished = self.finished() + 1;
        self.finished.store(finished, Ordering::Release);
        ended.send_replace(finished);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ManualClock;

    #[test]
    fn what_was_asked_before_a_fetch_begins_does_not_cause_another() {
        let (shared, mut ends) = Shared::new(Arc::new(ManualClock::new(0)), RETRY);
        assert!(shared.ask(Reason::Nothing, 0), "the first fetch is pending from the start");
        assert!(ends.woken.try_recv().is_err(), "nobody needs to ask for it");
        shared.end(Err(FetchError::NoUsableKey), &ends.ended);
        assert!(shared.ask(Reason::UnknownKey, 1));
        shared.begin(&mut ends.woken);
        assert!(ends.woken.try_recv().is_err());
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nothing_last_longer() {
        let clock = ManualClock::new(1_000_000);
        let (shared, ends) = Shared::new(Arc::new(clock.clone()), RETRY);
        shared.end(Ok(Duration::from_secs(300)), &ends.ended);
        for (seconds, is_fresh) in [(0, true), (299, true), (300, false), (-60, true), (-61, false), (-86_400, false)] {
            clock.set(1_000_000 + seconds);
            assert_eq!(shared.is_fresh(), is_fresh, "{seconds}");
        }
    }
}
