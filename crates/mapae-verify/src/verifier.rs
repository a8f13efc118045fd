//! Whether to believe a token (RFC 7519 §7.2, RFC 8725, RFC 9068 §4).

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::base64::Buffer;
use crate::cache::{Shown, TokenCache};
use crate::inspect::Expected;
use crate::jws::Segments;
use crate::known_headers::KnownHeaders;
use crate::policy::{Policy, Times};
use crate::registered::Registered;
use crate::verified::{Entry, Proof};
use crate::{CacheStats, Claims, Clock, Header, KeySet, SharedKeys, VerificationKey, VerifiedToken, VerifyError};

/// Claims of usual tokens are decoded on the stack.
const STACK_PAYLOAD: usize = 1024;

/// The registered claims of a verified token, for revocation. Times are seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisteredView<'a> {
    /// Id of the key that verified it.
    pub kid: Option<&'a str>,
    /// Who issued it.
    pub iss: Option<&'a str>,
    /// What it is about.
    pub sub: Option<&'a str>,
    /// When it ends.
    pub exp: i64,
    /// When it was issued.
    pub iat: Option<i64>,
    /// Its own id.
    pub jti: Option<&'a str>,
    /// The client that it was issued to.
    pub client_id: Option<&'a str>,
    /// The session that it belongs to.
    pub sid: Option<&'a str>,
}

/// Asked about every token that is good otherwise, remembered or not; so it must be fast.
pub trait Revocations: Send + Sync + 'static {
    /// True when the token must not be accepted any more.
    fn is_revoked(&self, claims: &RegisteredView<'_>) -> bool;
}

/// A token that is to be believed.
enum Believed<C> {
    /// With what is kept of it.
    Kept(Arc<Entry<C>>),
    /// Where nothing is kept.
    Claims(Arc<C>),
}

/// Decides whether to believe tokens; made by [`VerifierBuilder`](crate::VerifierBuilder). `C` is the type that
/// claims are read into: the registered ones are checked whatever it is.
pub struct Verifier<C = Claims> {
    pub(crate) policy: Policy,
    pub(crate) keys: SharedKeys,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) revocations: Option<Arc<dyn Revocations>>,
    pub(crate) cache: Option<TokenCache<C>>,
    pub(crate) known_headers: KnownHeaders,
}

