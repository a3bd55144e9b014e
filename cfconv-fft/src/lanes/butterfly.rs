//! Butterflies on points: small DFTs followed by twiddle factors.
//!
//! Each function computes `y[t] = w[t]·Σ_j x[j]·exp(−2πi·jt/r)` in every lane; `w[0] = 1` is not passed.
//! With `TWIDDLED = false` all factors are one and are not read.

use num_complex::Complex;

use super::Point;
use crate::Real;
use crate::simd::{Isa, LANES};

/// `a·w` for scalars, with one rounding saved where the instruction set has fused multiply-add.
#[inline(always)]
pub(super) fn rotate<T: Real, I: Isa, const TWIDDLED: bool>(isa: I, re: T, im: T, w: Complex<T>) -> (T, T) {
    if TWIDDLED { (isa.mul_add(re, w.re, -(im * w.im)), isa.mul_add(re, w.im, im * w.re)) } else { (re, im) }
}

#[inline(always)]
pub(super) fn radix2<T: Real, I: Isa, const TWIDDLED: bool>(
    isa: I,
    x: [&Point<T>; 2],
    w: &[Complex<T>],
    y: [&mut Point<T>; 2],
) {
    let [x0, x1] = x;
    let [y0, y1] = y;
    let w1 = if TWIDDLED { w[0] } else { Complex::new(T::ONE, T::ZERO) };
    for l in 0..LANES {
        let (ar, ai, br, bi) = (x0.re[l], x0.im[l], x1.re[l], x1.im[l]);
        y0.re[l] = ar + br;
        y0.im[l] = ai + bi;
        (y1.re[l], y1.im[l]) = rotate::<T, I, TWIDDLED>(isa, ar - br, ai - bi, w1);
    }
}

#[inline(always)]
pub(super) fn radix3<T: Real, I: Isa, const TWIDDLED: bool>(
    isa: I,
    x: [&Point<T>; 3],
    w: &[Complex<T>],
    y: [&mut Point<T>; 3],
) {
    let [x0, x1, x2] = x;
    let [y0, y1, y2] = y;
    let one = Complex::new(T::ONE, T::ZERO);
    let (w1, w2) = if TWIDDLED { (w[0], w[1]) } else { (one, one) };
    let half = T::cast(0.5);
    let sine = T::cast(0.75_f64.sqrt());
    for l in 0..LANES {
        let (sum_re, sum_im) = (x1.re[l] + x2.re[l], x1.im[l] + x2.im[l]);
        let (diff_re, diff_im) = (sine * (x1.re[l] - x2.re[l]), sine * (x1.im[l] - x2.im[l]));
        let (mid_re, mid_im) = (isa.mul_add(-half, sum_re, x0.re[l]), isa.mul_add(-half, sum_im, x0.im[l]));
        y0.re[l] = x0.re[l] + sum_re;
        y0.im[l] = x0.im[l] + sum_im;
        (y1.re[l], y1.im[l]) = rotate::<T, I, TWIDDLED>(isa, mid_re + diff_im, mid_im - diff_re, w1);
        (y2.re[l], y2.im[l]) = rotate::<T, I, TWIDDLED>(isa, mid_re - diff_im, mid_im + diff_re, w2);
    }
}

