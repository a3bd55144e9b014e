//! Group normalisation on the processor: a task takes one group, `[rows, B]`, the images side by side in lanes.

use cfconv_fft::Real;
use cfconv_fft::simd::{Isa, Kernel, dispatch};
use rayon::prelude::*;

use super::{GroupNormOp, GroupNormSizes};
use crate::device::{Cpu, Result};
use crate::nn::slices::{BackwardSlices, ForwardSlices};
use crate::nn::{Backward, Forward};

/// Rows that are summed in the working precision before their sum is added in `f64`.
const ROWS: usize = 64;

impl GroupNormOp for Cpu {
    fn group_norm_kernel(&self, sizes: &GroupNormSizes, io: Forward<'_, Self>) -> Result<()> {
        group_norm(sizes, io.into_slices());
        Ok(())
    }

    fn group_norm_vjp_kernel(&self, sizes: &GroupNormSizes, io: Backward<'_, Self>) -> Result<()> {
        group_norm_vjp(sizes, io.into_slices());
        Ok(())
    }
}

/// See [`GroupNormOp::group_norm`].
fn group_norm<T: Real>(sizes: &GroupNormSizes, io: ForwardSlices<'_, T>) {
    let ForwardSlices { batch, input, params, output } = io;
    let (gamma, beta) = params.split_at(sizes.channels);
    let (len, channels) = (sizes.group_len() * batch, sizes.group_channels());
    output
        .par_chunks_mut(len)
        .zip(input.par_chunks(len))
        .zip(gamma.par_chunks(channels).zip(beta.par_chunks(channels)))
        .for_each(|((output, input), (gamma, beta))| {
            let group = Group { input, batch, epsilon: T::cast(f64::from(sizes.epsilon)) };
            dispatch(Normalize { group, gamma, beta, output });
        });
}

/// See [`GroupNormOp::group_norm_vjp`].
fn group_norm_vjp<T: Real>(sizes: &GroupNormSizes, io: BackwardSlices<'_, T>) {
    let BackwardSlices { batch, input, params, grad_output, grad_input, grad_params } = io;
    let (len, channels) = (sizes.group_len() * batch, sizes.group_channels());
    let (grad_gamma, grad_beta) = grad_params.split_at_mut(sizes.channels);
    let grad_inputs: Vec<_> = match grad_input {
        Some(grad_input) => grad_input.chunks_mut(len).map(Some).collect(),
        None => (0..sizes.groups).map(|_| None).collect(),
    };
    grad_inputs
        .into_par_iter()
        .zip(input.par_chunks(len).zip(grad_output.par_chunks(len)))
        .zip(params[..sizes.channels].par_chunks(channels))
        .zip(grad_gamma.par_chunks_mut(channels).zip(grad_beta.par_chunks_mut(channels)))
        .for_each(|(((grad_input, (input, grad_output)), gamma), (grad_gamma, grad_beta))| {
            let group = Group { input, batch, epsilon: T::cast(f64::from(sizes.epsilon)) };
            dispatch(Gradients { group, gamma, grad_output, grad_input, grad_gamma, grad_beta });
        });
}

/// One group of all images, `[rows, B]`: its channels one after another, the pixels of each.
#[derive(Clone, Copy)]
struct Group<'a, T> {
    input: &'a [T],
    batch: usize,
    epsilon: T,
}

/// Mean and 1/√(σ² + ε) of each image.
struct Moments<T> {
    mean: Vec<T>,
    inv_std: Vec<T>,
}

impl<T: Real> Group<'_, T> {
    #[inline(always)]
    fn moments(self) -> Moments<T> {
        let Self { input, batch, epsilon } = self;
        let share = batch as f64 / input.len() as f64;
        let mut mean = vec![T::ZERO; batch];
        let [sums] = column_sums([input], batch, |_, [x]| [x]);
        mean.iter_mut().zip(sums).for_each(|(mean, sum)| *mean = T::cast(sum * share));
        let [squares] = column_sums([input], batch, |b, [x]| [(x - mean[b]) * (x - mean[b])]);
        let inv_std = squares.into_iter().map(|square| {
            let variance = T::cast(square * share);
            T::ONE / num_traits::Float::sqrt(variance + epsilon)
        });
        Moments { inv_std: inv_std.collect(), mean }
    }
}

