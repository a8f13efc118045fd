//! scrypt (RFC 7914) as PHC libraries and passlib, as Django, and as Werkzeug write it.

use std::fmt;

use arrayvec::ArrayVec;
use base64ct::{Base64, Base64Unpadded, Encoding};

use super::text::{SaltText, alphanumeric_salt, base64, hexadecimal, named_number, number, parts};
use super::{Digest, Hash, Scheme, Strength, zeros};
use crate::cost::ScryptCost;
use crate::limits::Work;
use crate::{Context, Format, HashError, Workspace};

/// 128 bytes mixed twice: once filling the memory, once reading it.
const NANOS_PER_BLOCK: u64 = 300;

pub(crate) struct ScryptHash {
    salt: Salt,
    cost: ScryptCost,
    digest: Digest,
}

/// The form decides how the salt is given: as bytes, or as text that is hashed as it stands.
enum Salt {
    Phc(ArrayVec<u8, 64>),
    Django(SaltText),
    Werkzeug(SaltText),
}

/// Each form has one length of digest: a shorter one is a prefix of the right one, and would be easier to hit.
const PHC_DIGEST_BYTES: usize = 32;
const TEXT_DIGEST_BYTES: usize = 64;

/// What stands behind `$scrypt$`: `ln=16,r=8,p=1$salt$digest`.
pub(super) fn parse_phc(rest: &str) -> Option<Hash> {
    let [costs, salt, digest] = parts(rest, '$')?;
    let [log_n, r, p] = parts(costs, ',')?;
    let cost = ScryptCost::new(named_number(log_n, "ln")?, named_number(r, "r")?, named_number(p, "p")?).ok()?;
    build(Salt::Phc(base64::<Base64Unpadded, 64>(salt)?), cost, base64::<Base64Unpadded, 128>(digest)?)
}

/// What stands behind `scrypt$`: `16384$salt$8$5$digest`.
pub(super) fn parse_django(rest: &str) -> Option<Hash> {
    let [n, salt, r, p, digest] = parts(rest, '$')?;
    build(Salt::Django(SaltText::from(salt).ok()?), cost(n, r, p)?, base64::<Base64, 128>(digest)?)
}

/// What stands behind `scrypt:`: `32768:8:1$salt$digest`.
pub(super) fn parse_werkzeug(rest: &str) -> Option<Hash> {
    let [costs, salt, digest] = parts(rest, '$')?;
    let [n, r, p] = parts(costs, ':')?;
    build(Salt::Werkzeug(SaltText::from(salt).ok()?), cost(n, r, p)?, hexadecimal(digest)?)
}

fn cost(n: &str, r: &str, p: &str) -> Option<ScryptCost> {
    let n: u64 = number(n)?;
    if !n.is_power_of_two() {
        return None;
    }
    ScryptCost::new(n.ilog2().try_into().ok()?, number(r)?, number(p)?).ok()
}

fn build(salt: Salt, cost: ScryptCost, digest: Digest) -> Option<Hash> {
    (digest.len() == salt.digest_bytes()).then_some(Hash::Scrypt(ScryptHash { salt, cost, digest }))
}

pub(super) fn blank(context: &Context, format: Format, salt: &[u8; 16]) -> Hash {
    let (salt, default) = match format {
        Format::DjangoScrypt => (Salt::Django(alphanumeric_salt(salt)), (14, 8, 5)),
        Format::WerkzeugScrypt => (Salt::Werkzeug(alphanumeric_salt(salt)), (15, 8, 1)),
        _ => (Salt::Phc(salt.iter().copied().collect()), (16, 8, 2)),
    };
    let (log_n, r, p) = default;
    Hash::Scrypt(ScryptHash {
        cost: context.costs.scrypt.unwrap_or_else(|| ScryptCost::new(log_n, r, p).expect("the defaults are in bounds")),
        digest: zeros(salt.digest_bytes()),
        salt,
    })
}

impl Salt {
    fn digest_bytes(&self) -> usize {
        match self {
            Self::Phc(_) => PHC_DIGEST_BYTES,
            Self::Django(_) | Self::Werkzeug(_) => TEXT_DIGEST_BYTES,
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Phc(bytes) => bytes,
            Self::Django(text) | Self::Werkzeug(text) => text.as_bytes(),
        }
    }
}

/// The estimated cost of scrypt, for Firebase's variant of it too.
pub(super) fn work(cost: ScryptCost) -> Work {
    let (r, p) = (u64::from(cost.r()), u64::from(cost.p()));
    let block_bytes = r * 128;
    let memory = cost.n().saturating_add(p).saturating_add(1).saturating_mul(block_bytes);
    Work::steps(cost.n().saturating_mul(r * p), NANOS_PER_BLOCK).in_memory_of(memory / 1024)
}

/// Fills `output` from the password.
pub(super) fn derive(cost: ScryptCost, password: &[u8], salt: &[u8], output: &mut [u8]) -> Result<(), HashError> {
    let params = scrypt::Params::new(cost.log_n(), cost.r(), cost.p()).map_err(|_| HashError::TooExpensive)?;
    scrypt::scrypt(password, salt, &params, output).map_err(|_| HashError::Malformed)
}

impl Scheme for ScryptHash {
    fn format(&self) -> Format {
        match self.salt {
            Salt::Phc(_) => Format::Scrypt,
            Salt::Django(_) => Format::DjangoScrypt,
            Salt::Werkzeug(_) => Format::WerkzeugScrypt,
        }
    }

    fn work(&self, _password_bytes: usize) -> Work {
        work(self.cost)
    }

    fn derive(&self, password: &[u8], _workspace: &mut Workspace) -> Result<Digest, HashError> {
        let mut digest = zeros(self.salt.digest_bytes());
        derive(self.cost, password, self.salt.as_bytes(), &mut digest)?;
        Ok(digest)
    }

    fn digest(&self) -> &[u8] {
        &self.digest
    }

    fn set_digest(&mut self, digest: Digest) {
        self.digest = digest;
    }

    fn strength(&self) -> Strength {
        [
            u64::from(self.cost.log_n()),
            u64::from(self.cost.r()),
            u64::from(self.cost.p()),
            self.salt.as_bytes().len().min(16) as u64,
            0,
            0,
        ]
    }
}

impl fmt::Display for ScryptHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (n, r, p) = (self.cost.n(), self.cost.r(), self.cost.p());
        match &self.salt {
            Salt::Phc(salt) => write!(
                f,
                "$scrypt$ln={},r={r},p={p}${}${}",
                self.cost.log_n(),
                Base64Unpadded::encode_string(salt),
                Base64Unpadded::encode_string(&self.digest),
            ),
            Salt::Django(salt) => {
                let digest = Base64::encode_string(&self.digest);
                write!(f, "scrypt${n}${salt}${r}${p}${digest}")
            }
            Salt::Werkzeug(salt) => {
                let digest = hex::encode(&self.digest);
                write!(f, "scrypt:{n}:{r}:{p}${salt}${digest}")
            }
        }
    }
}
