//! Sine, cosine and exponential of many `f32` values, written so that the compiler vectorises them.
//!
//! `sin` and `cos`: Cody–Waite reduction by multiples of π/2 in three parts, then the minimax polynomials of
//! Cephes (S. Moshier, 1989) on [−π/4, π/4]. No branches: quadrants are chosen by bit operations. A block that
//! holds a value beyond [`REDUCTION_LIMIT`] (or an infinity or NaN) goes to the standard library instead.
//!
//! Largest absolute error, measured against `f64` over ±6000: below 1.0e-7 (0.84 of a rounding step at 1); of a sine
//! whose cosine is not wanted below 1.5e-7.
//! `exp`: reduction by multiples of ln 2 and a polynomial of degree 6; relative error below 2.0e-7.

use cfconv_fft::simd::Isa;

/// Beyond this magnitude the three-part reduction is no longer exact, and the standard library is used.
const REDUCTION_LIMIT: f32 = 6000.0;

/// Values that share one range check.
const BLOCK: usize = 128;

/// 1.5·2²³: adding it rounds to an integer and leaves that integer in the low bits.
const MAGIC: f32 = 12_582_912.0;

// π/2 in three parts: the first two have 8 and 12 significant bits, so that their products with the
// quadrant number are exact.
const HALF_PI_1: f32 = 1.570_312_5;
const HALF_PI_2: f32 = 4.837_513e-4;
const HALF_PI_3: f32 = 7.549_79e-8;

/// sin x and cos x for |x| ≤ [`REDUCTION_LIMIT`].
#[inline(always)]
fn sincos_reduced<I: Isa>(isa: I, x: f32) -> (f32, f32) {
    let shifted = isa.mul_add(x, std::f32::consts::FRAC_2_PI, MAGIC);
    let quadrant = shifted.to_bits();
    let q = shifted - MAGIC;
    let r = isa.mul_add(q, -HALF_PI_1, x);
    let r = isa.mul_add(q, -HALF_PI_2, r);
    let r = isa.mul_add(q, -HALF_PI_3, r);

    let r2 = r * r;
    let s = isa.mul_add(-1.951_529_6e-4, r2, 8.332_161e-3);
    let s = isa.mul_add(s, r2, -0.166_666_55);
    let s = isa.mul_add(s * r2, r, r);
    let c = isa.mul_add(2.443_315_7e-5, r2, -1.388_731_6e-3);
    let c = isa.mul_add(c, r2, 4.166_664_6e-2);
    let c = isa.mul_add(c, r2, -0.5);
    let c = isa.mul_add(c, r2, 1.0);

    let odd = quadrant & 1 != 0;
    let (sine, cosine) = if odd { (c, s) } else { (s, c) };
    let sine_sign = (quadrant & 2) << 30;
    let cosine_sign = (quadrant.wrapping_add(1) & 2) << 30;
    (f32::from_bits(sine.to_bits() ^ sine_sign), f32::from_bits(cosine.to_bits() ^ cosine_sign))
}

/// sin x for |x| ≤ [`REDUCTION_LIMIT`], without a cosine: reduction by multiples of π, then a minimax odd polynomial
/// of degree 9 on [−π/2, π/2] (fitted by weighted least squares; its own error is 4.7e-9). Half the work of
/// [`sincos_reduced`], a little less exact: below 1.5e-7.
#[inline(always)]
fn sine_reduced<I: Isa>(isa: I, x: f32) -> f32 {
    let shifted = isa.mul_add(x, std::f32::consts::FRAC_1_PI, MAGIC);
    let q = shifted - MAGIC;
    let r = isa.mul_add(q, -2.0 * HALF_PI_1, x);
    let r = isa.mul_add(q, -2.0 * HALF_PI_2, r);
    let r = isa.mul_add(q, -2.0 * HALF_PI_3, r);
    let r2 = r * r;
    let s = isa.mul_add(2.599_903_2e-6, r2, -1.980_654_6e-4);
    let s = isa.mul_add(s, r2, 8.333_016e-3);
    let s = isa.mul_add(s, r2, -0.166_666_57);
    let s = isa.mul_add(s * r2, r, r);
    f32::from_bits(s.to_bits() ^ (shifted.to_bits() << 31))
}

/// Whether every value of `x` is within the reduction's range; false for NaN.
#[inline(always)]
fn all_reducible(x: &[f32]) -> bool {
    // Magnitudes compare like their bit patterns; NaN and infinity are the largest.
    let largest = x.iter().fold(0_u32, |largest, v| largest.max(v.to_bits() & 0x7fff_ffff));
    largest <= REDUCTION_LIMIT.to_bits()
}

