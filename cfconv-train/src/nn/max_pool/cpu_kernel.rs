//! Max pooling on the processor: one task a channel, along the lanes of the batch.

use cfconv_fft::Real;
use cfconv_fft::simd::{Isa, Kernel, LANES, dispatch};
use rayon::prelude::*;

use super::{MaxPoolOp, PoolSizes};
use crate::device::{Cpu, IndexBuffer, Result};
use crate::nn::Forward;
use crate::nn::slices::ForwardSlices;

impl MaxPoolOp for Cpu {
    fn max_pool_kernel(
        &self,
        sizes: &PoolSizes,
        winners: Option<&mut IndexBuffer<Self>>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        max_pool(sizes, winners.map(|winners| &mut winners[..]), io.into_slices());
        Ok(())
    }

    fn max_pool_vjp_kernel(
        &self,
        sizes: &PoolSizes,
        winners: &IndexBuffer<Self>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        max_pool_vjp(sizes, winners, io.into_slices());
        Ok(())
    }
}

/// See [`MaxPoolOp::max_pool`].
fn max_pool<T: Real>(sizes: &PoolSizes, winners: Option<&mut [u32]>, io: ForwardSlices<'_, T>) {
    let ForwardSlices { batch, input, output, .. } = io;
    let (input_plane, output_plane) = (sizes.input_plane(batch), sizes.output_plane(batch));
    let planes = output.par_chunks_mut(output_plane).zip(input.par_chunks(input_plane));
    match winners {
        Some(winners) => {
            planes.zip(winners.par_chunks_mut(output_plane)).for_each(|((output, input), winners)| {
                dispatch(Maxima { sizes, batch, input, winners, output });
            });
        }
        None => planes.for_each(|(output, input)| {
            dispatch(Maxima { sizes, batch, input, winners: &mut [], output });
        }),
    }
}

/// See [`MaxPoolOp::max_pool_vjp`].
fn max_pool_vjp<T: Real>(sizes: &PoolSizes, winners: &[u32], io: ForwardSlices<'_, T>) {
    let ForwardSlices { batch, input: grad_output, output: grad_input, .. } = io;
    let (input_plane, output_plane) = (sizes.input_plane(batch), sizes.output_plane(batch));
    grad_input
        .par_chunks_mut(input_plane)
        .zip(grad_output.par_chunks(output_plane))
        .zip(winners.par_chunks(output_plane))
        .for_each(|((grad_input, grad_output), winners)| {
            dispatch(ToWinners { sizes, batch, winners, grad_output, grad_input });
        });
}

struct Maxima<'a, T> {
    sizes: &'a PoolSizes,
    batch: usize,
    /// `[H, W, B]`
    input: &'a [T],
    /// `[H', W', B]`, or empty if nobody wants them
    winners: &'a mut [u32],
    /// `[H', W', B]`
    output: &'a mut [T],
}

impl<T: Real> Kernel for Maxima<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, _isa: I) {
        let Self { sizes, batch, input, winners, output } = self;
        let output_width = sizes.output_width();
        for (window, output) in output.chunks_mut(batch).enumerate() {
            let (row, column) = (window / output_width * sizes.stride, window % output_width * sizes.stride);
            let mut winners = winners.get_mut(window * batch..(window + 1) * batch);
            for first in (0..batch).step_by(LANES) {
                let lanes = first..batch.min(first + LANES);
                let (mut best, mut winner) = ([T::neg_infinity(); LANES], [0_u32; LANES]);
                for tap in 0..sizes.size * sizes.size {
                    let (h, w) = (row + tap / sizes.size, column + tap % sizes.size);
                    let values = &input[(h * sizes.width + w) * batch..][lanes.clone()];
                    if let Some(values) = values.first_chunk::<LANES>() {
                        for l in 0..LANES {
                            keep_larger(values[l], tap as u32, &mut best[l], &mut winner[l]);
                        }
                    } else {
                        for (l, &value) in values.iter().enumerate() {
                            keep_larger(value, tap as u32, &mut best[l], &mut winner[l]);
                        }
                    }
                }
                output[lanes.clone()].copy_from_slice(&best[..lanes.len()]);
                if let Some(winners) = &mut winners {
                    winners[lanes.clone()].copy_from_slice(&winner[..lanes.len()]);
                }
            }
        }
    }
}

