//! Whether kernels ring: how much of them oscillates fast and far from their centre.

use std::ops::Range;

use cfconv_fft::lanes::LanesRfft2;
use cfconv_fft::{Complex, Real, multiplicity, signed_index};
use cfconv_mlp::KernelGrid;

use crate::engine::{Engine, EngineBackend};
use crate::error::Result;
use crate::pair_planes::inverse_planes;

/// Frequencies of at least this many cycles per sample, in rows or columns, count as near Nyquist's, 1/2.
const NEAR_NYQUIST: f64 = 0.375;

/// Offsets beyond this share of the image's size, in rows or columns, count as far from the centre.
const FAR: f64 = 0.25;

/// Offsets of up to this many pixels are never far: on images of a few pixels every kernel reaches a quarter.
const NEAR_PIXELS: f64 = 2.0;

/// How much kernels ring, over some channel pairs.
///
/// A sharp kernel has much energy near Nyquist's frequency, a wide one much far from its centre; one that rings has
/// both in the same place: tails that change sign from pixel to pixel. With k the kernel in space, t its part that
/// is farther from the centre than a quarter of the image and two pixels in rows or columns, and R the frequencies of
/// at least 3/8 cycles per sample in rows or columns:
///
/// ```text
/// nyquist_energy = Σ_R |K|² / Σ |K|²
/// overshoot      = max |t| / max |k|                                       mean over channel pairs
/// ringing        = (Σ_R |T|² / Σ |K|²) / (share of far pixels · share of R)
/// ```
///
/// `ringing` is 0 for kernels with a compact support and about 1 for white noise, which has as much energy
/// everywhere as anywhere. Kernels so small that nothing is far, or nothing near Nyquist's frequency, do not ring.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct KernelRinging {
    /// Share of the kernels' energy near Nyquist's frequency.
    pub nyquist_energy: f64,
    /// The largest value far from the centre, in units of the largest of all.
    pub overshoot: f64,
    /// Energy that is both far from the centre and near Nyquist's frequency, in units of white noise's.
    pub ringing: f64,
}

impl<B: EngineBackend> Engine<B> {
    /// Measures the ringing of the kernel state, of `max_pairs` channel pairs spread evenly over all of them.
    ///
    /// # Errors
    /// What a transform or the device reports.
    pub fn ringing(&self, max_pairs: usize) -> std::result::Result<KernelRinging, B::Error> {
        let plan = self.plan();
        let pairs = sample_pairs(plan.grid.num_channel_pairs(), max_pairs);
        let spectra = gather_pairs(&plan.grid, &self.host_state()?, &pairs);
        let image = (plan.config().height, plan.config().width);
        Ok(measure(&plan.grid, &spectra, pairs.len(), plan.torus, image)?)
    }
}

/// At most `max_pairs` of `total` channel pairs, evenly spread.
fn sample_pairs(total: usize, max_pairs: usize) -> Vec<usize> {
    let count = total.min(max_pairs.max(1));
    (0..count).map(|index| index * total / count).collect()
}

/// `[H, Wr, pairs]` from `[H, Wr, Cin·Cout]`.
fn gather_pairs<T: Real>(grid: &KernelGrid, values: &[Complex<T>], pairs: &[usize]) -> Vec<Complex<T>> {
    values
        .chunks_exact(grid.num_channel_pairs())
        .flat_map(|frequency| pairs.iter().map(|&pair| frequency[pair]))
        .collect()
}

/// Sums over channel pairs.
#[derive(Default)]
struct Sums {
    energy: f64,
    near_nyquist: f64,
    far_and_near_nyquist: f64,
    overshoot: f64,
}

/// Measures kernels `[grid.height, grid.half_width(), pairs]`, whose support is placed on `torus`, for images of
/// `image` rows and columns.
fn measure<T: Real>(
    grid: &KernelGrid,
    spectra: &[Complex<T>],
    pairs: usize,
    torus: (usize, usize),
    image: (usize, usize),
) -> Result<KernelRinging> {
    let plan = LanesRfft2::<T>::try_new(grid.height, grid.width)?;
    let torus_plan = LanesRfft2::<T>::try_new(torus.0, torus.1)?;
    let geometry = Geometry::new(torus, image);
    // Where each of the grid's pixels lies on the torus: at the same signed offset.
    let places: Vec<usize> = (0..grid.height * grid.width)
        .map(|at| {
            let row = signed_index(at / grid.width, grid.height).rem_euclid(torus.0 as isize);
            let column = signed_index(at % grid.width, grid.width).rem_euclid(torus.1 as isize);
            row as usize * torus.1 + column as usize
        })
        .collect();
    let scale = T::ONE / T::cast((grid.height * grid.width) as f64);
    let mut sums = Sums::default();
    let mut scratch = torus_plan.scratch();
    inverse_planes(
        &plan,
        pairs,
        spectra,
        scale,
        |_| T::ONE,
        |range: Range<usize>, values| {
            let lanes = range.len();
            let mut kernel = vec![T::ZERO; geometry.far.len() * lanes];
            for (values, &place) in values.chunks_exact(lanes).zip(&places) {
                for (target, &value) in kernel[place * lanes..][..lanes].iter_mut().zip(values) {
                    *target += value;
                }
            }
            sums.add(&geometry, &torus_plan, lanes, &mut kernel, &mut scratch);
        },
    );
    Ok(sums.finish(&geometry, pairs))
}

