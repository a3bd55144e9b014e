//! Step statuses on the CUDA device.

use super::StepStatusOp;
use crate::device::cuda::{Grid, Launcher, Scratch, count, launch};
use crate::device::{Result, Span, SpanMut};

/// Most blocks that sum squares; each gives one sum, and one thread adds them in order.
const MAX_BLOCKS: usize = 128;

impl<L: Launcher> StepStatusOp for L {
    fn sum_losses_kernel(
        &self,
        losses: Span<'_, Self>,
        correct: Span<'_, Self>,
        sums: SpanMut<'_, Self>,
    ) -> Result<()> {
        let threads = L::THREADS;
        let grid = Grid::new([1, 1, 1], threads).with_shared(3 * threads as usize * size_of::<f64>());
        launch!(self, "sum_losses", grid, losses, correct, sums, losses.len())
    }

    fn check_finite_kernel(
        &self,
        clip_norm: f64,
        grads: Span<'_, Self>,
        sums: SpanMut<'_, Self>,
        step_status: SpanMut<'_, Self>,
    ) -> Result<()> {
        let blocks = grads.len().div_ceil(16 * L::THREADS as usize).clamp(1, MAX_BLOCKS);
        let grid = Grid::new([blocks, 1, 1], L::THREADS).with_shared(L::THREADS as usize * size_of::<f64>());
        let mut partial = Scratch::of_doubles(self, blocks)?;
        launch!(self, "sum_of_squares", grid, grads, partial.all_mut(), count(grads.len()))?;
        let one = Grid::new([1, 1, 1], 32);
        launch!(self, "check_finite", one, partial.all(), sums, step_status, blocks, clip_norm as f32)
    }

    fn copy_if_failed_kernel(
        &self,
        step_status: Span<'_, Self>,
        source: Span<'_, Self>,
        target: SpanMut<'_, Self>,
    ) -> Result<()> {
        let len = count(source.len());
        launch!(self, "copy_if_failed", Grid::over(len, L::THREADS), step_status, source, target, len)
    }
}
