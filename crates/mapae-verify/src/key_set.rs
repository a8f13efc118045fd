//! Sets of keys that verify, looked up by `kid`.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use foldhash::quality::RandomState;

use crate::{Algorithm, JwkSet, KeyError, VerificationKey, VerifyError};

/// Keys that verify, each `kid` at most once.
#[derive(Clone, Default)]
pub struct KeySet {
    keys: Vec<Arc<VerificationKey>>,
    /// It is asked for every token, hence a faster hasher; it is keyed too.
    by_kid: HashMap<Box<str>, Arc<VerificationKey>, RandomState>,
}

/// A key of a JWK Set that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedKey {
    /// Its `kid`.
    pub kid: Option<String>,
    /// Why it can't be used.
    pub reason: KeyError,
}

impl KeySet {
    /// A set of these keys.
    ///
    /// # Errors
    /// When two of them have the same `kid`.
    pub fn from_keys(keys: impl IntoIterator<Item = VerificationKey>) -> Result<Self, KeyError> {
        let mut set = Self::default();
        for key in keys.into_iter().map(Arc::new) {
            if let Some(kid) = key.kid()
                && set.by_kid.insert(kid.into(), Arc::clone(&key)).is_some()
            {
                return Err(KeyError::DuplicateKid);
            }
            set.keys.push(key);
        }
        Ok(set)
    }

    /// The keys of a published set that can be used, and those that were left out: unsound ones, every key whose
    /// `kid` is not unique, and shared secrets beside public keys.
    #[must_use]
    pub fn from_jwks(jwks: &JwkSet) -> (Self, Vec<SkippedKey>) {
        let mut seen = HashSet::new();
        let ambiguous: HashSet<&str> =
            jwks.keys.iter().filter_map(|jwk| jwk.kid.as_deref()).filter(|kid| !seen.insert(*kid)).collect();
        let has_public = jwks.keys.iter().any(|jwk| jwk.kty != "oct");

        let (mut keys, mut skipped) = (Vec::new(), Vec::new());
        for jwk in &jwks.keys {
            let key = if jwk.kid.as_deref().is_some_and(|kid| ambiguous.contains(kid)) {
                Err(KeyError::DuplicateKid)
            } else if jwk.kty == "oct" && has_public {
                Err(KeyError::MixedSet)
            } else {
                VerificationKey::from_jwk(jwk)
            };
            match key {
                Ok(key) => keys.push(key),
                Err(reason) => skipped.push(SkippedKey { kid: jwk.kid.clone(), reason }),
            }
        }
        let set = Self::from_keys(keys).expect("keys with a repeated `kid` were left out");
        (set, skipped)
    }

    /// Like [`Self::from_jwks`], but every key must be usable.
    ///
    /// # Errors
    /// The reason for the first key that can't be used.
    pub fn from_jwks_strict(jwks: &JwkSet) -> Result<Self, KeyError> {
        let (set, skipped) = Self::from_jwks(jwks);
        skipped.into_iter().next().map_or(Ok(set), |skipped| Err(skipped.reason))
    }

    /// The key with this `kid`; for `None`, the only key of the set.
    #[must_use]
    pub fn get(&self, kid: Option<&str>) -> Option<&Arc<VerificationKey>> {
        match (kid, self.keys.as_slice()) {
            (Some(kid), _) => self.by_kid.get(kid),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }

    /// The key of a token with this header, once `is_signer` has found that it signed the token. A `kid` names the key.
    /// Without one exactly one key may apply; or, where one secret takes another's place, any of the shared secrets
    /// without an id, whose tokens name none.
    pub(crate) fn signer(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
        is_signer: impl Fn(&Arc<VerificationKey>) -> Result<(), VerifyError>,
    ) -> Result<&Arc<VerificationKey>, VerifyError> {
        let mut fitting = self.keys.iter().filter(|key| key.algorithm() == algorithm);
        let key = match (kid, self.get(kid)) {
            (_, Some(key)) => key,
            (Some(_), None) => return Err(VerifyError::unknown_key(kid)),
            (None, None) => match (fitting.clone().next(), fitting.clone().nth(1)) {
                (Some(only), None) => only,
                (Some(_), Some(_)) if fitting.clone().all(|key| key.is_unnamed_secret()) => {
                    return fitting.find(|key| is_signer(key).is_ok()).ok_or(VerifyError::BadSignature);
                }
                _ => return Err(VerifyError::unknown_key(None)),
            },
        };
        if key.algorithm() != algorithm {
            return Err(VerifyError::AlgorithmMismatch);
        }
        is_signer(key)?;
        Ok(key)
    }

    /// The keys, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<VerificationKey>> {
        self.keys.iter()
    }

    /// How many keys there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.keys.len()
    }

    /// True when there is no key.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The public keys, for publishing; shared secrets are left out.
    #[must_use]
    pub fn public_jwks(&self) -> JwkSet {
        JwkSet { keys: self.keys.iter().filter_map(|key| key.jwk().cloned()).collect() }
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.keys).finish()
    }
}

/// The keys of a verifier, replaceable while it runs. Clones share them.
#[derive(Debug, Clone)]
pub struct SharedKeys(Arc<ArcSwap<KeySet>>);

impl SharedKeys {
    /// A handle that starts with these keys.
    #[must_use]
    pub fn new(keys: KeySet) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(keys)))
    }

    /// Replaces all keys. Verifications that start from now on use the new ones, cached tokens included.
    pub fn store(&self, keys: KeySet) {
        self.0.store(Arc::new(keys));
    }

    /// The keys as they are now.
    #[must_use]
    pub fn load(&self) -> Arc<KeySet> {
        self.0.load_full()
    }

    pub(crate) fn guard(&self) -> Guard<Arc<KeySet>> {
        self.0.load()
    }
}

impl From<KeySet> for SharedKeys {
    fn from(keys: KeySet) -> Self {
        Self::new(keys)
    }
}
