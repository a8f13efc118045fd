//! PBKDF2 (RFC 8018) with SHA-1, SHA-256 and SHA-512, as PHC libraries, passlib, Django and Werkzeug write it, and
//! for Keycloak's credentials.

use std::fmt;
use std::num::NonZeroU32;

use arrayvec::ArrayVec;
use aws_lc_rs::pbkdf2;
use base64ct::{Base64, Base64Pbkdf2, Base64Unpadded, Encoding};

use super::text::{SaltText, alphanumeric_salt, base64, hexadecimal, named_number, number, parts};
use super::{Digest, Hash, Scheme, Strength, zeros};
use crate::limits::Work;
use crate::{Context, Format, HashError, Workspace};

pub(crate) struct Pbkdf2Hash {
    form: Form,
    prf: Prf,
    /// Kept wider than can be computed, so that an absurd number is refused as such.
    rounds: u64,
    salt: Salt,
    digest: Digest,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Phc,
    Passlib,
    Django,
    Werkzeug,
    Keycloak,
}

/// The hash function under the HMAC.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Prf {
    Sha1,
    Sha256,
    Sha512,
}

/// Decoded, or text that is hashed as it stands.
enum Salt {
    Bytes(ArrayVec<u8, 128>),
    Text(SaltText),
}

impl Prf {
    const ALL: [Self; 3] = [Self::Sha1, Self::Sha256, Self::Sha512];

    const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// The length of its digests, and of one block of PBKDF2's output.
    const fn bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    const fn algorithm(self) -> pbkdf2::Algorithm {
        match self {
            Self::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        }
    }

    /// One round of one block.
    const fn nanos(self) -> u64 {
        match self {
            Self::Sha1 => 250,
            Self::Sha256 => 350,
            Self::Sha512 => 750,
        }
    }

    /// What OWASP recommends.
    const fn recommended_rounds(self) -> u32 {
        match self {
            Self::Sha1 => 1_300_000,
            Self::Sha256 => 600_000,
            Self::Sha512 => 210_000,
        }
    }
}

/// What stands behind `$pbkdf2-sha256$`: a PHC string names its parameters, passlib's does not.
pub(super) fn parse_dollar(prf: Prf, rest: &str) -> Option<Hash> {
    if rest.starts_with("i=") { parse_named(Form::Phc, prf, rest) } else { parse_passlib(prf, rest) }
}

/// `500$salt$digest`, in base64 with a dot for the plus.
pub(super) fn parse_passlib(prf: Prf, rest: &str) -> Option<Hash> {
    let [rounds, salt, digest] = parts(rest, '$')?;
    let digest = base64::<Base64Pbkdf2, 128>(digest)?;
    (digest.len() == prf.bytes()).then_some(())?;
    let salt = Salt::Bytes(base64::<Base64Pbkdf2, 128>(salt)?);
    build(Form::Passlib, prf, rounds, salt, digest)
}

/// `i=500,l=32$salt$digest`, in PHC strings and for Keycloak's credentials. The length says which prefix of PBKDF2's
/// unending output was taken. Libraries take as much as the hash function gives, 32 bytes (RustCrypto) or 64 (Keycloak).
pub(super) fn parse_named(form: Form, prf: Prf, rest: &str) -> Option<Hash> {
    let [costs, salt, digest] = parts(rest, '$')?;
    let (rounds, length) = match costs.split_once(',') {
        Some((rounds, length)) => (rounds, named_number(length, "l")?),
        None => (costs, prf.bytes()),
    };
    let digest = base64::<Base64Unpadded, 128>(digest)?;
    let usual = length == prf.bytes() || length == 32 || length == 64;
    (usual && digest.len() == length).then_some(())?;
    let salt = Salt::Bytes(base64::<Base64Unpadded, 128>(salt)?);
    build(form, prf, rounds.strip_prefix("i=")?, salt, digest)
}

/// What stands behind `pbkdf2_sha256$`: `500$salt$digest`.
pub(super) fn parse_django(prf: Prf, rest: &str) -> Option<Hash> {
    let [rounds, salt, digest] = parts(rest, '$')?;
    let digest = base64::<Base64, 128>(digest)?;
    (digest.len() == prf.bytes()).then_some(())?;
    let salt = Salt::Text(SaltText::from(salt).ok()?);
    build(Form::Django, prf, rounds, salt, digest)
}

/// What stands behind `pbkdf2:`: `sha256:500$salt$digest`.
pub(super) fn parse_werkzeug(rest: &str) -> Option<Hash> {
    let [method, salt, digest] = parts(rest, '$')?;
    let [prf, rounds] = parts(method, ':')?;
    let prf = Prf::ALL.into_iter().find(|known| known.name() == prf)?;
    let digest = hexadecimal::<128>(digest)?;
    (digest.len() == prf.bytes()).then_some(())?;
    let salt = Salt::Text(SaltText::from(salt).ok()?);
    build(Form::Werkzeug, prf, rounds, salt, digest)
}

fn build(form: Form, prf: Prf, rounds: &str, salt: Salt, digest: Digest) -> Option<Hash> {
    let rounds = number(rounds).filter(|rounds| *rounds > 0)?;
    Some(Hash::Pbkdf2(Pbkdf2Hash { form, prf, rounds, salt, digest }))
}

