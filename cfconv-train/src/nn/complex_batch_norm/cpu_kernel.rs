//! Complex batch normalisation on the processor: one task a channel, whose later passes find the channel in cache.

use cfconv_fft::Real;
use cfconv_fft::simd::{Isa, Kernel, dispatch};
use rayon::prelude::*;

use super::whitening::{Matrix, Symmetric, inverse_root_gradient, product};
use super::{ComplexBatchNormOp, ComplexBatchNormSizes};
use crate::device::{Cpu, Result, Span};
use crate::nn::lane_sum::LaneSums;
use crate::nn::slices::{BackwardSlices, ForwardSlices};
use crate::nn::{Backward, BatchStatistics, Forward};

impl ComplexBatchNormOp for Cpu {
    fn complex_batch_norm_train_kernel(
        &self,
        sizes: &ComplexBatchNormSizes,
        statistics: BatchStatistics<'_, Self>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        let BatchStatistics { running, saved } = statistics;
        complex_batch_norm_train(sizes, running.into_slice(), saved.into_slice(), io.into_slices());
        Ok(())
    }

    fn complex_batch_norm_vjp_kernel(
        &self,
        sizes: &ComplexBatchNormSizes,
        saved: Span<'_, Self>,
        io: Backward<'_, Self>,
    ) -> Result<()> {
        complex_batch_norm_vjp(sizes, saved.as_slice(), io.into_slices());
        Ok(())
    }

    fn complex_batch_norm_eval_kernel(
        &self,
        sizes: &ComplexBatchNormSizes,
        running: Span<'_, Self>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        complex_batch_norm_eval(sizes, running.as_slice(), io.into_slices());
        Ok(())
    }
}

/// See [`ComplexBatchNormOp::complex_batch_norm_train`].
fn complex_batch_norm_train<T: Real>(
    sizes: &ComplexBatchNormSizes,
    running: &mut [T],
    saved: &mut [T],
    io: ForwardSlices<'_, T>,
) {
    let ForwardSlices { batch, input, params, output } = io;
    let (rings, channels) = (sizes.rings(), sizes.spectrum.channels);
    let ring_of_bins = sizes.ring_of_bins();
    let counts = ring_counts(&ring_of_bins, rings, batch);
    let plane = sizes.spectrum.plane_len(batch);
    let moments: Vec<Vec<[T; 5]>> = output
        .par_chunks_mut(plane)
        .zip(input.par_chunks(plane))
        .enumerate()
        .map(|(c, (output, input))| {
            let bins = Bins { batch, ring_of_bins: &ring_of_bins };
            let moments = dispatch(Moments { bins, counts: &counts, input });
            let parameters = Parameters::of_channel(params, channels, c);
            let maps: Vec<_> = moments.iter().map(|&ring| parameters.map(sizes, ring)).collect();
            dispatch(Apply { bins, maps: &maps, input, output });
            moments
        })
        .collect();
    let momentum = T::cast(f64::from(sizes.momentum));
    for (c, moments) in moments.iter().enumerate() {
        for (r, ring) in moments.iter().enumerate() {
            let unbiased = T::cast(counts[r] / (counts[r] - 1.0).max(1.0));
            for (k, &moment) in ring.iter().enumerate() {
                let at = (k * channels + c) * rings + r;
                saved[at] = moment;
                let moment = if k < 2 { moment } else { unbiased * moment };
                running[at] += momentum * (moment - running[at]);
            }
        }
    }
}

