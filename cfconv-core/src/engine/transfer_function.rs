//! A layer's kernel apart from the layer: the factor of each frequency, for images of this and of other sizes.

use cfconv_fft::lanes::LanesRfft2;
use cfconv_fft::{Complex, Real, half_width};
use cfconv_mlp::KernelGrid;
use rayon::prelude::*;

use super::backend::{EngineBackend, Outcome};
use super::cf_conv2d::Engine;
use super::plan::{EnginePlan, PlannedAlgorithm};
use crate::error::{CoreError, Result};
use crate::lattice::Lattice;
use crate::pair_planes::inverse_planes;

/// What a layer multiplies each frequency of its input by.
///
/// A frequency means cycles per image here, so that the same function serves images of the same scene with more or
/// fewer pixels: [`resampled`](Self::resampled) keeps the factors of the frequencies that both sizes have, and gives
/// zero to those that the layer has never seen.
///
/// # Shapes
/// `values` `[torus height, torus width/2 + 1, Cin, Cout]`; the torus is the image, or about twice as large where
/// images are padded with zeros.
#[derive(Debug, Clone, PartialEq)]
pub struct TransferFunction<T> {
    /// The factors.
    pub values: Vec<Complex<T>>,
    /// The torus and the channels.
    pub grid: KernelGrid,
    /// Rows and columns of the images.
    pub image: (usize, usize),
}

impl<T: Real> TransferFunction<T> {
    /// The same function on the torus `height`×`width` of images of the size `image`.
    ///
    /// On an axis that shrinks to an even size the new Nyquist frequency gets the mean of the factors of both its
    /// signs; on one that grows, both signs get the factor of the old Nyquist frequency, of whose column only the
    /// Hermitian part has had an effect and is taken. Where the tori are not equally many times as large as their
    /// images, so that bins lie between bins, the function there is the spectrum of the kernel's spatial taps.
    ///
    /// # Examples
    /// ```
    /// use cfconv_core::engine::TransferFunction;
    /// use cfconv_fft::Complex;
    /// use cfconv_mlp::KernelGrid;
    ///
    /// let grid = KernelGrid { height: 1, width: 3, in_channels: 1, out_channels: 1 };
    /// let values = vec![Complex::new(1.0, 0.0), Complex::new(0.5, 0.0)];
    /// let function = TransferFunction { values, grid, image: (1, 3) };
    /// let finer = function.resampled((1, 7), 1, 7);
    /// let factors: Vec<f64> = finer.values.iter().map(|value| value.re).collect();
    /// assert_eq!(factors, [1.0, 0.5, 0.0, 0.0]); // frequencies 2 and 3 are new
    /// ```
    pub fn resampled(&self, image: (usize, usize), height: usize, width: usize) -> Self {
        let old = self.grid;
        let bins_coincide =
            height * self.image.0 == old.height * image.0 && width * self.image.1 == old.width * image.1;
        if !bins_coincide {
            return self.between_bins(image, height, width);
        }
        let pairs = old.num_channel_pairs();
        let grid = KernelGrid { height, width, ..old };
        let mut values = vec![Complex::default(); grid.num_positions()];
        for (bin, factors) in values.chunks_exact_mut(pairs).enumerate() {
            let (p, q) = (bin / half_width(width), bin % half_width(width));
            if 2 * q > old.width {
                continue;
            }
            let rows = source_rows(p, height, old.height);
            let share = T::one() / T::cast(rows.len().max(1) as f64);
            for row in rows {
                let source = self.factors(row, q);
                // The Nyquist column of the old torus is its own mirror image.
                let mirror = (2 * q == old.width && width != old.width)
                    .then(|| self.factors((old.height - row) % old.height, q));
                for (pair, factor) in factors.iter_mut().enumerate() {
                    let value = match mirror {
                        Some(mirror) => (source[pair] + mirror[pair].conj()) * T::cast(0.5),
                        None => source[pair],
                    };
                    *factor += value * share;
                }
            }
        }
        Self { values, grid, image }
    }

