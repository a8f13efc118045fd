//! What new hashes shall cost.

use crate::InvalidCost;
use crate::firebase::FirebaseParams;

/// The cost of an Argon2 hash (RFC 9106, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argon2Params {
    memory_kib: u32,
    iterations: u32,
    parallelism: u32,
}

impl Argon2Params {
    /// Memory `m` in KiB, passes `t` over it, lanes `p`.
    ///
    /// # Errors
    /// If there is no pass, if the lanes are not between 1 and 16,777,215, or if the memory is below 8 KiB for each lane.
    pub const fn new(memory_kib: u32, iterations: u32, parallelism: u32) -> Result<Self, InvalidCost> {
        if iterations == 0 {
            return Err(InvalidCost("Argon2 needs at least one iteration (t)"));
        }
        if parallelism == 0 || parallelism > 0xff_ffff {
            return Err(InvalidCost("the parallelism (p) of Argon2 is between 1 and 16777215"));
        }
        // At most 2^27, so it cannot overflow.
        if memory_kib < 8 * parallelism {
            return Err(InvalidCost("Argon2 needs at least 8 KiB of memory (m) for each lane (p)"));
        }
        Ok(Self { memory_kib, iterations, parallelism })
    }

    /// Memory `m` in KiB.
    pub const fn memory_kib(&self) -> u32 {
        self.memory_kib
    }

    /// Passes over the memory, `t`.
    pub const fn iterations(&self) -> u32 {
        self.iterations
    }

    /// Lanes, `p`. They are computed one after the other: the pool that hashes is as wide as the cores already.
    pub const fn parallelism(&self) -> u32 {
        self.parallelism
    }
}

/// What OWASP recommends: 19 MiB, two passes, one lane.
impl Default for Argon2Params {
    fn default() -> Self {
        Self { memory_kib: 19_456, iterations: 2, parallelism: 1 }
    }
}

/// The costs of new hashes in formats other than Argon2. What is `None` is the issuing library's default, or OWASP's
/// recommendation where that default is old.
#[derive(Clone, Debug, Default)]
pub struct Costs {
    /// For every format built on bcrypt; by default 12.
    pub bcrypt: Option<BcryptCost>,
    /// For every PBKDF2 format. By default Django's and Werkzeug's 1,000,000; elsewhere 1,300,000 with SHA-1, 600,000
    /// with SHA-256 and 210,000 with SHA-512.
    pub pbkdf2: Option<Pbkdf2Rounds>,
    /// For every scrypt format but Firebase's. By default N = 2¹⁴, r = 8, p = 5 as Django, 2¹⁵, 8, 1 as Werkzeug, and
    /// 2¹⁶, 8, 2 elsewhere.
    pub scrypt: Option<ScryptCost>,
    /// For SHA-crypt; by default passlib's 535,000 with SHA-256 and 656,000 with SHA-512.
    pub sha_crypt: Option<ShaCryptRounds>,
    /// The project's parameters, without which no Firebase hash can be written.
    pub firebase: Option<FirebaseParams>,
}

/// The cost of bcrypt: the binary logarithm of its rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BcryptCost(u32);

impl BcryptCost {
    pub(crate) const DEFAULT: Self = Self(12);

    /// 4 to 31; each step doubles the time.
    ///
    /// # Errors
    /// Outside of that.
    pub const fn new(log_rounds: u32) -> Result<Self, InvalidCost> {
        match log_rounds {
            4..=31 => Ok(Self(log_rounds)),
            _ => Err(InvalidCost("the cost of bcrypt is between 4 and 31")),
        }
    }

    /// The binary logarithm of the rounds.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// The iterations of PBKDF2 (RFC 8018).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pbkdf2Rounds(u32);

impl Pbkdf2Rounds {
    /// At least one.
    ///
    /// # Errors
    /// For none.
    pub const fn new(rounds: u32) -> Result<Self, InvalidCost> {
        match rounds {
            0 => Err(InvalidCost("PBKDF2 needs at least one round")),
            _ => Ok(Self(rounds)),
        }
    }

    /// The iterations.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// The rounds of SHA-crypt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShaCryptRounds(u32);

impl ShaCryptRounds {
    /// What a hash without `rounds=` has.
    pub(crate) const IMPLICIT: Self = Self(5_000);

    /// 1,000 to 999,999,999.
    ///
    /// # Errors
    /// Outside of that.
    pub const fn new(rounds: u32) -> Result<Self, InvalidCost> {
        match rounds {
            1_000..=999_999_999 => Ok(Self(rounds)),
            _ => Err(InvalidCost("the rounds of SHA-crypt are between 1000 and 999999999")),
        }
    }

    /// The rounds.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// The cost of scrypt (RFC 7914).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScryptCost {
    log_n: u8,
    r: u32,
    p: u32,
}

impl ScryptCost {
    /// The binary logarithm of the cost N, the block size r and the parallelism p.
    ///
    /// # Errors
    /// If one of them is 0, N is 2⁶⁴ or more, or r·p is 2³⁰ or more.
    pub const fn new(log_n: u8, r: u32, p: u32) -> Result<Self, InvalidCost> {
        if log_n == 0 || log_n > 63 {
            return Err(InvalidCost("the cost (N) of scrypt is between 2 and 2 to the power of 63"));
        }
        if r == 0 || p == 0 {
            return Err(InvalidCost("the block size (r) and the parallelism (p) of scrypt are at least 1"));
        }
        if r as u64 * p as u64 >= 1 << 30 {
            return Err(InvalidCost("block size (r) times parallelism (p) of scrypt is below 2 to the power of 30"));
        }
        Ok(Self { log_n, r, p })
    }

    /// The binary logarithm of the cost N.
    pub const fn log_n(self) -> u8 {
        self.log_n
    }

    /// The cost N.
    pub const fn n(self) -> u64 {
        1 << self.log_n
    }

    /// The block size.
    pub const fn r(self) -> u32 {
        self.r
    }

    /// The parallelism.
    pub const fn p(self) -> u32 {
        self.p
    }
}