/// See [`ComplexBatchNormOp::complex_batch_norm_vjp`].
///
/// With x = z − μ, S = V^(1/2), W = S⁻¹ and G = Σ dy·xᵀ over the n values of a ring:
/// 1. dβ = Σ dy and dΓ = G·W, its two off-diagonal entries added;
/// 2. X, the gradient of V, from Γ·G, that of W;
/// 3. dz = W·Γ·(dy − Σ dy/n) + 2/n·X·x.
fn complex_batch_norm_vjp<T: Real>(sizes: &ComplexBatchNormSizes, saved: &[T], io: BackwardSlices<'_, T>) {
    let BackwardSlices { batch, input, params, grad_output, grad_input, grad_params } = io;
    let (rings, channels) = (sizes.rings(), sizes.spectrum.channels);
    let ring_of_bins = sizes.ring_of_bins();
    let counts = ring_counts(&ring_of_bins, rings, batch);
    let plane = sizes.spectrum.plane_len(batch);
    let mut planes: Vec<Option<&mut [T]>> = match grad_input {
        Some(grad_input) => grad_input.chunks_mut(plane).map(Some).collect(),
        None => (0..channels).map(|_| None).collect(),
    };
    let gradients: Vec<[f64; 5]> = planes
        .par_iter_mut()
        .zip(input.par_chunks(plane).zip(grad_output.par_chunks(plane)))
        .enumerate()
        .map(|(c, (grad_input, (input, grad_output)))| {
            let bins = Bins { batch, ring_of_bins: &ring_of_bins };
            let moments = moments_of_channel(saved, channels, rings, c);
            let parameters = Parameters::of_channel(params, channels, c);
            let sums = dispatch(GradientSums { bins, moments: &moments, input, grad_output });
            let mut gradient = [0.0; 5];
            let mut maps = Vec::with_capacity(rings);
            for ((sums, &moments), &count) in sums.iter().zip(&moments).zip(&counts) {
                let [dy_r, dy_i, rr, ri, ir, ii] = *sums;
                let outer = [[rr, ri], [ir, ii]];
                let root = root(sizes, moments);
                let whitening = root.inverse().matrix();
                let gamma = product(outer, whitening);
                let ring = [gamma[0][0], gamma[1][1], gamma[0][1] + gamma[1][0], dy_r, dy_i];
                for (total, ring) in gradient.iter_mut().zip(ring) {
                    *total += ring;
                }
                let along_grad = product(whitening, parameters.gamma);
                let covariance = inverse_root_gradient(root, product(parameters.gamma, outer)).matrix();
                let mean = [dy_r / count, dy_i / count];
                maps.push(GradientMap {
                    mean: [moments[0], moments[1]],
                    along_grad: cast(along_grad),
                    along_z: cast(covariance.map(|row| row.map(|entry| 2.0 / count * entry))),
                    offset: [0, 1].map(|i| T::cast(-along_grad[i][0] * mean[0] - along_grad[i][1] * mean[1])),
                });
            }
            if let Some(grad_input) = grad_input {
                dispatch(GradientInput { bins, maps: &maps, input, grad_output, grad_input });
            }
            gradient
        })
        .collect();
    for (c, gradient) in gradients.iter().enumerate() {
        for (k, &gradient) in gradient.iter().enumerate() {
            grad_params[k * channels + c] += T::cast(gradient);
        }
    }
}

/// See [`ComplexBatchNormOp::complex_batch_norm_eval`].
fn complex_batch_norm_eval<T: Real>(sizes: &ComplexBatchNormSizes, running: &[T], io: ForwardSlices<'_, T>) {
    let ForwardSlices { batch, input, params, output } = io;
    let (rings, channels) = (sizes.rings(), sizes.spectrum.channels);
    let ring_of_bins = sizes.ring_of_bins();
    let plane = sizes.spectrum.plane_len(batch);
    output.par_chunks_mut(plane).zip(input.par_chunks(plane)).enumerate().for_each(|(c, (output, input))| {
        let parameters = Parameters::of_channel(params, channels, c);
        let moments = moments_of_channel(running, channels, rings, c);
        let maps: Vec<_> = moments.iter().map(|&ring| parameters.map(sizes, ring)).collect();
        let bins = Bins { batch, ring_of_bins: &ring_of_bins };
        dispatch(Apply { bins, maps: &maps, input, output });
    });
}

