//! What a hash may cost, decided before any work is done.

use crate::HashError;

/// The most that computing one hash may cost; anything above is refused before any work is done.
///
/// Time is an estimate from the parameters that the hash names, not a measurement: milliseconds on one core of an
/// ordinary server. It is good to a factor of about two, which is enough to tell a strong hash from an absurd one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most memory that one hash may take, in KiB.
    pub max_memory_kib: u32,
    /// The longest that one hash may take, in estimated milliseconds.
    pub max_time_ms: u32,
}

/// 256 MiB and five seconds: bcrypt passes up to cost 16, PBKDF2 up to several million rounds, Argon2id and scrypt with
/// every library's defaults.
impl Default for Limits {
    fn default() -> Self {
        Self { max_memory_kib: 256 * 1024, max_time_ms: 5_000 }
    }
}

impl Limits {
    /// Whether this much work is allowed.
    pub(crate) fn check(&self, work: Work) -> Result<(), HashError> {
        if work.memory_kib > u64::from(self.max_memory_kib) || work.time_us / 1000 > u64::from(self.max_time_ms) {
            return Err(HashError::TooExpensive);
        }
        Ok(())
    }
}

/// The estimated cost of one hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Work {
    pub(crate) memory_kib: u64,
    pub(crate) time_us: u64,
}

impl Work {
    /// `steps` of `nanos` each, in no memory worth counting.
    pub(crate) fn steps(steps: u64, nanos: u64) -> Self {
        Self { memory_kib: 0, time_us: steps.saturating_mul(nanos) / 1000 }
    }

    pub(crate) fn in_memory_of(self, memory_kib: u64) -> Self {
        Self { memory_kib, ..self }
    }
}