#[inline(always)]
fn keep_larger<T: Real>(value: T, tap: u32, best: &mut T, winner: &mut u32) {
    // The first NaN stays: it is larger than numbers, and no later value is larger than it.
    let larger = value > *best || (value.is_nan() && !best.is_nan());
    *best = if larger { value } else { *best };
    *winner = if larger { tap } else { *winner };
}

struct ToWinners<'a, T> {
    sizes: &'a PoolSizes,
    batch: usize,
    /// `[H', W', B]`
    winners: &'a [u32],
    /// `[H', W', B]`
    grad_output: &'a [T],
    /// `[H, W, B]`
    grad_input: &'a mut [T],
}

impl<T: Real> Kernel for ToWinners<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, _isa: I) {
        let Self { sizes, batch, winners, grad_output, grad_input } = self;
        let output_width = sizes.output_width();
        let covered = !sizes.overlaps()
            && sizes.stride == sizes.size
            && sizes.height.is_multiple_of(sizes.size)
            && sizes.width.is_multiple_of(sizes.size);
        if !covered {
            grad_input.fill(T::ZERO);
        }
        let windows = winners.chunks(batch).zip(grad_output.chunks(batch)).enumerate();
        for (window, (winners, grad_output)) in windows {
            let (row, column) = (window / output_width * sizes.stride, window % output_width * sizes.stride);
            for tap in 0..sizes.size * sizes.size {
                let (h, w) = (row + tap / sizes.size, column + tap % sizes.size);
                let grad_input = &mut grad_input[(h * sizes.width + w) * batch..][..batch];
                let lanes = grad_input.iter_mut().zip(winners.iter().zip(grad_output));
                if covered {
                    for (grad_input, (&winner, &grad)) in lanes {
                        *grad_input = if winner == tap as u32 { grad } else { T::ZERO };
                    }
                } else {
                    for (grad_input, (&winner, &grad)) in lanes {
                        *grad_input += if winner == tap as u32 { grad } else { T::ZERO };
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::OpSizes;

    #[test]
    fn vjp_matches_central_differences() {
        // (channels, height, width, size, stride): disjoint, overlapping and prime windows, one pixel.
        for (channels, height, width, size, stride) in
            [(2, 4, 6, 2, 2), (1, 5, 7, 3, 2), (2, 7, 5, 3, 1), (3, 1, 1, 1, 1)]
        {
            let sizes = PoolSizes { channels, height, width, size, stride };
            let batch = 17;
            // All values differ by at least 1: a small step changes no winner.
            let count = sizes.input_len(batch);
            let mut input: Vec<f64> = (0..count).map(|n| (n * 7919 % count) as f64).collect();
            let len = sizes.output_len(batch);
            let grad_output: Vec<f64> = (0..len).map(|n| (n % 11) as f64 * 0.3 - 1.0).collect();
            let loss = |input: &[f64]| -> f64 {
                let mut output = vec![f64::NAN; len];
                max_pool(&sizes, None, ForwardSlices { batch, input, params: &[], output: &mut output });
                output.iter().zip(&grad_output).map(|(y, g)| y * g).sum()
            };
            let (mut output, mut winners) = (vec![f64::NAN; len], vec![0; len]);
            let io = ForwardSlices { batch, input: &input, params: &[], output: &mut output };
            max_pool(&sizes, Some(&mut winners), io);
            let mut grad_input = vec![f64::NAN; count];
            let io = ForwardSlices { batch, input: &grad_output, params: &[], output: &mut grad_input };
            max_pool_vjp(&sizes, &winners, io);
            for n in (0..count).step_by(3) {
                let value = input[n];
                input[n] = value + 0.25;
                let above = loss(&input);
                input[n] = value - 0.25;
                let below = loss(&input);
                input[n] = value;
                let numeric = (above - below) / 0.5;
                assert!((numeric - grad_input[n]).abs() < 1e-6, "{sizes:?}, input {n}: {numeric}");
            }
        }
    }
}
