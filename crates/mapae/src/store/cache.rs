//! What the hot path reads, in memory: accounts, sessions, clients, and which tokens are revoked.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use foldhash::quality::RandomState;
use moka::sync::Cache as Moka;

use super::{RegisteredClient, Store, StoreError};
use crate::domain::{Session, User, UserId};

/// Entries of each kind; an account or session takes well under 1 KiB.
const CAPACITY: u64 = 50_000;

/// Rows by their id. Only ids that are in the database come in; the hasher is keyed all the same.
type ById<T> = Moka<String, Arc<T>, RandomState>;

pub(super) struct Cache {
    users: ById<User>,
    sessions: ById<Session>,
    clients: ById<RegisteredClient>,
    /// `jti` of every revoked token that has not expired; usually none.
    revoked_tokens: ArcSwap<HashSet<String>>,
    /// Moves with every change. A row that was read before a change must not be cached after it.
    epoch: AtomicU64,
    /// Orders fills against changes. Never taken on a hit.
    fill: Mutex<()>,
}

impl Cache {
    pub(super) fn new() -> Self {
        fn empty<T: Send + Sync + 'static>() -> ById<T> {
            Moka::builder().max_capacity(CAPACITY).build_with_hasher(RandomState::default())
        }
        Self {
            users: empty(),
            sessions: empty(),
            clients: empty(),
            revoked_tokens: ArcSwap::default(),
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

    pub(super) fn forget_client(&self, id: &str) {
        self.forget(|| self.clients.invalidate(id));
    }

    pub(super) fn client(&self, id: &str) -> Option<Arc<RegisteredClient>> {
        self.clients.get(id)
    }

    pub(super) fn fill_client(&self, read_at: u64, client: &Arc<RegisteredClient>) {
        self.fill(read_at, || self.clients.insert(client.client.id.to_string(), Arc::clone(client)));
    }

    pub(super) fn is_token_revoked(&self, jti: &str) -> bool {
        self.revoked_tokens.load().contains(jti)
    }

    pub(super) fn add_revoked_token(&self, jti: &str) {
        self.forget(|| self.add_revoked_tokens(std::iter::once(jti.to_owned())));
    }

    /// Takes over what was read at this epoch; what was revoked since stays.
    pub(super) fn set_revoked_tokens(&self, read_at: u64, jtis: HashSet<String>) {
        self.forget(|| {
            if self.epoch.load(Ordering::Relaxed) == read_at {
                self.revoked_tokens.store(Arc::new(jtis));
            } else {
                self.add_revoked_tokens(jtis);
            }
        });
    }

    /// Only under the lock of `fill`.
    fn add_revoked_tokens(&self, jtis: impl IntoIterator<Item = String>) {
        let mut all = HashSet::clone(&self.revoked_tokens.load());
        all.extend(jtis);
        self.revoked_tokens.store(Arc::new(all));
    }

    /// Forgets everything: after a time in which changes could not be seen.
    pub(super) fn forget_all(&self) {
        self.forget(|| {
            self.users.invalidate_all();
            self.sessions.invalidate_all();
            self.clients.invalidate_all();
        });
    }

    /// Of a change of which nothing is remembered here.
    pub(super) fn forget_nothing(&self) {
        self.forget(|| ());
    }

    /// The epoch moves last: whoever sees the new one must not find what was remembered at the old one, since what it
    /// finds counts until the next change.
    fn forget(&self, drop_entries: impl FnOnce()) {
        let _guard = self.fill.lock().unwrap_or_else(PoisonError::into_inner);
        drop_entries();
        self.epoch.fetch_add(1, Ordering::Release);
    }

    pub(super) fn epoch(&self) -> u64 {
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

    #[test]
    fn the_epoch_moves_when_everything_old_is_gone() {
        let cache = Cache::new();
        let before = cache.epoch();
        cache.forget(|| assert_eq!(cache.epoch(), before));
        assert_eq!(cache.epoch(), before + 1);
        cache.set_revoked_tokens(before, HashSet::from(["read before the change".to_owned()]));
        assert_eq!(cache.epoch(), before + 2);
    }
}
