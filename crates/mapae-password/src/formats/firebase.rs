//! Firebase's variant of scrypt: the derived key encrypts the project's signer key, and the result is the hash.
//!
//! Firebase keeps its parameters beside the users, not in their hashes. They are stored into the hash in the encoding
//! that GoTrue (Supabase) uses for its imports: `$fbscrypt$v=1,n=14,r=8,p=1,ss=…,sk=…$salt$digest`, where `n` is the
//! binary logarithm of N, `ss` the salt separator and `sk` the signer key, everything in padded standard base64.

use std::fmt;

use arrayvec::ArrayVec;
use aws_lc_rs::cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use super::text::{base64, named_number, parts};
use super::{Digest, Hash, Scheme, Strength, scrypt, zeros};
use crate::cost::ScryptCost;
use crate::limits::Work;
use crate::{Context, Format, HashError, Workspace};

/// Firebase's have 64 bytes. A short one would make a short digest, which is easier to hit.
const SIGNER_KEY_BYTES: std::ops::RangeInclusive<usize> = 32..=128;

pub(crate) struct FirebaseHash {
    cost: ScryptCost,
    salt: ArrayVec<u8, 64>,
    separator: ArrayVec<u8, 64>,
    signer_key: Digest,
    /// As long as the signer key.
    digest: Digest,
    /// Made without a project's parameters: no Firebase could read it.
    dummy: bool,
}

/// What stands behind `$fbscrypt$`.
pub(super) fn parse(rest: &str) -> Option<Hash> {
    let [params, salt, digest] = parts(rest, '$')?;
    let ["v=1", log_n, r, p, separator, signer_key] = parts(params, ',')? else {
        return None;
    };
    let cost = ScryptCost::new(named_number(log_n, "n")?, named_number(r, "r")?, named_number(p, "p")?).ok()?;
    let signer_key = base64::<Base64, 128>(signer_key.strip_prefix("sk=")?)?;
    let digest = base64::<Base64, 128>(digest)?;
    let long_enough = SIGNER_KEY_BYTES.contains(&signer_key.len());
    (long_enough && digest.len() == signer_key.len()).then_some(())?;
    Some(Hash::Firebase(FirebaseHash {
        cost,
        salt: base64::<Base64, 64>(salt)?,
        separator: base64::<Base64, 64>(separator.strip_prefix("ss=")?)?,
        signer_key,
        digest,
        dummy: false,
    }))
}

/// Without the project's parameters, one that costs the same and can only be a dummy.
pub(super) fn blank(context: &Context, salt: &[u8; 16]) -> Hash {
    let salt = salt.iter().copied().collect();
    Hash::Firebase(match &context.costs.firebase {
        Some(params) => FirebaseHash {
            cost: params.cost,
            salt,
            separator: params.salt_separator.clone(),
            signer_key: params.signer_key.clone(),
            digest: zeros(params.signer_key.len()),
            dummy: false,
        },
        None => FirebaseHash {
            cost: ScryptCost::new(14, 8, 1).expect("the defaults are in bounds"),
            salt,
            separator: ArrayVec::new(),
            signer_key: zeros(64),
            digest: zeros(64),
            dummy: true,
        },
    })
}

/// The parameters of a Firebase project, which its console shows as "password hash parameters".
#[derive(Clone)]
pub struct FirebaseParams {
    signer_key: Digest,
    salt_separator: ArrayVec<u8, 64>,
    cost: ScryptCost,
}

impl FirebaseParams {
    /// `base64_signer_key`, `base64_salt_separator`, `rounds` and `mem_cost`.
    ///
    /// # Errors
    /// [`HashError::Malformed`] if the texts are no base64, or the key is not of 32 to 128 bytes, or a cost is 0.
    pub fn new(
        base64_signer_key: &str,
        base64_salt_separator: &str,
        rounds: u32,
        mem_cost: u8,
    ) -> Result<Self, HashError> {
        let params = || {
            let signer_key = base64::<Base64, 128>(base64_signer_key)?;
            SIGNER_KEY_BYTES.contains(&signer_key.len()).then_some(())?;
            Some(Self {
                signer_key,
                salt_separator: base64::<Base64, 64>(base64_salt_separator)?,
                cost: ScryptCost::new(mem_cost, rounds, 1).ok()?,
            })
        };
        params().ok_or(HashError::Malformed)
    }

    /// The hash of one exported user, from its `salt` and `passwordHash`, in the standard or the URL-safe alphabet.
    ///
    /// # Errors
    /// [`HashError::Malformed`] if they are no base64, or the hash is not as long as the signer key.
    pub fn hash_text(&self, salt: &str, password_hash: &str) -> Result<crate::HashText, HashError> {
        let hash = || {
            let digest = any_base64::<128>(password_hash)?;
            (digest.len() == self.signer_key.len()).then_some(())?;
            Some(FirebaseHash {
                cost: self.cost,
                salt: any_base64(salt)?,
                separator: self.salt_separator.clone(),
                signer_key: self.signer_key.clone(),
                digest,
                dummy: false,
            })
        };
        hash().map(|hash| crate::HashText::new(hash.to_string())).ok_or(HashError::Malformed)
    }
}

impl fmt::Debug for FirebaseParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirebaseParams").field("cost", &self.cost).finish_non_exhaustive()
    }
}

/// Firebase's tools and its API export in different alphabets, and with and without padding.
fn any_base64<const N: usize>(text: &str) -> Option<ArrayVec<u8, N>> {
    let standard = text.trim_end_matches('=').replace('-', "+").replace('_', "/");
    base64::<base64ct::Base64Unpadded, N>(&standard)
}

impl Scheme for FirebaseHash {
    fn format(&self) -> Format {
        Format::FirebaseScrypt
    }

    fn work(&self, _password_bytes: usize) -> Work {
        scrypt::work(self.cost)
    }

    fn derive(&self, password: &[u8], _workspace: &mut Workspace) -> Result<Digest, HashError> {
        let salt: ArrayVec<u8, 128> = self.salt.iter().chain(&self.separator).copied().collect();
        let mut key = Zeroizing::new([0; 32]);
        scrypt::derive(self.cost, password, &salt, key.as_mut_slice())?;
        let mut digest = self.signer_key.clone();
        // AES-256 in counter mode from zero; with a key of the right length it fails only for want of memory.
        UnboundCipherKey::new(&AES_256, key.as_slice())
            .and_then(EncryptingKey::ctr)
            .and_then(|key| {
                let start = EncryptionContext::Iv128(FixedLength::from([0; 16]));
                key.less_safe_encrypt(&mut digest, start)
            })
            .map_err(|_| HashError::OutOfMemory)?;
        Ok(digest)
    }

    fn digest(&self) -> &[u8] {
        &self.digest
    }

    fn set_digest(&mut self, digest: Digest) {
        self.digest = digest;
    }

    fn strength(&self) -> Strength {
        [u64::from(self.cost.log_n()), u64::from(self.cost.r()), u64::from(self.cost.p()), 0, 0, 0]
    }

    fn check_writable(&self, _password: &[u8]) -> Result<(), HashError> {
        if self.dummy {
            return Err(HashError::NoSignerKey);
        }
        Ok(())
    }
}

impl fmt::Display for FirebaseHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "$fbscrypt$v=1,n={},r={},p={},ss={},sk={}${}${}",
            self.cost.log_n(),
            self.cost.r(),
            self.cost.p(),
            Base64::encode_string(&self.separator),
            Base64::encode_string(&self.signer_key),
            Base64::encode_string(&self.salt),
            Base64::encode_string(&self.digest),
        )
    }
}
