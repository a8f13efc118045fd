//! Who acts, and writing it down. What is done is written in the transaction that does it ([`Tx::record`]). What is
//! refused has no transaction: its rows wait a moment for each other, so that guessing does not keep the one writer busy.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::accounts::ChangeError;
use super::table_accounts::to_its_end;
use super::{Principal, Service};
use crate::domain::audit::{Actor, Direction, Entry, Event, Filter, Record, Who};
use crate::domain::{Source, UserId};
use crate::store::{Stamped, StoreError, Tx};

/// How long rows wait for each other.
const FLUSH: Duration = Duration::from_millis(100);
/// The most rows that wait; what comes on top is counted.
const MOST_WAITING: usize = 4_000;
/// The longest name of an operating system's user that is kept, in characters.
const MAX_NAME_CHARS: usize = 64;

/// Who changes something.
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    /// A signed-in person. What asks for `mapae:admin` is refused to others.
    User(&'a Principal),
    /// Whoever runs `mapae` on the server: the operating system's name, if it is known.
    CommandLine(Option<&'a str>),
    /// The program itself, or the application that it is part of.
    System,
}

impl By<'_> {
    /// As it is written down.
    pub fn actor(self) -> Actor {
        match self {
            Self::User(principal) => principal.actor(),
            Self::CommandLine(name) => {
                let tidy = |name: &str| name.chars().filter(|c| !c.is_control()).take(MAX_NAME_CHARS).collect();
                let name = name.map(tidy).filter(|name: &String| !name.is_empty());
                Actor::new(Who::CommandLine(name), Source::default())
            }
            Self::System => Actor::system(),
        }
    }

    /// Whether it is this account's own holder.
    pub(super) fn is(self, id: &UserId) -> bool {
        matches!(self, Self::User(principal) if principal.user.id == *id)
    }
}

impl<'a> From<&'a Principal> for By<'a> {
    fn from(principal: &'a Principal) -> Self {
        Self::User(principal)
    }
}

impl Principal {
    /// As it is written down.
    pub fn actor(&self) -> Actor {
        let actor = Actor::new(Who::User(self.user.id.clone()), self.source);
        actor.in_session(&self.session.id).by_client(&self.session.client_id)
    }
}

/// Rows that wait to be written.
#[derive(Default)]
pub(super) struct Waiting {
    queue: Mutex<Queue>,
    /// One at a time writes them, so that they come in their order, and whoever reads waits until they are there.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Queue {
    /// How many tasks write what waits here. Without one, rows are written at once.
    writers: usize,
    rows: Vec<Stamped>,
    /// Rows that were taken and may come back.
    taken: usize,
    dropped: u64,
}

impl Waiting {
    /// Takes the row, unless nobody would write it.
    fn push(&self, row: Stamped) -> Option<Stamped> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.writers == 0 {
            return Some(row);
        }
        if queue.rows.len() + queue.taken < MOST_WAITING {
            queue.rows.push(row);
        } else {
            queue.dropped += 1;
        }
        None
    }

    fn take(&self) -> (Vec<Stamped>, u64) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.taken = queue.rows.len();
        (std::mem::take(&mut queue.rows), std::mem::take(&mut queue.dropped))
    }

    /// What was taken is written.
    fn written(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).taken = 0;
    }

    /// Takes back, before what has come meanwhile, what could not be written.
    fn give_back(&self, mut rows: Vec<Stamped>, dropped: u64) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        rows.append(&mut queue.rows);
        (queue.rows, queue.taken) = (rows, 0);
        queue.dropped += dropped;
    }

    fn writers(&self, change: impl FnOnce(usize) -> usize) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.writers = change(queue.writers);
    }
}

impl Service {
    /// Up to `limit` rows of the audit trail, with those that were waiting to be written here.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn audit(
        &self,
        filter: &Filter,
        direction: Direction<'_>,
        limit: u64,
    ) -> Result<Vec<Record>, StoreError> {
        // Whoever asks may go away in the middle, and what was taken must not go with them.
        let service = self.clone();
        if let Err(error) = to_its_end(async move { service.write_waiting().await }).await {
            tracing::warn!(%error, "what waits for the audit trail is not written yet");
        }
        self.store().audit(filter, direction, limit).await
    }

    /// Writes down what has no transaction: within a tenth of a second, or at once where nothing runs in the background.
    pub(super) async fn note(&self, entry: Entry) {
        if let Some(row) = self.0.waiting.push(self.store().stamp(entry))
            && let Err(error) = self.write(vec![row], 0).await
        {
            tracing::error!(%error, "a row of the audit trail could not be written");
        }
    }

    /// Begins the transaction in which `by` does what only administrators, the command line and the program itself do,
    /// if that is still allowed.
    pub(super) async fn begin_by(&self, by: By<'_>, scope: &'static str) -> Result<Tx, ChangeError> {
        match by {
            By::User(principal) => self.begin_as(principal, scope).await,
            By::CommandLine(_) | By::System => Ok(self.store().begin().await?),
        }
    }

    /// What was dropped is counted twice where the answer to a commit is lost; rows are not, since they keep their ids.
    async fn write(&self, rows: Vec<Stamped>, dropped: u64) -> Result<(), StoreError> {
        let mut tx = self.store().begin_brief().await?;
        tx.record_stamped(rows).await?;
        if dropped > 0 {
            tx.record(Entry::new(Event::AuditDropped, &Actor::system()).detail("count", dropped)).await?;
        }
        tx.commit().await
    }

    /// Never given up half way: see [`to_its_end`].
    async fn write_waiting(&self) -> Result<(), StoreError> {
        let _writing = self.0.waiting.writing.lock().await;
        let (rows, dropped) = self.0.waiting.take();
        if rows.is_empty() && dropped == 0 {
            return Ok(());
        }
        if dropped > 0 {
            tracing::warn!(dropped, "more was refused than the audit trail takes");
        }
        let written = self.write(rows.clone(), dropped).await;
        match &written {
            Ok(()) => self.0.waiting.written(),
            Err(_) => self.0.waiting.give_back(rows, dropped),
        }
        written
    }

    /// Writes waiting rows until the writer is dropped, and then once more.
    pub(super) fn write_audit(&self) -> AuditWriter {
        let (stop, mut stopped) = oneshot::channel::<()>();
        self.0.waiting.writers(|writers| writers + 1);
        let service = self.clone();
        let task = tokio::spawn(async move {
            loop {
                let last = tokio::select! {
                    () = tokio::time::sleep(FLUSH) => false,
                    _ = &mut stopped => true,
                };
                if last {
                    service.0.waiting.writers(|writers| writers - 1);
                }
                if let Err(error) = service.write_waiting().await {
                    tracing::error!(%error, last, "rows of the audit trail could not be written");
                }
                if last {
                    return;
                }
            }
        });
        AuditWriter { _stop: stop, task }
    }
}

/// Writes waiting rows.
#[derive(Debug)]
pub(super) struct AuditWriter {
    /// Dropping it is the signal.
    _stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl AuditWriter {
    /// Stops it, and waits for what it still has to write.
    pub(super) async fn stop(self) {
        let Self { _stop, task } = self;
        drop(_stop);
        // It only fails when the runtime stops.
        let _ = task.await;
    }
}
