//! Layer normalisation on the processor: some columns (pixels of images) at a time, copied together once.
//!
//! The channels of a pixel are a plane apart, often a power of two, where a cache holds few of them: they are read
//! from memory once, and all passes work on the copy.

use cfconv_fft::Real;
use cfconv_fft::simd::{Isa, Kernel, LANES, dispatch};
use rayon::prelude::*;

use super::{LayerNormOp, LayerNormSizes};
use crate::device::{Cpu, Result};
use crate::nn::lane_sum::sum_two;
use crate::nn::slices::{BackwardSlices, ForwardSlices};
use crate::nn::{Backward, Forward};

/// Columns of one task. The gradients of parameters are sums over tasks in order, so this fixes the order.
const COLUMNS: usize = 16 * LANES;

impl LayerNormOp for Cpu {
    fn layer_norm_kernel(&self, sizes: &LayerNormSizes, io: Forward<'_, Self>) -> Result<()> {
        layer_norm(sizes, io.into_slices());
        Ok(())
    }

    fn layer_norm_vjp_kernel(&self, sizes: &LayerNormSizes, io: Backward<'_, Self>) -> Result<()> {
        layer_norm_vjp(sizes, io.into_slices());
        Ok(())
    }
}

/// See [`LayerNormOp::layer_norm`].
fn layer_norm<T: Real>(sizes: &LayerNormSizes, io: ForwardSlices<'_, T>) {
    let ForwardSlices { batch, input, params, output } = io;
    let plane = sizes.pixels * batch;
    let mut tasks = split_columns(output, plane);
    tasks.par_iter_mut().enumerate().for_each_init(
        || vec![T::ZERO; sizes.channels * COLUMNS],
        |centered, (task, output)| {
            let epsilon = T::cast(f64::from(sizes.epsilon));
            let columns = Columns { input, plane, first: task * COLUMNS, len: output[0].len(), epsilon };
            dispatch(Normalize { columns, params, centered, output });
        },
    );
}

/// See [`LayerNormOp::layer_norm_vjp`].
fn layer_norm_vjp<T: Real>(sizes: &LayerNormSizes, io: BackwardSlices<'_, T>) {
    let BackwardSlices { batch, input, params, grad_output, grad_input, grad_params } = io;
    let plane = sizes.pixels * batch;
    let mut tasks = match grad_input {
        Some(grad_input) => split_columns(grad_input, plane),
        None => (0..plane.div_ceil(COLUMNS)).map(|_| Vec::new()).collect(),
    };
    let values = sizes.channels * COLUMNS;
    let partials: Vec<Vec<f64>> = tasks
        .par_iter_mut()
        .enumerate()
        .map_init(
            || (vec![T::ZERO; values], vec![T::ZERO; values]),
            |(normalized, grads), (task, grad_input)| {
                let first = task * COLUMNS;
                let epsilon = T::cast(f64::from(sizes.epsilon));
                let columns = Columns { input, plane, first, len: COLUMNS.min(plane - first), epsilon };
                let gamma = &params[..sizes.channels];
                dispatch(Gradients { columns, gamma, grad_output, normalized, grads, grad_input })
            },
        )
        .collect();
    for (at, grad) in grad_params.iter_mut().enumerate() {
        *grad += T::cast(partials.iter().map(|partial| partial[at]).sum());
    }
}

/// For each task its columns of every channel.
fn split_columns<T>(values: &mut [T], plane: usize) -> Vec<Vec<&mut [T]>> {
    let mut tasks: Vec<Vec<&mut [T]>> = (0..plane.div_ceil(COLUMNS)).map(|_| Vec::new()).collect();
    for channel in values.chunks_mut(plane) {
        for (task, columns) in tasks.iter_mut().zip(channel.chunks_mut(COLUMNS)) {
            task.push(columns);
        }
    }
    tasks
}

/// Some adjacent columns of all channels.
#[derive(Clone, Copy)]
struct Columns<'a, T> {
    /// `[C, plane]`
    input: &'a [T],
    plane: usize,
    first: usize,
    len: usize,
    epsilon: T,
}

impl<T: Real> Columns<'_, T> {
    /// Writes x − μ to `centered` `[C, COLUMNS]` and returns 1/√(σ² + ε).
    #[inline(always)]
    fn center(self, centered: &mut [T]) -> [T; COLUMNS] {
        let Self { input, plane, first, len, epsilon } = self;
        let share = T::ONE / T::cast((input.len() / plane) as f64);
        let mut mean = [T::ZERO; COLUMNS];
        for (row, channel) in centered.chunks_exact_mut(COLUMNS).zip(input.chunks_exact(plane)) {
            row[..len].copy_from_slice(&channel[first..][..len]);
            for (mean, &x) in mean.iter_mut().zip(&*row) {
                *mean += x;
            }
        }
        mean.iter_mut().for_each(|mean| *mean *= share);
        let mut squares = [T::ZERO; COLUMNS];
        for row in centered.chunks_exact_mut(COLUMNS) {
            for ((x, mean), square) in row.iter_mut().zip(&mean).zip(&mut squares) {
                *x -= *mean;
                *square += *x * *x;
            }
        }
        squares.map(|square| T::ONE / num_traits::Float::sqrt(square * share + epsilon))
    }
}

