//! Tokens that were verified before. A hit saves the signature and the parsing, nothing else.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::quality::RandomState;
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Lifecycle, Weighter};

use crate::used_once::UsedOnce;
use crate::verified::Entry;

/// Bookkeeping of the cache itself for one entry, in bytes, roughly.
const OVERHEAD: usize = 256;
/// Tokens of about so many bytes of the cache are expected.
const USUAL_WEIGHT: u64 = 1024;
/// So much of a token's end is hashed: its signature, if that is of the shortest kind (HS256), which differs wherever
/// anything does. Only who knows it gets as far as to have the rest compared.
const HASHED: usize = 43;

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

/// A token that is looked for, hashed once for everything.
#[derive(Clone, Copy)]
pub(crate) struct Shown<'t> {
    text: &'t str,
    hash: u64,
}

/// A token that is remembered.
struct Token {
    text: Box<str>,
    hash: u64,
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Token {}

impl Equivalent<Token> for Shown<'_> {
    fn equivalent(&self, token: &Token) -> bool {
        self.hash == token.hash && *self.text == *token.text
    }
}

impl Hash for Token {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Hash for Shown<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

#[derive(Clone)]
struct Weight {
    /// Of any entry, its text aside.
    fixed: usize,
}

impl<V> Weighter<Token, V> for Weight {
    fn weight(&self, token: &Token, _: &V) -> u64 {
        // The text of the token once as the key, and its claims about once more.
        (2 * token.text.len() + self.fixed) as u64
    }
}

/// Lets go of what is forgotten when no lock is held any more: nobody knows what the end of an application's claims does.
#[derive(Clone)]
struct Unlocked;

impl<V> Lifecycle<Token, V> for Unlocked {
    type RequestState = Vec<(Token, V)>;

    fn on_evict(&self, evicted: &mut Self::RequestState, token: Token, value: V) {
        evicted.push((token, value));
    }
}

type Entries<C> = Cache<Token, Arc<Entry<C>>, Weight, RandomState, Unlocked>;

/// Verified tokens by their whole text, bounded in bytes.
pub(crate) struct TokenCache<C> {
    entries: Entries<C>,
    /// Faster than the standard one; it is keyed too, and only verified tokens come in.
    hasher: RandomState,
    once: UsedOnce,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl<C> TokenCache<C> {
    pub(crate) fn new(capacity: u64) -> Self {
        let weight = Weight { fixed: size_of::<Entry<C>>() + size_of::<C>() + OVERHEAD };
        let expected = usize::try_from(capacity / USUAL_WEIGHT).unwrap_or(usize::MAX);
        Self {
            entries: Cache::with(expected, capacity, weight, RandomState::default(), Unlocked),
            hasher: RandomState::default(),
            once: UsedOnce::new(capacity / USUAL_WEIGHT),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    pub(crate) fn shown<'t>(&self, text: &'t str) -> Shown<'t> {
        let end = text.len().saturating_sub(HASHED);
        Shown { text, hash: self.hasher.hash_one(&text.as_bytes()[end..]) }
    }

    pub(crate) fn get(&self, token: Shown<'_>) -> Option<Arc<Entry<C>>> {
        self.entries.get(&token)
    }

    /// Remembers a token that was verified. One that is verified almost as fast as it is remembered must have been used
    /// before: where every request brings a new one, the memory would cost more than it saves.
    pub(crate) fn insert(&self, token: Shown<'_>, is_cheap: bool, entry: &Arc<Entry<C>>) {
        let nth = self.misses.fetch_add(1, Ordering::Relaxed);
        if is_cheap && !self.once.has(token.hash) {
            self.once.note(token.hash, nth);
        } else {
            self.entries.insert(Token { text: token.text.into(), hash: token.hash }, Arc::clone(entry));
        }
    }

    pub(crate) fn count_hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn remove(&self, token: Shown<'_>) {
        self.entries.remove(&token);
    }

    pub(crate) fn stats(&self) -> CacheStats {
        CacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            entries: self.entries.len() as u64,
            bytes: self.entries.weight(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use super::*;
    use crate::{RegisteredView, VerifiedToken};

    /// Claims whose end looks at the cache that they were in.
    struct Curious(Arc<OnceLock<TokenCache<Curious>>>);

    impl Drop for Curious {
        fn drop(&mut self) {
            if let Some(cache) = self.0.get() {
                cache.stats();
            }
        }
    }

    #[test]
    fn what_is_forgotten_ends_when_no_lock_is_held() {
        let cache = Arc::new(OnceLock::new());
        let tokens = cache.get_or_init(|| TokenCache::new(30_000));
        let remember = |text: &str| {
            let claims = Arc::new(Curious(Arc::clone(&cache)));
            let (kid, iss, sub, iat) = (None, None, None, None);
            let view = RegisteredView { kid, iss, sub, exp: 0, iat, jti: None, client_id: None, sid: None };
            tokens.insert(tokens.shown(text), false, VerifiedToken::vouched(claims, &view).entry());
        };
        for number in 0..200 {
            remember(&number.to_string());
        }
        // It takes the place of many.
        remember(&"x".repeat(8 * 1024));
        assert!(tokens.stats().entries < 60, "{:?}", tokens.stats());
    }
}