/// Values of each ring in a batch.
fn ring_counts(ring_of_bins: &[usize], rings: usize, batch: usize) -> Vec<f64> {
    let mut counts = vec![0.0; rings];
    for &ring in ring_of_bins {
        counts[ring] += batch as f64;
    }
    counts
}

/// The statistics of one channel's rings, from `[5, C, R]`.
fn moments_of_channel<T: Real>(statistics: &[T], channels: usize, rings: usize, c: usize) -> Vec<[T; 5]> {
    (0..rings).map(|r| std::array::from_fn(|k| statistics[(k * channels + c) * rings + r])).collect()
}

/// V^(1/2) of a ring.
fn root<T: Real>(sizes: &ComplexBatchNormSizes, [.., var_re, var_im, covariance]: [T; 5]) -> Symmetric {
    let epsilon = f64::from(sizes.epsilon);
    Symmetric { a: var_re.as_f64() + epsilon, b: var_im.as_f64() + epsilon, c: covariance.as_f64() }
        .root(epsilon)
}

fn cast<T: Real>(matrix: Matrix) -> [[T; 2]; 2] {
    matrix.map(|row| row.map(T::cast))
}

/// What a channel has learned.
struct Parameters {
    gamma: Matrix,
    beta: [f64; 2],
}

impl Parameters {
    fn of_channel<T: Real>(params: &[T], channels: usize, c: usize) -> Self {
        let [rr, ii, ri, beta_re, beta_im] = std::array::from_fn(|k| params[k * channels + c].as_f64());
        Self { gamma: [[rr, ri], [ri, ii]], beta: [beta_re, beta_im] }
    }

    fn map<T: Real>(&self, sizes: &ComplexBatchNormSizes, moments: [T; 5]) -> Map<T> {
        let whitening = root(sizes, moments).inverse().matrix();
        Map {
            mean: [moments[0], moments[1]],
            matrix: cast(product(self.gamma, whitening)),
            offset: self.beta.map(T::cast),
        }
    }
}

/// The bins of a channel, `[H, Wr, 2, B]`, and their rings.
#[derive(Clone, Copy)]
struct Bins<'a> {
    batch: usize,
    ring_of_bins: &'a [usize],
}

impl Bins<'_> {
    /// Each bin's ring and its B real and B imaginary parts.
    #[inline(always)]
    fn of<T>(self, values: &[T]) -> impl Iterator<Item = (usize, (&[T], &[T]))> {
        let bins = values.chunks_exact(2 * self.batch).map(move |bin| bin.split_at(self.batch));
        self.ring_of_bins.iter().copied().zip(bins)
    }
}

struct Moments<'a, T> {
    bins: Bins<'a>,
    counts: &'a [f64],
    input: &'a [T],
}

impl<T: Real> Kernel for Moments<'_, T> {
    type Output = Vec<[T; 5]>;

    #[inline(always)]
    fn run<I: Isa>(self, _isa: I) -> Vec<[T; 5]> {
        let Self { bins, counts, input } = self;
        let mut sums = vec![LaneSums::<T, 2>::default(); counts.len()];
        for (ring, (re, im)) in bins.of(input) {
            sums[ring].add([re, im], |parts| parts);
        }
        let means: Vec<[f64; 2]> = sums
            .into_iter()
            .zip(counts)
            .map(|(sums, count)| sums.totals().map(|total| total / count))
            .collect();
        let rounded: Vec<[T; 2]> = means.iter().map(|mean| mean.map(T::cast)).collect();
        let mut sums = vec![LaneSums::<T, 3>::default(); counts.len()];
        for (ring, (re, im)) in bins.of(input) {
            let mean = rounded[ring];
            sums[ring].add([re, im], |[re, im]| {
                let (re, im) = (re - mean[0], im - mean[1]);
                [re * re, im * im, re * im]
            });
        }
        let rings = sums.into_iter().zip(means.iter().zip(&rounded)).zip(counts);
        rings
            .map(|((sums, (mean, rounded)), count)| {
                let [re_re, im_im, re_im] = sums.totals().map(|total| total / count);
                // What rounding the means has added to the products.
                let shift = [mean[0] - rounded[0].as_f64(), mean[1] - rounded[1].as_f64()];
                [
                    rounded[0],
                    rounded[1],
                    T::cast((re_re - shift[0] * shift[0]).max(0.0)),
                    T::cast((im_im - shift[1] * shift[1]).max(0.0)),
                    T::cast(re_im - shift[0] * shift[1]),
                ]
            })
            .collect()
    }
}

