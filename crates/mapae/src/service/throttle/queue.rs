//! Attempts wait here to be counted: those that come together are counted in one transaction.
//!
//! Where a counter is full only because attempts are under way that may yet turn out right, the next one waits for
//! them. So sign-ins with the right password are never refused, however many come at once.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use mapae_verify::Clock;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Duration, Instant};

use super::ThrottleError;
use crate::domain::throttle::{Attempt, CounterId, Counters, Counting, Forgiven, Full, Share, count, forgive};
use crate::service::{PoolBusy, Verdict};
use crate::store::{Store, StoreError, now_utc};

/// As many attempts are counted in one transaction, and as many taken back.
const MOST_AT_ONCE: usize = 128;
/// As many wait for one counter; the next one is refused.
const MOST_WAITING: usize = 256;
/// What is taken back waits so long for an attempt that takes it along into its transaction.
const LINGER: Duration = Duration::from_millis(50);
/// A failure that took longer is not tried again at once: the database is gone, and whoever waits has waited enough.
const SOON: Duration = Duration::from_secs(1);
/// What could not be taken back for want of the database is tried again after this time.
const AGAIN: Duration = Duration::from_secs(1);
/// Of so many full counters it is remembered that somebody was told.
const MOST_TOLD: usize = 4_096;
/// Counters in memory are looked through for forgiven ones when there are so many more.
const MEMORY_STEP: usize = 4_096;

pub(super) struct Queue {
    /// Where counters are; in this process's memory where there is no database.
    store: Option<Store>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Something was queued while the queue is worked on.
    news: Notify,
}

#[derive(Default)]
struct State {
    attempts: VecDeque<Waiting>,
    forgiven: VecDeque<Taken>,
    running: bool,
    /// The counters on which attempts are under way.
    under_way: HashMap<CounterId, UnderWay>,
    memory: Counters,
    /// How many counters in memory make a look through them worthwhile.
    memory_full: usize,
    /// Full counters of which somebody was told, and until when that is no news.
    told: HashMap<CounterId, DateTime<Utc>>,
}

struct Waiting {
    attempt: Attempt,
    answer: oneshot::Sender<Result<Counted, ThrottleError>>,
}

/// An attempt that was counted, as long as its outcome is open. Whoever goes away leaves a failure.
struct Counted {
    counting: Counting,
    queue: Arc<Queue>,
    is_over: bool,
}

struct Taken {
    forgiven: Forgiven,
    /// Told when it is written.
    done: Option<oneshot::Sender<()>>,
}

#[derive(Default)]
struct UnderWay {
    attempts: usize,
    waiting: VecDeque<Waiting>,
}

/// Lets one attempt be made. Dropped, it counts as a failure.
pub(in crate::service) struct Permit {
    counted: Option<Counted>,
    /// From where the subject is known if the attempt succeeds.
    place: Option<CounterId>,
}

impl Permit {
    /// Where nothing is counted.
    pub(super) fn free() -> Self {
        Self { counted: None, place: None }
    }

    /// What came of looking at the secret.
    pub(in crate::service) async fn settle(self, verdict: &Result<Verdict, PoolBusy>) {
        match verdict {
            Ok(Verdict::Accepted { .. }) => self.accepted().await,
            Ok(Verdict::Refused) => drop(self),
            Err(PoolBusy) => self.unused(),
        }
    }

    /// The secret was right.
    pub(in crate::service) async fn accepted(self) {
        let Some(counted) = self.counted else { return };
        let own = counted.counting.shares.first().map(|share| share.counter);
        // A place that is known from now on is worth waiting for: else a restart could forget it.
        let is_news = self.place.is_some() && self.place == own && !counted.counting.is_known;
        let (done, written) = oneshot::channel();
        counted.forgive(self.place, is_news.then_some(done));
        if is_news {
            // Not written: the next sign-in does it.
            let _ = written.await;
        }
    }

    /// The secret was not looked at.
    pub(in crate::service) fn unused(self) {
        if let Some(counted) = self.counted {
            counted.forgive(None, None);
        }
    }
}