/// K sums over the rows of N arrays `[rows, B]`, one for each image; `terms` gets the image and the values.
#[inline(always)]
fn column_sums<T: Real, const N: usize, const K: usize>(
    arrays: [&[T]; N],
    batch: usize,
    terms: impl Fn(usize, [T; N]) -> [T; K],
) -> [Vec<f64>; K] {
    let mut totals: [Vec<f64>; K] = std::array::from_fn(|_| vec![0.0; batch]);
    let mut sums: [Vec<T>; K] = std::array::from_fn(|_| vec![T::ZERO; batch]);
    let rows = arrays[0].len() / batch;
    for first in (0..rows).step_by(ROWS) {
        for row in first..rows.min(first + ROWS) {
            let values = arrays.map(|array| &array[row * batch..][..batch]);
            let sums = sums.each_mut().map(|sums| &mut sums[..batch]);
            for b in 0..batch {
                let terms = terms(b, values.map(|values| values[b]));
                for k in 0..K {
                    sums[k][b] += terms[k];
                }
            }
        }
        for (totals, sums) in totals.iter_mut().zip(&mut sums) {
            for (total, sum) in totals.iter_mut().zip(sums) {
                *total += sum.as_f64();
                *sum = T::ZERO;
            }
        }
    }
    totals
}

struct Normalize<'a, T> {
    group: Group<'a, T>,
    gamma: &'a [T],
    beta: &'a [T],
    output: &'a mut [T],
}

impl<T: Real> Kernel for Normalize<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { group: group @ Group { input, batch, .. }, gamma, beta, output } = self;
        let Moments { mean, inv_std } = group.moments();
        let plane = input.len() / gamma.len();
        for (c, (output, input)) in output.chunks_mut(plane).zip(input.chunks(plane)).enumerate() {
            for (y, x) in output.chunks_mut(batch).zip(input.chunks(batch)) {
                for b in 0..batch {
                    y[b] = isa.mul_add((x[b] - mean[b]) * inv_std[b], gamma[c], beta[c]);
                }
            }
        }
    }
}

struct Gradients<'a, T> {
    group: Group<'a, T>,
    gamma: &'a [T],
    grad_output: &'a [T],
    grad_input: Option<&'a mut [T]>,
    grad_gamma: &'a mut [T],
    grad_beta: &'a mut [T],
}

impl<T: Real> Kernel for Gradients<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { group: group @ Group { input, batch, .. }, gamma, grad_output, grad_input, .. } = self;
        let Moments { mean, inv_std } = group.moments();
        let (plane, rows) = (input.len() / gamma.len(), input.len() / batch);
        let normalized = |b: usize, x: T| (x - mean[b]) * inv_std[b];
        // 1. For each channel dβ = Σ dy and dγ = Σ dy·x̂; for each image Σ g and Σ g·x̂ over the group.
        let (mut sum, mut sum_x) = (vec![0.0; batch], vec![0.0; batch]);
        for (c, (x, dy)) in input.chunks(plane).zip(grad_output.chunks(plane)).enumerate() {
            let [dy, dy_x] = column_sums([x, dy], batch, |b, [x, dy]| [dy, dy * normalized(b, x)]);
            self.grad_beta[c] += T::cast(dy.iter().sum());
            self.grad_gamma[c] += T::cast(dy_x.iter().sum());
            let gamma = gamma[c].as_f64();
            for b in 0..batch {
                sum[b] += gamma * dy[b];
                sum_x[b] += gamma * dy_x[b];
            }
        }
        // 2. dx = (g − Σ g/n − x̂·Σ g·x̂/n)/√(σ² + ε).
        let Some(grad_input) = grad_input else { return };
        let share =
            |sums: Vec<f64>| -> Vec<T> { sums.iter().map(|sum| T::cast(sum / rows as f64)).collect() };
        let (sum, sum_x) = (share(sum), share(sum_x));
        let planes = input.chunks(plane).zip(grad_output.chunks(plane));
        for (c, (grad_input, (input, grad_output))) in grad_input.chunks_mut(plane).zip(planes).enumerate() {
            let rows = input.chunks(batch).zip(grad_output.chunks(batch));
            for (dx, (x, dy)) in grad_input.chunks_mut(batch).zip(rows) {
                for b in 0..batch {
                    let centered = isa.mul_add(gamma[c], dy[b], -sum[b]);
                    dx[b] = inv_std[b] * isa.mul_add(-sum_x[b], normalized(b, x[b]), centered);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::OpSizes;
    use crate::nn::testing::{assert_vjp, noise};

    #[test]
    fn vjp_matches_central_differences() {
        // Channels, groups, pixels, batch: one value in a group gives β alone; more rows than are summed at a time.
        for (channels, groups, pixels, batch) in
            [(1, 1, 1, 2), (2, 1, 3, 1), (6, 3, 5, 3), (4, 4, 7, 17), (4, 2, 35, 2)]
        {
            let sizes = GroupNormSizes { channels, pixels, groups, epsilon: 1e-2 };
            let (input, params) = (noise(1, sizes.input_len(batch)), noise(2, sizes.num_parameters()));
            let forward = |io: ForwardSlices<'_, f64>| group_norm(&sizes, io);
            assert_vjp(batch, &input, &params, input.len(), forward, |io| group_norm_vjp(&sizes, io));
        }
    }
}