#[inline(always)]
pub(super) fn radix4<T: Real, I: Isa, const TWIDDLED: bool>(
    isa: I,
    x: [&Point<T>; 4],
    w: &[Complex<T>],
    y: [&mut Point<T>; 4],
) {
    let [x0, x1, x2, x3] = x;
    let [y0, y1, y2, y3] = y;
    let one = Complex::new(T::ONE, T::ZERO);
    let (w1, w2, w3) = if TWIDDLED { (w[0], w[1], w[2]) } else { (one, one, one) };
    for l in 0..LANES {
        let (s02r, s02i) = (x0.re[l] + x2.re[l], x0.im[l] + x2.im[l]);
        let (d02r, d02i) = (x0.re[l] - x2.re[l], x0.im[l] - x2.im[l]);
        let (s13r, s13i) = (x1.re[l] + x3.re[l], x1.im[l] + x3.im[l]);
        let (d13r, d13i) = (x1.re[l] - x3.re[l], x1.im[l] - x3.im[l]);
        y0.re[l] = s02r + s13r;
        y0.im[l] = s02i + s13i;
        (y1.re[l], y1.im[l]) = rotate::<T, I, TWIDDLED>(isa, d02r + d13i, d02i - d13r, w1);
        (y2.re[l], y2.im[l]) = rotate::<T, I, TWIDDLED>(isa, s02r - s13r, s02i - s13i, w2);
        (y3.re[l], y3.im[l]) = rotate::<T, I, TWIDDLED>(isa, d02r - d13i, d02i + d13r, w3);
    }
}

/// Any odd radix r ≥ 3, for the prime factors without a butterfly of their own: O(r²).
///
/// With `s_j = x_j + x_{r−j}` and `d_j = x_j − x_{r−j}`, outputs t and r − t share the sums
/// `c = x_0 + Σ_j cos(2πjt/r)·s_j` and `e = Σ_j sin(2πjt/r)·d_j`: they are `c ∓ i·e`.
///
/// `roots[k] = exp(−2πik/r)`; `pairs` holds r − 1 points of scratch.
#[inline(always)]
pub(super) fn radix_odd<T: Real, I: Isa, const TWIDDLED: bool>(
    isa: I,
    roots: &[Complex<T>],
    x: impl Fn(usize) -> Point<T>,
    w: &[Complex<T>],
    pairs: &mut [Point<T>],
    mut y: impl FnMut(usize, &Point<T>),
) {
    let radix = roots.len();
    let half = radix / 2;
    let (sums, differences) = pairs[..2 * half].split_at_mut(half);
    let x0 = x(0);
    let mut total = x0;
    for j in 1..=half {
        let (a, b) = (x(j), x(radix - j));
        let (sum, difference) = (&mut sums[j - 1], &mut differences[j - 1]);
        for l in 0..LANES {
            sum.re[l] = a.re[l] + b.re[l];
            sum.im[l] = a.im[l] + b.im[l];
            difference.re[l] = a.re[l] - b.re[l];
            difference.im[l] = a.im[l] - b.im[l];
            total.re[l] += sum.re[l];
            total.im[l] += sum.im[l];
        }
    }
    y(0, &total);
    let one = Complex::new(T::ONE, T::ZERO);
    for t in 1..=half {
        let mut even = x0;
        let mut odd = Point::zero();
        let mut k = 0;
        for j in 0..half {
            k = if k + t >= radix { k + t - radix } else { k + t };
            let (cos, sin) = (roots[k].re, -roots[k].im);
            for l in 0..LANES {
                even.re[l] = isa.mul_add(cos, sums[j].re[l], even.re[l]);
                even.im[l] = isa.mul_add(cos, sums[j].im[l], even.im[l]);
                odd.re[l] = isa.mul_add(sin, differences[j].re[l], odd.re[l]);
                odd.im[l] = isa.mul_add(sin, differences[j].im[l], odd.im[l]);
            }
        }
        let (wt, wr) = if TWIDDLED { (w[t - 1], w[radix - t - 1]) } else { (one, one) };
        let (mut low, mut high) = (Point::zero(), Point::zero());
        for l in 0..LANES {
            (low.re[l], low.im[l]) =
                rotate::<T, I, TWIDDLED>(isa, even.re[l] + odd.im[l], even.im[l] - odd.re[l], wt);
            (high.re[l], high.im[l]) =
                rotate::<T, I, TWIDDLED>(isa, even.re[l] - odd.im[l], even.im[l] + odd.re[l], wr);
        }
        y(t, &low);
        y(radix - t, &high);
    }
}