/// Writes sin x to `sine` and cos x to `cosine`; all of one length.
#[inline(always)]
pub(crate) fn sincos_slice<I: Isa>(isa: I, x: &[f32], sine: &mut [f32], cosine: &mut [f32]) {
    debug_assert!(x.len() == sine.len() && x.len() == cosine.len());
    for ((x, sine), cosine) in x.chunks(BLOCK).zip(sine.chunks_mut(BLOCK)).zip(cosine.chunks_mut(BLOCK)) {
        if all_reducible(x) {
            for ((&x, sine), cosine) in x.iter().zip(sine.iter_mut()).zip(cosine.iter_mut()) {
                (*sine, *cosine) = sincos_reduced(isa, x);
            }
        } else {
            for ((&x, sine), cosine) in x.iter().zip(sine).zip(cosine) {
                (*sine, *cosine) = x.sin_cos();
            }
        }
    }
}

/// Replaces each x by sin x and writes cos x to `cosine`.
#[inline(always)]
pub(crate) fn sincos_in_place<I: Isa>(isa: I, x: &mut [f32], cosine: &mut [f32]) {
    debug_assert_eq!(x.len(), cosine.len());
    for (x, cosine) in x.chunks_mut(BLOCK).zip(cosine.chunks_mut(BLOCK)) {
        if all_reducible(x) {
            for (x, cosine) in x.iter_mut().zip(cosine.iter_mut()) {
                (*x, *cosine) = sincos_reduced(isa, *x);
            }
        } else {
            for (x, cosine) in x.iter_mut().zip(cosine) {
                (*x, *cosine) = x.sin_cos();
            }
        }
    }
}

/// Replaces each x by sin x.
#[inline(always)]
pub(crate) fn sine_in_place<I: Isa>(isa: I, x: &mut [f32]) {
    for x in x.chunks_mut(BLOCK) {
        if all_reducible(x) {
            for x in x.iter_mut() {
                *x = sine_reduced(isa, *x);
            }
        } else {
            for x in x.iter_mut() {
                *x = x.sin();
            }
        }
    }
}

/// exp x, flushed to about 1e-38 below −87 and to about 1.6e38 above 88; NaN stays NaN.
#[inline(always)]
pub(crate) fn exp<I: Isa>(isa: I, x: f32) -> f32 {
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // Comparisons that are false for NaN keep it; `clamp` would too, but compiles to slower code.
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = isa.mul_add(x, std::f32::consts::LOG2_E, MAGIC);
    let n = shifted - MAGIC;
    let r = isa.mul_add(n, -LN_2_HIGH, x);
    let r = isa.mul_add(n, -LN_2_LOW, r);
    let p = isa.mul_add(1.987_569_1e-4, r, 1.398_199_9e-3);
    let p = isa.mul_add(p, r, 8.333_452e-3);
    let p = isa.mul_add(p, r, 4.166_579_6e-2);
    let p = isa.mul_add(p, r, 0.166_666_66);
    let p = isa.mul_add(p, r, 0.5);
    let p = isa.mul_add(p * r, r, r) + 1.0;
    // Exponent n + 127 from the low bits of `shifted`.
    let scale = f32::from_bits(shifted.to_bits().wrapping_sub(MAGIC.to_bits()).wrapping_add(127) << 23);
    p * scale
}

#[cfg(test)]
mod tests {
    use super::*;
    use cfconv_fft::simd::{Kernel, Portable, dispatch};