    /// As [`resampled`](Self::resampled) for any torus: the discrete-time Fourier transform of the spatial taps.
    fn between_bins(&self, image: (usize, usize), height: usize, width: usize) -> Self {
        let old = self.grid;
        let grid = KernelGrid { height, width, ..old };
        let pairs = old.num_channel_pairs();
        let mut values = vec![Complex::default(); grid.num_positions()];
        // Sizes of a torus that exists have a plan.
        let Ok(plan) = LanesRfft2::<T>::try_new(old.height, old.width) else {
            return Self { values, grid, image };
        };
        let rows = TapPhases::<T>::new((old.height, self.image.0), (height, image.0), height);
        let columns = TapPhases::<T>::new((old.width, self.image.1), (width, image.1), half_width(width));
        let scale = T::one() / T::cast((old.height * old.width) as f64);
        inverse_planes(
            &plan,
            pairs,
            &self.values,
            scale,
            |_| T::one(),
            |range, taps| {
                let lanes = range.len();
                // Along columns, [new columns][old rows][lanes], then along rows.
                let by_column: Vec<Vec<Complex<T>>> = (0..half_width(width))
                    .into_par_iter()
                    .map(|q| {
                        let mut transformed = vec![Complex::default(); old.height * lanes];
                        for (row, taps) in
                            transformed.chunks_exact_mut(lanes).zip(taps.chunks_exact(old.width * lanes))
                        {
                            for (phase, taps) in columns.of(q).iter().zip(taps.chunks_exact(lanes)) {
                                for (value, &tap) in row.iter_mut().zip(taps) {
                                    *value += phase * tap;
                                }
                            }
                        }
                        transformed
                    })
                    .collect();
                values.par_chunks_exact_mut(half_width(width) * pairs).enumerate().for_each(|(p, row)| {
                    for (bin, transformed) in row.chunks_exact_mut(pairs).zip(&by_column) {
                        for (phase, summands) in rows.of(p).iter().zip(transformed.chunks_exact(lanes)) {
                            for (value, summand) in bin[range.clone()].iter_mut().zip(summands) {
                                *value += phase * summand;
                            }
                        }
                    }
                });
            },
        );
        Self { values, grid, image }
    }

    /// The factors of one bin, `[Cin, Cout]`.
    fn factors(&self, p: usize, q: usize) -> &[Complex<T>] {
        let pairs = self.grid.num_channel_pairs();
        &self.values[(p * self.grid.half_width() + q) * pairs..][..pairs]
    }
}

/// What the taps of one axis are multiplied by in the transform at the frequencies of another torus.
struct TapPhases<T> {
    phases: Vec<Complex<T>>,
    taps: usize,
}

impl<T: Real> TapPhases<T> {
    /// For the first `frequencies` bins of the torus and the image `new`, both in pixels, with the taps of `old`.
    /// Frequencies that the old image lacks have zeros. The mean of both signs stands where a sign is not defined: at
    /// the tap half a torus away and at the new Nyquist frequency.
    fn new(old: (usize, usize), new: (usize, usize), frequencies: usize) -> Self {
        let (taps, pixels) = old;
        let (torus, new_pixels) = new;
        let phase = |bin: usize, tap: usize| {
            let is_nyquist = 2 * bin == torus;
            let signed = if 2 * bin > torus { bin as f64 - torus as f64 } else { bin as f64 };
            let offset = if 2 * tap > taps { tap as f64 - taps as f64 } else { tap as f64 };
            // In cycles per image, then per old pixel.
            let cycles = signed * new_pixels as f64 / torus as f64;
            if 2.0 * cycles.abs() > pixels as f64 {
                return Complex::default();
            }
            let angle = -2.0 * std::f64::consts::PI * cycles / pixels as f64 * offset;
            let sine = if is_nyquist || 2 * tap == taps { 0.0 } else { angle.sin() };
            Complex::new(T::cast(angle.cos()), T::cast(sine))
        };
        let phases = (0..frequencies).flat_map(|bin| (0..taps).map(move |tap| phase(bin, tap))).collect();
        Self { phases, taps }
    }

    /// The factors of all taps at a frequency.
    fn of(&self, bin: usize) -> &[Complex<T>] {
        &self.phases[bin * self.taps..][..self.taps]
    }
}

/// The rows of a torus of `old` rows that hold the frequency of row `p` of `new` rows: none if it has none, both
/// signs of what becomes the Nyquist frequency.
fn source_rows(p: usize, new: usize, old: usize) -> Vec<usize> {
    let (frequency, negative) = if 2 * p <= new { (p, false) } else { (new - p, true) };
    if 2 * frequency > old {
        return vec![];
    }
    let row = |negative: bool| if negative { (old - frequency) % old } else { frequency };
    if 2 * frequency == new && new < old {
        return vec![row(false), row(true)];
    }
    vec![row(negative)]
}

