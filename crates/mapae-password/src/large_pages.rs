//! Large pages for memory that is read here and there: with pages of 4 KiB the processor spends a quarter of a hash on
//! looking up where they are.

use std::mem::MaybeUninit;

/// What such a page has on the usual processors, in bytes. Elsewhere it is a multiple of a page, which is all that counts.
const LARGE_PAGE: usize = 2 << 20;

/// Asks for large pages for this memory, before anything is written to it. A wish: where the system has none, or is told to
/// give none, everything goes on as it would.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "memory of Argon2's block type cannot be made from mapped bytes without it either")]
pub(crate) fn ask_for<T>(memory: &mut [MaybeUninit<T>]) {
    use rustix::mm::{Advice, madvise};

    let size = size_of_val(memory);
    let start: *mut u8 = memory.as_mut_ptr().cast();
    let skipped = start.align_offset(LARGE_PAGE);
    let large = size.saturating_sub(skipped) / LARGE_PAGE * LARGE_PAGE;
    if large > 0 {
        // SAFETY: the range lies within `memory`, which is borrowed mutably. This advice changes how the system keeps the
        // memory, and neither its contents nor who may use it (madvise(2), MADV_HUGEPAGE).
        let _ = unsafe { madvise(start.wrapping_add(skipped).cast(), large, Advice::LinuxHugepage) };
    }
}

/// There is nothing to ask for.
#[cfg(not(target_os = "linux"))]
pub(crate) fn ask_for<T>(_: &mut [MaybeUninit<T>]) {}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    /// Whether the system was asked for large pages at this address (`hg` of proc_pid_smaps(5)).
    fn is_asked_for(address: usize) -> bool {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut is_here = false;
        for line in maps.lines() {
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            let ends = range.map(|(start, end)| (usize::from_str_radix(start, 16), usize::from_str_radix(end, 16)));
            if let Some((Ok(start), Ok(end))) = ends {
                is_here = (start..end).contains(&address);
            } else if let Some(flags) = line.strip_prefix("VmFlags:").filter(|_| is_here) {
                return flags.split_whitespace().any(|flag| flag == "hg");
            }
        }
        panic!("nothing is mapped at {address:x}");
    }

    #[test]
    fn the_middle_of_much_memory_is_asked_for() {
        if !std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists() {
            eprintln!("this kernel has no transparent large pages: nothing to test");
            return;
        }
        // So much that it is mapped anew, whatever was allocated before.
        let mut memory: Vec<[u8; 1024]> = Vec::with_capacity(64 << 10);
        let middle = memory.as_ptr().addr() + (32 << 20);
        assert!(!is_asked_for(middle));
        ask_for(memory.spare_capacity_mut());
        assert!(is_asked_for(middle));
    }
}
