//! Butterflies on points: small DFTs followed by twiddle factors.
//!
//! Each function gives `y[t] = w[t]·Σ_j x[j]·exp(−2πi·jt/r)` in every lane; `w[0] = 1` is not passed.
//! With `TWIDDLED = false` all factors are one and are not read.

use num_complex::Complex;

use super::ComplexLanes;
use crate::Real;
use crate::simd::Isa;

/// A point in registers.
pub(super) struct Registers<I: Isa, T: Real> {
    pub(super) re: I::Lanes<T>,
    pub(super) im: I::Lanes<T>,
}

impl<I: Isa, T: Real> Clone for Registers<I, T> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<I: Isa, T: Real> Copy for Registers<I, T> {}

#[inline(always)]
pub(super) fn load<T: Real, I: Isa>(isa: I, point: &ComplexLanes<T>) -> Registers<I, T> {
    Registers { re: isa.load(&point.re), im: isa.load(&point.im) }
}

#[inline(always)]
pub(super) fn store<T: Real, I: Isa>(isa: I, registers: Registers<I, T>, point: &mut ComplexLanes<T>) {
    isa.store(registers.re, &mut point.re);
    isa.store(registers.im, &mut point.im);
}

#[inline(always)]
fn add<T: Real, I: Isa>(isa: I, a: Registers<I, T>, b: Registers<I, T>) -> Registers<I, T> {
    Registers { re: isa.add(a.re, b.re), im: isa.add(a.im, b.im) }
}

#[inline(always)]
fn sub<T: Real, I: Isa>(isa: I, a: Registers<I, T>, b: Registers<I, T>) -> Registers<I, T> {
    Registers { re: isa.sub(a.re, b.re), im: isa.sub(a.im, b.im) }
}

/// `a − i·b`.
#[inline(always)]
fn sub_i<T: Real, I: Isa>(isa: I, a: Registers<I, T>, b: Registers<I, T>) -> Registers<I, T> {
    Registers { re: isa.add(a.re, b.im), im: isa.sub(a.im, b.re) }
}

/// `a + i·b`.
#[inline(always)]
fn add_i<T: Real, I: Isa>(isa: I, a: Registers<I, T>, b: Registers<I, T>) -> Registers<I, T> {
    Registers { re: isa.sub(a.re, b.im), im: isa.add(a.im, b.re) }
}

/// `scale·a + b` with a real scale.
#[inline(always)]
fn scale_add<T: Real, I: Isa>(isa: I, scale: T, a: Registers<I, T>, b: Registers<I, T>) -> Registers<I, T> {
    let scale = isa.splat(scale);
    Registers { re: isa.fma(scale, a.re, b.re), im: isa.fma(scale, a.im, b.im) }
}

/// `scale·a` with a real scale.
#[inline(always)]
fn scale<T: Real, I: Isa>(isa: I, scale: T, a: Registers<I, T>) -> Registers<I, T> {
    let scale = isa.splat(scale);
    Registers { re: isa.mul(scale, a.re), im: isa.mul(scale, a.im) }
}

/// `a·w`.
#[inline(always)]
fn rotate<T: Real, I: Isa>(isa: I, a: Registers<I, T>, w: Complex<T>) -> Registers<I, T> {
    let (wr, wi) = (isa.splat(w.re), isa.splat(w.im));
    Registers { re: isa.sub(isa.mul(a.re, wr), isa.mul(a.im, wi)), im: isa.fma(a.re, wi, isa.mul(a.im, wr)) }
}

/// `a·w[t − 1]`, or `a` if not `TWIDDLED`.
#[inline(always)]
fn twiddle<T: Real, I: Isa, const TWIDDLED: bool>(
    isa: I,
    a: Registers<I, T>,
    w: &[Complex<T>],
    t: usize,
) -> Registers<I, T> {
    if TWIDDLED { rotate(isa, a, w[t - 1]) } else { a }
}

/// `y = x·w`.
#[inline(always)]
pub(super) fn multiply<T: Real, I: Isa>(isa: I, x: &ComplexLanes<T>, w: Complex<T>) -> ComplexLanes<T> {
    let mut y = ComplexLanes::zero();
    store(isa, rotate(isa, load(isa, x), w), &mut y);
    y
}

/// A small DFT in registers.
pub(super) trait Butterfly<const RADIX: usize> {
    /// `y[t]` of `x[j]`, t and j < `RADIX`.
    fn run<T: Real, I: Isa, const TWIDDLED: bool>(
        isa: I,
        x: [Registers<I, T>; RADIX],
        w: &[Complex<T>],
    ) -> [Registers<I, T>; RADIX];
}

/// Two points.
pub(super) struct Radix2;

/// Three points.
pub(super) struct Radix3;