impl<B: EngineBackend> Engine<B> {
    /// The transfer function of the kernel that the current evaluation uses; of a lattice that of the taps.
    ///
    /// # Errors
    /// [`CoreError::WrongOrder`] unless an evaluation has begun.
    pub fn transfer_function(&self) -> Outcome<B, TransferFunction<B::Real>> {
        let Some(kernel) = self.kernel_of_evaluation() else {
            let op = "CfConv2dEngine::transfer_function";
            return Err(CoreError::WrongOrder { op, needed: "begin_evaluation" }.into());
        };
        let values = self.backend.values_to_host(kernel)?;
        let plan = self.plan();
        let (height, width) = plan.dense_torus();
        let grid = KernelGrid { height, width, ..plan.grid };
        let values = match plan.algorithm {
            PlannedAlgorithm::Spectral => values.into_owned(),
            PlannedAlgorithm::LatticeFft | PlannedAlgorithm::LatticeDirect => {
                lattice_spectrum(plan, &values, &grid)?
            }
        };
        Ok(TransferFunction { values, grid, image: plan.image() })
    }

    /// Begins an evaluation with the kernel of another layer, resampled to this one's images; the training state
    /// stays as it is.
    ///
    /// # Errors
    /// [`CoreError::ShapeMismatch`] if the channels differ; [`CoreError::InvalidSetting`] if this layer's sampler is
    /// a lattice, which has no place for the kernel.
    pub fn begin_transferred_evaluation(&mut self, function: &TransferFunction<B::Real>) -> Outcome<B> {
        let (grid, algorithm) = (self.plan().grid, self.plan().algorithm);
        let channels = |grid: KernelGrid| vec![grid.in_channels, grid.out_channels];
        if channels(grid) != channels(function.grid) {
            return Err(CoreError::ShapeMismatch {
                op: "CfConv2dEngine::begin_transferred_evaluation",
                operand: "channels of the function",
                expected: channels(grid),
                got: channels(function.grid),
            }
            .into());
        }
        if algorithm != PlannedAlgorithm::Spectral {
            return Err(CoreError::InvalidSetting {
                setting: "sampler.kind",
                expected: "any but the lattice for a transferred kernel",
                got: self.config().sampler.kind().to_owned(),
            }
            .into());
        }
        let image = self.plan().image();
        self.begin_evaluation_of(&function.resampled(image, grid.height, grid.width).values)
    }
}

/// The spectrum on `grid` of the taps that a lattice's values give.
fn lattice_spectrum<T: Real>(
    plan: &EnginePlan,
    values: &[Complex<T>],
    grid: &KernelGrid,
) -> Result<Vec<Complex<T>>> {
    let lattice = Lattice::try_new(plan.grid.height, grid.in_channels, grid.out_channels)?;
    let mut taps = vec![T::zero(); lattice.num_taps()];
    lattice.taps(values, &mut taps)?;
    let torus = LanesRfft2::try_new(grid.height, grid.width)?;
    let mut spectrum = vec![Complex::default(); grid.num_positions()];
    lattice.spectrum(&torus, &taps, &mut spectrum)?;
    Ok(spectrum)
}

#[cfg(test)]
mod tests {
    use cfconv_fft::{FftNorm, irfft2, resample_spectrum, rfft2};
    use ndarray::{Array2, Array4};

    use super::*;
    use crate::engine::{CfConv2dEngine, CfConvWorkspace, PaddingMode};
    use crate::{CfConv2dConfig, SamplerConfig, StepSeed};

    fn layer(
        height: usize,
        width: usize,
        padding: PaddingMode,
        sampler: SamplerConfig,
    ) -> CfConv2dEngine<f64> {
        let mut config = CfConv2dConfig::new(2, 3, height, width);
        config.padding = padding;
        config.sampler = sampler;
        config.bias = false;
        config.mlp.hidden_width = 8;
        CfConv2dEngine::try_new(&config).unwrap()
    }

    /// An image of noise without frequencies of `limit` cycles and more.
    fn band_limited(height: usize, width: usize, limit: usize) -> Array2<f64> {
        let noise = Array2::from_shape_fn((height, width), |(h, w)| ((h * 31 + w * 17) % 23) as f64 - 11.0);
        let mut spectrum = rfft2(noise.view(), FftNorm::Backward).unwrap();
        for ((p, q), value) in spectrum.indexed_iter_mut() {
            if p.min(height - p) >= limit || q >= limit {
                *value = Complex::default();
            }
        }
        irfft2(spectrum.view(), width, FftNorm::Backward).unwrap()
    }

