//! Which tokens were used lately, and may so be worth remembering.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::quality::FixedState;

/// So many tokens share a place.
const TOKENS_PER_PLACE: u64 = 8;
/// Most places; eight bytes each.
const MOST_PLACES: u64 = 1 << 20;
/// One time in so many, by chance, the token that was noted before in the same place is kept.
const KEPT_EACH: u64 = 8;
/// What is known of the newest.
const NEWEST: u64 = u32::MAX as u64;

/// Tokens that were verified lately, by a part of their keyed hash. It decides what is worth remembering, never what is
/// believed.
///
/// Of each place two tokens are known: the newest, and now and then the one before, which stays for a while. With the
/// newest alone, tokens that share a place and come in turns, as those of clients that poll do, would push each other out
/// for ever. Two of eight are enough, since whoever is remembered leaves the place to the others; and so it is small enough
/// to stay close to the processor. Chance decides, since any fixed turn can fall in with those of the tokens.
pub(crate) struct UsedOnce {
    /// The newest in the low half.
    places: Box<[AtomicU64]>,
}

impl UsedOnce {
    /// For as many tokens as are remembered.
    pub(crate) fn new(tokens: u64) -> Self {
        let places = (tokens / TOKENS_PER_PLACE).clamp(1, MOST_PLACES).next_power_of_two();
        Self { places: (0..places).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Whether a token was noted, and that is still known.
    pub(crate) fn has(&self, hash: u64) -> bool {
        let (place, part) = self.place(hash);
        let known = place.load(Ordering::Relaxed);
        known & NEWEST == part || known >> 32 == part
    }

    /// Notes a token; `nth` is another number each time. Reading and writing are apart: whoever is overtaken in between is
    /// noted the next time.
    pub(crate) fn note(&self, hash: u64, nth: u64) {
        let (place, part) = self.place(hash);
        let known = place.load(Ordering::Relaxed);
        let other = if is_kept(nth) { known << 32 } else { known & !NEWEST };
        place.store(other | part, Ordering::Relaxed);
    }

    /// Where a token is noted, and what of its hash: not the bits that have chosen the place.
    fn place(&self, hash: u64) -> (&AtomicU64, u64) {
        #[expect(clippy::cast_possible_truncation, reason = "the low bits choose the place")]
        let place = hash as usize & (self.places.len() - 1);
        (&self.places[place], hash >> 32)
    }
}

fn is_kept(nth: u64) -> bool {
    FixedState::default().hash_one(nth).is_multiple_of(KEPT_EACH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(seed: u64, number: u64) -> u64 {
        FixedState::with_seed(seed).hash_one(number)
    }

    #[test]
    fn a_token_is_known_once_it_was_noted() {
        let used = UsedOnce::new(16);
        let low = used.places.len() as u64 - 1;
        let [one, other, third] = [1, 2, 3].map(|number| (hash(0, number) & !low) | 1);
        let nth = |wanted| (0..).find(|nth| is_kept(*nth) == wanted).unwrap();
        assert!(!used.has(one));
        used.note(one, nth(false));
        assert!(used.has(one) && !used.has(other), "another in the same place");
        used.note(other, nth(false));
        assert!(used.has(other) && !used.has(one), "the newer one takes the place");
        used.note(one, nth(true));
        used.note(third, nth(false));
        assert_eq!([one, other, third].map(|hash| used.has(hash)), [false, true, true], "the one before was kept");
        used.note(one, nth(true));
        assert_eq!(
            [one, other, third].map(|hash| used.has(hash)),
            [true, false, true],
            "and takes the place of the one kept before"
        );
    }

    #[test]
    fn whoever_comes_in_turns_is_remembered_after_some() {
        for (tokens, seeds) in [(2, 200), (3, 200), (16, 200), (64, 50), (1024, 10), (16 * 1024, 1)] {
            for seed in 0..seeds {
                let used = UsedOnce::new(tokens);
                let mut waiting: Vec<u64> = (0..tokens).map(|number| hash(seed, number)).collect();
                let (mut nth, mut rounds) = (0, 0);
                while !waiting.is_empty() {
                    waiting.retain(|hash| {
                        let was_noted = used.has(*hash);
                        if !was_noted {
                            used.note(*hash, nth);
                        }
                        nth += 1;
                        !was_noted
                    });
                    rounds += 1;
                    assert!(rounds < 500, "{} of {tokens} wait, of seed {seed}", waiting.len());
                }
            }
        }
    }

    #[test]
    fn it_is_small_however_many_tokens_are_remembered() {
        assert_eq!(UsedOnce::new(0).places.len(), 1);
        assert_eq!(size_of_val(&*UsedOnce::new(16 * 1024).places), 16 * 1024);
        assert_eq!(UsedOnce::new(u64::MAX).places.len() as u64, MOST_PLACES);
    }
}