pub(super) fn blank(context: &Context, form: Form, prf: Prf, salt: &[u8; 16]) -> Hash {
    let default = match form {
        Form::Django | Form::Werkzeug => 1_000_000,
        Form::Phc | Form::Passlib | Form::Keycloak => prf.recommended_rounds(),
    };
    Hash::Pbkdf2(Pbkdf2Hash {
        form,
        prf,
        rounds: context.costs.pbkdf2.map_or(default, |rounds| rounds.get()).into(),
        salt: match form {
            Form::Django | Form::Werkzeug => Salt::Text(alphanumeric_salt(salt)),
            _ => Salt::Bytes(salt.iter().copied().collect()),
        },
        digest: zeros(match form {
            Form::Keycloak => 64,
            _ => prf.bytes(),
        }),
    })
}

impl Salt {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Text(text) => text.as_bytes(),
        }
    }
}

impl Scheme for Pbkdf2Hash {
    fn format(&self) -> Format {
        match (self.form, self.prf) {
            (Form::Phc, Prf::Sha1) => Format::Pbkdf2Sha1,
            (Form::Phc, Prf::Sha256) => Format::Pbkdf2Sha256,
            (Form::Phc, Prf::Sha512) => Format::Pbkdf2Sha512,
            (Form::Passlib, Prf::Sha1) => Format::PasslibPbkdf2Sha1,
            (Form::Passlib, Prf::Sha256) => Format::PasslibPbkdf2Sha256,
            (Form::Passlib, Prf::Sha512) => Format::PasslibPbkdf2Sha512,
            (Form::Django, Prf::Sha1) => Format::DjangoPbkdf2Sha1,
            (Form::Django, _) => Format::DjangoPbkdf2Sha256,
            (Form::Werkzeug, Prf::Sha1) => Format::WerkzeugPbkdf2Sha1,
            (Form::Werkzeug, Prf::Sha256) => Format::WerkzeugPbkdf2Sha256,
            (Form::Werkzeug, Prf::Sha512) => Format::WerkzeugPbkdf2Sha512,
            (Form::Keycloak, Prf::Sha1) => Format::KeycloakPbkdf2Sha1,
            (Form::Keycloak, Prf::Sha256) => Format::KeycloakPbkdf2Sha256,
            (Form::Keycloak, Prf::Sha512) => Format::KeycloakPbkdf2Sha512,
        }
    }

    fn work(&self, _password_bytes: usize) -> Work {
        let blocks = self.digest.len().div_ceil(self.prf.bytes()) as u64;
        Work::steps(self.rounds.saturating_mul(blocks), self.prf.nanos())
    }

    fn derive(&self, password: &[u8], _workspace: &mut Workspace) -> Result<Digest, HashError> {
        let rounds = u32::try_from(self.rounds).map_err(|_| HashError::TooExpensive)?;
        let rounds = NonZeroU32::new(rounds).ok_or(HashError::Malformed)?;
        let mut digest = zeros(self.digest.len());
        let salt = self.salt.as_bytes();
        pbkdf2::derive(self.prf.algorithm(), rounds, salt, password, &mut digest);
        Ok(digest)
    }

    fn digest(&self) -> &[u8] {
        &self.digest
    }

    fn set_digest(&mut self, digest: Digest) {
        self.digest = digest;
    }

    fn strength(&self) -> Strength {
        let salt_bytes = self.salt.as_bytes().len().min(16);
        [self.rounds, salt_bytes as u64, 0, 0, 0, 0]
    }
}

impl fmt::Display for Pbkdf2Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (prf, rounds) = (self.prf.name(), self.rounds);
        // Where SHA-1 is the function that needs no name.
        let suffix = match self.prf {
            Prf::Sha1 => "",
            Prf::Sha256 => "-sha256",
            Prf::Sha512 => "-sha512",
        };
        let salt = match (&self.salt, self.form) {
            (Salt::Text(text), _) => text.to_string(),
            (Salt::Bytes(bytes), Form::Passlib) => Base64Pbkdf2::encode_string(bytes),
            (Salt::Bytes(bytes), _) => Base64Unpadded::encode_string(bytes),
        };
        let length = self.digest.len();
        match self.form {
            Form::Phc => {
                let digest = Base64Unpadded::encode_string(&self.digest);
                write!(f, "$pbkdf2-{prf}$i={rounds},l={length}${salt}${digest}")
            }
            Form::Keycloak => {
                let digest = Base64Unpadded::encode_string(&self.digest);
                write!(f, "$keycloak-pbkdf2{suffix}$i={rounds},l={length}${salt}${digest}")
            }
            Form::Passlib => {
                let digest = Base64Pbkdf2::encode_string(&self.digest);
                write!(f, "$pbkdf2{suffix}${rounds}${salt}${digest}")
            }
            Form::Django => {
                let digest = Base64::encode_string(&self.digest);
                write!(f, "pbkdf2_{prf}${rounds}${salt}${digest}")
            }
            Form::Werkzeug => {
                let digest = hex::encode(&self.digest);
                write!(f, "pbkdf2:{prf}:{rounds}${salt}${digest}")
            }
        }
    }
}
