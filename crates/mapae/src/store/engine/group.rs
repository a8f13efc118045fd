//! Group commit: transactions that queue for the one writer share a transaction of the database, and with it one sync of
//! the disk. Each has a savepoint of its own, so that what fails undoes only itself, and nobody is told of success before
//! all of the group is on the disk.

use std::sync::{Arc, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use sea_orm::{ConnAcquireErr, DatabaseTransaction, DbErr, RuntimeErr, TransactionOptions, TransactionTrait};
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};

use super::LimitedPool;

/// How long somebody waits for a turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(5);
/// Once somebody in the group has finished, a member is undone that keeps its turn through two looks at it, which are so far
/// apart.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The groups of one writer, one after the other.
#[derive(Clone)]
pub(super) struct Groups(Arc<Inner>);

struct Inner {
    writer: LimitedPool,
    options: TransactionOptions,
    /// Whose turn it is has the group that is open, if one is. Turns come in the order in which they were asked for.
    turn: Arc<Mutex<Option<Group>>>,
    /// Who has the turn.
    member: std::sync::Mutex<Weak<Mutex<Option<Seat>>>>,
}

struct Group {
    shared: DatabaseTransaction,
    finished: Finished,
    /// Whether every member so far has released its savepoint. Of one that has not, nobody knows what SQLite undid with it:
    /// after some failures it undoes everything, and a savepoint after that would begin another transaction.
    is_whole: bool,
}

/// Those whose work is done, and who wait for it to be on the disk.
type Finished = Arc<std::sync::Mutex<Vec<oneshot::Sender<Result<(), DbErr>>>>>;

/// One transaction of a group.
pub(super) struct Member(Arc<Mutex<Option<Seat>>>);

/// What a member has until it has finished or is undone. Its savepoint is undone before the turn passes on.
struct Seat {
    own: DatabaseTransaction,
    turn: OwnedMutexGuard<Option<Group>>,
}

impl Groups {
    pub(super) fn new(writer: LimitedPool, options: TransactionOptions) -> Self {
        let (turn, member) = (Arc::default(), std::sync::Mutex::default());
        Self(Arc::new(Inner { writer, options, turn, member }))
    }

    /// Begins a transaction in the group that is open, or in a new one, which is closed behind those who are in the queue.
    pub(super) async fn begin(&self) -> Result<Member, DbErr> {
        let turn = tokio::time::timeout(TURN_TIMEOUT, Arc::clone(&self.0.turn).lock_owned()).await;
        let mut turn = turn.map_err(|_| DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))?;
        if let Some(broken) = turn.take_if(|group| !group.is_whole) {
            // By itself: whoever begins here may go away.
            tokio::spawn(broken.close());
        }
        let group = match turn.as_mut() {
            Some(group) => group,
            None => {
                let shared = self.0.writer.pool().begin_with_options(self.0.options).await?;
                let finished = Finished::default();
                tokio::spawn(self.clone().close_in_turn(Arc::clone(&finished)));
                turn.insert(Group { shared, finished, is_whole: true })
            }
        };
        group.is_whole = false;
        let own = group.shared.begin().await?;
        let member = Arc::new(Mutex::new(Some(Seat { own, turn })));
        *held(&self.0.member) = Arc::downgrade(&member);
        Ok(Member(member))
    }

    /// Waits for the turn behind those who are in the queue now, and closes the group that was open then.
    async fn close_in_turn(self, finished: Finished) {
        // Those whose requests have been read but not looked at yet are let in.
        tokio::task::yield_now().await;
        let mut turn = std::pin::pin!(Arc::clone(&self.0.turn).lock_owned());
        let mut seen = Weak::new();
        let mut turn = loop {
            if let Ok(turn) = tokio::time::timeout(LOOK_EVERY, &mut turn).await {
                break turn;
            }
            if held(&finished).is_empty() {
                continue;
            }
            let now = held(&self.0.member).clone();
            if now.ptr_eq(&seen)
                && let Some(member) = now.upgrade()
            {
                // Its turn passes on with its seat.
                drop(member.lock().await.take());
            }
            seen = now;
        };
        if let Some(group) = turn.take_if(|group| Arc::ptr_eq(&group.finished, &finished)) {
            // What comes meanwhile waits for the connection.
            drop(turn);
            group.close().await;
        }
    }
}

impl Group {
    /// Makes everything in it durable and tells those who have finished.
    async fn close(self) {
        let committed = self.shared.commit().await;
        let finished = std::mem::take(&mut *held(&self.finished));
        for member in finished {
            // One that has gone away needs no answer.
            let _ = member.send(committed.clone());
        }
    }
}

impl Member {
    /// Runs a statement.
    pub(super) async fn asked<T>(
        &self,
        ask: impl AsyncFnOnce(&DatabaseTransaction) -> Result<T, DbErr>,
    ) -> Result<T, DbErr> {
        let seat = self.0.lock().await;
        let seat = seat.as_ref().ok_or_else(undone)?;
        ask(&seat.own).await
    }

    /// Waits until it is on the disk, with its group.
    pub(super) async fn commit(self) -> Result<(), DbErr> {
        let seat = self.0.lock().await.take();
        let Seat { own, mut turn } = seat.ok_or_else(undone)?;
        own.commit().await?;
        let (tell, told) = oneshot::channel();
        if let Some(group) = turn.as_mut() {
            group.is_whole = true;
            held(&group.finished).push(tell);
        }
        drop(turn);
        told.await.unwrap_or_else(|_| Err(given_up("a group of transactions came to no end")))
    }
}

/// Nothing is half done while one of these is held.
fn held<T>(mutex: &std::sync::Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn undone() -> DbErr {
    given_up("a transaction stood still while others waited for it: it was undone")
}

fn given_up(why: &str) -> DbErr {
    DbErr::Conn(RuntimeErr::Internal(why.to_owned()))
}