struct Normalize<'a, 'b, T> {
    columns: Columns<'a, T>,
    /// γ, then β.
    params: &'a [T],
    /// `[C, COLUMNS]` of scratch.
    centered: &'a mut [T],
    output: &'a mut [&'b mut [T]],
}

impl<T: Real> Kernel for Normalize<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { columns, params, centered, output } = self;
        let inv_std = columns.center(centered);
        let (gamma, beta) = params.split_at(output.len());
        for (c, (output, centered)) in output.iter_mut().zip(centered.chunks_exact(COLUMNS)).enumerate() {
            for (y, (x, inv_std)) in output.iter_mut().zip(centered.iter().zip(&inv_std)) {
                *y = isa.mul_add(*x * *inv_std, gamma[c], beta[c]);
            }
        }
    }
}

struct Gradients<'a, 'b, T> {
    columns: Columns<'a, T>,
    gamma: &'a [T],
    grad_output: &'a [T],
    /// Scratch for x̂, `[C, COLUMNS]`.
    normalized: &'a mut [T],
    /// Scratch for γ·dy, `[C, COLUMNS]`.
    grads: &'a mut [T],
    /// Empty if the gradient of the input is not wanted.
    grad_input: &'a mut [&'b mut [T]],
}

impl<T: Real> Kernel for Gradients<'_, '_, T> {
    /// These columns' share of dγ, then of dβ.
    type Output = Vec<f64>;

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> Vec<f64> {
        let Self { columns, gamma, grad_output, normalized, grads, grad_input } = self;
        let Columns { plane, first, len, .. } = columns;
        let channels = gamma.len();
        let inv_std = columns.center(normalized);
        let mut grad_params = vec![0.0; 2 * channels];
        let (mut sum, mut sum_x) = ([T::ZERO; COLUMNS], [T::ZERO; COLUMNS]);
        let rows = normalized.chunks_exact_mut(COLUMNS).zip(grads.chunks_exact_mut(COLUMNS));
        for (c, (x, g)) in rows.enumerate() {
            let dy = &grad_output[c * plane + first..][..len];
            for (x, inv_std) in x.iter_mut().zip(&inv_std) {
                *x *= *inv_std;
            }
            // 1. dγ = Σ dy·x̂ and dβ = Σ dy.
            (grad_params[c], grad_params[channels + c]) = sum_two(dy, &x[..len], |dy, x| (dy * x, dy));
            // 2. With g = γ·dy: Σ_c g and Σ_c g·x̂ at each pixel.
            for (n, &dy) in dy.iter().enumerate() {
                g[n] = gamma[c] * dy;
                sum[n] += g[n];
                sum_x[n] = isa.mul_add(g[n], x[n], sum_x[n]);
            }
        }
        // 3. dx = (g − Σ g/C − x̂·Σ g·x̂/C)/√(σ² + ε).
        let share = T::ONE / T::cast(channels as f64);
        let rows = normalized.chunks_exact(COLUMNS).zip(grads.chunks_exact(COLUMNS));
        for (dx, (x, g)) in grad_input.iter_mut().zip(rows) {
            for (n, dx) in dx.iter_mut().enumerate() {
                *dx = inv_std[n] * isa.mul_add(-share * sum_x[n], x[n], isa.mul_add(-share, sum[n], g[n]));
            }
        }
        grad_params
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::OpSizes;
    use crate::nn::testing::{assert_vjp, noise};

    #[test]
    fn vjp_matches_central_differences() {
        // Channels, pixels, batch: one channel gives β alone; more columns than one task.
        for (channels, pixels, batch) in [(1, 3, 2), (2, 1, 1), (7, 6, 3), (5, 1, 17), (3, 15, 18)] {
            let sizes = LayerNormSizes { channels, pixels, epsilon: 1e-2 };
            let (input, params) = (noise(1, sizes.input_len(batch)), noise(2, sizes.num_parameters()));
            let forward = |io: ForwardSlices<'_, f64>| layer_norm(&sizes, io);
            assert_vjp(batch, &input, &params, input.len(), forward, |io| layer_norm_vjp(&sizes, io));
        }
    }
}
