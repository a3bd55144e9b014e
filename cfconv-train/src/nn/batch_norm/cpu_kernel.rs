//! Batch normalisation on the processor: one task a channel, whose second pass finds the channel in cache.

use cfconv_fft::Real;
use cfconv_fft::simd::{Isa, Kernel, dispatch};
use rayon::prelude::*;

use super::{BatchNormOp, BatchNormSizes, BatchStatistics};
use crate::device::{Cpu, Result, Span};
use crate::nn::activation::function::{Function, with_function};
use crate::nn::lane_sum::{sum, sum_two};
use crate::nn::slices::{BackwardSlices, ForwardSlices};
use crate::nn::{Backward, Forward};

impl BatchNormOp for Cpu {
    fn batch_norm_train_kernel(
        &self,
        sizes: &BatchNormSizes,
        statistics: BatchStatistics<'_, Self>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        let BatchStatistics { running, saved } = statistics;
        batch_norm_train(sizes, running.into_slice(), saved.into_slice(), io.into_slices());
        Ok(())
    }

    fn batch_norm_vjp_kernel(
        &self,
        sizes: &BatchNormSizes,
        saved: Span<'_, Self>,
        io: Backward<'_, Self>,
    ) -> Result<()> {
        batch_norm_vjp(sizes, saved.as_slice(), io.into_slices());
        Ok(())
    }

    fn batch_norm_eval_kernel(
        &self,
        sizes: &BatchNormSizes,
        running: Span<'_, Self>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        batch_norm_eval(sizes, running.as_slice(), io.into_slices());
        Ok(())
    }
}

/// See [`BatchNormOp::batch_norm_train`].
fn batch_norm_train<T: Real>(
    sizes: &BatchNormSizes,
    running: &mut [T],
    saved: &mut [T],
    io: ForwardSlices<'_, T>,
) {
    let ForwardSlices { batch, input, params, output } = io;
    let (gamma, beta) = params.split_at(sizes.channels);
    let (running_mean, running_var) = running.split_at_mut(sizes.channels);
    let (saved_mean, saved_inv_std) = saved.split_at_mut(sizes.channels);
    let plane = sizes.pixels * batch;
    output
        .par_chunks_mut(plane)
        .zip(input.par_chunks(plane))
        .zip(gamma.par_iter().zip(beta))
        .zip(running_mean.par_iter_mut().zip(running_var))
        .zip(saved_mean.par_iter_mut().zip(saved_inv_std))
        .for_each(|((((output, input), (&gamma, &beta)), (mean, var)), (saved_mean, saved_inv_std))| {
            let statistics = dispatch(Statistics { input });
            let count = plane as f64;
            let momentum = T::cast(f64::from(sizes.momentum));
            let unbiased = statistics.variance * count / (count - 1.0).max(1.0);
            *mean += momentum * (T::cast(statistics.mean) - *mean);
            *var += momentum * (T::cast(unbiased) - *var);
            let inv_std = 1.0 / (statistics.variance + f64::from(sizes.epsilon)).sqrt();
            *saved_mean = T::cast(statistics.mean);
            *saved_inv_std = T::cast(inv_std);
            let scale = gamma * *saved_inv_std;
            normalize(sizes, input, *saved_mean, scale, beta, output);
        });
}

/// See [`BatchNormOp::batch_norm_vjp`].
fn batch_norm_vjp<T: Real>(sizes: &BatchNormSizes, saved: &[T], io: BackwardSlices<'_, T>) {
    let BackwardSlices { batch, input, params, grad_output, grad_input, grad_params } = io;
    let (gamma, beta) = params.split_at(sizes.channels);
    let (mean, inv_std) = saved.split_at(sizes.channels);
    let (grad_gamma, grad_beta) = grad_params.split_at_mut(sizes.channels);
    let plane = sizes.pixels * batch;
    let mut planes: Vec<Option<&mut [T]>> = match grad_input {
        Some(grad_input) => grad_input.chunks_mut(plane).map(Some).collect(),
        None => (0..sizes.channels).map(|_| None).collect(),
    };
    planes
        .par_iter_mut()
        .zip(input.par_chunks(plane).zip(grad_output.par_chunks(plane)))
        .zip(grad_gamma.par_iter_mut().zip(grad_beta))
        .enumerate()
        .for_each(|(c, ((grad_input, (input, grad_output)), (grad_gamma, grad_beta)))| {
            let channel = Channel { mean: mean[c], inv_std: inv_std[c], gamma: gamma[c], beta: beta[c] };
            with_function!(sizes.activation, function => {
                // 1. dβ = Σ dz and dγ = Σ dz·x̂, with dz = dy·f'(γ·x̂ + β).
                let (sum_dz, sum_dz_x) = dispatch(GradientSums { function, channel, input, grad_output });
                *grad_beta += T::cast(sum_dz);
                *grad_gamma += T::cast(sum_dz_x);
                // 2. dx = γ/√(σ² + ε)·(dz − dβ/n − x̂·dγ/n).
                if let Some(grad_input) = grad_input {
                    let count = plane as f64;
                    dispatch(GradientInput {
                        function,
                        channel,
                        mean_dz: T::cast(sum_dz / count),
                        mean_dz_x: T::cast(sum_dz_x / count),
                        input,
                        grad_output,
                        grad_input,
                    });
                }
            });
        });
}

