//! The life of a signing key: next → active → retiring → gone.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use mapae_verify::Algorithm;

/// Where a signing key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Published, so that verifiers know it, but not signing yet.
    Next,
    /// Signs new tokens. One key; beside a shared secret it signs the revocation feed alone.
    Active,
    /// Signs no more; its tokens are still verified until the last has expired.
    Retiring,
}

impl KeyState {
    /// The word in the database and in listings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retiring => "retiring",
        }
    }
}

impl FromStr for KeyState {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "next" => Ok(Self::Next),
            "active" => Ok(Self::Active),
            "retiring" => Ok(Self::Retiring),
            _ => Err(()),
        }
    }
}

/// A signing key as it is kept: the private half only wrapped by the master key.
#[derive(Clone)]
pub struct SigningKeyRecord {
    /// The RFC 7638 thumbprint, `kid` of its tokens.
    pub kid: String,
    /// The one algorithm that this key signs with.
    pub algorithm: Algorithm,
    /// Where it is in its life.
    pub state: KeyState,
    /// The public half as JWK JSON text.
    pub public_jwk: String,
    /// PKCS#8, encrypted under the master key; empty for a key that only verifies.
    pub wrapped_private: Vec<u8>,
    /// When it was made and published.
    pub created_at: DateTime<Utc>,
    /// When it began to sign.
    pub activated_at: Option<DateTime<Utc>>,
    /// When it ceased to sign.
    pub retired_at: Option<DateTime<Utc>>,
}

impl std::fmt::Debug for SigningKeyRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKeyRecord")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
