//! Real two-dimensional transforms of planes `[H, W, B]`.

use super::plane::{RowsForward, RowsInverse};
use super::{LANES, LanesPlane, Point};
use crate::simd::{Isa, Kernel, dispatch};
use crate::{FftError, Real, Result};

/// A plan for the real transforms of planes whose innermost axis is the batch.
///
/// # Shapes
/// A plane is `[H, W, B]`; its half spectrum is `[H, Wr, 2, B]`: for each bin B real parts, then B imaginary
/// parts. B may be any number and differ from call to call.
///
/// # Examples
/// ```
/// use cfconv_fft::lanes::LanesRfft2;
///
/// let plan = LanesRfft2::<f32>::try_new(2, 2)?;
/// let plane = [1.0, 2.0, 3.0, 4.0]; // a 2×2 image, batch of 1
/// let mut spectrum = [f32::NAN; 8];
/// let mut scratch = plan.scratch();
/// plan.forward(1, &plane, &mut spectrum, 1.0, &mut scratch);
/// assert_eq!(spectrum, [10.0, 0.0, -2.0, 0.0, -4.0, 0.0, 0.0, 0.0]);
/// let mut back = [f32::NAN; 4];
/// plan.inverse(1, &spectrum, &mut back, 0.25, &mut scratch);
/// assert_eq!(back, plane);
/// # Ok::<(), cfconv_fft::FftError>(())
/// ```
#[derive(Clone, Debug)]
pub struct LanesRfft2<T> {
    plane: LanesPlane<T>,
}

impl<T: Real> LanesRfft2<T> {
    /// Plans transforms of `height × width` planes.
    ///
    /// # Errors
    /// [`FftError::ZeroSize`] if a size is zero.
    pub fn try_new(height: usize, width: usize) -> Result<Self> {
        for (name, size) in [("height", height), ("width", width)] {
            if size == 0 {
                return Err(FftError::ZeroSize { op: "LanesRfft2", name });
            }
        }
        Ok(Self { plane: LanesPlane::new((height, width), (height, width)) })
    }

    /// Rows of a plane.
    pub fn height(&self) -> usize {
        self.plane.height()
    }

    /// Columns of a plane.
    pub fn width(&self) -> usize {
        self.plane.width()
    }

    /// Columns of a half spectrum.
    pub fn half_width(&self) -> usize {
        self.plane.half_width()
    }

    /// Working memory for one call at a time: the half spectrum of one block of lanes and some lines.
    pub fn scratch(&self) -> Vec<Point<T>> {
        vec![Point::zero(); self.plane.scratch_len() + self.height()]
    }

    /// Transforms one plane: `spectrum = scale·rfft2(plane)`.
    ///
    /// # Shapes
    /// `plane` `[H, W, batch]`, `spectrum` `[H, Wr, 2, batch]`, `scratch` from [`scratch`](Self::scratch).
    pub fn forward(&self, batch: usize, plane: &[T], spectrum: &mut [T], scale: T, scratch: &mut [Point<T>]) {
        debug_assert_eq!(plane.len(), self.height() * self.width() * batch);
        debug_assert_eq!(spectrum.len(), self.height() * self.half_width() * 2 * batch);
        dispatch(Forward { plan: self, batch, plane, spectrum, scale, scratch });
    }

    /// Transforms one half spectrum back: `plane = scale·H·W·irfft2(spectrum)` with `irfft2` carrying
    /// 1/(H·W). Only the Hermitian part of the self-conjugate columns is used.
    ///
    /// # Shapes
    /// As for [`forward`](Self::forward).
    pub fn inverse(&self, batch: usize, spectrum: &[T], plane: &mut [T], scale: T, scratch: &mut [Point<T>]) {
        debug_assert_eq!(plane.len(), self.height() * self.width() * batch);
        debug_assert_eq!(spectrum.len(), self.height() * self.half_width() * 2 * batch);
        dispatch(Inverse { plan: self, batch, spectrum, plane, scale, scratch });
    }
}

