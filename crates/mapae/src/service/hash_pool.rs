//! The pool that hashes passwords: as wide as the cores, with a bounded queue, so that a flood of sign-ins neither
//! freezes other routes nor takes more memory than threads × one hash.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, RecvError, RecvTimeoutError, Sender, bounded};
use mapae_password::Workspace;
use metrics::{counter, histogram};
use tokio::sync::oneshot;
use tokio::time::{Duration, Instant};

use crate::TRACES;
use crate::settings::HashPoolSettings;

/// The queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many sign-ins are waiting")]
pub struct PoolBusy;

/// What a job gave, and when it ran.
pub(crate) struct Done<T> {
    pub(crate) value: T,
    /// When a thread took the job: the time from here on does not depend on the queue.
    pub(crate) started: Instant,
    pub(crate) took: Duration,
}

type Job = Box<dyn FnOnce(&mut Workspace) + Send>;

/// A thread that had nothing to do for so long gives its memory back. The next hash then asks the system for it anew,
/// which costs a quarter of its time.
const IDLE: Duration = Duration::from_secs(2);

pub(crate) struct HashPool {
    jobs: Sender<Job>,
    /// Jobs that were begun.
    begun: Arc<AtomicU64>,
}

impl HashPool {
    /// Starts the threads. They end when the pool is dropped.
    pub(crate) fn new(settings: HashPoolSettings) -> Self {
        let (jobs, queue) = bounded::<Job>(settings.queue);
        for number in 0..settings.threads.get() {
            let queue = queue.clone();
            std::thread::Builder::new()
                .name(format!("mapae-hash-{number}"))
                .spawn(move || {
                    give_way();
                    serve(&queue, IDLE);
                })
                .expect("the system starts a thread");
        }
        Self { jobs, begun: Arc::default() }
    }

    /// How many jobs were begun.
    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Jobs that wait for a thread.
    pub(crate) fn depth(&self) -> usize {
        self.jobs.len()
    }

    /// Runs `work` on a thread of the pool for somebody who is turned away, and counted, when the queue is full. A caller
    /// that goes away while its job waits costs nothing; one that goes away while it runs leaves the thread busy until it
    /// is done.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Workspace) -> T + Send + 'static,
    ) -> Result<Done<T>, PoolBusy> {
        let queued = self.queue(work).inspect_err(|PoolBusy| {
            counter!("mapae_password_queue_refusals_total").increment(1);
        });
        // A job that panicked never answers.
        queued?.await.map_err(|_| PoolBusy)
    }

    /// As [`Self::run`], for work that may as well be left out.
    pub(crate) async fn run_uncounted<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Workspace) -> T + Send + 'static,
    ) -> Result<Done<T>, PoolBusy> {
        self.queue(work)?.await.map_err(|_| PoolBusy)
    }

    fn queue<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Workspace) -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<Done<T>>, PoolBusy> {
        let (answer, answered) = oneshot::channel();
        let queued = Instant::now();
        let begun = Arc::clone(&self.begun);
        let password = tracing::trace_span!(target: TRACES, "password");
        let job: Job = Box::new(move |workspace| {
            if answer.is_closed() {
                return;
            }
            begun.fetch_add(1, Ordering::Relaxed);
            let started = Instant::now();
            let value =
                tracing::trace_span!(target: TRACES, parent: &password, "password hash").in_scope(|| work(workspace));
            let took = started.elapsed();
            histogram!("mapae_password_queue_wait_seconds").record(started - queued);
            histogram!("mapae_password_hash_seconds").record(took);
            // Nobody waits any more: the result is not needed.
            let _ = answer.send(Done { value, started, took });
        });
        self.jobs.try_send(job).map_err(|_| PoolBusy)?;
        Ok(answered)
    }
}

/// Lets other threads go first from now on: whoever waits for a hash waits long anyway, and a request that takes
/// microseconds is not to wait until a hash has had its time slice. Where all cores are busy with requests, about a tenth
/// of their time is left for hashes.
#[cfg(target_os = "linux")]
fn give_way() {
    const NICENESS: i32 = 10;
    // Linux takes this for the thread alone; POSIX says the process. Without it everything goes on, less smoothly.
    let _ = rustix::process::nice(NICENESS);
}

#[cfg(not(target_os = "linux"))]
fn give_way() {}

