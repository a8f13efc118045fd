//! Randomness, and the identifiers made from it.

use std::sync::Arc;

use mapae_verify::Clock;
use uuid::Uuid;

/// A source of unpredictable bytes. Passed in, so that tests can be repeated.
pub trait Rng: Send + Sync + 'static {
    /// Fills `buf` with bytes that nobody can predict.
    fn fill(&self, buf: &mut [u8]);
}

/// The operating system's generator, by way of AWS-LC.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads ambient randomness")]
    fn fill(&self, buf: &mut [u8]) {
        // Without randomness nothing here can be done safely: stopping is the only right answer.
        aws_lc_rs::rand::fill(buf).expect("the operating system gives random bytes");
    }
}

/// Makes identifiers from the injected clock and randomness.
#[derive(Clone)]
pub struct IdSource {
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
}

impl IdSource {
    /// Ids ordered by `clock`, unguessable by `rng`.
    pub fn new(clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        Self { clock, rng }
    }

    /// A UUID version 7 (RFC 9562 §5.7): rows made later sort later.
    pub fn uuid_v7(&self) -> Uuid {
        let mut random = [0; 10];
        self.rng.fill(&mut random);
        let millis = u64::try_from(self.clock.now_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    /// `N` random bytes, for salts and keys.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill(&mut bytes);
        bytes
    }
}

impl std::fmt::Debug for IdSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdSource")
    }
}