impl Sums {
    /// Adds kernels `[H, W, lanes]`; their centres are overwritten.
    fn add<T: Real>(
        &mut self,
        geometry: &Geometry,
        plan: &LanesRfft2<T>,
        lanes: usize,
        kernel: &mut [T],
        scratch: &mut [cfconv_fft::lanes::ComplexLanes<T>],
    ) {
        let mut spectrum = vec![T::ZERO; geometry.near_nyquist.len() * 2 * lanes];
        let energy: f64 = kernel.iter().map(|value| value.as_f64().powi(2)).sum();
        if !(energy.is_finite() && energy > 0.0) {
            return;
        }
        self.energy += energy;
        plan.forward(lanes, kernel, &mut spectrum, T::ONE, scratch);
        self.near_nyquist += geometry.energy_near_nyquist(lanes, &spectrum);
        let (mut largest, mut largest_far) = (vec![0.0_f64; lanes], vec![0.0_f64; lanes]);
        for (values, &far) in kernel.chunks_exact_mut(lanes).zip(&geometry.far) {
            for (lane, value) in values.iter_mut().enumerate() {
                let size = value.as_f64().abs();
                largest[lane] = largest[lane].max(size);
                if far {
                    largest_far[lane] = largest_far[lane].max(size);
                } else {
                    *value = T::ZERO;
                }
            }
        }
        let ratios = largest.iter().zip(&largest_far).filter(|&(&largest, _)| largest > 0.0);
        self.overshoot += ratios.map(|(largest, far)| far / largest).sum::<f64>();
        plan.forward(lanes, kernel, &mut spectrum, T::ONE, scratch);
        self.far_and_near_nyquist += geometry.energy_near_nyquist(lanes, &spectrum);
    }

    fn finish(&self, geometry: &Geometry, pairs: usize) -> KernelRinging {
        if self.energy == 0.0 {
            return KernelRinging::default();
        }
        let share = geometry.share_of_white_noise();
        KernelRinging {
            nyquist_energy: self.near_nyquist / self.energy,
            overshoot: self.overshoot / pairs as f64,
            ringing: if share > 0.0 { self.far_and_near_nyquist / self.energy / share } else { 0.0 },
        }
    }
}

/// Which pixels of the torus are far, and which bins near Nyquist's frequency.
struct Geometry {
    /// `[H, W]`
    far: Vec<bool>,
    /// `[H, Wr]`: the bin's weight m/(H·W) in sums of energy, 0 where the frequency is lower.
    near_nyquist: Vec<f64>,
}

impl Geometry {
    fn new((height, width): (usize, usize), (image_height, image_width): (usize, usize)) -> Self {
        let is_far = |at: usize, extent: usize, image: usize| {
            signed_index(at, extent).unsigned_abs() as f64 > NEAR_PIXELS.max(FAR * image as f64)
        };
        let is_near = |at: usize, extent: usize| {
            signed_index(at, extent).unsigned_abs() as f64 >= NEAR_NYQUIST * extent as f64
        };
        let half_width = width / 2 + 1;
        let pixels = (height * width) as f64;
        Self {
            far: (0..height * width)
                .map(|at| is_far(at / width, height, image_height) || is_far(at % width, width, image_width))
                .collect(),
            near_nyquist: (0..height * half_width)
                .map(|bin| {
                    let (row, column) = (bin / half_width, bin % half_width);
                    let near = is_near(row, height) || is_near(column, width);
                    if near { multiplicity(column, width) as f64 / pixels } else { 0.0 }
                })
                .collect(),
        }
    }

    /// Parseval's sum over the bins near Nyquist's frequency of a spectrum `[H, Wr, 2, lanes]`.
    fn energy_near_nyquist<T: Real>(&self, lanes: usize, spectrum: &[T]) -> f64 {
        let bins = spectrum.chunks_exact(2 * lanes).zip(&self.near_nyquist);
        bins.filter(|&(_, &weight)| weight > 0.0)
            .map(|(bin, weight)| weight * bin.iter().map(|value| value.as_f64().powi(2)).sum::<f64>())
            .sum()
    }