struct Forward<'a, T> {
    plan: &'a LanesRfft2<T>,
    batch: usize,
    plane: &'a [T],
    spectrum: &'a mut [T],
    scale: T,
    scratch: &'a mut [Point<T>],
}

impl<T: Real> Kernel for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { plan: LanesRfft2 { plane: plan }, batch, plane, spectrum, scale, scratch } = self;
        let half_width = plan.half_width();
        let (middle, scratch) = scratch.split_at_mut(plan.middle_len());
        let (line, scratch) = scratch.split_at_mut(plan.height());
        let scale = isa.splat(scale);
        for lane in (0..batch).step_by(LANES) {
            let lanes = lane..batch.min(lane + LANES);
            RowsForward { plan, plane, batch, lanes: lanes.clone(), middle, scratch }.run(isa);
            for k in 0..half_width {
                plan.columns().process(&middle[k..], half_width, line, 1, scratch);
                for (h, point) in line.iter_mut().enumerate() {
                    isa.store(isa.mul(scale, isa.load(&point.re)), &mut point.re);
                    isa.store(isa.mul(scale, isa.load(&point.im)), &mut point.im);
                    let bin = &mut spectrum[(h * half_width + k) * 2 * batch..][..2 * batch];
                    let (re, im) = bin.split_at_mut(batch);
                    point.store(&mut re[lanes.clone()], &mut im[lanes.clone()]);
                }
            }
        }
    }
}

struct Inverse<'a, T> {
    plan: &'a LanesRfft2<T>,
    batch: usize,
    spectrum: &'a [T],
    plane: &'a mut [T],
    scale: T,
    scratch: &'a mut [Point<T>],
}

