//! Working memory that parallel tasks borrow and give back.

use std::sync::{Mutex, PoisonError};

use super::buffers::resize_exact;

/// Buffers of at least one length, as many as tasks ran at once. Their content is arbitrary.
#[derive(Debug)]
pub(super) struct ScratchPool<T> {
    length: usize,
    fill: T,
    free: Mutex<Vec<Vec<T>>>,
}

impl<T: Copy> ScratchPool<T> {
    pub(super) fn new(length: usize, fill: T) -> Self {
        Self { length, fill, free: Mutex::new(Vec::new()) }
    }

    /// Runs `work` with a buffer of the pool.
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut [T]) -> R) -> R {
        self.with_at_least(self.length, work)
    }

    /// Runs `work` with a buffer of the pool, which first grows to `length` values.
    pub(super) fn with_at_least<R>(&self, length: usize, work: impl FnOnce(&mut [T]) -> R) -> R {
        let taken = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut buffer = taken.unwrap_or_default();
        if buffer.len() < length {
            resize_exact(&mut buffer, length, self.fill);
        }
        let result = work(&mut buffer);
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
        result
    }

    /// Bytes of the pool once `tasks` have run at once.
    pub(super) fn planned_bytes(&self, tasks: usize) -> usize {
        tasks * self.length * size_of::<T>()
    }

    /// Bytes held at present.
    pub(super) fn bytes(&self) -> usize {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.iter().map(Vec::len).sum::<usize>() * size_of::<T>()
    }
}

/// A pool starts empty wherever its owner is cloned to.
impl<T: Copy> Clone for ScratchPool<T> {
    fn clone(&self) -> Self {
        Self::new(self.length, self.fill)
    }
}
