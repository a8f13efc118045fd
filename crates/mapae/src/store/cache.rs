//! What the hot path reads, in memory: accounts and sessions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use moka::sync::Cache as Moka;

use super::{Store, StoreError};
use crate::domain::{Session, User, UserId};

/// Entries of each kind; an account or session takes well under 1 KiB.
const CAPACITY: u64 = 50_000;

pub(super) struct Cache {
    users: Moka<String, Arc<User>>,
    sessions: Moka<String, Arc<Session>>,
    /// Moves with every change. A row that was read before a change must not be cached after it.
    epoch: AtomicU64,
    /// Orders fills against changes. Never taken on a hit.
    fill: Mutex<()>,
}

impl Cache {
    pub(super) fn new() -> Self {
        Self {
            users: Moka::new(CAPACITY),
            sessions: Moka::new(CAPACITY),
            epoch: AtomicU64::new(0),
            fill: Mutex::new(()),
        }
    }

    pub(super) fn forget_user(&self, id: &str) {
        self.forget(|| self.users.invalidate(id));
    }

    pub(super) fn forget_session(&self, id: &str) {
        self.forget(|| self.sessions.invalidate(id));
    }

    /// Forgets everything: after a time in which changes could not be seen.
    pub(super) fn forget_all(&self) {
        self.forget(|| {
            self.users.invalidate_all();
            self.sessions.invalidate_all();
        });
    }

    fn forget(&self, drop_entries: impl FnOnce()) {
        let _guard = self.fill.lock().unwrap_or_else(PoisonError::into_inner);
        self.epoch.fetch_add(1, Ordering::Relaxed);
        drop_entries();
    }

    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    fn fill(&self, read_at: u64, insert: impl FnOnce()) {
        let _guard = self.fill.lock().unwrap_or_else(PoisonError::into_inner);
        if self.epoch.load(Ordering::Relaxed) == read_at {
            insert();
        }
    }
}

impl Store {
    /// Moves with every change that this process sees; `None` while it can't see those of others, and then nothing that
    /// is remembered may be trusted.
    pub(crate) fn seen_epoch(&self) -> Option<u64> {
        self.sees_changes().then(|| self.0.cache.epoch())
    }

    /// An account, from memory while this process can see every change, else from the database.
    ///
    /// # Errors
    /// [`StoreError`] if the database had to be asked and failed.
    pub async fn cached_user(&self, id: &UserId) -> Result<Option<Arc<User>>, StoreError> {
        let cache = &self.0.cache;
        if let Some(user) = self.sees_changes().then(|| cache.users.get(id.as_str())).flatten() {
            return Ok(Some(user));
        }
        let epoch = cache.epoch();
        let user = self.user_by_id(id).await?.map(Arc::new);
        if let Some(user) = &user {
            cache.fill(epoch, || cache.users.insert(id.as_str().to_owned(), user.clone()));
        }
        Ok(user)
    }

    /// A session, from memory while this process can see every change, else from the database.
    ///
    /// # Errors
    /// [`StoreError`] if the database had to be asked and failed.
    pub async fn cached_session(&self, id: &str) -> Result<Option<Arc<Session>>, StoreError> {
        let cache = &self.0.cache;
        if let Some(session) = self.sees_changes().then(|| cache.sessions.get(id)).flatten() {
            return Ok(Some(session));
        }
        let epoch = cache.epoch();
        let session = self.session_by_id(id).await?.map(Arc::new);
        if let Some(session) = &session {
            cache.fill(epoch, || cache.sessions.insert(id.to_owned(), session.clone()));
        }
        Ok(session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_read_before_a_change_is_not_cached_after_it() {
        let cache = Cache::new();
        let read_at = cache.epoch();
        cache.forget_user("someone");
        let mut inserted = false;
        cache.fill(read_at, || inserted = true);
        assert!(!inserted);
        cache.fill(cache.epoch(), || inserted = true);
        assert!(inserted);
    }
}
