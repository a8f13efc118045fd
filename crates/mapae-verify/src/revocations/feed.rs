//! The feed, signed and verified.

use super::{Entries, FEED_TYPE, MAX_FEED_LENGTH, wire};
use crate::policy::DEFAULT_LEEWAY;
use crate::registered::LATEST;
use crate::{KeySet, SignError, SigningKey, VerifyError, verify_jws};

/// What an issuer tells about what ended. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// Who tells it.
    pub iss: String,
    /// When it was signed.
    pub iat: i64,
    /// From when on it is not accepted any more.
    pub exp: i64,
    /// Never falls, not even when the issuer is restored from a backup; so the time of signing in milliseconds is a
    /// good choice, where the issuer's nodes agree about it.
    pub seq: u64,
    /// What ended.
    pub entries: Entries,
}

/// Why a feed is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// Not a JWS that a key of the set signed.
    #[error(transparent)]
    Jws(#[from] VerifyError),
    /// Signed with a shared secret, which everybody has who verifies.
    #[error("signed with a shared secret")]
    SharedSecret,
    /// Signed by a key that the feed before revokes.
    #[error("signed by a revoked key")]
    RevokedKey,
    /// The payload is not a feed.
    #[error("malformed feed: {0}")]
    Malformed(&'static str),
    /// `iss` is another issuer.
    #[error("wrong issuer")]
    WrongIssuer,
    /// `exp` has passed.
    #[error("the feed has expired")]
    Expired {
        /// Seconds since `exp`.
        ago: i64,
    },
    /// `iat` is in the future.
    #[error("the feed is not valid yet")]
    NotYetValid {
        /// Seconds until then.
        wait: i64,
    },
    /// `seq` is lower than that of the feed before.
    #[error("the feed has number {seq}, older than {held}")]
    Older {
        /// Its number.
        seq: u64,
        /// The number of the one before.
        held: u64,
    },
}

impl Feed {
    /// The feed as a compact JWS. The same entries always make the same text, but for the signature of ES256.
    ///
    /// # Errors
    /// With a shared secret, and when the library fails.
    pub fn sign(&self, key: &SigningKey) -> Result<String, SignError> {
        if key.algorithm().is_symmetric() {
            return Err(SignError::Symmetric);
        }
        key.sign_payload(Some(FEED_TYPE), &wire::encode(self)?)
    }

    /// Reads a feed of at most [`MAX_FEED_LENGTH`] bytes that a key of this set has signed, for this issuer.
    /// `now_millis` is in milliseconds since 1970; clocks may differ by [`DEFAULT_LEEWAY`] seconds. `held` is the
    /// feed that was accepted before it: an older one is refused, and one that is signed by a key that it revokes.
    ///
    /// # Errors
    /// The first reason not to believe it.
    pub fn verify(
        text: &str,
        keys: &KeySet,
        issuer: &str,
        now_millis: i64,
        held: Option<&Self>,
    ) -> Result<Self, FeedError> {
        let jws = verify_jws(text, keys, MAX_FEED_LENGTH)?;
        if jws.header.alg.is_symmetric() {
            return Err(FeedError::SharedSecret);
        }
        if !jws.header.is_type(&[FEED_TYPE]) {
            return Err(VerifyError::WrongType.into());
        }
        // The key's own id: a header need not name it where there is only one.
        let signer = keys.signer(jws.header.kid.as_deref(), jws.header.alg, |_| Ok(()))?.kid();
        if held.is_some_and(|held| signer.is_some_and(|kid| held.entries.is_key_revoked(kid))) {
            return Err(FeedError::RevokedKey);
        }
        let feed = wire::decode(&jws.payload)?;
        feed.check(issuer, now_millis)?;
        match held {
            Some(held) if feed.seq < held.seq => Err(FeedError::Older { seq: feed.seq, held: held.seq }),
            Some(_) | None => Ok(feed),
        }
    }

    fn check(&self, issuer: &str, now_millis: i64) -> Result<(), FeedError> {
        if self.iss != issuer {
            return Err(FeedError::WrongIssuer);
        }
        if !(0..=LATEST).contains(&self.iat) || !(0..=LATEST).contains(&self.exp) {
            return Err(FeedError::Malformed("a time is out of range"));
        }
        let leeway = i64::from(DEFAULT_LEEWAY);
        let now = now_millis.div_euclid(1000);
        if now >= self.exp.saturating_add(leeway) {
            return Err(FeedError::Expired { ago: now.saturating_sub(self.exp) });
        }
        if now < self.iat.saturating_sub(leeway) {
            return Err(FeedError::NotYetValid { wait: self.iat.saturating_sub(now) });
        }
        Ok(())
    }

    /// Whether it would still be accepted, at `now_millis` milliseconds since 1970.
    #[cfg(feature = "remote")]
    pub(crate) fn is_current(&self, now_millis: i64) -> bool {
        self.check(&self.iss, now_millis).is_ok()
    }
}