/// Does one job after the other, until there is nobody left who could send one.
fn serve(queue: &Receiver<Job>, idle: Duration) {
    let mut workspace = Workspace::new();
    loop {
        let next = queue.recv_timeout(idle).or_else(|error| match error {
            RecvTimeoutError::Timeout => {
                workspace.shrink_to(0);
                queue.recv()
            }
            RecvTimeoutError::Disconnected => Err(RecvError),
        });
        let Ok(job) = next else { return };
        // A bug that one password brings out must not end the thread for everybody.
        if catch_unwind(AssertUnwindSafe(|| job(&mut workspace))).is_err() {
            workspace = Workspace::new();
        }
    }
}

#[cfg(test)]
#[expect(clippy::await_holding_lock, reason = "the lock holds a thread of the pool up, which is the point")]
mod tests {
    use std::num::NonZeroUsize;
    use std::sync::Mutex;

    use mapae_password::{Argon2Params, Context, Password};

    use super::*;

    fn pool(queue: usize) -> HashPool {
        HashPool::new(HashPoolSettings { threads: NonZeroUsize::MIN, queue })
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_and_recovers() {
        let pool = Arc::new(pool(1));
        let gate = Arc::new(Mutex::new(()));
        let held = gate.lock().unwrap();
        let blocker = {
            let (pool, gate) = (pool.clone(), gate.clone());
            tokio::spawn(async move { pool.run(move |_| drop(gate.lock())).await.map(|_| ()) })
        };
        let mut waiting = Vec::new();
        // The thread takes the first job at some moment; after that one job fits into the queue.
        let refused = loop {
            let pool = pool.clone();
            let handle = tokio::spawn(async move { pool.run(|_| ()).await.map(|_| ()) });
            tokio::time::sleep(Duration::from_millis(20)).await;
            if handle.is_finished() {
                break handle.await.unwrap();
            }
            waiting.push(handle);
        };
        assert_eq!(refused, Err(PoolBusy));
        assert!(waiting.len() <= 2);
        drop(held);
        blocker.await.unwrap().unwrap();
        for handle in waiting {
            handle.await.unwrap().unwrap();
        }
        assert!(pool.run(|_| ()).await.is_ok());
    }

    #[test]
    fn memory_is_kept_between_hashes_and_given_back_after_them() {
        let (jobs, queue) = bounded::<Job>(4);
        let idle = Duration::from_millis(200);
        let thread = std::thread::spawn(move || serve(&queue, idle));
        let context = Context { argon2: Argon2Params::new(64, 1, 1).unwrap(), ..Context::default() };
        let (tell, told) = bounded(4);
        let held = |with_hash: bool| {
            let (tell, context) = (tell.clone(), context.clone());
            let job = move |workspace: &mut Workspace| {
                tell.send(workspace.memory_kib()).unwrap();
                if with_hash {
                    context.hash(&Password::new("any").unwrap(), &[7; 16], workspace).unwrap();
                }
            };
            jobs.send(Box::new(job)).unwrap();
            told.recv().unwrap()
        };
        assert_eq!(held(true), 0);
        assert!(held(true) >= 64);
        std::thread::sleep(idle * 5);
        assert_eq!(held(false), 0);
        drop(jobs);
        thread.join().unwrap();
    }

    #[tokio::test]
    async fn a_job_that_panics_does_not_end_its_thread() {
        let pool = pool(8);
        assert_eq!(pool.run(|_| panic!("expected by this test")).await.map(|done: Done<()>| done.value), Err(PoolBusy));
        assert_eq!(pool.run(|_| 7).await.unwrap().value, 7);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn hashes_let_others_go_first_and_nothing_else_does() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let before = niceness();
        assert_eq!(pool(8).run(move |_| niceness()).await.unwrap().value, (before + 10).min(19));
        assert_eq!(niceness(), before);
    }

    #[tokio::test]
    async fn a_caller_who_left_costs_no_work() {
        let pool = pool(8);
        let gate = Arc::new(Mutex::new(()));
        let held = gate.lock().unwrap();
        let blocking = gate.clone();
        let blocker = pool.run(move |_| drop(blocking.lock()));
        let ran = Arc::new(Mutex::new(false));
        let note = ran.clone();
        let abandoned = pool.run(move |_| *note.lock().unwrap() = true);
        let (mut blocker, mut abandoned) = (Box::pin(blocker), Box::pin(abandoned));
        assert!(tokio::time::timeout(Duration::from_millis(50), &mut blocker).await.is_err());
        assert!(tokio::time::timeout(Duration::from_millis(50), &mut abandoned).await.is_err());
        drop(abandoned);
        drop(held);
        blocker.await.unwrap();
        pool.run(|_| ()).await.unwrap();
        assert!(!*ran.lock().unwrap());
    }
}
