//! The mix of the shared basis: `K[f, pair] = Σ_k C[pair, k]·B_k(f)`, C real, B complex.
//!
//! Frequencies that list every channel pair run as dense products along the pairs, with C transposed to
//! `[basis_size][pairs]`; others pair by pair.

use cfconv_fft::Real;
use cfconv_fft::simd::{Isa, Kernel, LANES, dispatch};
use num_complex::Complex;

/// C and its gradient in the layout of the dense products.
pub(crate) struct Mixing<'a, T> {
    /// C, `[pairs][basis_size]`, as in the parameters.
    coefficients: &'a [T],
    /// C, `[basis_size][padded]`, zero beyond the pairs.
    transposed: Vec<T>,
    basis_size: usize,
    pairs: usize,
    padded: usize,
}

/// Gradient of C of one chunk, in both layouts: each kernel adds to its own.
pub(crate) struct GradMixing<T> {
    coefficients: Vec<T>,
    transposed: Vec<T>,
}

impl<'a, T: Real> Mixing<'a, T> {
    pub(crate) fn new(coefficients: &'a [T], basis_size: usize) -> Self {
        let pairs = coefficients.len() / basis_size;
        let padded = pairs.next_multiple_of(LANES);
        let mut transposed = vec![T::zero(); basis_size * padded];
        for (pair, row) in coefficients.chunks_exact(basis_size).enumerate() {
            for (k, &value) in row.iter().enumerate() {
                transposed[k * padded + pair] = value;
            }
        }
        Self { coefficients, transposed, basis_size, pairs, padded }
    }

    pub(crate) fn zero_grad(&self) -> GradMixing<T> {
        GradMixing {
            coefficients: vec![T::zero(); self.coefficients.len()],
            transposed: vec![T::zero(); self.transposed.len()],
        }
    }

    /// Adds a chunk's gradient to the gradient of C.
    pub(crate) fn add_grad(&self, grad: &GradMixing<T>, grad_coefficients: &mut [T]) {
        let rows = grad_coefficients.chunks_exact_mut(self.basis_size);
        for (pair, (row, listed)) in rows.zip(grad.coefficients.chunks_exact(self.basis_size)).enumerate() {
            for (k, (value, &listed)) in row.iter_mut().zip(listed).enumerate() {
                *value += listed + grad.transposed[k * self.padded + pair];
            }
        }
    }

    /// Writes the values of one frequency. `basis` holds B as (re, im) pairs, already scaled; `pair` gives the
    /// channel pair of each entry, and is not asked when `output` has an entry for every pair.
    pub(crate) fn mix(&self, basis: &[T], pair: impl Fn(usize) -> usize, output: &mut [Complex<T>]) {
        if output.len() == self.pairs {
            dispatch(MixAll { mixing: self, basis, output });
            return;
        }
        for (entry, value) in output.iter_mut().enumerate() {
            let row = &self.coefficients[pair(entry) * self.basis_size..][..self.basis_size];
            let mut sum = Complex::new(T::zero(), T::zero());
            for (&c, b) in row.iter().zip(basis.chunks_exact(2)) {
                sum.re += c * b[0];
                sum.im += c * b[1];
            }
            *value = sum;
        }
    }

    /// Gradients of [`mix`](Self::mix): `grad_basis` is overwritten, that of C accumulates.
    pub(crate) fn mix_vjp(
        &self,
        basis: &[T],
        pair: impl Fn(usize) -> usize,
        grad_output: &[Complex<T>],
        grad_basis: &mut [T],
        grad: &mut GradMixing<T>,
    ) {
        grad_basis.fill(T::zero());
        if grad_output.len() == self.pairs {
            let grad_transposed = &mut grad.transposed;
            dispatch(MixAllVjp { mixing: self, basis, grad_output, grad_basis, grad_transposed });
            return;
        }
        for (entry, value) in grad_output.iter().enumerate() {
            let rows = pair(entry) * self.basis_size..(pair(entry) + 1) * self.basis_size;
            let coefficients = &self.coefficients[rows.clone()];
            let grad_coefficients = &mut grad.coefficients[rows];
            for (k, (&c, grad_c)) in coefficients.iter().zip(grad_coefficients).enumerate() {
                *grad_c += basis[2 * k] * value.re + basis[2 * k + 1] * value.im;
                grad_basis[2 * k] += c * value.re;
                grad_basis[2 * k + 1] += c * value.im;
            }
        }
    }
}

struct MixAll<'a, T> {
    mixing: &'a Mixing<'a, T>,
    basis: &'a [T],
    output: &'a mut [Complex<T>],
}

impl<T: Real> Kernel for MixAll<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Mixing { transposed, padded, .. } = self.mixing;
        for (block, output) in self.output.chunks_mut(LANES).enumerate() {
            let (mut re, mut im) = (isa.splat(T::ZERO), isa.splat(T::ZERO));
            for (k, b) in self.basis.chunks_exact(2).enumerate() {
                let c = transposed[k * padded + block * LANES..].first_chunk();
                let c = isa.load(c.expect("rows are whole lanes"));
                re = isa.fma(c, isa.splat(b[0]), re);
                im = isa.fma(c, isa.splat(b[1]), im);
            }
            let (mut re_values, mut im_values) = ([T::ZERO; LANES], [T::ZERO; LANES]);
            isa.store(re, &mut re_values);
            isa.store(im, &mut im_values);
            for (lane, value) in output.iter_mut().enumerate() {
                *value = Complex::new(re_values[lane], im_values[lane]);
            }
        }
    }
}

struct MixAllVjp<'a, T> {
    mixing: &'a Mixing<'a, T>,
    basis: &'a [T],
    grad_output: &'a [Complex<T>],
    grad_basis: &'a mut [T],
    grad_transposed: &'a mut [T],
}

impl<T: Real> Kernel for MixAllVjp<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Mixing { transposed, padded, .. } = self.mixing;
        for (block, grad_output) in self.grad_output.chunks(LANES).enumerate() {
            let (mut re, mut im) = ([T::zero(); LANES], [T::zero(); LANES]);
            for (lane, value) in grad_output.iter().enumerate() {
                re[lane] = value.re;
                im[lane] = value.im;
            }
            let (re, im) = (isa.load(&re), isa.load(&im));
            let basis = self.basis.chunks_exact(2).zip(self.grad_basis.chunks_exact_mut(2));
            for (k, (b, grad_b)) in basis.enumerate() {
                let place = k * padded + block * LANES;
                let c = transposed[place..].first_chunk().expect("rows are whole lanes");
                let grad_c = self.grad_transposed[place..].first_chunk_mut().expect("rows are whole lanes");
                let c = isa.load(c);
                let sum = isa.fma(isa.splat(b[1]), im, isa.load(grad_c));
                isa.store(isa.fma(isa.splat(b[0]), re, sum), grad_c);
                grad_b[0] += isa.sum(isa.mul(c, re));
                grad_b[1] += isa.sum(isa.mul(c, im));
            }
        }
    }
}