impl Counted {
    fn forgive(mut self, place: Option<CounterId>, done: Option<oneshot::Sender<()>>) {
        self.is_over = true;
        let shares = std::mem::take(&mut self.counting.shares);
        let known = place.map(|place| (place, now_utc(self.queue.clock.as_ref())));
        let mut state = self.queue.state();
        // First what sets the counters right, so that whoever waited for that finds them so.
        state.forgiven.push_back(Taken { forgiven: Forgiven { shares: shares.clone(), known }, done });
        state.leave(&shares, true);
        self.queue.wake(state);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if !self.is_over {
            let mut state = self.queue.state();
            state.leave(&self.counting.shares, false);
            self.queue.wake(state);
        }
    }
}

impl State {
    /// An attempt is over. If it is taken back, one that waited for its place is counted next; if it was the last one
    /// under way, nobody has anything to wait for.
    fn leave(&mut self, shares: &[Share], is_taken_back: bool) {
        for share in shares {
            let Some(under_way) = self.under_way.get_mut(&share.counter) else { continue };
            under_way.attempts -= 1;
            if under_way.attempts == 0 {
                let over = self.under_way.remove(&share.counter).unwrap_or_default();
                self.attempts.extend(over.waiting);
            } else if is_taken_back {
                under_way.waiting.retain(|waiting| !waiting.answer.is_closed());
                self.attempts.extend(under_way.waiting.pop_front());
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.attempts.is_empty() && self.forgiven.is_empty()
    }

    /// Whether somebody waits for what is queued.
    fn is_awaited(&self) -> bool {
        !self.attempts.is_empty() || self.forgiven.iter().any(|taken| taken.done.is_some())
    }

    fn next_batch(&mut self) -> (Vec<Taken>, Vec<Waiting>) {
        let (taken, waiting) = (self.forgiven.len().min(MOST_AT_ONCE), self.attempts.len().min(MOST_AT_ONCE));
        (self.forgiven.drain(..taken).collect(), self.attempts.drain(..waiting).collect())
    }

    /// Whether it is news that these are full: once for each, until it takes one again. Of more than so many, none is.
    fn is_news(&mut self, full: &Full, now: DateTime<Utc>) -> bool {
        if self.told.len() >= MOST_TOLD {
            self.told.retain(|_, until| now < *until);
        }
        let news: Vec<_> =
            full.counters.iter().filter(|counter| self.told.get(counter).is_none_or(|until| *until <= now)).collect();
        if news.is_empty() || self.told.len() >= MOST_TOLD {
            return false;
        }
        self.told.extend(news.into_iter().map(|counter| (*counter, now + full.wait)));
        true
    }

    /// Whether room on this counter is about to be made.
    fn is_forgiven_soon(&self, counter: CounterId) -> bool {
        self.forgiven.iter().any(|taken| taken.forgiven.shares.iter().any(|share| share.counter == counter))
    }

    /// Lets an attempt that found counters full wait for those under way, if there is hope; else gives it back.
    fn keep_waiting(&mut self, full: &Full, waiting: Waiting) -> Result<(), Waiting> {
        let hopeless =
            |counter: &&CounterId| !self.under_way.contains_key(counter) && !self.is_forgiven_soon(**counter);
        if full.counters.iter().any(|counter| hopeless(&counter)) {
            return Err(waiting);
        }
        match full.counters.iter().find(|counter| self.under_way.contains_key(counter)) {
            Some(counter) => {
                let under_way = self.under_way.entry(*counter).or_default();
                if under_way.waiting.len() >= MOST_WAITING {
                    return Err(waiting);
                }
                under_way.waiting.push_back(waiting);
            }
            None => self.attempts.push_back(waiting),
        }
        Ok(())
    }
}

impl Queue {
    pub(super) fn new(store: Option<Store>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { store, clock, state: Mutex::default(), news: Notify::new() })
    }

    /// Counts an attempt. `place` is from where its subject is known if it succeeds.
    pub(super) async fn count(
        self: &Arc<Self>,
        attempt: Attempt,
        place: Option<CounterId>,
    ) -> Result<Permit, ThrottleError> {
        let (answer, answered) = oneshot::channel();
        self.enqueue(Waiting { attempt, answer });
        // It is always answered, unless the process ends.
        let counted = answered.await.map_err(|_| not_counted())?;
        Ok(Permit { counted: Some(counted?), place })
    }

    fn enqueue(self: &Arc<Self>, waiting: Waiting) {
        let mut state = self.state();
        state.attempts.push_back(waiting);
        self.wake(state);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that what is queued is done.
    fn wake(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        if state.is_empty() {
            return;
        }
        if state.running {
            self.news.notify_one();
        } else if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            state.running = true;
            runtime.spawn(Arc::clone(self).run());
        }
    }

    /// Counts what is queued until nothing is left.
    async fn run(self: Arc<Self>) {
        let mut running = Running { queue: &self, is_over: false };
        let mut linger = LINGER;
        loop {
            let until = Instant::now() + linger;
            while !self.state().is_awaited() {
                if tokio::time::timeout_at(until, self.news.notified()).await.is_err() {
                    break;
                }
            }
            let (taken, waiting) = self.state().next_batch();
            let is_all_taken_back = self.do_batch(taken, waiting).await;
            linger = if is_all_taken_back { LINGER } else { AGAIN };
            let mut state = self.state();
            if state.is_empty() {
                (state.running, running.is_over) = (false, true);
                return;
            }
        }
    }

    /// Whether everything was taken back that was to be.
    async fn do_batch(self: &Arc<Self>, taken: Vec<Taken>, waiting: Vec<Waiting>) -> bool {
        let waiting: Vec<_> = waiting.into_iter().filter(|waiting| !waiting.answer.is_closed()).collect();
        let (forgiven, done): (Vec<_>, Vec<_>) = taken.into_iter().map(|taken| (taken.forgiven, taken.done)).unzip();
        let attempts: Vec<_> = waiting.iter().map(|waiting| waiting.attempt.clone()).collect();
        let (began, mut is_all_taken_back) = (Instant::now(), true);
        match self.apply(&forgiven, &attempts).await {
            Ok(outcomes) => self.answer(waiting.into_iter().zip(outcomes)),
            Err(failed) if !matches!(failed.error, StoreError::Conflict(_)) && began.elapsed() > SOON => {
                tracing::warn!(error = %failed.error, "attempts could not be counted");
                for one in waiting {
                    // As below.
                    let _ = one.answer.send(Err(not_counted().into()));
                }
                is_all_taken_back = self.keep(forgiven, &failed);
            }
            Err(failed) => {
                // Perhaps another node's transaction waited for this one: each for itself, then.
                tracing::warn!(error = %failed.error, "attempts could not be counted together");
                if failed.may_be_done {
                    is_all_taken_back = self.keep(forgiven, &failed);
                } else if let Err(failed) = self.apply(&forgiven, &[]).await {
                    is_all_taken_back = self.keep(forgiven, &failed);
                }
                let mut waiting = waiting.into_iter();
                while let Some(one) = waiting.next() {
                    if one.answer.is_closed() {
                        continue;
                    }
                    match self.apply(&[], std::slice::from_ref(&one.attempt)).await {
                        Ok(outcomes) => self.answer(std::iter::once(one).zip(outcomes)),
                        // Nobody waits any more: nobody needs to know.
                        Err(Failed { error: error @ StoreError::Conflict(_), .. }) => {
                            _ = one.answer.send(Err(error.into()));
                        }
                        Err(Failed { error, .. }) => {
                            // The others would only wait for the same.
                            for other in waiting.by_ref() {
                                _ = other.answer.send(Err(not_counted().into()));
                            }
                            _ = one.answer.send(Err(error.into()));
                        }
                    }
                }
            }
        }
        for done in done.into_iter().flatten() {
            // As above.
            let _ = done.send(());
        }
        is_all_taken_back
    }

    /// Takes back later what was right; whether there is nothing to take back later. What may have been taken back is not
    /// taken back once more: that would forgive failures of others.
    fn keep(&self, forgiven: Vec<Forgiven>, Failed { error, may_be_done }: &Failed) -> bool {
        if *may_be_done || !matches!(error, StoreError::Database(_) | StoreError::Conflict(_)) {
            tracing::warn!(%error, "attempts that were right could not be taken back: they count as failed");
            return true;
        }
        let is_empty = forgiven.is_empty();
        self.state().forgiven.extend(forgiven.into_iter().map(|forgiven| Taken { forgiven, done: None }));
        is_empty
    }

    /// Waits until nothing is queued any more.
    pub(super) async fn until_idle(&self) {
        while self.state().running {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Tells each attempt what came of it.
    fn answer(self: &Arc<Self>, outcomes: impl Iterator<Item = (Waiting, Result<Counting, Full>)>) {
        let mut answers = Vec::new();
        let mut state = self.state();
        let mut refused = Vec::new();
        for (waiting, outcome) in outcomes {
            match outcome {
                Ok(counting) => {
                    for share in &counting.shares {
                        state.under_way.entry(share.counter).or_default().attempts += 1;
                    }
                    answers.push((waiting.answer, Ok(counting)));
                }
                Err(full) => refused.push((waiting, full)),
            }
        }
        for (waiting, full) in refused {
            if let Err(waiting) = state.keep_waiting(&full, waiting) {
                answers.push((waiting.answer, Err(full)));
            }
        }
        let now = now_utc(self.clock.as_ref());
        let answers: Vec<_> = answers
            .into_iter()
            .map(|(answer, outcome)| {
                let outcome = outcome.map_err(|full: Full| ThrottleError::Throttled {
                    retry_after: full.retry_after(),
                    is_news: state.is_news(&full, now),
                });
                (answer, outcome)
            })
            .collect();
        // What nobody takes is over at once, and asks for the state.
        drop(state);
        for (answer, outcome) in answers {
            let counted = outcome.map(|counting| Counted { counting, queue: Arc::clone(self), is_over: false });
            // Whoever has gone away leaves a failure.
            let _ = answer.send(counted);
        }
    }

    /// Takes back what was right, then counts what comes.
    async fn apply(&self, forgiven: &[Forgiven], attempts: &[Attempt]) -> Result<Vec<Result<Counting, Full>>, Failed> {
        let now = now_utc(self.clock.as_ref());
        let Some(store) = &self.store else {
            let mut state = self.state();
            let outcomes = change(&mut state.memory, forgiven, attempts, now);
            if state.memory.len() > state.memory_full {
                state.memory.retain(|_, counter| now < counter.expires_at());
                state.memory_full = state.memory.len() + MEMORY_STEP;
            }
            return Ok(outcomes);
        };
        // The counters of single places first, then those that many places have in common, which whoever is known does
        // not touch. A counter is always of one kind, so every transaction locks them in the same order.
        let mut own: BTreeSet<_> = attempts.iter().map(|attempt| attempt.own.counter).collect();
        own.extend(forgiven.iter().flat_map(|one| {
            one.shares.first().map(|share| share.counter).into_iter().chain(one.known.map(|(place, _)| place))
        }));
        if own.is_empty() {
            return Ok(Vec::new());
        }
        let mut tx = store.begin_brief().await?;
        let mut before = tx.counters(&own).await?;
        let is_stranger = |attempt: &&Attempt| before.get(&attempt.own.counter).is_none_or(|own| !own.is_known(now));
        let mut common: BTreeSet<_> = attempts
            .iter()
            .filter(is_stranger)
            .flat_map(|attempt| &attempt.unless_known)
            .map(|share| share.counter)
            .collect();
        common.extend(forgiven.iter().flat_map(|one| one.shares.iter().skip(1).map(|share| share.counter)));
        before.extend(tx.counters(&common).await?);
        let mut counters = before.clone();
        let outcomes = change(&mut counters, forgiven, attempts, now);
        let over: BTreeSet<_> =
            counters.extract_if(|_, counter| counter.expires_at() <= now).map(|(id, _)| id).collect();
        counters.retain(|id, counter| before.get(id) != Some(counter));
        tx.remove_counters(&over).await?;
        tx.set_counters(&counters).await?;
        // A conflict is the server's word that it undid everything.
        let may_be_done = |error: StoreError| Failed { may_be_done: !matches!(error, StoreError::Conflict(_)), error };
        tx.commit().await.map_err(may_be_done)?;
        Ok(outcomes)
    }
}

/// Why a batch was not done.
struct Failed {
    error: StoreError,
    /// The answer to the commit was lost: it may be done all the same.
    may_be_done: bool,
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self { error, may_be_done: false }
    }
}

fn not_counted() -> StoreError {
    StoreError::foreign("attempts cannot be counted")
}

/// Lets the next attempt start anew what a panic has ended.
struct Running<'a> {
    queue: &'a Queue,
    is_over: bool,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.queue.state().running = false;
        }
    }
}

fn change(
    counters: &mut Counters,
    forgiven: &[Forgiven],
    attempts: &[Attempt],
    now: DateTime<Utc>,
) -> Vec<Result<Counting, Full>> {
    for one in forgiven {
        forgive(one, counters, now);
    }
    attempts.iter().map(|attempt| count(attempt, counters, now)).collect()
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
