//! Complex activations on the processor: one task a channel.

use cfconv_fft::Real;
use cfconv_fft::simd::{Isa, Kernel, dispatch};
use rayon::prelude::*;

use super::function::{Cardioid, ComplexFunction, Crelu, Modrelu, PhaseGate, Zrelu};
use super::{ComplexActivation, ComplexActivationOp, ComplexActivationSizes};
use crate::device::{Cpu, Result};
use crate::nn::lane_sum::LaneSums;
use crate::nn::slices::{BackwardSlices, ForwardSlices};
use crate::nn::{Backward, Forward};

impl ComplexActivationOp for Cpu {
    fn complex_activation_kernel(&self, sizes: &ComplexActivationSizes, io: Forward<'_, Self>) -> Result<()> {
        complex_activation(sizes, io.into_slices());
        Ok(())
    }

    fn complex_activation_vjp_kernel(
        &self,
        sizes: &ComplexActivationSizes,
        io: Backward<'_, Self>,
    ) -> Result<()> {
        complex_activation_vjp(sizes, io.into_slices());
        Ok(())
    }
}

/// Calls a generic function with the type of the function that a [`ComplexActivation`] names and its number of
/// parameters.
macro_rules! with_function {
    ($function:expr, $call:ident::<$scalar:ident>($($argument:expr),*)) => {
        match $function {
            ComplexActivation::Modrelu => $call::<$scalar, 1, Modrelu<$scalar>>($($argument),*),
            ComplexActivation::Crelu => $call::<$scalar, 0, Crelu>($($argument),*),
            ComplexActivation::Zrelu => $call::<$scalar, 0, Zrelu>($($argument),*),
            ComplexActivation::Cardioid => $call::<$scalar, 0, Cardioid>($($argument),*),
            ComplexActivation::PhaseGate => $call::<$scalar, 3, PhaseGate<$scalar>>($($argument),*),
        }
    };
}

/// See [`ComplexActivationOp::complex_activation`].
fn complex_activation<T: Real>(sizes: &ComplexActivationSizes, io: ForwardSlices<'_, T>) {
    with_function!(sizes.function, forward::<T>(sizes, io));
}

/// See [`ComplexActivationOp::complex_activation_vjp`].
fn complex_activation_vjp<T: Real>(sizes: &ComplexActivationSizes, io: BackwardSlices<'_, T>) {
    with_function!(sizes.function, backward::<T>(sizes, io));
}

fn forward<T: Real, const K: usize, F: ComplexFunction<T, K>>(
    sizes: &ComplexActivationSizes,
    io: ForwardSlices<'_, T>,
) {
    let ForwardSlices { batch, input, params, output } = io;
    let plane = sizes.spectrum.plane_len(batch);
    output.par_chunks_mut(plane).zip(input.par_chunks(plane)).enumerate().for_each(|(c, (output, input))| {
        let function = F::of_channel(params, sizes.spectrum.channels, c);
        dispatch(Values::<T, K, F> { function, batch, input, output });
    });
}

fn backward<T: Real, const K: usize, F: ComplexFunction<T, K>>(
    sizes: &ComplexActivationSizes,
    io: BackwardSlices<'_, T>,
) {
    let BackwardSlices { batch, input, params, grad_output, grad_input, grad_params } = io;
    let channels = sizes.spectrum.channels;
    let plane = sizes.spectrum.plane_len(batch);
    let mut planes: Vec<Option<&mut [T]>> = match grad_input {
        Some(grad_input) => grad_input.chunks_mut(plane).map(Some).collect(),
        None => (0..channels).map(|_| None).collect(),
    };
    let sums: Vec<[f64; K]> = planes
        .par_iter_mut()
        .zip(input.par_chunks(plane).zip(grad_output.par_chunks(plane)))
        .enumerate()
        .map(|(c, (grad_input, (input, grad_output)))| {
            let function = F::of_channel(params, channels, c);
            if let Some(grad_input) = grad_input {
                dispatch(GradientInput::<T, K, F> { function, batch, input, grad_output, grad_input });
            }
            if K == 0 {
                [0.0; K]
            } else {
                dispatch(GradientSums::<T, K, F> { function, batch, input, grad_output })
            }
        })
        .collect();
    for (c, sums) in sums.iter().enumerate() {
        for (k, &sum) in sums.iter().enumerate() {
            grad_params[k * channels + c] += T::cast(sum);
        }
    }
}

