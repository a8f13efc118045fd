//! The time limit for the head of a request, without a timer for each request.
//!
//! hyper asks for a sleep each time it begins to wait for a request, and drops it as soon as that is there. tokio's own
//! would be entered into a list under a lock, and taken out again. Here hyper's sleeps only note when they end, and one
//! timer for the whole connection looks at the note now and then.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Sleep, Timer};
use tokio::time::Instant;

/// hyper's timer for one connection. What it waits for ends only within [`HeadTimer::watch`].
#[derive(Clone)]
pub(super) struct HeadTimer(Arc<Note>);

/// Times are in milliseconds since the connection began.
struct Note {
    began: Instant,
    /// When the sleep that hyper waits for ends; 0 if it waits for none.
    end: AtomicU64,
    /// How late it was at the last look.
    now: AtomicU64,
}

impl HeadTimer {
    /// For a connection that begins now.
    pub(super) fn new() -> Self {
        Self(Arc::new(Note { began: Instant::now(), end: AtomicU64::new(0), now: AtomicU64::new(0) }))
    }

    /// Drives the connection that this timer was given to, and ends its sleeps. They last `limit` or longer.
    pub(super) async fn watch<C: Future>(&self, connection: C, limit: Duration) -> C::Output {
        let mut connection = pin!(connection);
        let mut timer = pin!(tokio::time::sleep(limit));
        loop {
            tokio::select! {
                biased;
                output = &mut connection => return output,
                // The connection is polled right after this, and so is its sleep.
                () = &mut timer => timer.as_mut().reset(self.look(limit)),
            }
        }
    }

    /// Notes how late it is; when to look again.
    fn look(&self, limit: Duration) -> Instant {
        let (note, now) = (&self.0, Instant::now());
        note.now.store(note.whole_millis(now), Ordering::Relaxed);
        // A sleep that begins later cannot end earlier than that.
        let latest = now + limit;
        match note.end.load(Ordering::Relaxed) {
            0 => latest,
            end => Some(note.began + Duration::from_millis(end)).filter(|end| *end > now).unwrap_or(latest),
        }
    }
}

impl Note {
    fn whole_millis(&self, time: Instant) -> u64 {
        u64::try_from(time.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn Sleep>> {
        // Rounded up, so that it is over whenever it is looked at from then on.
        Box::pin(HeadSleep { end: self.0.whole_millis(deadline.into()).saturating_add(1), note: Arc::clone(&self.0) })
    }

    fn now(&self) -> std::time::Instant {
        Instant::now().into()
    }
}

/// One wait for the head of a request.
struct HeadSleep {
    end: u64,
    note: Arc<Note>,
}

impl Future for HeadSleep {
    type Output = ();

    /// Wakes nobody: the task that waits is the one that looks.
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.note.now.load(Ordering::Relaxed) >= self.end {
            return Poll::Ready(());
        }
        self.note.end.store(self.end, Ordering::Relaxed);
        Poll::Pending
    }
}

impl Sleep for HeadSleep {}

impl Drop for HeadSleep {
    fn drop(&mut self) {
        self.note.end.store(0, Ordering::Relaxed);
    }
}
