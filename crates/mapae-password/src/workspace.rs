//! Memory that is kept from one hash to the next.

use argon2::Block;
use zeroize::Zeroize;

use crate::{HashError, large_pages};

/// The memory blocks of Argon2, kept from one hash to the next: asking the system for them afresh costs a quarter of
/// the time of a hash.
///
/// One workspace serves one hash at a time. It grows to the largest hash it has seen and stays that large until
/// [`Workspace::shrink_to`]. The blocks are wiped when it shrinks or is dropped, not between hashes: the next hash
/// writes over them.
#[derive(Default)]
pub struct Workspace {
    blocks: Vec<Block>,
}

impl Workspace {
    /// An empty workspace; it takes memory with the first hash.
    pub fn new() -> Self {
        Self::default()
    }

    /// The memory that it holds, in KiB.
    pub fn memory_kib(&self) -> usize {
        self.blocks.capacity()
    }

    /// Gives back what it holds above `kib` KiB, so that one costly hash does not hold its memory for ever.
    pub fn shrink_to(&mut self, kib: usize) {
        if kib < self.blocks.len() {
            self.blocks[kib..].iter_mut().for_each(Zeroize::zeroize);
            self.blocks.truncate(kib);
        }
        self.blocks.shrink_to(kib);
    }

    /// `count` blocks of 1 KiB, with whatever the last hash left in them.
    pub(crate) fn blocks(&mut self, count: usize) -> Result<&mut [Block], HashError> {
        if self.blocks.len() < count {
            // Growing would copy the old blocks, and leave a copy behind unwiped.
            self.shrink_to(0);
            self.blocks.try_reserve_exact(count).map_err(|_| HashError::OutOfMemory)?;
            large_pages::ask_for(self.blocks.spare_capacity_mut());
            self.blocks.resize(count, Block::new());
        }
        Ok(&mut self.blocks[..count])
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        self.blocks.iter_mut().for_each(Zeroize::zeroize);
    }
}

impl std::fmt::Debug for Workspace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workspace").field("memory_kib", &self.memory_kib()).finish_non_exhaustive()
    }
}
