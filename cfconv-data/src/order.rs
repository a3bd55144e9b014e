//! The order in which an epoch visits images.

use crate::random::{self, Purpose};

/// What happens to the images that do not fill the last batch of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastBatch {
    /// They are left out of this epoch, unless there are no others. The next epoch is shuffled again.
    Drop,
    /// They form a smaller batch.
    Keep,
}

/// The order of one epoch: a pure function of (images, seed, epoch), so that a run can resume anywhere.
///
/// # Examples
/// ```
/// use cfconv_data::{EpochOrder, LastBatch};
///
/// let order = EpochOrder::shuffled(&[10, 11, 12, 13, 14], 1, 0);
/// assert_eq!(order, EpochOrder::shuffled(&[10, 11, 12, 13, 14], 1, 0));
/// assert_eq!(order.num_batches(2, LastBatch::Drop), 2);
/// assert_eq!(order.num_batches(2, LastBatch::Keep), 3);
/// assert_eq!(order.batch(2, 2).len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochOrder {
    order: Vec<usize>,
}

impl EpochOrder {
    /// The images of `indices` in the random order of (`run_seed`, `epoch`).
    pub fn shuffled(indices: &[usize], run_seed: u64, epoch: u64) -> Self {
        let mut order = indices.to_vec();
        random::shuffle(&mut random::stream(run_seed, Purpose::Shuffle, epoch, 0), &mut order);
        Self { order }
    }

    /// The images of `indices` as they come, for evaluation.
    pub fn sequential(indices: &[usize]) -> Self {
        Self { order: indices.to_vec() }
    }

    /// All images in order.
    pub fn as_slice(&self) -> &[usize] {
        &self.order
    }

    /// The images of batch number `batch`: `batch_size` of them, fewer at the end, none beyond it.
    pub fn batch(&self, batch: usize, batch_size: usize) -> &[usize] {
        let start = batch.saturating_mul(batch_size).min(self.order.len());
        let end = start.saturating_add(batch_size).min(self.order.len());
        &self.order[start..end]
    }

    /// Number of batches of `batch_size` images.
    pub fn num_batches(&self, batch_size: usize, last: LastBatch) -> usize {
        num_batches(self.order.len(), batch_size, last)
    }
}

pub(crate) fn num_batches(images: usize, batch_size: usize, last: LastBatch) -> usize {
    let batch_size = batch_size.max(1);
    match last {
        LastBatch::Drop if images >= batch_size => images / batch_size,
        LastBatch::Drop | LastBatch::Keep => images.div_ceil(batch_size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffled_order_is_a_permutation_that_changes_with_seed_and_epoch() {
        let indices: Vec<usize> = (100..200).collect();
        let base = EpochOrder::shuffled(&indices, 5, 0);
        let mut sorted = base.as_slice().to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, indices);
        assert_ne!(base, EpochOrder::shuffled(&indices, 5, 1));
        assert_ne!(base, EpochOrder::shuffled(&indices, 6, 0));
        assert_ne!(base, EpochOrder::sequential(&indices));
    }

    #[test]
    fn batches_cover_the_order() {
        let order = EpochOrder::sequential(&[1, 2, 3, 4, 5, 6, 7]);
        let joined: Vec<usize> =
            (0..order.num_batches(3, LastBatch::Keep)).flat_map(|b| order.batch(b, 3).to_vec()).collect();
        assert_eq!(joined, order.as_slice());
        assert_eq!(order.num_batches(3, LastBatch::Drop), 2);
        assert_eq!(order.num_batches(8, LastBatch::Drop), 1, "a set smaller than a batch is one batch");
        assert!(order.batch(9, 3).is_empty());
        assert_eq!(EpochOrder::sequential(&[]).num_batches(3, LastBatch::Keep), 0);
    }
}