/// One channel, `[H, Wr, 2, B]`.
struct Values<'a, T, const K: usize, F> {
    function: F,
    batch: usize,
    input: &'a [T],
    output: &'a mut [T],
}

impl<T: Real, const K: usize, F: ComplexFunction<T, K>> Kernel for Values<'_, T, K, F> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { function, batch, input, output } = self;
        for (output, input) in output.chunks_exact_mut(2 * batch).zip(input.chunks_exact(2 * batch)) {
            let ((y_re, y_im), (z_re, z_im)) = (output.split_at_mut(batch), input.split_at(batch));
            for b in 0..batch {
                [y_re[b], y_im[b]] = function.value(isa, [z_re[b], z_im[b]]);
            }
        }
    }
}

struct GradientInput<'a, T, const K: usize, F> {
    function: F,
    batch: usize,
    input: &'a [T],
    grad_output: &'a [T],
    grad_input: &'a mut [T],
}

impl<T: Real, const K: usize, F: ComplexFunction<T, K>> Kernel for GradientInput<'_, T, K, F> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { function, batch, input, grad_output, grad_input } = self;
        let bins = grad_input
            .chunks_exact_mut(2 * batch)
            .zip(input.chunks_exact(2 * batch).zip(grad_output.chunks_exact(2 * batch)));
        for (dz, (z, dy)) in bins {
            let (dz_re, dz_im) = dz.split_at_mut(batch);
            let ((z_re, z_im), (dy_re, dy_im)) = (z.split_at(batch), dy.split_at(batch));
            for b in 0..batch {
                let (dz, _) = function.vjp(isa, [z_re[b], z_im[b]], [dy_re[b], dy_im[b]]);
                [dz_re[b], dz_im[b]] = dz;
            }
        }
    }
}

struct GradientSums<'a, T, const K: usize, F> {
    function: F,
    batch: usize,
    input: &'a [T],
    grad_output: &'a [T],
}

impl<T: Real, const K: usize, F: ComplexFunction<T, K>> Kernel for GradientSums<'_, T, K, F> {
    type Output = [f64; K];

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> [f64; K] {
        let Self { function, batch, input, grad_output } = self;
        let mut sums = LaneSums::<T, K>::default();
        for (z, dy) in input.chunks_exact(2 * batch).zip(grad_output.chunks_exact(2 * batch)) {
            let ((z_re, z_im), (dy_re, dy_im)) = (z.split_at(batch), dy.split_at(batch));
            sums.add([z_re, z_im, dy_re, dy_im], |[z_re, z_im, dy_re, dy_im]| {
                function.vjp(isa, [z_re, z_im], [dy_re, dy_im]).1
            });
        }
        sums.totals()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::{assert_vjp, noise};
    use crate::nn::{OpSizes, SpectrumSizes};

    const SIZES: [(usize, usize, usize, usize); 5] =
        [(1, 1, 1, 1), (3, 2, 5, 5), (2, 4, 4, 1), (2, 1, 2, 33), (1, 3, 4, 16)];

    #[test]
    fn vjp_matches_central_differences() {
        for (channels, height, width, batch) in SIZES {
            for function in ComplexActivation::ALL {
                let spectrum = SpectrumSizes { channels, height, width };
                let sizes = ComplexActivationSizes { spectrum, function };
                // Away from the kinks of the rectifiers, which differences would cross.
                let away = |x: f64| x + 0.05 * x.signum();
                let input: Vec<f64> = noise(1, spectrum.len(batch)).iter().map(|&x| away(4.0 * x)).collect();
                let params: Vec<f64> =
                    noise(2, sizes.num_parameters()).iter().map(|x| 0.05 * x + 0.02).collect();
                let forward = |io: ForwardSlices<'_, f64>| complex_activation(&sizes, io);
                let backward = |io: BackwardSlices<'_, f64>| complex_activation_vjp(&sizes, io);
                assert_vjp(batch, &input, &params, input.len(), forward, backward);
            }
        }
    }
}
