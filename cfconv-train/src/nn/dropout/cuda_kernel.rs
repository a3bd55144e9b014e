//! Dropout on the CUDA device: the same stream of random words as on the CPU.

use super::{DropoutOp, DropoutSizes};
use crate::device::Result;
use crate::device::cuda::{Grid, Launcher, count, launch};
use crate::nn::{Forward, Purpose};

/// Words that ChaCha makes at a time.
const WORDS_OF_A_BLOCK: u64 = 16;

impl<L: Launcher> DropoutOp for L {
    fn dropout_kernel(&self, sizes: &DropoutSizes, io: Forward<'_, Self>) -> Result<()> {
        let threshold = (sizes.rate * 2.0_f64.powi(32)) as u32;
        let scale = (1.0 / (1.0 - sizes.rate)) as f32;
        let len = count(io.input.len());
        launch!(
            self,
            "dropout",
            Grid::over(len.div_ceil(WORDS_OF_A_BLOCK), L::THREADS),
            io.input,
            io.output,
            sizes.run_seed,
            Purpose::Dropout as u64,
            sizes.layer,
            sizes.step,
            threshold,
            scale,
            len
        )
    }
}
