//! Tokens that were verified before. A hit saves the signature and the parsing, nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::quality::RandomState;
use moka::sync::Cache;

use crate::verified::Entry;

/// Bookkeeping of the cache itself for one entry, in bytes, roughly.
const OVERHEAD: usize = 256;

/// What the cache of a verifier holds and did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Tokens found in the cache and still good.
    pub hits: u64,
    /// Tokens that were verified in full.
    pub misses: u64,
    /// Tokens in the cache; approximate.
    pub entries: u64,
    /// Estimated size of the cache in bytes; approximate.
    pub bytes: u64,
}

type Token = Box<str>;

/// Verified tokens by their whole text, bounded in bytes.
pub(crate) struct TokenCache<C> {
    /// Hashing half a KiB is a good part of a hit, hence a faster hasher; it is keyed too, and only verified tokens
    /// come in.
    entries: Cache<Token, Arc<Entry<C>>, RandomState>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl<C: Send + Sync + 'static> TokenCache<C> {
    pub(crate) fn new(capacity: u64) -> Self {
        let per_entry = size_of::<Entry<C>>() + size_of::<C>() + OVERHEAD;
        let entries = Cache::builder()
            .max_capacity(capacity)
            // The text of the token once as the key, and its claims about once more.
            .weigher(move |token: &Token, _| u32::try_from(2 * token.len() + per_entry).unwrap_or(u32::MAX))
            .build_with_hasher(RandomState::default());
        Self { entries, hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    pub(crate) fn get(&self, token: &str) -> Option<Arc<Entry<C>>> {
        self.entries.get(token)
    }

    pub(crate) fn insert(&self, token: &str, entry: Arc<Entry<C>>) {
        self.misses.fetch_add(1, Ordering::Relaxed);
        self.entries.insert(token.into(), entry);
    }

    pub(crate) fn count_hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn remove(&self, token: &str) {
        self.entries.invalidate(token);
    }

    pub(crate) fn stats(&self) -> CacheStats {
        self.entries.run_pending_tasks();
        CacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            entries: self.entries.entry_count(),
            bytes: self.entries.weighted_size(),
        }
    }
}