/// See [`BatchNormOp::batch_norm_eval`].
fn batch_norm_eval<T: Real>(sizes: &BatchNormSizes, running: &[T], io: ForwardSlices<'_, T>) {
    let ForwardSlices { batch, input, params, output } = io;
    let (gamma, beta) = params.split_at(sizes.channels);
    let (mean, var) = running.split_at(sizes.channels);
    let plane = sizes.pixels * batch;
    output.par_chunks_mut(plane).zip(input.par_chunks(plane)).enumerate().for_each(|(c, (output, input))| {
        let scale = gamma[c] / (var[c] + T::cast(f64::from(sizes.epsilon))).sqrt();
        normalize(sizes, input, mean[c], scale, beta[c], output);
    });
}

fn normalize<T: Real>(sizes: &BatchNormSizes, input: &[T], mean: T, scale: T, beta: T, output: &mut [T]) {
    with_function!(sizes.activation, function => {
        dispatch(Normalize { function, input, mean, scale, beta, output });
    });
}

struct MeanVariance {
    mean: f64,
    variance: f64,
}

struct Statistics<'a, T> {
    input: &'a [T],
}

impl<T: Real> Kernel for Statistics<'_, T> {
    type Output = MeanVariance;

    #[inline(always)]
    fn run<I: Isa>(self, _isa: I) -> MeanVariance {
        let count = self.input.len() as f64;
        let mean = sum(self.input, |x| x) / count;
        let rounded = T::cast(mean);
        let squares = sum(self.input, |x| (x - rounded) * (x - rounded)) / count;
        // What rounding the mean has added to the squares.
        let shift = mean - rounded.as_f64();
        MeanVariance { mean, variance: (squares - shift * shift).max(0.0) }
    }
}

struct Normalize<'a, T, F> {
    function: F,
    input: &'a [T],
    mean: T,
    scale: T,
    beta: T,
    output: &'a mut [T],
}

impl<T: Real, F: Function> Kernel for Normalize<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { function, input, mean, scale, beta, output } = self;
        for (output, &x) in output.iter_mut().zip(input) {
            *output = function.value(isa, isa.mul_add(x - mean, scale, beta));
        }
    }
}

#[derive(Clone, Copy)]
struct Channel<T> {
    mean: T,
    inv_std: T,
    gamma: T,
    beta: T,
}

impl<T: Real> Channel<T> {
    /// (x̂, dz) of one value.
    #[inline(always)]
    fn recompute<I: Isa, F: Function>(self, isa: I, function: F, x: T, grad_output: T) -> (T, T) {
        let centered = x - self.mean;
        let z = isa.mul_add(centered, self.gamma * self.inv_std, self.beta);
        (centered * self.inv_std, grad_output * function.derivative(isa, z))
    }
}

struct GradientSums<'a, T, F> {
    function: F,
    channel: Channel<T>,
    input: &'a [T],
    grad_output: &'a [T],
}

impl<T: Real, F: Function> Kernel for GradientSums<'_, T, F> {
    type Output = (f64, f64);

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> (f64, f64) {
        sum_two(self.input, self.grad_output, |x, grad_output| {
            let (normalized, dz) = self.channel.recompute(isa, self.function, x, grad_output);
            (dz, dz * normalized)
        })
    }
}

struct GradientInput<'a, T, F> {
    function: F,
    channel: Channel<T>,
    mean_dz: T,
    mean_dz_x: T,
    input: &'a [T],
    grad_output: &'a [T],
    grad_input: &'a mut [T],
}

impl<T: Real, F: Function> Kernel for GradientInput<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { function, channel, mean_dz, mean_dz_x, input, grad_output, grad_input } = self;
        let scale = channel.gamma * channel.inv_std;
        for (grad_input, (&x, &grad_output)) in grad_input.iter_mut().zip(input.iter().zip(grad_output)) {
            let (normalized, dz) = channel.recompute(isa, function, x, grad_output);
            *grad_input = scale * isa.mul_add(-normalized, mean_dz_x, dz - mean_dz);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::{assert_vjp, noise};
    use crate::nn::{Activation, OpSizes};

    const BATCHES: [(usize, usize, usize); 4] = [(1, 5, 2), (3, 1, 17), (2, 49, 1), (5, 6, 16)];

    /// Computes the output and gives what is saved.
    fn forward(sizes: &BatchNormSizes, io: ForwardSlices<'_, f64>) -> Vec<f64> {
        let mut running = vec![0.0; sizes.num_statistics()];
        let mut saved = vec![f64::NAN; sizes.num_statistics()];
        batch_norm_train(sizes, &mut running, &mut saved, io);
        saved
    }

    #[test]
    fn vjp_matches_central_differences() {
        for (channels, pixels, batch) in BATCHES {
            for activation in [
                None,
                Some(Activation::Gelu),
                Some(Activation::Silu),
                Some(Activation::Relu),
                Some(Activation::Tanh),
            ] {
                let sizes = BatchNormSizes { channels, pixels, epsilon: 1e-5, momentum: 0.1, activation };
                let (input, params) = (noise(1, sizes.input_len(batch)), noise(2, sizes.num_parameters()));
                let mut output = vec![f64::NAN; input.len()];
                let io = ForwardSlices { batch, input: &input, params: &params, output: &mut output };
                let saved = forward(&sizes, io);
                assert_vjp(
                    batch,
                    &input,
                    &params,
                    input.len(),
                    |io| drop(forward(&sizes, io)),
                    |io| batch_norm_vjp(&sizes, &saved, io),
                );
            }
        }
    }
}
