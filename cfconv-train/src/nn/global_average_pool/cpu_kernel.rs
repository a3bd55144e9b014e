//! Global average pooling on the processor.

use cfconv_fft::Real;
use cfconv_fft::simd::{Isa, Kernel, dispatch};
use rayon::prelude::*;

use super::{GlobalAveragePoolOp, GlobalAveragePoolSizes};
use crate::device::{Cpu, Result};
use crate::nn::Forward;
use crate::nn::slices::ForwardSlices;

/// Pixels that are added up before their sum is added to the total.
const PIXELS_PER_BLOCK: usize = 64;

impl GlobalAveragePoolOp for Cpu {
    fn global_average_pool_kernel(
        &self,
        sizes: &GlobalAveragePoolSizes,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        global_average_pool(sizes.pixels, io.into_slices());
        Ok(())
    }

    fn global_average_pool_adjoint_kernel(
        &self,
        sizes: &GlobalAveragePoolSizes,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        global_average_pool_adjoint(sizes.pixels, io.into_slices());
        Ok(())
    }
}

/// See [`GlobalAveragePoolOp::global_average_pool`].
fn global_average_pool<T: Real>(pixels: usize, io: ForwardSlices<'_, T>) {
    let ForwardSlices { batch, input, output, .. } = io;
    output.par_chunks_mut(batch).zip(input.par_chunks(pixels * batch)).for_each(|(output, input)| {
        dispatch(Mean { pixels, batch, input, output });
    });
}

/// See [`GlobalAveragePoolOp::global_average_pool_adjoint`].
fn global_average_pool_adjoint<T: Real>(pixels: usize, io: ForwardSlices<'_, T>) {
    let ForwardSlices { batch, input: grad_output, output: grad_input, .. } = io;
    let share = T::cast(1.0 / pixels as f64);
    grad_input.par_chunks_mut(pixels * batch).zip(grad_output.par_chunks(batch)).for_each(
        |(grad_input, grad_output)| {
            for pixel in grad_input.chunks_mut(batch) {
                for (grad_input, &grad_output) in pixel.iter_mut().zip(grad_output) {
                    *grad_input = share * grad_output;
                }
            }
        },
    );
}

struct Mean<'a, T> {
    pixels: usize,
    batch: usize,
    /// `[pixels, B]`
    input: &'a [T],
    /// `[B]`
    output: &'a mut [T],
}

impl<T: Real> Kernel for Mean<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, _isa: I) {
        let Self { pixels, batch, input, output } = self;
        output.fill(T::ZERO);
        // A sum of block sums: the error grows with the length of a block, not of the channel.
        let mut block_sum = vec![T::ZERO; batch];
        for block in input.chunks(PIXELS_PER_BLOCK * batch) {
            block_sum.fill(T::ZERO);
            for pixel in block.chunks(batch) {
                for (sum, &value) in block_sum.iter_mut().zip(pixel) {
                    *sum += value;
                }
            }
            for (output, &sum) in output.iter_mut().zip(&block_sum) {
                *output += sum;
            }
        }
        let share = T::cast(1.0 / pixels as f64);
        for output in output {
            *output *= share;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::assert_adjoint;

    #[test]
    fn adjoint_passes_dot_test() {
        for (channels, pixels, batch) in [(1, 1, 1), (3, 49, 17), (2, 300, 16), (5, 6, 2)] {
            let lens = (channels * pixels * batch, channels * batch);
            let forward = |io: ForwardSlices<'_, f64>| global_average_pool(pixels, io);
            assert_adjoint(&pixels, batch, lens, forward, |io| global_average_pool_adjoint(pixels, io));
        }
    }
}
