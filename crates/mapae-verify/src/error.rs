//! Why a token, a key or a claim is not accepted.

use crate::Algorithm;

/// Longest part of a `kid` that is repeated in an error, in characters.
const SHOWN_KID: usize = 64;

/// Why a token is not believed. Messages are short and never repeat the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Longer than the verifier reads.
    #[error("the token is too long")]
    TooLong,
    /// Not a compact JWS with a JSON header and JSON claims, strictly written (RFC 7515 §3.1, RFC 7519 §7.2).
    #[error("malformed token: {0}")]
    Malformed(&'static str),
    /// `alg` is missing, `none`, or not one that this library knows.
    #[error("unsupported algorithm")]
    UnsupportedAlgorithm,
    /// `alg` is not the algorithm of the key (RFC 8725 §3.1).
    #[error("the token's algorithm is not the key's")]
    AlgorithmMismatch,
    /// No key with this `kid`; without a `kid`, no single key that could apply.
    #[error("signed by an unknown key")]
    UnknownKey {
        /// The token's `kid`, cut to 64 characters and with control characters replaced.
        kid: Option<String>,
    },
    /// The signature does not match: altered, or signed with another key.
    #[error("the signature does not match")]
    BadSignature,
    /// `typ` is missing or names another kind of token (RFC 8725 §3.11).
    #[error("wrong type of token")]
    WrongType,
    /// `crit` is present; no critical extension is understood (RFC 7515 §4.1.11).
    #[error("unknown critical header parameter")]
    UnknownCritical,
    /// A required claim is absent.
    #[error("missing claim `{0}`")]
    MissingClaim(&'static str),
    /// A claim has the wrong type or an impossible value.
    #[error("invalid claim `{0}`")]
    InvalidClaim(&'static str),
    /// `iss` is another issuer.
    #[error("wrong issuer")]
    WrongIssuer,
    /// `aud` names nobody that this verifier is.
    #[error("wrong audience")]
    WrongAudience,
    /// `exp` has passed, leeway included.
    #[error("the token has expired")]
    Expired {
        /// Seconds since `exp`.
        ago: i64,
    },
    /// `nbf` or `iat` is in the future, leeway included.
    #[error("the token is not valid yet")]
    NotYetValid {
        /// Seconds until then.
        wait: i64,
    },
    /// The token, its session or its key was revoked.
    #[error("the token was revoked")]
    Revoked,
}

impl VerifyError {
    pub(crate) fn unknown_key(kid: Option<&str>) -> Self {
        let shown =
            |kid: &str| kid.chars().take(SHOWN_KID).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        Self::UnknownKey { kid: kid.map(shown) }
    }
}

/// Why a key can't be used. Messages never hold key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// An HMAC secret of no bytes.
    #[error("the secret is empty")]
    EmptySecret,
    /// An HMAC secret shorter than the hash (RFC 7518 §3.2).
    #[error("the secret has {bytes} bytes, {needed} or more are needed")]
    ShortSecret {
        /// Its length in bytes.
        bytes: usize,
        /// The least for this algorithm, in bytes.
        needed: usize,
    },
    /// A public key (PEM, DER, JWK or OpenSSH text) was given as an HMAC secret.
    #[error("this is a key file, not a secret")]
    KeyFileAsSecret,
    /// The algorithm is not for this kind of key, or `alg` of the JWK says another one.
    #[error("the key is not for {0}")]
    AlgorithmMismatch(Algorithm),
    /// `alg` of the JWK is no signature algorithm that is known here.
    #[error("unsupported `alg`")]
    UnsupportedAlgorithm,
    /// The JWK has no `alg`, and its type does not decide it (RSA, oct).
    #[error("`alg` is missing and can't be told from the key")]
    AlgorithmRequired,
    /// `kty` is not known here.
    #[error("unsupported `kty`")]
    UnsupportedKeyType,
    /// The curve is not known here.
    #[error("unsupported curve")]
    UnsupportedCurve,
    /// `use` is not `sig`.
    #[error("`use` is not `sig`")]
    WrongUse,
    /// `key_ops` lacks `verify`.
    #[error("`key_ops` lacks `verify`")]
    WrongKeyOps,
    /// A member that this kind of key needs is absent.
    #[error("`{0}` is missing")]
    MissingMember(&'static str),
    /// A member is not canonical base64url, or has the wrong length.
    #[error("`{0}` is badly encoded")]
    BadMember(&'static str),
    /// The modulus is shorter than 2048 or longer than 8192 bits.
    #[error("an RSA key of {bits} bits; 2048 to 8192 are accepted")]
    RsaSize {
        /// Length of the modulus in bits.
        bits: usize,
    },
    /// The public exponent is even, 1, or longer than 33 bits.
    #[error("the RSA exponent is not acceptable")]
    RsaExponent,
    /// The modulus is even, or was made by the generator with the ROCA weakness (CVE-2017-15361).
    #[error("the RSA modulus is weak")]
    RsaWeak,
    /// The coordinates are no point of the curve.
    #[error("not a valid point on the curve")]
    InvalidPoint,
    /// Not one PEM block, or not of the kind that is needed.
    #[error("PEM: {0}")]
    Pem(&'static str),
    /// The DER structure is not a key of the expected kind.
    #[error("not a DER key of the expected kind")]
    Der,
    /// The text is not a JWK.
    #[error("not a JSON Web Key")]
    Json,
    /// Two keys of one set have the same `kid`.
    #[error("two keys have the same `kid`")]
    DuplicateKid,
    /// A published set mixes secrets with public keys.
    #[error("a shared secret among public keys")]
    MixedSet,
    /// The operation needs a private asymmetric key.
    #[error("not possible with a shared secret")]
    Symmetric,
    /// The cryptographic library refused.
    #[error("the key was refused by the cryptographic library")]
    Refused,
}

/// Why claims could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The claims did not serialize.
    #[error("the claims can't be written as JSON: {0}")]
    Claims(#[from] serde_json::Error),
    /// The claims are not a JSON object.
    #[error("the claims are not a JSON object")]
    NotAnObject,
    /// A feed of revocations is signed with a private key: everybody who verifies has a shared secret.
    #[error("not possible with a shared secret")]
    Symmetric,
    /// The cryptographic library failed.
    #[error("signing failed")]
    Failed,
}
