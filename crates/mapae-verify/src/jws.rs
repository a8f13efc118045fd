//! Compact JWS (RFC 7515 §7.1): three segments, one signature.

use memchr::{memchr, memrchr};

use crate::base64::Buffer;
use crate::{Header, KeySet, VerificationKey, VerifyError, base64};

/// Decoded length of the longest signature that is read: RSA with 8192 bits.
const MAX_SIGNATURE: usize = 1024;

pub(crate) const NOT_THREE_PARTS: &str = "not three parts with dots between them";

/// The segments of a token, still encoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segments<'a> {
    pub(crate) header: &'a str,
    pub(crate) payload: &'a str,
    pub(crate) signature: &'a str,
    /// Header and payload with the dot between them.
    pub(crate) signed: &'a str,
}

impl<'a> Segments<'a> {
    pub(crate) fn split(token: &'a str) -> Result<Self, VerifyError> {
        // Signatures are long: the searches for a pattern would look at one byte after the other.
        let parts = memrchr(b'.', token.as_bytes()).and_then(|end| {
            let (signed, signature) = (token.get(..end)?, token.get(end + 1..)?);
            let dot = memchr(b'.', signed.as_bytes())?;
            Some(Self { header: signed.get(..dot)?, payload: signed.get(dot + 1..)?, signature, signed })
        });
        match parts {
            Some(parts) if parts.header.is_empty() || parts.signature.is_empty() => {
                Err(VerifyError::Malformed("a part is empty"))
            }
            Some(parts) => Ok(parts),
            None => Err(VerifyError::Malformed(NOT_THREE_PARTS)),
        }
    }

    pub(crate) fn check_signature(&self, key: &VerificationKey) -> Result<(), VerifyError> {
        let mut buffer = Buffer::<MAX_SIGNATURE>::new();
        if self.signature.len() > MAX_SIGNATURE.div_ceil(3) * 4 {
            return Err(VerifyError::BadSignature);
        }
        let signature =
            buffer.decode(self.signature.as_bytes()).ok_or(VerifyError::Malformed("the signature is not base64url"))?;
        // A dot inside the payload fails there at the latest; looking for it first would cost every good token.
        key.verify(self.signed.as_bytes(), signature)
            .map_err(|error| if self.payload.contains('.') { VerifyError::Malformed(NOT_THREE_PARTS) } else { error })
    }
}

/// A JWS whose signature was found good. Its payload can be anything, and says nothing about time or audience:
/// access tokens are read by [`Verifier`](crate::Verifier).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedJws {
    /// The header.
    pub header: Header,
    /// The signed bytes.
    pub payload: Vec<u8>,
}

/// Checks the signature of a compact JWS of at most `max_length` bytes with the key that its header names. The
/// payload may be anything, also empty; `typ` is left to the caller.
///
/// # Errors
/// When it is too long, malformed, names no key of the set, or the signature does not match.
pub fn verify_jws(token: &str, keys: &KeySet, max_length: usize) -> Result<VerifiedJws, VerifyError> {
    if token.len() > max_length {
        return Err(VerifyError::TooLong);
    }
    let segments = Segments::split(token)?;
    let header = Header::decode(segments.header)?;
    keys.signer(header.kid.as_deref(), header.alg, |key| segments.check_signature(key))?;
    let payload =
        base64::decode(segments.payload.as_bytes()).ok_or(VerifyError::Malformed("the payload is not base64url"))?;
    Ok(VerifiedJws { header, payload })
}
