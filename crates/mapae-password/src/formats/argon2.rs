//! Argon2 (RFC 9106) as PHC strings, `$argon2id$v=19$m=19456,t=2,p=1$salt$tag`, and as Django writes them, with
//! `argon2` in front.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use arrayvec::ArrayVec;
use base64ct::{Base64Unpadded, Encoding};

use super::text::{alphanumeric_salt, base64, named_number, number, parts};
use super::{Digest, Hash, Scheme, Strength, zeros};
use crate::limits::Work;
use crate::{Argon2Params, Context, Format, HashError, Workspace};

/// Salts of 8 bytes (RFC 9106, section 3.1) to 64.
const SALT_BYTES: std::ops::RangeInclusive<usize> = 8..=64;
/// Tags of 16 bytes, which older libraries write, to 64. Unlike in PBKDF2, the length goes into the computation: a
/// shorter tag is no prefix of a longer one.
const TAG_BYTES: std::ops::RangeInclusive<usize> = 16..=64;
const NEW_TAG_BYTES: usize = 32;
/// One block of 1 KiB in one pass.
const NANOS_PER_BLOCK: u64 = 600;

pub(crate) struct Argon2Hash {
    /// In Django's form any variant has the same format.
    django: bool,
    algorithm: Algorithm,
    version: Version,
    params: Argon2Params,
    salt: ArrayVec<u8, 64>,
    tag: Digest,
}

/// What stands behind `argon2$` in Django's form.
pub(super) fn parse_django(rest: &str) -> Option<Hash> {
    let (algorithm, rest) = rest.split_once('$')?;
    let algorithm = match algorithm {
        "argon2id" => Algorithm::Argon2id,
        "argon2i" => Algorithm::Argon2i,
        "argon2d" => Algorithm::Argon2d,
        _ => return None,
    };
    parse(true, algorithm, rest)
}

pub(super) fn parse_phc(algorithm: Algorithm, rest: &str) -> Option<Hash> {
    parse(false, algorithm, rest)
}

/// What stands behind `argon2id$`.
fn parse(django: bool, algorithm: Algorithm, rest: &str) -> Option<Hash> {
    // The field came with version 1.3; a string without it is of version 1.0.
    let (version, rest) = match rest.strip_prefix("v=") {
        Some(rest) => {
            let (version, rest) = rest.split_once('$')?;
            (Version::try_from(number::<u32>(version)?).ok()?, rest)
        }
        None => (Version::V0x10, rest),
    };
    let [costs, salt, tag] = parts(rest, '$')?;
    let [memory, iterations, lanes] = parts(costs, ',')?;
    let params =
        Argon2Params::new(named_number(memory, "m")?, named_number(iterations, "t")?, named_number(lanes, "p")?)
            .ok()?;
    let salt = base64::<Base64Unpadded, 64>(salt)?;
    let tag = base64::<Base64Unpadded, 128>(tag)?;
    (SALT_BYTES.contains(&salt.len()) && TAG_BYTES.contains(&tag.len())).then_some(Hash::Argon2(Argon2Hash {
        django,
        algorithm,
        version,
        params,
        salt,
        tag,
    }))
}

pub(super) fn blank(context: &Context, algorithm: Algorithm, salt: &[u8; 16]) -> Hash {
    Hash::Argon2(Argon2Hash {
        django: false,
        algorithm,
        version: Version::V0x13,
        params: context.argon2,
        salt: salt.iter().copied().collect(),
        tag: zeros(NEW_TAG_BYTES),
    })
}

/// Django's salts are text, and it replaces hashes with any shorter than this.
pub(super) fn blank_django(context: &Context, salt: &[u8; 16]) -> Hash {
    Hash::Argon2(Argon2Hash {
        django: true,
        algorithm: Algorithm::Argon2id,
        version: Version::V0x13,
        params: context.argon2,
        salt: alphanumeric_salt(salt).bytes().collect(),
        tag: zeros(NEW_TAG_BYTES),
    })
}

impl Scheme for Argon2Hash {
    fn format(&self) -> Format {
        match (self.django, self.algorithm) {
            (true, _) => Format::DjangoArgon2,
            (false, Algorithm::Argon2d) => Format::Argon2d,
            (false, Algorithm::Argon2i) => Format::Argon2i,
            (false, Algorithm::Argon2id) => Format::Argon2id,
        }
    }

    fn work(&self, _password_bytes: usize) -> Work {
        let memory = u64::from(self.params.memory_kib());
        Work::steps(memory.saturating_mul(u64::from(self.params.iterations())), NANOS_PER_BLOCK).in_memory_of(memory)
    }

    fn derive(&self, password: &[u8], workspace: &mut Workspace) -> Result<Digest, HashError> {
        let params = Params::new(
            self.params.memory_kib(),
            self.params.iterations(),
            self.params.parallelism(),
            Some(self.tag.len()),
        )
        .map_err(|_| HashError::Malformed)?;
        let blocks = workspace.blocks(params.block_count())?;
        let mut tag = zeros(self.tag.len());
        Argon2::new(self.algorithm, self.version, params)
            .hash_password_into_with_memory(password, &self.salt, &mut tag, blocks)
            .map_err(|_| HashError::Malformed)?;
        Ok(tag)
    }

    fn digest(&self) -> &[u8] {
        &self.tag
    }

    fn set_digest(&mut self, digest: Digest) {
        self.tag = digest;
    }

    fn strength(&self) -> Strength {
        [
            u64::from(self.algorithm == Algorithm::Argon2id),
            u64::from(u32::from(self.version)),
            u64::from(self.params.memory_kib()),
            u64::from(self.params.iterations()),
            self.salt.len().min(16) as u64,
            self.tag.len().min(NEW_TAG_BYTES) as u64,
        ]
    }
}

impl fmt::Display for Argon2Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}${}$v={}$m={},t={},p={}${}${}",
            if self.django { "argon2" } else { "" },
            self.algorithm,
            u32::from(self.version),
            self.params.memory_kib(),
            self.params.iterations(),
            self.params.parallelism(),
            Base64Unpadded::encode_string(&self.salt),
            Base64Unpadded::encode_string(&self.tag),
        )
    }
}
