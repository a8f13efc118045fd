//! Secrets in memory, and the master key that wraps those in the database.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::Rng;

/// The shortest key that is accepted, in bytes (256 bits; RFC 7518 §3.2 asks it of HS256 keys).
pub const MIN_KEY_BYTES: usize = 32;

/// Text that must not be shown: redacted in `Debug`, wiped when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct SecretText(String);

impl SecretText {
    /// Takes the text over.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The plain text, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

/// What a wrapping key is for: each use has its own HKDF label (RFC 5869 `info`), so that a blob wrapped for one
/// use opens for no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrapUse {
    /// The check value that tells whether a node brought the right master key.
    Check,
    /// Private signing keys.
    SigningKey,
    /// The key of refresh tokens.
    RefreshToken,
    /// The key of the fingerprints of other applications' password hashes.
    Fingerprint,
    /// The key of throttling: counters' names and device tokens.
    Throttle,
}

impl WrapUse {
    /// Every use: whatever a master key wraps is for one of these.
    pub const ALL: [Self; 5] = [Self::Check, Self::SigningKey, Self::RefreshToken, Self::Fingerprint, Self::Throttle];

    fn label(self) -> &'static [u8] {
        match self {
            Self::Check => b"mapae/v1/check",
            Self::SigningKey => b"mapae/v1/signing-key",
            Self::RefreshToken => b"mapae/v1/refresh-token",
            Self::Fingerprint => b"mapae/v1/fingerprint",
            Self::Throttle => b"mapae/v1/throttle",
        }
    }
}

/// The blob was not made by this key for this use, or was altered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored secret does not open with this master key")]
pub struct UnwrapError;

/// A key under [`MIN_KEY_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the master key must be at least {MIN_KEY_BYTES} bytes long")]
pub struct MasterKeyError;

/// The root of trust: it only wraps data keys that are kept in the database, and signs nothing.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct MasterKey(Vec<u8>);

impl MasterKey {
    /// Takes the key's bytes over.
    ///
    /// # Errors
    /// [`MasterKeyError`] if there are fewer than 32.
    pub fn new(bytes: Vec<u8>) -> Result<Self, MasterKeyError> {
        if bytes.len() < MIN_KEY_BYTES { Err(MasterKeyError) } else { Ok(Self(bytes)) }
    }

    /// Encrypts `plain` (AES-256-GCM under a key for this use). `context` is bound to the blob and must be given
    /// again: the row's id, so that blobs cannot be swapped between rows.
    pub fn wrap(&self, rng: &dyn Rng, wrap_use: WrapUse, context: &str, plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        rng.fill(&mut nonce);
        // With room for the tag: growing would leave a copy behind.
        let mut sealed = Vec::with_capacity(plain.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(plain);
        self.key(wrap_use)
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context.as_bytes()), &mut sealed)
            .expect("AES-GCM takes any short plaintext");
        let mut blob = nonce.to_vec();
        blob.extend_from_slice(&sealed);
        blob
    }

    /// Decrypts what [`Self::wrap`] made.
    ///
    /// # Errors
    /// [`UnwrapError`] if the key, the use or the context is another, or the blob was altered.
    pub fn unwrap(&self, wrap_use: WrapUse, context: &str, blob: &[u8]) -> Result<Zeroizing<Vec<u8>>, UnwrapError> {
        let (nonce, sealed) = blob.split_at_checked(NONCE_LEN).ok_or(UnwrapError)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| UnwrapError)?;
        let mut buffer = Zeroizing::new(sealed.to_vec());
        let plain_len = self
            .key(wrap_use)
            .open_in_place(nonce, Aad::from(context.as_bytes()), &mut buffer)
            .map_err(|_| UnwrapError)?
            .len();
        buffer.truncate(plain_len);
        Ok(buffer)
    }

    fn key(&self, wrap_use: WrapUse) -> LessSafeKey {
        struct Len32;
        impl KeyType for Len32 {
            fn len(&self) -> usize {
                32
            }
        }
        let mut bytes = Zeroizing::new([0; 32]);
        let prk: Prk = Salt::new(HKDF_SHA256, &[]).extract(&self.0);
        prk.expand(&[wrap_use.label()], Len32).and_then(|okm| okm.fill(bytes.as_mut())).expect("HKDF gives 32 bytes");
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes.as_ref()).expect("the key is 32 bytes long"))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SystemRng;

    #[test]
    fn a_blob_opens_only_for_its_key_use_and_context() {
        let key = MasterKey::new(vec![7; 32]).unwrap();
        let blob = key.wrap(&SystemRng, WrapUse::SigningKey, "kid-1", b"private");
        assert_eq!(*key.unwrap(WrapUse::SigningKey, "kid-1", &blob).unwrap(), b"private");
        assert!(key.unwrap(WrapUse::Check, "kid-1", &blob).is_err());
        assert!(key.unwrap(WrapUse::SigningKey, "kid-2", &blob).is_err());
        assert!(MasterKey::new(vec![8; 32]).unwrap().unwrap(WrapUse::SigningKey, "kid-1", &blob).is_err());
        for at in 0..blob.len() {
            let mut altered = blob.clone();
            altered[at] ^= 1;
            assert!(key.unwrap(WrapUse::SigningKey, "kid-1", &altered).is_err());
        }
        assert!(key.unwrap(WrapUse::SigningKey, "kid-1", b"").is_err());
        assert!(MasterKey::new(vec![0; 31]).is_err());
    }

    #[test]
    fn debug_shows_nothing() {
        let shown = format!("{:?} {:?}", MasterKey::new(vec![65; 32]).unwrap(), SecretText::new("hunter2".into()));
        assert_eq!(shown, "MasterKey(…) SecretText(…)");
    }
}
