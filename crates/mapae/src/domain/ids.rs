//! Randomness, and the identifiers made from it.

use std::sync::{Arc, Mutex, PoisonError};

use mapae_verify::Clock;
use uuid::Uuid;

/// A source of unpredictable bytes. Passed in, so that tests can be repeated.
pub trait Rng: Send + Sync + 'static {
    /// Fills `buf` with bytes that nobody can predict.
    fn fill(&self, buf: &mut [u8]);
}

/// The operating system's generator. AWS-LC's own first gathers jitter of the processor for 40 ms, at every start.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads ambient randomness")]
    fn fill(&self, buf: &mut [u8]) {
        // Without randomness nothing here can be done safely: stopping is the only right answer.
        getrandom::fill(buf).expect("the operating system gives random bytes");
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

/// Ids that rise within a millisecond too, so that rows written together keep their order: UUIDs version 7 with a counter
/// (RFC 9562 §6.2, method 1).
pub(crate) struct RisingIds {
    ids: IdSource,
    /// The millisecond of the last one, and how many there were before it in that millisecond.
    last: Mutex<(u64, u16)>,
}

impl RisingIds {
    pub(crate) fn new(ids: IdSource) -> Self {
        Self { ids, last: Mutex::new((0, 0)) }
    }

    /// The next one, and its time, in milliseconds since 1970.
    pub(crate) fn next(&self) -> (Uuid, i64) {
        let now = self.ids.clock.now_millis();
        let millis = u64::try_from(now).unwrap_or(0);
        let count = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            // Past the counter's 12 bits, which nobody reaches, order within the millisecond is given up.
            *last = if last.0 == millis { (millis, (last.1 + 1).min(0x0fff)) } else { (millis, 0) };
            last.1
        };
        let mut bytes: [u8; 10] = self.ids.random();
        bytes[..2].copy_from_slice(&count.to_be_bytes());
        (uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid(), now)
    }
}

impl std::fmt::Debug for IdSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdSource")
    }
}

#[cfg(test)]
mod tests {
    use mapae_verify::ManualClock;

    use super::*;

    #[test]
    fn ids_rise_within_a_millisecond() {
        let clock = ManualClock::new(1_767_225_600);
        let ids = RisingIds::new(IdSource::new(Arc::new(clock.clone()), Arc::new(SystemRng)));
        let made: Vec<_> = (0..4_096)
            .map(|_| {
                let (id, millis) = ids.next();
                assert_eq!((id.get_version_num(), millis), (7, 1_767_225_600_000));
                id
            })
            .collect();
        assert!(made.is_sorted_by(|one, other| one < other));
        ids.next();
        clock.advance_millis(1);
        assert!(ids.next().0 > made[4_095]);
    }
}
