//! Average pooling on the processor.

use cfconv_fft::Real;
use cfconv_fft::simd::{Isa, Kernel, dispatch};
use rayon::prelude::*;

use super::{AveragePoolOp, PoolSizes};
use crate::device::{Cpu, Result};
use crate::nn::Forward;
use crate::nn::slices::ForwardSlices;

impl AveragePoolOp for Cpu {
    fn average_pool_kernel(&self, sizes: &PoolSizes, io: Forward<'_, Self>) -> Result<()> {
        average_pool(sizes, io.into_slices());
        Ok(())
    }

    fn average_pool_adjoint_kernel(&self, sizes: &PoolSizes, io: Forward<'_, Self>) -> Result<()> {
        average_pool_adjoint(sizes, io.into_slices());
        Ok(())
    }
}

/// See [`AveragePoolOp::average_pool`].
fn average_pool<T: Real>(sizes: &PoolSizes, io: ForwardSlices<'_, T>) {
    let ForwardSlices { batch, input, output, .. } = io;
    let (input_plane, output_plane) = (sizes.input_plane(batch), sizes.output_plane(batch));
    output.par_chunks_mut(output_plane).zip(input.par_chunks(input_plane)).for_each(|(output, input)| {
        dispatch(Average { sizes, batch, input, output });
    });
}

/// See [`AveragePoolOp::average_pool_adjoint`].
fn average_pool_adjoint<T: Real>(sizes: &PoolSizes, io: ForwardSlices<'_, T>) {
    let ForwardSlices { batch, input: grad_output, output: grad_input, .. } = io;
    let (input_plane, output_plane) = (sizes.input_plane(batch), sizes.output_plane(batch));
    grad_input.par_chunks_mut(input_plane).zip(grad_output.par_chunks(output_plane)).for_each(
        |(grad_input, grad_output)| {
            dispatch(Spread { sizes, batch, grad_output, grad_input });
        },
    );
}

struct Average<'a, T> {
    sizes: &'a PoolSizes,
    batch: usize,
    /// `[H, W, B]`
    input: &'a [T],
    /// `[H', W', B]`
    output: &'a mut [T],
}

impl<T: Real> Kernel for Average<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, _isa: I) {
        let Self { sizes, batch, input, output } = self;
        let output_width = sizes.output_width();
        let share = T::cast(1.0 / (sizes.size * sizes.size) as f64);
        for (window, output) in output.chunks_mut(batch).enumerate() {
            let (row, column) = (window / output_width * sizes.stride, window % output_width * sizes.stride);
            output.fill(T::ZERO);
            for tap in 0..sizes.size * sizes.size {
                let (h, w) = (row + tap / sizes.size, column + tap % sizes.size);
                let input = &input[(h * sizes.width + w) * batch..][..batch];
                for (output, &input) in output.iter_mut().zip(input) {
                    *output += input;
                }
            }
            for output in output {
                *output *= share;
            }
        }
    }
}

struct Spread<'a, T> {
    sizes: &'a PoolSizes,
    batch: usize,
    /// `[H', W', B]`
    grad_output: &'a [T],
    /// `[H, W, B]`
    grad_input: &'a mut [T],
}

impl<T: Real> Kernel for Spread<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { sizes, batch, grad_output, grad_input } = self;
        let output_width = sizes.output_width();
        let share = T::cast(1.0 / (sizes.size * sizes.size) as f64);
        grad_input.fill(T::ZERO);
        for (window, grad_output) in grad_output.chunks(batch).enumerate() {
            let (row, column) = (window / output_width * sizes.stride, window % output_width * sizes.stride);
            for tap in 0..sizes.size * sizes.size {
                let (h, w) = (row + tap / sizes.size, column + tap % sizes.size);
                let grad_input = &mut grad_input[(h * sizes.width + w) * batch..][..batch];
                for (grad_input, &grad_output) in grad_input.iter_mut().zip(grad_output) {
                    *grad_input = isa.mul_add(share, grad_output, *grad_input);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::OpSizes;
    use crate::nn::testing::assert_adjoint;

    #[test]
    fn adjoint_passes_dot_test() {
        for (height, width, size, stride, batch) in
            [(1, 1, 1, 1, 1), (5, 4, 2, 2, 17), (7, 9, 3, 2, 2), (6, 6, 2, 3, 5), (4, 4, 3, 1, 16)]
        {
            let sizes = PoolSizes { channels: 2, height, width, size, stride };
            let lens = (sizes.input_len(batch), sizes.output_len(batch));
            let forward = |io: ForwardSlices<'_, f64>| average_pool(&sizes, io);
            assert_adjoint(&sizes, batch, lens, forward, |io| average_pool_adjoint(&sizes, io));
        }
    }
}
