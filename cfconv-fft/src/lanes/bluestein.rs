//! Bluestein's algorithm: a DFT of any length as a circular convolution of a convenient length.

use num_complex::Complex;

use super::ComplexLanes;
use super::butterfly::multiply;
use super::stockham::{Stockham, root_of_unity};
use crate::Real;
use crate::simd::{Isa, Kernel, dispatch};

/// With `jk = (j² + k² − (k−j)²)/2`, `X[k] = c[k]·Σ_j (x[j]·c[j])·conj(c[k−j])` where
/// `c[j] = exp(−πi·j²/n)`: a linear convolution with the chirp `conj(c)`, done by transforms of length
/// M ≥ 2n − 1, a power of two.
#[derive(Clone, Debug)]
pub(super) struct Bluestein<T> {
    /// c[j], j = 0 … n − 1.
    chirp: Vec<Complex<T>>,
    /// DFT of the wrapped conj(c), divided by M.
    chirp_spectrum: Vec<Complex<T>>,
    inner: Stockham<T>,
}

impl<T: Real> Bluestein<T> {
    pub(super) fn new(length: usize) -> Self {
        let padded = (2 * length - 1).next_power_of_two();
        // j² mod 2n keeps the angle small, hence exact to f64 rounding.
        let root = |j: usize| root_of_unity::<f64>(j * j % (2 * length), 2 * length);
        let mut wrapped = vec![Complex::new(0.0, 0.0); padded];
        for j in 0..length {
            wrapped[j] = root(j).conj();
            wrapped[(padded - j) % padded] = root(j).conj();
        }
        rustfft::FftPlanner::new().plan_fft_forward(padded).process(&mut wrapped);
        let round = |z: Complex<f64>| Complex::new(T::cast(z.re), T::cast(z.im));
        Self {
            chirp: (0..length).map(|j| round(root(j))).collect(),
            chirp_spectrum: wrapped.iter().map(|&z| round(z / padded as f64)).collect(),
            inner: Stockham::new(padded),
        }
    }

    pub(super) fn length(&self) -> usize {
        self.chirp.len()
    }

    pub(super) fn scratch_len(&self) -> usize {
        2 * self.inner.length() + self.inner.scratch_len()
    }

    /// Transforms the points of `source` that lie `source_step` apart into those of `target` that lie
    /// `target_step` apart.
    pub(super) fn process(
        &self,
        source: (&[ComplexLanes<T>], usize),
        target: (&mut [ComplexLanes<T>], usize),
        scratch: &mut [ComplexLanes<T>],
    ) {
        dispatch(Process { plan: self, source: Some(source), target, scratch });
    }

    /// Transforms the points of `signal` that lie a step apart in place.
    pub(super) fn process_in_place(
        &self,
        signal: (&mut [ComplexLanes<T>], usize),
        scratch: &mut [ComplexLanes<T>],
    ) {
        dispatch(Process { plan: self, source: None, target: signal, scratch });
    }
}

struct Process<'a, T> {
    plan: &'a Bluestein<T>,
    /// Where the signal lies, if not in `target`.
    source: Option<(&'a [ComplexLanes<T>], usize)>,
    target: (&'a mut [ComplexLanes<T>], usize),
    scratch: &'a mut [ComplexLanes<T>],
}

impl<T: Real> Kernel for Process<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { plan, source, target: (target, target_step), scratch } = self;
        let (source, source_step) = source.unwrap_or((&*target, target_step));
        let (padded, scratch) = scratch.split_at_mut(plan.inner.length());
        let (product, scratch) = scratch.split_at_mut(plan.inner.length());
        for (j, &factor) in plan.chirp.iter().enumerate() {
            padded[j] = multiply(isa, &source[j * source_step], factor);
        }
        padded[plan.length()..].fill(ComplexLanes::zero());
        plan.inner.process(padded, 1, product, 1, scratch);
        // The inverse transform is the forward one of swapped points, swapped again.
        for (point, &factor) in product.iter_mut().zip(&plan.chirp_spectrum) {
            *point = multiply(isa, point, factor).swapped();
        }
        plan.inner.process(product, 1, padded, 1, scratch);
        for (j, &factor) in plan.chirp.iter().enumerate() {
            target[j * target_step] = multiply(isa, &padded[j].swapped(), factor);
        }
    }
}
