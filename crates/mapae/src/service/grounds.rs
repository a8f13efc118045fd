//! What the tokens of a session stand on, kept for as long as nothing changes.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use foldhash::quality::RandomState;
use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use super::Principal;
use crate::domain::{Session, User};

/// Sessions whose grounds are kept; those of one take well under 1 KiB.
const CAPACITY: usize = 10_000;

/// A live session and the active account behind it. They hold until this process sees any change at all, whatever it is
/// of; only the time goes on meanwhile. Whether a token is revoked by itself, and whom it names, is not among them.
pub(super) struct Grounds {
    /// Of before they were looked for.
    pub(super) epoch: u64,
    pub(super) session: Arc<Session>,
    pub(super) user: Arc<User>,
    /// When the session ends by itself, in milliseconds since 1970.
    ends_at: i64,
    /// See [`Principal::shown`].
    shown: OnceLock<Bytes>,
}

impl Grounds {
    /// Of a session that is live, and of the account behind it, which is active.
    pub(super) fn new(epoch: u64, session: Arc<Session>, user: Arc<User>) -> Self {
        let ends_at = session.expires_at.timestamp_millis();
        Self { epoch, session, user, ends_at, shown: OnceLock::new() }
    }

    /// Whether the session is still [live](Session::is_live) at this time, in milliseconds since 1970.
    pub(super) const fn hold_at(&self, now: i64) -> bool {
        now < self.ends_at
    }
}

/// The account is personal data, which does not belong into logs.
impl fmt::Debug for Grounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grounds").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl Principal {
    /// The account as `show` writes it, which is done once for as long as nothing changes. There is one form for this.
    pub(crate) fn shown<E>(&self, show: impl FnOnce(&Arc<User>) -> Result<Bytes, E>) -> Result<Bytes, E> {
        let Some(noted) = &self.noted else { return show(&self.user) };
        if let Some(shown) = noted.shown.get() {
            return Ok(shown.clone());
        }
        // Of what was noted: others get it too.
        let shown = show(&noted.user)?;
        // Another request may have been first, with the same.
        let _ = noted.shown.set(shown.clone());
        Ok(shown)
    }
}

/// The grounds of sessions by their ids. Only ids that are in the database come in; the hasher is keyed all the same.
pub(super) struct KnownGrounds(BySession);

type BySession = Cache<Box<str>, Arc<Grounds>, UnitWeighter, RandomState, DefaultLifecycle<Box<str>, Arc<Grounds>>>;

impl Default for KnownGrounds {
    fn default() -> Self {
        let hasher = RandomState::default();
        Self(Cache::with(CAPACITY, CAPACITY as u64, UnitWeighter, hasher, DefaultLifecycle::default()))
    }
}

impl KnownGrounds {
    /// Those of a session, if nothing has changed since this epoch.
    pub(super) fn get(&self, session: &str, epoch: u64) -> Option<Arc<Grounds>> {
        self.0.get(session).filter(|known| known.epoch == epoch)
    }

    pub(super) fn insert(&self, known: &Arc<Grounds>) {
        self.0.insert(known.session.id.as_str().into(), Arc::clone(known));
    }
}