impl<T: Real> Kernel for Inverse<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { plan: LanesRfft2 { plane: plan }, batch, spectrum, plane, scale, scratch } = self;
        let half_width = plan.half_width();
        let (middle, scratch) = scratch.split_at_mut(plan.middle_len());
        let (line, scratch) = scratch.split_at_mut(plan.height());
        for lane in (0..batch).step_by(LANES) {
            let lanes = lane..batch.min(lane + LANES);
            for k in 0..half_width {
                // Inverse transforms are forward ones of swapped points.
                for (h, point) in line.iter_mut().enumerate() {
                    let bin = &spectrum[(h * half_width + k) * 2 * batch..][..2 * batch];
                    let (re, im) = bin.split_at(batch);
                    *point = Point::load(&im[lanes.clone()], &re[lanes.clone()]);
                }
                plan.columns().process(line, 1, &mut middle[k..], half_width, scratch);
            }
            RowsInverse { plan, middle, plane, batch, lanes, scale, bias: T::ZERO, scratch }.run(isa);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_complex::Complex;

    /// Σ x·exp(−2πi(ph/H + qw/W)) in f64, for image `b` of a plane `[H, W, B]`.
    fn naive_bin(plane: &[f64], shape: (usize, usize, usize), b: usize, p: usize, q: usize) -> Complex<f64> {
        let (height, width, batch) = shape;
        let mut sum = Complex::new(0.0, 0.0);
        for h in 0..height {
            for w in 0..width {
                let turns = (p * h % height) as f64 / height as f64 + (q * w % width) as f64 / width as f64;
                sum += plane[(h * width + w) * batch + b]
                    * Complex::from_polar(1.0, -2.0 * std::f64::consts::PI * turns);
            }
        }
        sum
    }

    fn noise(count: usize) -> Vec<f64> {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        (0..count)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
            })
            .collect()
    }

    const SHAPES: [(usize, usize, usize); 12] = [
        (1, 1, 1),
        (1, 8, 3),
        (9, 1, 2),
        (2, 2, 17),
        (4, 6, 16),
        (5, 7, 1),
        (8, 16, 33),
        (13, 12, 5),
        (31, 11, 2),
        (37, 6, 2),
        (10, 41, 3),
        (64, 47, 1),
    ];

    #[test]
    fn forward_equals_naive_dft() {
        for (height, width, batch) in SHAPES {
            let plan = LanesRfft2::<f64>::try_new(height, width).unwrap();
            let plane = noise(height * width * batch);
            let half_width = plan.half_width();
            let mut spectrum = vec![f64::NAN; height * half_width * 2 * batch];
            let mut scratch = plan.scratch();
            scratch.fill(Point { re: [f64::NAN; LANES], im: [f64::NAN; LANES] });
            plan.forward(batch, &plane, &mut spectrum, 1.0, &mut scratch);
            for p in 0..height {
                for q in 0..half_width {
                    for b in 0..batch {
                        let expected = naive_bin(&plane, (height, width, batch), b, p, q);
                        let at = (p * half_width + q) * 2 * batch + b;
                        let got = Complex::new(spectrum[at], spectrum[at + batch]);
                        assert!(
                            (got - expected).norm() < 1e-12 * (height * width) as f64,
                            "{height}×{width}, batch {batch}, bin ({p}, {q}): {got} ≠ {expected}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn inverse_undoes_forward_and_ignores_anti_hermitian_parts() {
        for (height, width, batch) in SHAPES {
            let plan = LanesRfft2::<f64>::try_new(height, width).unwrap();
            let plane = noise(height * width * batch);
            let half_width = plan.half_width();
            let mut spectrum = vec![f64::NAN; height * half_width * 2 * batch];
            let mut scratch = plan.scratch();
            plan.forward(batch, &plane, &mut spectrum, 1.0, &mut scratch);
            // An anti-Hermitian addition on the self-conjugate columns: i·(value even in p).
            for p in 0..height {
                for q in [Some(0), width.is_multiple_of(2).then_some(width / 2)].into_iter().flatten() {
                    let even = (p.min(height - p) % height) as f64 + 0.5;
                    for b in 0..batch {
                        spectrum[((p * half_width + q) * 2 + 1) * batch + b] += even;
                    }
                }
            }
            let mut back = vec![f64::NAN; plane.len()];
            scratch.fill(Point { re: [f64::NAN; LANES], im: [f64::NAN; LANES] });
            let scale = 1.0 / (height * width) as f64;
            plan.inverse(batch, &spectrum, &mut back, scale, &mut scratch);
            for (got, expected) in back.iter().zip(&plane) {
                assert!((got - expected).abs() < 1e-12, "{height}×{width}: {got} ≠ {expected}");
            }
        }
    }

    #[test]
    fn f32_error_stays_within_the_bounds_of_the_design() {
        // Relative L2 error under 0.5·ε·√log₂N for composite sizes, 0.8 for prime ones.
        for (height, width, factor) in [
            (64, 64, 0.5),
            (32, 32, 0.5),
            (60, 60, 0.5),
            (96, 96, 0.5),
            (150, 150, 0.5),
            (128, 64, 0.5),
            (31, 31, 0.8),
            (13, 17, 0.8),
            (37, 37, 0.8),
            (61, 67, 0.8),
            (127, 127, 0.8),
        ] {
            let exact_plan = LanesRfft2::<f64>::try_new(height, width).unwrap();
            let plan = LanesRfft2::<f32>::try_new(height, width).unwrap();
            let plane32: Vec<f32> = noise(height * width).iter().map(|&x| x as f32).collect();
            let plane64: Vec<f64> = plane32.iter().map(|&x| f64::from(x)).collect();
            let len = height * plan.half_width() * 2;
            let (mut got, mut exact) = (vec![0.0_f32; len], vec![0.0_f64; len]);
            plan.forward(1, &plane32, &mut got, 1.0, &mut plan.scratch());
            exact_plan.forward(1, &plane64, &mut exact, 1.0, &mut exact_plan.scratch());
            let norm = exact.iter().map(|x| x * x).sum::<f64>().sqrt();
            let error =
                got.iter().zip(&exact).map(|(&a, b)| (f64::from(a) - b).powi(2)).sum::<f64>().sqrt() / norm;
            let bound = factor * f64::from(f32::EPSILON) * ((height * width) as f64).log2().sqrt();
            assert!(error < bound, "{height}×{width}: {error:e} ≥ {bound:e}");
        }
    }
}