/// `matrix·(z − mean) + offset`.
#[derive(Clone, Copy)]
struct Map<T> {
    mean: [T; 2],
    matrix: [[T; 2]; 2],
    offset: [T; 2],
}

struct Apply<'a, T> {
    bins: Bins<'a>,
    maps: &'a [Map<T>],
    input: &'a [T],
    output: &'a mut [T],
}

impl<T: Real> Kernel for Apply<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { bins, maps, input, output } = self;
        for (output, (ring, (z_re, z_im))) in output.chunks_exact_mut(2 * bins.batch).zip(bins.of(input)) {
            let Map { mean, matrix, offset } = maps[ring];
            let (y_re, y_im) = output.split_at_mut(bins.batch);
            for b in 0..bins.batch {
                let (re, im) = (z_re[b] - mean[0], z_im[b] - mean[1]);
                y_re[b] = isa.mul_add(matrix[0][0], re, isa.mul_add(matrix[0][1], im, offset[0]));
                y_im[b] = isa.mul_add(matrix[1][0], re, isa.mul_add(matrix[1][1], im, offset[1]));
            }
        }
    }
}

/// Σ dy and Σ dy·xᵀ of each ring.
struct GradientSums<'a, T> {
    bins: Bins<'a>,
    moments: &'a [[T; 5]],
    input: &'a [T],
    grad_output: &'a [T],
}

impl<T: Real> Kernel for GradientSums<'_, T> {
    type Output = Vec<[f64; 6]>;

    #[inline(always)]
    fn run<I: Isa>(self, _isa: I) -> Vec<[f64; 6]> {
        let Self { bins, moments, input, grad_output } = self;
        let mut sums = vec![LaneSums::<T, 6>::default(); moments.len()];
        let pairs = bins.of(input).zip(grad_output.chunks_exact(2 * bins.batch));
        for ((ring, (z_re, z_im)), grad_output) in pairs {
            let [mean_re, mean_im, ..] = moments[ring];
            let (dy_re, dy_im) = grad_output.split_at(bins.batch);
            sums[ring].add([z_re, z_im, dy_re, dy_im], |[z_re, z_im, dy_re, dy_im]| {
                let (re, im) = (z_re - mean_re, z_im - mean_im);
                [dy_re, dy_im, dy_re * re, dy_re * im, dy_im * re, dy_im * im]
            });
        }
        sums.into_iter().map(LaneSums::totals).collect()
    }
}

/// `along_grad·dy + along_z·(z − mean) + offset`.
#[derive(Clone, Copy)]
struct GradientMap<T> {
    mean: [T; 2],
    along_grad: [[T; 2]; 2],
    along_z: [[T; 2]; 2],
    offset: [T; 2],
}

struct GradientInput<'a, T> {
    bins: Bins<'a>,
    maps: &'a [GradientMap<T>],
    input: &'a [T],
    grad_output: &'a [T],
    grad_input: &'a mut [T],
}

