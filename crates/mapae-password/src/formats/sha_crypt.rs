//! SHA-crypt, as crypt(3) and passlib write it: `$5$` over SHA-256, `$6$` over SHA-512.

use std::fmt;

use arrayvec::ArrayVec;
use base64ct::{Base64ShaCrypt, Encoding};

use super::text::{base64, number, parts};
use super::{Digest, Hash, Scheme, Strength, zeros};
use crate::cost::ShaCryptRounds;
use crate::limits::Work;
use crate::{Context, Format, HashError, Workspace};

const MAX_SALT_BYTES: usize = 16;

pub(crate) struct ShaCryptHash {
    variant: Variant,
    rounds: ShaCryptRounds,
    /// Text, hashed as it stands.
    salt: ArrayVec<u8, MAX_SALT_BYTES>,
    digest: Digest,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Variant {
    Sha256,
    Sha512,
}

impl Variant {
    const fn bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// Of the block that the hash function compresses.
    const fn block_bytes(self) -> usize {
        2 * self.bytes()
    }

    /// Compressing one block.
    const fn nanos(self) -> u64 {
        match self {
            Self::Sha256 => 150,
            Self::Sha512 => 350,
        }
    }

    const fn default_rounds(self) -> u32 {
        match self {
            Self::Sha256 => 535_000,
            Self::Sha512 => 656_000,
        }
    }

    /// Where the byte written at this place comes from: the digest is written in groups of three bytes, one from each
    /// third of it, the thirds taking turns.
    const fn source(self, place: usize) -> usize {
        let third = self.bytes() / 3;
        let (group, within) = (place / 3, place % 3);
        if group >= third {
            // What is left over: the last byte of 64, the last two of 32.
            return place;
        }
        let turn = match self {
            Self::Sha256 => (2 + 2 * group - within) % 3,
            Self::Sha512 => (2 + group + 3 - within) % 3,
        };
        turn * third + group
    }
}

/// What stands behind `$6$`: `rounds=1000$salt$digest`, or without rounds, which means 5,000.
pub(super) fn parse(variant: Variant, rest: &str) -> Option<Hash> {
    let (rounds, rest) = match rest.strip_prefix("rounds=") {
        Some(rest) => {
            let (rounds, rest) = rest.split_once('$')?;
            (ShaCryptRounds::new(number(rounds)?).ok()?, rest)
        }
        None => (ShaCryptRounds::IMPLICIT, rest),
    };
    let [salt, digest] = parts(rest, '$')?;
    let ordinary = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'/';
    salt.bytes().all(ordinary).then_some(())?;
    let written = base64::<Base64ShaCrypt, 128>(digest)?;
    (written.len() == variant.bytes()).then_some(())?;
    let mut digest = zeros(variant.bytes());
    for (place, byte) in written.iter().enumerate() {
        digest[variant.source(place)] = *byte;
    }
    Some(Hash::ShaCrypt(ShaCryptHash { variant, rounds, salt: salt.as_bytes().try_into().ok()?, digest }))
}

pub(super) fn blank(context: &Context, variant: Variant, salt: &[u8; 16]) -> Hash {
    // The format has room for 96 bits.
    let text = Base64ShaCrypt::encode_string(&salt[..12]);
    Hash::ShaCrypt(ShaCryptHash {
        variant,
        rounds: context
            .costs
            .sha_crypt
            .unwrap_or_else(|| ShaCryptRounds::new(variant.default_rounds()).expect("the defaults are in bounds")),
        salt: text.bytes().take(MAX_SALT_BYTES).collect(),
        digest: zeros(variant.bytes()),
    })
}

impl Scheme for ShaCryptHash {
    fn format(&self) -> Format {
        match self.variant {
            Variant::Sha256 => Format::Sha256Crypt,
            Variant::Sha512 => Format::Sha512Crypt,
        }
    }

    /// Each round hashes a digest, the password nearly twice and the salt mostly; before them the password is hashed as
    /// often as it has bytes.
    fn work(&self, password_bytes: usize) -> Work {
        let round_bytes = self.variant.bytes() + 2 * password_bytes + MAX_SALT_BYTES;
        let blocks = (round_bytes / self.variant.block_bytes() + 1) as u64;
        let before = (password_bytes * password_bytes / self.variant.block_bytes()) as u64;
        Work::steps(u64::from(self.rounds.get()) * blocks + before, self.variant.nanos())
    }

    fn derive(&self, password: &[u8], _workspace: &mut Workspace) -> Result<Digest, HashError> {
        let params = sha_crypt::Params::new(self.rounds.get()).map_err(|_| HashError::Malformed)?;
        Ok(match self.variant {
            Variant::Sha256 => sha_crypt::sha256_crypt(password, &self.salt, params).into_iter().collect(),
            Variant::Sha512 => sha_crypt::sha512_crypt(password, &self.salt, params).into_iter().collect(),
        })
    }

    fn digest(&self) -> &[u8] {
        &self.digest
    }

    fn set_digest(&mut self, digest: Digest) {
        self.digest = digest;
    }

    fn strength(&self) -> Strength {
        let salt_bytes = self.salt.len() as u64;
        [u64::from(self.rounds.get()), salt_bytes, 0, 0, 0, 0]
    }

    /// crypt(3) takes a C string, so another application would see less of the password.
    fn check_writable(&self, password: &[u8]) -> Result<(), HashError> {
        if password.contains(&0) {
            return Err(HashError::PasswordHasNul);
        }
        Ok(())
    }
}

impl fmt::Display for ShaCryptHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.variant {
            Variant::Sha256 => "$5$",
            Variant::Sha512 => "$6$",
        })?;
        if self.rounds != ShaCryptRounds::IMPLICIT {
            write!(f, "rounds={}$", self.rounds.get())?;
        }
        for byte in &self.salt {
            write!(f, "{}", char::from(*byte))?;
        }
        let written: Digest = (0..self.digest.len()).map(|place| self.digest[self.variant.source(place)]).collect();
        write!(f, "${}", Base64ShaCrypt::encode_string(&written))
    }
}