impl<C: DeserializeOwned + Send + Sync + 'static> Verifier<C> {
    /// The claims of a token that is to be believed now.
    ///
    /// # Errors
    /// The first reason not to believe it. Reasons of the header come first, then the signature, then the claims.
    pub fn verify(&self, token: &str) -> Result<Arc<C>, VerifyError> {
        self.look(token, self.clock.now_millis(), false).map(|believed| match believed {
            Believed::Kept(entry) => Arc::clone(&entry.claims),
            Believed::Claims(claims) => claims,
        })
    }

    /// Like [`Self::verify`], for a token that is to be [checked again](Self::check_again) later.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_token(&self, token: &str) -> Result<VerifiedToken<C>, VerifyError> {
        self.verify_token_at(token, self.clock.now_millis())
    }

    /// Like [`Self::verify_token`] at this time, in milliseconds since 1970: for whoever has just asked the same clock, and
    /// judges more by it than the token. An old time makes an expired token good.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_token_at(&self, token: &str, now: i64) -> Result<VerifiedToken<C>, VerifyError> {
        match self.look(token, now, true)? {
            Believed::Kept(entry) => Ok(entry.into()),
            Believed::Claims(_) => unreachable!("an entry was asked for"),
        }
    }

    /// Whether a token is still to be believed: its times, that its key is live, and revocation. Costs no signature.
    ///
    /// # Errors
    /// Why it is not to be believed any more.
    pub fn check_again(&self, token: &VerifiedToken<C>) -> Result<(), VerifyError> {
        self.check_entry(token.entry(), &self.keys.guard(), self.clock.now_millis())
    }

    /// How long it is until the token expires, leeway included.
    #[must_use]
    pub fn expires_in(&self, token: &VerifiedToken<C>) -> std::time::Duration {
        let end = self.policy.end(token.entry().times);
        let millis = end.saturating_sub(self.clock.now_millis());
        std::time::Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    /// An entry is made where there is a cache or it is wanted.
    fn look(&self, token: &str, now: i64, is_wanted: bool) -> Result<Believed<C>, VerifyError> {
        if token.len() > self.policy.max_length {
            return Err(VerifyError::TooLong);
        }
        let keys = self.keys.guard();
        let remembered = self.cache.as_ref().map(|cache| (cache, cache.shown(token)));
        if let Some((cache, shown)) = remembered
            && let Some(entry) = cache.get(shown)
        {
            return match self.check_entry(&entry, &keys, now) {
                Ok(()) => {
                    cache.count_hit();
                    Ok(Believed::Kept(entry))
                }
                Err(reason) => {
                    // Kept while it may become valid again, or its key may come back.
                    if matches!(reason, VerifyError::Expired { .. }) {
                        cache.remove(shown);
                    }
                    Err(reason)
                }
            };
        }
        self.verify_in_full(token, &keys, now, remembered, is_wanted)
    }

    fn verify_in_full(
        &self,
        token: &str,
        keys: &KeySet,
        now: i64,
        remembered: Option<(&TokenCache<C>, Shown<'_>)>,
        is_wanted: bool,
    ) -> Result<Believed<C>, VerifyError> {
        let segments = Segments::split(token)?;
        let known = self.known_headers.get(segments.header);
        let read;
        let header = if let Some(known) = known.as_ref().and_then(|known| known.as_ref()) {
            &known.header
        } else {
            read = Header::decode(segments.header)?;
            &read
        };
        let key = keys.signer(self.policy.kid(header.kid.as_deref()), header.alg, |key| {
            if known.is_none() {
                self.policy.check_type(header)?;
            }
            segments.check_signature(key)
        })?;
        if known.is_none() {
            self.known_headers.remember(segments.header, header);
        }

        let mut buffer = Buffer::<STACK_PAYLOAD>::new();
        let payload =
            buffer.decode(segments.payload.as_bytes()).ok_or(VerifyError::Malformed("the claims are not base64url"))?;
        let payload =
            simdutf8::basic::from_utf8(payload).map_err(|_| VerifyError::Malformed("the claims are not UTF-8"))?;
        let mut registered = Registered::none();
        registered.fill(payload, self.policy.fractional_times)?;
        let times = self.policy.check(&registered, now)?;
        let claims = read_claims::<C>(payload, &registered)?;
        self.check_revocation(|| view(&registered, key, times))?;
        if !is_wanted && remembered.is_none() {
            return Ok(Believed::Claims(claims));
        }
        let entry = Arc::new(Entry::new(claims, Arc::clone(key), header.kid.as_deref(), times, &registered));
        if let Some((cache, shown)) = remembered {
            cache.insert(shown, key.algorithm().is_symmetric(), &entry);
        }
        Ok(Believed::Kept(entry))
    }

    /// What can have changed since the token was verified.
    fn check_entry(&self, entry: &Entry<C>, keys: &KeySet, now: i64) -> Result<(), VerifyError> {
        match &entry.proof {
            Proof::Signature { kid, key: signer } => {
                keys.signer(self.policy.kid(kid.as_deref()), signer.algorithm(), |key| {
                    let is_same = Arc::ptr_eq(key, signer) || key.same_key(signer);
                    if is_same { Ok(()) } else { Err(VerifyError::BadSignature) }
                })?;
            }
            Proof::Application { kid } => {
                let kid = kid.as_deref().filter(|_| !self.policy.ignore_kid);
                if kid.is_some() && keys.get(kid).is_none() {
                    return Err(VerifyError::unknown_key(kid));
                }
            }
        }
        self.policy.check_times(entry.times, now)?;
        self.check_revocation(|| entry.view())
    }

    fn check_revocation<'a>(&self, claims: impl FnOnce() -> RegisteredView<'a>) -> Result<(), VerifyError> {
        match &self.revocations {
            Some(revocations) if revocations.is_revoked(&claims()) => Err(VerifyError::Revoked),
            Some(_) | None => Ok(()),
        }
    }

    /// What the cache holds and did so far; zeros if there is none.
    #[must_use]
    pub fn cache_stats(&self) -> CacheStats {
        self.cache.as_ref().map(TokenCache::stats).unwrap_or_default()
    }
}

impl<C> Verifier<C> {
    /// The keys, for replacing them while the verifier runs.
    #[must_use]
    pub const fn keys(&self) -> &SharedKeys {
        &self.keys
    }

    /// What a token is held to, for [`inspect::explain`](crate::inspect::explain).
    #[must_use]
    pub fn expected(&self) -> Expected {
        Expected {
            issuer: self.policy.issuer.clone(),
            audiences: self.policy.audiences.clone(),
            types: if self.policy.ignore_typ { Vec::new() } else { self.policy.types.clone() },
        }
    }
}

impl<C> fmt::Debug for Verifier<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("policy", &self.policy).field("keys", &self.keys).finish_non_exhaustive()
    }
}

fn view<'a>(registered: &'a Registered<'_>, key: &'a VerificationKey, times: Times) -> RegisteredView<'a> {
    RegisteredView {
        kid: key.kid(),
        iss: registered.iss.as_deref(),
        sub: registered.sub.as_deref(),
        exp: times.exp.div_euclid(1000),
        iat: times.iat.map(|millis| millis.div_euclid(1000)),
        jti: registered.jti.as_deref(),
        client_id: registered.client_id.as_deref(),
        sid: registered.sid.as_deref(),
    }
}

fn read_claims<C: DeserializeOwned + Send + Sync + 'static>(
    payload: &str,
    registered: &Registered<'_>,
) -> Result<Arc<C>, VerifyError> {
    // The default type holds nothing but what the strict pass has read: no need to read the JSON twice.
    if TypeId::of::<C>() == TypeId::of::<Claims>() {
        let claims: Arc<dyn Any + Send + Sync> = Arc::new(registered.to_claims()?);
        if let Ok(claims) = claims.downcast() {
            return Ok(claims);
        }
    }
    let claims = serde_json::from_str(payload).map(Arc::new);
    claims.map_err(|_| VerifyError::Malformed("the claims do not fit the type they are read into"))
}