    /// The same image on another grid.
    fn interpolated(image: &Array2<f64>, height: usize, width: usize) -> Array2<f64> {
        let spectrum = rfft2(image.view(), FftNorm::Backward).unwrap();
        let finer =
            resample_spectrum(spectrum.view(), image.ncols(), height, width, FftNorm::Backward).unwrap();
        irfft2(finer.view(), width, FftNorm::Backward).unwrap()
    }

    fn forward(layer: &mut CfConv2dEngine<f64>, params: &[f64], image: &Array2<f64>) -> Vec<Array2<f64>> {
        let (height, width) = image.dim();
        let input =
            Array4::from_shape_fn((2, height, width, 1), |(c, h, w, _)| image[[h, w]] * (1.0 + c as f64));
        let mut output = vec![0.0; 3 * height * width];
        let mut workspace = CfConvWorkspace::default();
        layer.forward(params, 1, input.as_slice().unwrap(), &mut output, &mut workspace).unwrap();
        let plane = |values: &[f64]| Array2::from_shape_vec((height, width), values.to_vec()).unwrap();
        output.chunks(height * width).map(plane).collect()
    }

    /// The largest absolute value; not a number if one of them is not.
    fn largest<'a>(values: impl Iterator<Item = &'a f64>) -> f64 {
        values.fold(
            0.0,
            |largest, value| if largest.is_nan() || value.abs() <= largest { largest } else { value.abs() },
        )
    }

    #[test]
    fn a_number_that_is_none_passes_no_comparison() {
        for values in [[f64::NAN, 1.0], [1.0, f64::NAN]] {
            assert!(largest(values.iter()).is_nan());
        }
        assert_eq!(largest([1.0, -3.0, 2.0].iter()), 3.0);
    }

    /// Convolving and interpolating give the same in either order, for images that both grids can hold.
    fn check(sizes: [(usize, usize); 2], padding: PaddingMode, sampler: SamplerConfig) {
        let [(height, width), (new_height, new_width)] = sizes;
        let limit = height.min(width).min(new_height).min(new_width).div_ceil(2);
        let mut trained = layer(height, width, padding, sampler);
        let mut params = vec![0.0; trained.num_parameters()];
        trained.initialize(StepSeed { run_seed: 3, layer: 0, step: 0 }, &mut params).unwrap();
        trained.begin_dense_evaluation(&params).unwrap();
        let function = trained.transfer_function().unwrap();
        let mut other = layer(new_height, new_width, padding, SamplerConfig::All {});
        other.begin_transferred_evaluation(&function).unwrap();

        let image = band_limited(height, width, limit);
        let expected = forward(&mut trained, &params, &image);
        let got = forward(&mut other, &params, &interpolated(&image, new_height, new_width));
        for (expected, got) in expected.iter().zip(&got) {
            let expected = interpolated(expected, new_height, new_width);
            let (error, size) = (largest((&expected - got).iter()), largest(expected.iter()));
            assert!(error < 1e-12 * size, "{sizes:?}: {error:e} of {size:e}");
        }
    }

    #[test]
    fn resampling_commutes_with_the_convolution() {
        for sizes in [
            [(8, 8), (12, 12)],
            [(8, 8), (6, 6)],
            [(8, 8), (8, 8)],
            [(7, 9), (11, 5)],
            [(6, 10), (9, 10)],
            [(1, 4), (1, 6)],
        ] {
            check(sizes, PaddingMode::Circular, SamplerConfig::All {});
            check(sizes, PaddingMode::Circular, SamplerConfig::Lattice { size: 3 });
        }
    }

    #[test]
    fn same_size_changes_nothing() {
        for (padding, sampler) in [
            (PaddingMode::Circular, SamplerConfig::All {}),
            (PaddingMode::Zeros, SamplerConfig::All {}),
            (PaddingMode::Zeros, SamplerConfig::Lattice { size: 3 }),
        ] {
            check([(8, 8), (8, 8)], padding, sampler);
        }
    }

    #[test]
    fn the_sum_over_taps_equals_the_bins_where_they_coincide() {
        let mut trained = layer(7, 9, PaddingMode::Circular, SamplerConfig::All {});
        let mut params = vec![0.0; trained.num_parameters()];
        trained.initialize(StepSeed { run_seed: 4, layer: 0, step: 0 }, &mut params).unwrap();
        trained.begin_dense_evaluation(&params).unwrap();
        let function = trained.transfer_function().unwrap();
        for (image, height, width) in [((7, 9), 7, 9), ((11, 5), 11, 5), ((14, 27), 14, 27)] {
            let expected = function.resampled(image, height, width);
            let got = function.between_bins(image, height, width);
            // The column of frequency zero is its own mirror: only its Hermitian part has an effect.
            let pairs = function.grid.num_channel_pairs();
            let half_width = half_width(width);
            for p in 0..height {
                for q in 0..half_width {
                    for pair in 0..pairs {
                        let at = |f: &TransferFunction<f64>, p: usize| {
                            f.values[(p * half_width + q) * pairs + pair]
                        };
                        let hermitian = |f: &TransferFunction<f64>| match q {
                            0 => (at(f, p) + at(f, (height - p) % height).conj()) * 0.5,
                            _ => at(f, p),
                        };
                        let error = (hermitian(&expected) - hermitian(&got)).norm();
                        assert!(error < 1e-12, "{height}×{width}, {p} {q} {pair}: {error:e}");
                    }
                }
            }
        }
    }

    #[test]
    fn compact_kernels_convolve_alike_on_tori_of_any_proportion() {
        // Zeros: 8 rows lie on a torus of 15, 12 on one of 24. Images that leave the border free of zeros' effect
        // do not exist, so a wide band-limited bump in the middle is compared.
        let sampler = SamplerConfig::Lattice { size: 3 };
        let mut trained = layer(8, 8, PaddingMode::Zeros, sampler);
        let mut params = vec![0.0; trained.num_parameters()];
        trained.initialize(StepSeed { run_seed: 3, layer: 0, step: 0 }, &mut params).unwrap();
        trained.begin_dense_evaluation(&params).unwrap();
        let function = trained.transfer_function().unwrap();
        assert_eq!((function.grid.height, function.image), (15, (8, 8)));
        // On the torus of the same image with other bins the layer is the same.
        let wider = function.resampled((8, 8), 20, 18);
        let apply = |function: &TransferFunction<f64>| {
            let input = Array4::from_shape_fn((1, 2, 8, 8), |(_, c, h, w)| {
                ((3 * c + 5 * h + 7 * w) % 11) as f64 - 5.0
            });
            let shape = (function.grid.height, function.grid.half_width(), 2, 3);
            let kernel = ndarray::ArrayView4::from_shape(shape, &function.values).unwrap();
            crate::naive::spectral_convolution(input.view(), kernel, function.grid.width, None)
        };
        let error = largest((apply(&function) - apply(&wider)).iter());
        assert!(error < 1e-12, "{error:e}");
        // And it can be transferred to images of 12 rows, whose torus of 24 has no bin in common but zero.
        let mut other = layer(12, 12, PaddingMode::Zeros, SamplerConfig::All {});
        other.begin_transferred_evaluation(&function).unwrap();
    }

    #[test]
    fn nyquist_bins_keep_their_effect() {
        // The alternating image of 4 pixels lies on the Nyquist frequency; on 8 pixels it is a cosine.
        let grid = KernelGrid { height: 1, width: 4, in_channels: 1, out_channels: 1 };
        let values = vec![Complex::new(1.0, 0.0), Complex::new(2.0, 0.0), Complex::new(3.0, 5.0)];
        let function = TransferFunction { values, grid, image: (1, 4) };
        let finer = function.resampled((1, 8), 1, 8);
        assert_eq!(finer.values[2], Complex::new(3.0, 0.0), "the part without effect is gone");
        assert_eq!(finer.values[3], Complex::default());
        let tall = TransferFunction {
            values: vec![Complex::new(1.0, 0.0), Complex::new(2.0, 1.0), Complex::new(6.0, 0.0)],
            grid: KernelGrid { height: 3, width: 1, ..grid },
            image: (3, 1),
        };
        let coarse = tall.resampled((2, 1), 2, 1);
        assert_eq!(coarse.values[1], Complex::new(4.0, 0.5), "the mean of both signs");
    }

    #[test]
    fn what_cannot_be_transferred_is_refused() {
        let mut trained = layer(5, 5, PaddingMode::Zeros, SamplerConfig::All {});
        let params = vec![0.0; trained.num_parameters()];
        assert!(matches!(trained.transfer_function(), Err(CoreError::WrongOrder { .. })));
        trained.begin_evaluation(&params).unwrap();
        let function = trained.transfer_function().unwrap();
        let mut lattice = layer(5, 5, PaddingMode::Zeros, SamplerConfig::Lattice { size: 3 });
        assert!(lattice.begin_transferred_evaluation(&function).is_err());
    }
}
