//! Dropout on the processor.

use rand::Rng;
use rayon::prelude::*;

use super::{DropoutOp, DropoutSizes};
use crate::device::{Cpu, Result};
use crate::nn::slices::ForwardSlices;
use crate::nn::{Forward, Purpose, VALUES_PER_TASK, stream};

impl DropoutOp for Cpu {
    fn dropout_kernel(&self, sizes: &DropoutSizes, io: Forward<'_, Self>) -> Result<()> {
        let ForwardSlices { input, output, .. } = io.into_slices();
        let threshold = (sizes.rate * 2.0_f64.powi(32)) as u32;
        let scale = (1.0 / (1.0 - sizes.rate)) as f32;
        output.par_chunks_mut(VALUES_PER_TASK).zip(input.par_chunks(VALUES_PER_TASK)).enumerate().for_each(
            |(task, (output, input))| {
                let mut rng = stream(sizes.run_seed, Purpose::Dropout, sizes.layer, sizes.step);
                rng.set_word_pos((task * VALUES_PER_TASK) as u128);
                for (output, &input) in output.iter_mut().zip(input) {
                    *output = if rng.next_u32() >= threshold { scale * input } else { 0.0 };
                }
            },
        );
        Ok(())
    }
}
