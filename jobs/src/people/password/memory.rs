//! The memory in which passwords are hashed.

use std::sync::{Mutex, PoisonError};

use argon2::Block;

/// The most memory that a stored hash may ask for, in blocks of 1 KiB.
const MOST_BLOCKS: usize = 64 * 1024;

/// Buffers that are kept for the next password. An allocator would keep the freed memory of each
/// thread. There are as many buffers as passwords were ever hashed at once.
#[derive(Debug, Default)]
pub(super) struct Memory {
    kept_blocks: usize,
    kept: Mutex<Vec<Box<[Block]>>>,
    one_large: Mutex<()>,
}

impl Memory {
    /// Memory whose kept buffers have so many blocks of 1 KiB.
    pub(super) fn new(kept_blocks: usize) -> Self {
        Self { kept_blocks, ..Self::default() }
    }

    /// Lends so many blocks for some work. Returns `None` if that is more than a hash may ask for.
    pub(super) fn lend<T>(&self, blocks: usize, work: impl FnOnce(&mut [Block]) -> T) -> Option<T> {
        if blocks > self.kept_blocks {
            return self.lend_large(blocks, work);
        }
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut buffer = kept.unwrap_or_else(|| zeroed(self.kept_blocks));
        let result = work(&mut buffer[..blocks]);
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
        Some(result)
    }

    /// Lends more than the kept buffers have. Old hashes that need that are checked one after the
    /// other. Their memory is larger than allocators keep, so it is freed.
    fn lend_large<T>(&self, blocks: usize, work: impl FnOnce(&mut [Block]) -> T) -> Option<T> {
        if blocks > MOST_BLOCKS {
            return None;
        }
        let _alone = self.one_large.lock().unwrap_or_else(PoisonError::into_inner);
        Some(work(&mut zeroed(MOST_BLOCKS)[..blocks]))
    }

    /// The number of buffers that are kept and free.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.kept.lock().unwrap().len()
    }
}

fn zeroed(blocks: usize) -> Box<[Block]> {
    vec![Block::new(); blocks].into_boxed_slice()
}
