//! Headers of tokens that verified: an issuer repeats few, and reading the JSON each time costs as much as an HMAC.

use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};

use crate::Header;

/// A power of two.
const SLOTS: usize = 4;
const _: () = assert!(SLOTS.is_power_of_two() && SLOTS > 1);

/// The last few header segments that headed a good token. Only those get in, so that bad tokens can't push them out.
#[derive(Default)]
pub(crate) struct KnownHeaders {
    slots: [ArcSwapOption<Known>; SLOTS],
}

pub(crate) struct Known {
    segment: Box<str>,
    pub(crate) header: Header,
}

impl KnownHeaders {
    pub(crate) fn get(&self, segment: &str) -> Option<Guard<Option<Arc<Known>>>> {
        let known = self.slots[slot(segment)].load();
        known.as_ref().is_some_and(|known| *known.segment == *segment).then_some(known)
    }

    pub(crate) fn remember(&self, segment: &str, header: &Header) {
        let known = Known { segment: segment.into(), header: header.clone() };
        self.slots[slot(segment)].store(Some(Arc::new(known)));
    }
}

/// Headers of one issuer differ in their `kid`, near the end.
fn slot(segment: &str) -> usize {
    let end = segment.as_bytes().last_chunk().map_or(0, |end| u128::from_le_bytes(*end));
    let folded = (end ^ (end >> 64)) as u64 ^ segment.len() as u64;
    // Multiplying mixes all bits into the highest, of which few are taken (Knuth, The Art of Computer Programming, 6.4).
    (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - SLOTS.ilog2())) as usize
}
