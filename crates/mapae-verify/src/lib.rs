//! What a JSON Web Token is, and whether to believe it.
//!
//! Signing and verifying of compact JWS (RFC 7515) over `aws-lc-rs`, keys as JWK and PEM (RFC 7517, RFC 7518,
//! RFC 7638, RFC 8037), claims of access tokens (RFC 7519, RFC 9068), by the rules of RFC 8725:
//!
//! - a key fixes exactly one algorithm, and nothing in a token's header ever supplies a key;
//! - `alg: none` does not exist, and unknown `crit` is refused;
//! - `typ` tells kinds of token apart, issuer and audience are exact, `exp` is required;
//! - everything is bounded and strictly decoded: base64url, JSON without duplicates, whole numbers for times.
//!
//! ```
//! use mapae_verify::{Algorithm, Audience, Claims, Clock, KeySet, NoExtra, Scopes, SigningKey, Subject, SystemClock};
//! use mapae_verify::VerifierBuilder;
//!
//! let key = SigningKey::generate(Algorithm::ES256)?;
//! let now = SystemClock.now();
//! let token = key.sign("at+jwt", &Claims {
//!     iss: "https://auth.example".into(),
//!     sub: Subject::user("0198c0de")?,
//!     aud: Audience::one("https://api.example"),
//!     exp: now + 900,
//!     iat: now,
//!     nbf: None,
//!     jti: "1".into(),
//!     client_id: "web".into(),
//!     scope: Scopes::parse("me items")?,
//!     sid: None,
//!     act: None,
//!     extra: NoExtra {},
//! })?;
//!
//! let keys = KeySet::from_keys([key.verification_key()])?;
//! let verifier = VerifierBuilder::rfc9068(keys, "https://auth.example", "https://api.example").build();
//! let claims = verifier.verify(&token)?;
//! assert_eq!(claims.sub.as_user(), Some("0198c0de"));
//! assert!(claims.scope.contains("items"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod actor;
mod algorithm;
#[cfg(feature = "axum")]
pub mod axum;
mod base64;
#[cfg(all(doctest, feature = "openapi", feature = "remote", feature = "testing", feature = "utoipa"))]
mod book;
mod builder;
mod cache;
mod claims;
mod clock;
mod der;
mod error;
mod flat;
mod header;
pub mod inspect;
mod json;
mod jwk;
mod jws;
mod key_file;
mod key_set;
mod keys;
mod known_headers;
mod pem;
mod policy;
mod registered;
#[cfg(feature = "remote")]
pub mod remote;
mod required;
mod required_subject;
pub mod revocations;
mod scope;
mod secret;
mod signing;
mod subject;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(any(feature = "axum", feature = "remote"))]
mod token_error;
mod used_once;
mod verified;
mod verifier;
mod weak;

pub use actor::Actor;
pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use builder::VerifierBuilder;
pub use cache::CacheStats;
pub use claims::{Audience, Claims, NoExtra, REGISTERED_CLAIMS};
pub use clock::{Clock, ManualClock, SystemClock};
pub use error::{KeyError, SignError, VerifyError};
pub use header::{Header, MAX_HEADER_LENGTH};
pub use jwk::{Jwk, JwkSet, SecretMember};
pub use jws::{VerifiedJws, verify_jws};
pub use key_set::{KeySet, SharedKeys, SkippedKey};
pub use keys::VerificationKey;
pub use policy::{DEFAULT_LEEWAY, DEFAULT_MAX_LENGTH};
pub use required::{AnyOf, DeclaredScope, ScopeSet};
pub use required_subject::{DeclaredKind, SubjectSet, UserSubject};
pub use scope::{MAX_SCOPES, MAX_SCOPES_BYTES, Scope, ScopeError, Scopes};
pub use signing::SigningKey;
pub use subject::{MAX_SUBJECT_BYTES, Subject, SubjectError, SubjectKind};
#[cfg(any(feature = "axum", feature = "remote"))]
pub use token_error::TokenError;
pub use verified::VerifiedToken;
pub use verifier::{RegisteredView, Revocations, Verifier};