/// Four points.
pub(super) struct Radix4;

impl Butterfly<2> for Radix2 {
    #[inline(always)]
    fn run<T: Real, I: Isa, const TWIDDLED: bool>(
        isa: I,
        x: [Registers<I, T>; 2],
        w: &[Complex<T>],
    ) -> [Registers<I, T>; 2] {
        let [x0, x1] = x;
        [add(isa, x0, x1), twiddle::<T, I, TWIDDLED>(isa, sub(isa, x0, x1), w, 1)]
    }
}

impl Butterfly<3> for Radix3 {
    #[inline(always)]
    fn run<T: Real, I: Isa, const TWIDDLED: bool>(
        isa: I,
        x: [Registers<I, T>; 3],
        w: &[Complex<T>],
    ) -> [Registers<I, T>; 3] {
        let [x0, x1, x2] = x;
        let sum = add(isa, x1, x2);
        let difference = scale(isa, T::cast(0.75_f64.sqrt()), sub(isa, x1, x2));
        let middle = scale_add(isa, T::cast(-0.5), sum, x0);
        [
            add(isa, x0, sum),
            twiddle::<T, I, TWIDDLED>(isa, sub_i(isa, middle, difference), w, 1),
            twiddle::<T, I, TWIDDLED>(isa, add_i(isa, middle, difference), w, 2),
        ]
    }
}

impl Butterfly<4> for Radix4 {
    #[inline(always)]
    fn run<T: Real, I: Isa, const TWIDDLED: bool>(
        isa: I,
        x: [Registers<I, T>; 4],
        w: &[Complex<T>],
    ) -> [Registers<I, T>; 4] {
        let [x0, x1, x2, x3] = x;
        let (sum02, difference02) = (add(isa, x0, x2), sub(isa, x0, x2));
        let (sum13, difference13) = (add(isa, x1, x3), sub(isa, x1, x3));
        [
            add(isa, sum02, sum13),
            twiddle::<T, I, TWIDDLED>(isa, sub_i(isa, difference02, difference13), w, 1),
            twiddle::<T, I, TWIDDLED>(isa, sub(isa, sum02, sum13), w, 2),
            twiddle::<T, I, TWIDDLED>(isa, add_i(isa, difference02, difference13), w, 3),
        ]
    }
}

/// Any odd radix r ≥ 3, for the prime factors without a butterfly of their own: O(r²).
///
/// With `s_j = x_j + x_{r−j}` and `d_j = x_j − x_{r−j}`, outputs t and r − t share the sums
/// `c = x_0 + Σ_j cos(2πjt/r)·s_j` and `e = Σ_j sin(2πjt/r)·d_j`: they are `c ∓ i·e`.
///
/// `roots[k] = exp(−2πik/r)`; `pairs` holds r − 1 points of scratch. x_j is `input[span·j]`, y_t is
/// `output[stride·t]`.
#[inline(always)]
pub(super) fn radix_odd<T: Real, I: Isa, const TWIDDLED: bool>(
    isa: I,
    roots: &[Complex<T>],
    (input, span): (&[ComplexLanes<T>], usize),
    w: &[Complex<T>],
    pairs: &mut [ComplexLanes<T>],
    (output, stride): (&mut [ComplexLanes<T>], usize),
) {
    let radix = roots.len();
    let half = radix / 2;
    let (sums, differences) = pairs[..2 * half].split_at_mut(half);
    let x0 = load(isa, &input[0]);
    let mut total = x0;
    for j in 1..=half {
        let (a, b) = (load(isa, &input[span * j]), load(isa, &input[span * (radix - j)]));
        let sum = add(isa, a, b);
        total = add(isa, total, sum);
        store(isa, sum, &mut sums[j - 1]);
        store(isa, sub(isa, a, b), &mut differences[j - 1]);
    }
    store(isa, total, &mut output[0]);
    for t in 1..=half {
        let mut even = x0;
        let mut odd = Registers { re: isa.splat(T::ZERO), im: isa.splat(T::ZERO) };
        let mut k = 0;
        for (sum, difference) in sums.iter().zip(differences.iter()) {
            k = if k + t >= radix { k + t - radix } else { k + t };
            even = scale_add(isa, roots[k].re, load(isa, sum), even);
            odd = scale_add(isa, -roots[k].im, load(isa, difference), odd);
        }
        let mirror = radix - t;
        let (upper, lower) = (sub_i(isa, even, odd), add_i(isa, even, odd));
        store(isa, twiddle::<T, I, TWIDDLED>(isa, upper, w, t), &mut output[stride * t]);
        store(isa, twiddle::<T, I, TWIDDLED>(isa, lower, w, mirror), &mut output[stride * mirror]);
    }
}
