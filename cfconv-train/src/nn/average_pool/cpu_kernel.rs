//! Average pooling on the processor.

use cfconv_fft::Real;
use cfconv_fft::simd::{Isa, Kernel, dispatch};
use rayon::prelude::*;

use super::{AveragePoolOp, PoolSizes};
use crate::device::{Cpu, Result, Span, SpanMut};

impl AveragePoolOp for Cpu {
    fn average_pool(
        &self,
        sizes: &PoolSizes,
        batch: usize,
        input: Span<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()> {
        input.expect_len("average_pool", "input", sizes.input_len(batch))?;
        output.expect_len("average_pool", "output", sizes.output_len(batch))?;
        average_pool(sizes, batch, input.as_slice(), output.into_slice());
        Ok(())
    }

    fn average_pool_adjoint(
        &self,
        sizes: &PoolSizes,
        batch: usize,
        grad_output: Span<'_, Self>,
        grad_input: SpanMut<'_, Self>,
    ) -> Result<()> {
        grad_output.expect_len("average_pool_adjoint", "grad_output", sizes.output_len(batch))?;
        grad_input.expect_len("average_pool_adjoint", "grad_input", sizes.input_len(batch))?;
        average_pool_adjoint(sizes, batch, grad_output.as_slice(), grad_input.into_slice());
        Ok(())
    }
}

/// See [`AveragePoolOp::average_pool`].
pub(crate) fn average_pool<T: Real>(sizes: &PoolSizes, batch: usize, input: &[T], output: &mut [T]) {
    let input_plane = sizes.height * sizes.width * batch;
    let output_plane = sizes.output_height() * sizes.output_width() * batch;
    output.par_chunks_mut(output_plane).zip(input.par_chunks(input_plane)).for_each(|(output, input)| {
        dispatch(Forward { sizes, batch, input, output });
    });
}

/// See [`AveragePoolOp::average_pool_adjoint`].
pub(crate) fn average_pool_adjoint<T: Real>(
    sizes: &PoolSizes,
    batch: usize,
    grad_output: &[T],
    grad_input: &mut [T],
) {
    let input_plane = sizes.height * sizes.width * batch;
    let output_plane = sizes.output_height() * sizes.output_width() * batch;
    grad_input.par_chunks_mut(input_plane).zip(grad_output.par_chunks(output_plane)).for_each(
        |(grad_input, grad_output)| {
            dispatch(Backward { sizes, batch, grad_output, grad_input });
        },
    );
}

struct Forward<'a, T> {
    sizes: &'a PoolSizes,
    batch: usize,
    /// `[H, W, B]`
    input: &'a [T],
    /// `[H', W', B]`
    output: &'a mut [T],
}

impl<T: Real> Kernel for Forward<'_, T> {
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

struct Backward<'a, T> {
    sizes: &'a PoolSizes,
    batch: usize,
    /// `[H', W', B]`
    grad_output: &'a [T],
    /// `[H, W, B]`
    grad_input: &'a mut [T],
}

impl<T: Real> Kernel for Backward<'_, T> {
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
    use crate::nn::testing::{dot, noise};

    #[test]
    fn adjoint_passes_dot_test() {
        for (height, width, size, stride, batch) in
            [(1, 1, 1, 1, 1), (5, 4, 2, 2, 17), (7, 9, 3, 2, 2), (6, 6, 2, 3, 5), (4, 4, 3, 1, 16)]
        {
            let sizes = PoolSizes { channels: 2, height, width, size, stride };
            let (x, g) = (noise(1, sizes.input_len(batch)), noise(2, sizes.output_len(batch)));
            let (mut y, mut back) = (vec![f64::NAN; g.len()], vec![f64::NAN; x.len()]);
            average_pool(&sizes, batch, &x, &mut y);
            average_pool_adjoint(&sizes, batch, &g, &mut back);
            assert!((dot(&y, &g) - dot(&x, &back)).abs() < 1e-12, "{sizes:?}");
        }
    }
}