    struct SinCos<'a> {
        x: &'a [f32],
        sine: &'a mut [f32],
        cosine: &'a mut [f32],
    }

    impl Kernel for SinCos<'_> {
        type Output = ();

        #[inline(always)]
        fn run<I: Isa>(self, isa: I) {
            sincos_slice(isa, self.x, self.sine, self.cosine);
        }
    }

    /// sin x and cos x on the best instruction set of this processor; absolute error below 1.0e-7.
    fn sincos_f32(x: &[f32], sine: &mut [f32], cosine: &mut [f32]) {
        dispatch(SinCos { x, sine, cosine });
    }

    struct Sine<'a>(&'a mut [f32]);

    impl Kernel for Sine<'_> {
        type Output = ();

        #[inline(always)]
        fn run<I: Isa>(self, isa: I) {
            sine_in_place(isa, self.0);
        }
    }

    struct Exp<'a>(&'a mut [f32]);

    impl Kernel for Exp<'_> {
        type Output = ();

        #[inline(always)]
        fn run<I: Isa>(self, isa: I) {
            for x in self.0 {
                *x = exp(isa, *x);
            }
        }
    }

    /// Dense near zero and around multiples of π/4, wide up to `limit`.
    fn arguments(limit: f32) -> Vec<f32> {
        let mut x: Vec<f32> = (0..200_000).map(|n| (n as f32 / 200_000.0 * 2.0 - 1.0) * limit).collect();
        x.extend((0..20_000).map(|n| (n as f32 / 10_000.0 - 1.0) * 4.0));
        x.extend((-3000..3000).flat_map(|n| {
            let near = n as f32 * std::f32::consts::FRAC_PI_4;
            [near.next_down(), near, near.next_up()]
        }));
        x.retain(|x| x.abs() <= limit);
        x
    }

    fn largest_error(sincos: impl Fn(&[f32], &mut [f32], &mut [f32]), limit: f32) -> f64 {
        let x = arguments(limit);
        let (mut sine, mut cosine) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
        sincos(&x, &mut sine, &mut cosine);
        x.iter().zip(sine).zip(cosine).fold(0.0, |worst, ((&x, s), c)| {
            let (exact_s, exact_c) = f64::from(x).sin_cos();
            let error = (f64::from(s) - exact_s).abs().max((f64::from(c) - exact_c).abs());
            assert!(!error.is_nan(), "NaN at {x}");
            error.max(worst)
        })
    }

    #[test]
    fn sincos_is_within_its_stated_error_over_the_reduction_range() {
        let error = largest_error(sincos_f32, REDUCTION_LIMIT);
        assert!(error < 1.0e-7, "{error:e}");
        let error = largest_error(|x, s, c| sincos_slice(Portable, x, s, c), REDUCTION_LIMIT);
        assert!(error < 1.0e-7, "portable: {error:e}");
    }

    #[test]
    fn sine_alone_is_within_its_stated_error() {
        for limit in [REDUCTION_LIMIT, 3.0e7] {
            let x = arguments(limit);
            let (mut best, mut portable) = (x.clone(), x.clone());
            dispatch(Sine(&mut best));
            sine_in_place(Portable, &mut portable);
            for ((&x, best), portable) in x.iter().zip(best).zip(portable) {
                let exact = f64::from(x).sin();
                assert!((f64::from(best) - exact).abs() < 1.5e-7, "sin {x}: {best}");
                assert!((f64::from(portable) - exact).abs() < 1.5e-7, "sin {x}: {portable}");
            }
        }
        let mut huge = [1.0e30, 0.5, f32::NAN, f32::INFINITY];
        dispatch(Sine(&mut huge));
        assert!((f64::from(huge[0]) - f64::from(1.0e30_f32).sin()).abs() < 1.5e-7);
        assert!((f64::from(huge[1]) - 0.5_f64.sin()).abs() < 1.5e-7);
        assert!(huge[2].is_nan() && huge[3].is_nan());
    }

    #[test]
    fn sincos_beyond_the_reduction_range_is_the_standard_library() {
        let error = largest_error(sincos_f32, 3.0e7);
        assert!(error < 1.0e-7, "{error:e}");
        let x = [
            1.0e30,
            -3.4e38,
            7000.0,
            -0.5,
            f32::MIN_POSITIVE,
            -0.0,
            f32::INFINITY,
            f32::NAN,
            f32::NEG_INFINITY,
        ];
        let (mut sine, mut cosine) = ([0.0; 9], [0.0; 9]);
        sincos_f32(&x, &mut sine, &mut cosine);
        for ((x, s), c) in x.iter().zip(sine).zip(cosine) {
            if x.is_finite() {
                assert!((f64::from(s) - f64::from(*x).sin()).abs() < 1.0e-7, "sin {x}: {s}");
                assert!((f64::from(c) - f64::from(*x).cos()).abs() < 1.0e-7, "cos {x}: {c}");
            } else {
                assert!(s.is_nan() && c.is_nan(), "{x} gives {s}, {c}");
            }
        }
    }

    #[test]
    fn one_huge_value_does_not_spoil_its_neighbours() {
        let mut x = [0.25_f32; 300];
        x[130] = f32::NAN;
        let (mut sine, mut cosine) = ([0.0; 300], [0.0; 300]);
        sincos_f32(&x, &mut sine, &mut cosine);
        for index in (0..300).filter(|&index| index != 130) {
            assert!((sine[index] - 0.25_f32.sin()).abs() < 1.0e-7);
            assert!((cosine[index] - 0.25_f32.cos()).abs() < 1.0e-7);
        }
        assert!(sine[130].is_nan());
    }

    #[test]
    fn exp_is_within_its_stated_error() {
        let x: Vec<f32> = (0..100_000).map(|n| n as f32 / 100_000.0 * 174.0 - 87.0).collect();
        let mut y = x.clone();
        dispatch(Exp(&mut y));
        for (&x, y) in x.iter().zip(y) {
            let exact = f64::from(x).exp();
            assert!(((f64::from(y) - exact) / exact).abs() < 2.0e-7, "exp {x}: {y}");
        }
        let mut edge = [-1.0e30, f32::NEG_INFINITY, 1.0e30, f32::NAN, 0.0];
        dispatch(Exp(&mut edge));
        assert!(edge[0] < 2.0e-38 && edge[1] < 2.0e-38 && edge[2] > 1.0e38 && edge[3].is_nan());
        assert_eq!(edge[4], 1.0);
    }
}
