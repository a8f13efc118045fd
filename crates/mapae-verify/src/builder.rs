//! How verifiers are made.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::cache::TokenCache;
use crate::known_headers::KnownHeaders;
use crate::policy::{DEFAULT_LEEWAY, DEFAULT_MAX_LENGTH, Policy, Required};
use crate::{Claims, Clock, Revocations, SharedKeys, SystemClock, Verifier};

/// The claims that RFC 9068 §2.2 requires, beside `exp`, `iss` and `aud`.
const RFC9068_REQUIRED: [&str; 4] = ["sub", "client_id", "iat", "jti"];

/// Makes a [`Verifier`]. Start with [`rfc9068`](Self::rfc9068), or with [`lenient`](Self::lenient) for tokens that
/// other programs make by their own rules.
#[must_use]
pub struct VerifierBuilder<C = Claims> {
    policy: Policy,
    keys: SharedKeys,
    clock: Arc<dyn Clock>,
    revocations: Option<Arc<dyn Revocations>>,
    cache_bytes: u64,
    claims: PhantomData<fn() -> C>,
}

impl VerifierBuilder {
    /// Access tokens as RFC 9068 has them: `typ` is `at+jwt`; `iss`, `aud`, `exp`, `sub`, `client_id`, `iat` and
    /// `jti` are required; the issuer is exactly this one, and the audience is among the token's. The leeway is
    /// [`DEFAULT_LEEWAY`] seconds.
    pub fn rfc9068(keys: impl Into<SharedKeys>, issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self::new(
            keys.into(),
            Policy {
                issuer: Some(issuer.into()),
                audiences: vec![audience.into()],
                leeway: DEFAULT_LEEWAY,
                max_length: DEFAULT_MAX_LENGTH,
                types: vec!["at+jwt".to_owned()],
                ignore_typ: false,
                ignore_kid: false,
                fractional_times: false,
                required: Required::of(&RFC9068_REQUIRED),
            },
        )
    }

    /// Tokens that tutorials make: only `exp` is required, `typ` and `kid` are ignored, times may have fractions, the
    /// leeway is 0. Any `iss` is accepted, and no `aud`, unless they are set. Signature, times and types of claims
    /// are checked as strictly as ever.
    pub fn lenient(keys: impl Into<SharedKeys>) -> Self {
        Self::new(
            keys.into(),
            Policy {
                issuer: None,
                audiences: Vec::new(),
                leeway: 0,
                max_length: DEFAULT_MAX_LENGTH,
                types: Vec::new(),
                ignore_typ: true,
                ignore_kid: true,
                fractional_times: true,
                required: Required::default(),
            },
        )
    }

    fn new(keys: SharedKeys, policy: Policy) -> Self {
        Self { policy, keys, clock: Arc::new(SystemClock), revocations: None, cache_bytes: 0, claims: PhantomData }
    }
}

impl<C: DeserializeOwned + Send + Sync + 'static> VerifierBuilder<C> {
    /// Reads claims into another type, such as [`Claims<Extra>`](Claims) or a struct with only the fields it needs.
    pub fn claims<D: DeserializeOwned + Send + Sync + 'static>(self) -> VerifierBuilder<D> {
        VerifierBuilder {
            policy: self.policy,
            keys: self.keys,
            clock: self.clock,
            revocations: self.revocations,
            cache_bytes: self.cache_bytes,
            claims: PhantomData,
        }
    }

    /// Requires exactly this `iss`, compared byte for byte.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.policy.issuer = Some(issuer.into());
        self
    }

    /// Accepts this audience too: `aud` is required, and must name one of those that were added.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.policy.audiences.push(audience.into());
        self
    }

    /// Tolerates clocks that differ by so many seconds, for `exp`, `nbf` and `iat`.
    pub const fn leeway(mut self, seconds: u32) -> Self {
        self.policy.leeway = seconds;
        self
    }

    /// Refuses longer tokens before anything else is done with them. [`DEFAULT_MAX_LENGTH`] bytes unless set.
    pub const fn max_length(mut self, bytes: usize) -> Self {
        self.policy.max_length = bytes;
        self
    }

    /// Accepts exactly these values of `typ`. Case does not matter, nor does a leading `application/`. A feed of
    /// [revocations](crate::revocations) is no token, whatever is set here.
    pub fn types<S: Into<String>>(mut self, types: impl IntoIterator<Item = S>) -> Self {
        self.policy.types = types.into_iter().map(Into::into).collect();
        self.policy.ignore_typ = false;
        self
    }

    /// Accepts every `typ`, and none. Then any token that the keys sign passes, whatever it was made for; only a feed
    /// of [revocations](crate::revocations) does not.
    pub const fn ignore_typ(mut self, yes: bool) -> Self {
        self.policy.ignore_typ = yes;
        self
    }

    /// Treats every token as if it had no `kid`: the only key that is for its `alg` decides.
    pub const fn ignore_kid(mut self, yes: bool) -> Self {
        self.policy.ignore_kid = yes;
        self
    }

    /// Requires this claim too, whatever its value.
    pub fn require(mut self, claim: &'static str) -> Self {
        self.policy.required.add(claim);
        self
    }

    /// Whether `iat` is required.
    pub fn require_iat(mut self, yes: bool) -> Self {
        self.policy.required.remove("iat");
        if yes { self.require("iat") } else { self }
    }

    /// Whether times may have fractions of a second (RFC 7519 §2 allows them, RFC 9068 issuers write none).
    pub const fn fractional_times(mut self, yes: bool) -> Self {
        self.policy.fractional_times = yes;
        self
    }

    /// Where the time comes from; the system's clock unless set.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Remembers verified tokens in about so many bytes; 0, the default, remembers none. Repeated tokens then cost
    /// no signature check; times, keys and revocation are checked all the same. Tokens of a shared secret are remembered
    /// from their second use on, or a later one where many others come in between: checking an HMAC costs less than
    /// remembering a token that never comes again.
    pub const fn cache_bytes(mut self, bytes: u64) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Asks this about every token that is good otherwise.
    pub fn revocations(mut self, revocations: Arc<dyn Revocations>) -> Self {
        self.revocations = Some(revocations);
        self
    }

    /// The verifier.
    #[must_use]
    pub fn build(self) -> Verifier<C> {
        Verifier {
            policy: self.policy,
            keys: self.keys,
            clock: self.clock,
            revocations: self.revocations,
            cache: (self.cache_bytes > 0).then(|| TokenCache::new(self.cache_bytes)),
            known_headers: KnownHeaders::default(),
        }
    }
}

impl<C> fmt::Debug for VerifierBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifierBuilder").field("policy", &self.policy).finish_non_exhaustive()
    }
}
