//! Reductions on the CUDA device.

use super::ReduceOp;
use crate::device::cuda::{Grid, Launcher, Scratch, launch};
use crate::device::{Result, Span};

/// Most blocks; each gives one sum, and the host adds them in order.
const MAX_BLOCKS: usize = 128;

impl<L: Launcher> ReduceOp for L {
    fn sum_of_squares(&self, values: Span<'_, Self>) -> Result<f64> {
        let blocks = values.len().div_ceil(16 * L::THREADS as usize).clamp(1, MAX_BLOCKS);
        let grid = Grid::new([blocks, 1, 1], L::THREADS).with_shared(L::THREADS as usize * size_of::<f64>());
        let mut partial = Scratch::of_doubles(self, blocks)?;
        launch!(self, "sum_of_squares", grid, values, partial.all_mut(), values.len() as u64)?;
        // Doubles in the memory of pairs of floats, low half first on both machines.
        let halves = self.to_host(partial.all())?;
        let sum_of = |pair: &[f32; 2]| {
            f64::from_bits(u64::from(pair[0].to_bits()) | u64::from(pair[1].to_bits()) << 32)
        };
        Ok(halves.as_chunks::<2>().0.iter().map(sum_of).sum())
    }
}