    /// The share of white noise's energy that is far and near Nyquist's frequency.
    fn share_of_white_noise(&self) -> f64 {
        let far = self.far.iter().filter(|&&far| far).count() as f64 / self.far.len() as f64;
        far * self.near_nyquist.iter().sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Measures one kernel given in space, `[H, W]`, offsets modulo the size.
    fn ringing(height: usize, width: usize, kernel: impl Fn(isize, isize) -> f64) -> KernelRinging {
        let grid = KernelGrid { height, width, in_channels: 1, out_channels: 1 };
        let plane: Vec<f64> = (0..height * width)
            .map(|at| kernel(signed_index(at / width, height), signed_index(at % width, width)))
            .collect();
        let plan = LanesRfft2::<f64>::try_new(height, width).unwrap();
        let mut spectrum = vec![f64::NAN; height * grid.half_width() * 2];
        plan.forward(1, &plane, &mut spectrum, 1.0, &mut plan.scratch());
        let spectrum: Vec<_> = spectrum.chunks(2).map(|z| Complex::new(z[0], z[1])).collect();
        measure(&grid, &spectrum, 1, (height, width), (height, width)).unwrap()
    }

    #[test]
    fn delta_is_sharp_and_does_not_ring() {
        let delta = ringing(16, 12, |h, w| if (h, w) == (0, 0) { 3.0 } else { 0.0 });
        // Rows 6 to 10 of 16 are near Nyquist's frequency; of 12 columns 5, 6, 7.
        let expected = 1.0 - (11.0 / 16.0) * (9.0 / 12.0);
        assert!((delta.nyquist_energy - expected).abs() < 1e-12, "{delta:?}");
        assert_eq!((delta.overshoot, delta.ringing), (0.0, 0.0));
    }

    #[test]
    fn wide_smooth_kernel_does_not_ring() {
        let wave = |h: isize| (std::f64::consts::TAU * h as f64 / 16.0).cos();
        let wide = ringing(16, 16, |h, w| 1.0 + wave(h) * wave(w));
        assert!(wide.nyquist_energy < 1e-12 && wide.overshoot > 0.4, "{wide:?}");
        // Cutting the centre out makes an edge, which has some energy everywhere.
        assert!(wide.ringing < 0.2, "{wide:?}");
    }

    #[test]
    fn checkerboard_rings_more_than_noise_and_noise_like_noise() {
        let board = ringing(16, 16, |h, w| if (h + w) % 2 == 0 { 1.0 } else { -1.0 });
        assert!((board.nyquist_energy - 1.0).abs() < 1e-12 && board.overshoot == 1.0, "{board:?}");
        assert!(board.ringing > 1.5, "{board:?}");
        let noise = ringing(64, 64, |h, w| {
            let mixed =
                (h.rem_euclid(64) as u64 * 64 + w.rem_euclid(64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f64 / (1 << 24) as f64
                - 0.5
        });
        assert!((noise.ringing - 1.0).abs() < 0.1, "{noise:?}");
    }

    /// The tails of a low-pass filter with a sharp edge, in one direction: Gibbs' oscillation.
    #[test]
    fn tails_of_a_sharp_filter_overshoot() {
        let sinc = |h: isize| match h {
            0 => 1.0,
            h => (0.8 * std::f64::consts::PI * h as f64).sin() / (0.8 * std::f64::consts::PI * h as f64),
        };
        let sharp = ringing(64, 64, |h, w| if w == 0 { sinc(h) } else { 0.0 });
        let soft =
            ringing(64, 64, |h, w| if w == 0 { sinc(h) * (-(h * h) as f64 / 32.0).exp() } else { 0.0 });
        assert!(sharp.overshoot > 10.0 * soft.overshoot, "{sharp:?} {soft:?}");
        assert!(sharp.ringing > 10.0 * soft.ringing, "{sharp:?} {soft:?}");
    }

    #[test]
    fn two_pixels_are_never_far() {
        let board = |size| ringing(size, size, |h, w| if (h + w) % 2 == 0 { 1.0 } else { -1.0 });
        assert_eq!((board(4).overshoot, board(4).ringing), (0.0, 0.0));
        assert!(board(8).ringing > 1.0, "{:?}", board(8));
    }

    #[test]
    fn tiny_and_empty_kernels_do_not_ring() {
        for (height, width) in [(1, 1), (1, 5), (3, 3), (2, 7)] {
            let ringing = ringing(height, width, |_, _| 0.0);
            assert_eq!(ringing, KernelRinging::default());
        }
        assert_eq!(ringing(1, 1, |_, _| 2.0).ringing, 0.0);
    }

    #[test]
    fn sampled_pairs_are_distinct_and_spread() {
        assert_eq!(sample_pairs(10, 4), [0, 2, 5, 7]);
        assert_eq!(sample_pairs(3, 16), [0, 1, 2]);
        assert_eq!(sample_pairs(5, 0), [0]);
    }
}