impl<T: Real> Kernel for GradientInput<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { bins, maps, input, grad_output, grad_input } = self;
        let batch = bins.batch;
        let operands = bins.of(input).zip(grad_output.chunks_exact(2 * batch));
        for (dz, ((ring, (z_re, z_im)), dy)) in grad_input.chunks_exact_mut(2 * batch).zip(operands) {
            let GradientMap { mean, along_grad, along_z, offset } = maps[ring];
            let ((dz_re, dz_im), (dy_re, dy_im)) = (dz.split_at_mut(batch), dy.split_at(batch));
            for b in 0..batch {
                let (re, im) = (z_re[b] - mean[0], z_im[b] - mean[1]);
                let part = |i: usize| {
                    let z = isa.mul_add(along_z[i][0], re, isa.mul_add(along_z[i][1], im, offset[i]));
                    isa.mul_add(along_grad[i][0], dy_re[b], isa.mul_add(along_grad[i][1], dy_im[b], z))
                };
                (dz_re[b], dz_im[b]) = (part(0), part(1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::{assert_vjp, noise};
    use crate::nn::{OpSizes, SpectrumSizes, SpectrumStatistics};

    const SIZES: [(usize, usize, usize, usize); 5] =
        [(1, 1, 1, 2), (2, 2, 5, 17), (3, 4, 4, 3), (1, 3, 2, 33), (2, 5, 6, 1)];

    fn all_sizes() -> impl Iterator<Item = (ComplexBatchNormSizes, usize)> {
        SIZES.into_iter().flat_map(|(channels, height, width, batch)| {
            [SpectrumStatistics::Channel, SpectrumStatistics::Radial].map(|statistics| {
                let spectrum = SpectrumSizes { channels, height, width };
                (ComplexBatchNormSizes { spectrum, statistics, epsilon: 1e-3, momentum: 0.25 }, batch)
            })
        })
    }

    /// Values whose parts differ in mean and variance and are correlated.
    fn values(sizes: &ComplexBatchNormSizes, batch: usize) -> Vec<f64> {
        let mut values = noise(1, sizes.spectrum.len(batch));
        for bin in values.chunks_mut(2 * batch) {
            let (re, im) = bin.split_at_mut(batch);
            for (re, im) in re.iter_mut().zip(im) {
                (*re, *im) = (3.0 * *re + 0.5, *im - 1.5 * *re - 0.25);
            }
        }
        values
    }

    fn params(sizes: &ComplexBatchNormSizes) -> Vec<f64> {
        noise(2, sizes.num_parameters()).iter().map(|x| x + 0.3).collect()
    }

    /// Output, running statistics from (0, 0, 1, 1, 0) and saved ones.
    fn train(sizes: &ComplexBatchNormSizes, batch: usize, input: &[f64], params: &[f64]) -> [Vec<f64>; 3] {
        let len = sizes.num_statistics() / 5;
        let mut running = vec![0.0; 5 * len];
        running[2 * len..4 * len].fill(1.0);
        let (mut saved, mut output) = (vec![f64::NAN; 5 * len], vec![f64::NAN; input.len()]);
        let io = ForwardSlices { batch, input, params, output: &mut output };
        complex_batch_norm_train(sizes, &mut running, &mut saved, io);
        [output, running, saved]
    }

    /// The values of one ring of one channel as pairs.
    fn ring(
        sizes: &ComplexBatchNormSizes,
        batch: usize,
        values: &[f64],
        (c, r): (usize, usize),
    ) -> Vec<[f64; 2]> {
        let plane = &values[c * sizes.spectrum.plane_len(batch)..][..sizes.spectrum.plane_len(batch)];
        let rings = sizes.ring_of_bins();
        let bins = plane.chunks(2 * batch).zip(rings).filter(|(_, ring)| *ring == r);
        bins.flat_map(|(bin, _)| (0..batch).map(|b| [bin[b], bin[batch + b]]).collect::<Vec<_>>()).collect()
    }

    fn moments(values: &[[f64; 2]]) -> [f64; 5] {
        let mean = |f: &dyn Fn(&[f64; 2]) -> f64| values.iter().map(f).sum::<f64>() / values.len() as f64;
        let (re, im) = (mean(&|z| z[0]), mean(&|z| z[1]));
        let covariance = |i: usize, j: usize| {
            let centre = [re, im];
            mean(&|z| (z[i] - centre[i]) * (z[j] - centre[j]))
        };
        [re, im, covariance(0, 0), covariance(1, 1), covariance(0, 1)]
    }

    #[test]
    fn output_has_the_learned_mean_and_covariance() {
        for (mut sizes, batch) in all_sizes() {
            sizes.epsilon = 1e-9;
            let (input, params) = (values(&sizes, batch), params(&sizes));
            let channels = sizes.spectrum.channels;
            let [output, running, saved] = train(&sizes, batch, &input, &params);
            for c in 0..channels {
                for r in 0..sizes.rings() {
                    let before = ring(&sizes, batch, &input, (c, r));
                    let expected = moments(&before);
                    let at = |k: usize| (k * channels + c) * sizes.rings() + r;
                    let count = before.len() as f64;
                    for k in 0..5 {
                        assert!((saved[at(k)] - expected[k]).abs() < 1e-13, "{sizes:?}");
                        let unbiased = if k < 2 { 1.0 } else { count / (count - 1.0).max(1.0) };
                        let start = if k == 2 || k == 3 { 1.0 } else { 0.0 };
                        let wanted = start + 0.25 * (unbiased * expected[k] - start);
                        assert!((running[at(k)] - wanted).abs() < 1e-13, "{sizes:?}");
                    }
                    if before.len() < 3 {
                        // Two values lie on a line, one on a point: nothing to whiten.
                        continue;
                    }
                    let [rr, ii, ri, beta_re, beta_im] = std::array::from_fn(|k| params[k * channels + c]);
                    let wanted = [beta_re, beta_im, rr * rr + ri * ri, ii * ii + ri * ri, ri * (rr + ii)];
                    let got = moments(&ring(&sizes, batch, &output, (c, r)));
                    for k in 0..5 {
                        assert!((got[k] - wanted[k]).abs() < 1e-6, "{sizes:?}: {got:?} ≠ {wanted:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn vjp_matches_central_differences() {
        for (sizes, batch) in all_sizes() {
            let (input, params) = (values(&sizes, batch), params(&sizes));
            let [_, _, saved] = train(&sizes, batch, &input, &params);
            assert_vjp(
                batch,
                &input,
                &params,
                input.len(),
                |io| io.output.copy_from_slice(&train(&sizes, batch, io.input, io.params)[0]),
                |io| complex_batch_norm_vjp(&sizes, &saved, io),
            );
        }
    }

    #[test]
    fn evaluation_with_the_batch_statistics_equals_training() {
        for (sizes, batch) in all_sizes() {
            let (input, params) = (values(&sizes, batch), params(&sizes));
            let [output, _, saved] = train(&sizes, batch, &input, &params);
            let mut evaluated = vec![f64::NAN; input.len()];
            let io = ForwardSlices { batch, input: &input, params: &params, output: &mut evaluated };
            complex_batch_norm_eval(&sizes, &saved, io);
            assert_eq!(evaluated, output);
        }
    }

    #[test]
    fn values_without_any_spread_stay_finite() {
        for (sizes, batch) in all_sizes() {
            let (input, params) = (vec![0.25; sizes.spectrum.len(batch)], params(&sizes));
            let [output, _, saved] = train(&sizes, batch, &input, &params);
            let mut grad_input = vec![f64::NAN; input.len()];
            let mut grad_params = vec![0.0; params.len()];
            let io = BackwardSlices {
                batch,
                input: &input,
                params: &params,
                grad_output: &noise(3, input.len()),
                grad_input: Some(&mut grad_input),
                grad_params: &mut grad_params,
            };
            complex_batch_norm_vjp(&sizes, &saved, io);
            assert!(output.iter().chain(&grad_input).chain(&grad_params).all(|x| x.is_finite()), "{sizes:?}");
        }
    }
}
