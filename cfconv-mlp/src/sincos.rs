//! Sine, cosine and exponential of many `f32` values.
//!
//! `sin` and `cos`: Cody–Waite reduction by multiples of π in three parts, then odd and even polynomials on
//! [−π/2, π/2] (least-squares fits with weights that level the error, below 7e-9 with the coefficients
//! rounded). No branches and no choice
//! of quadrant: the parity of the multiple is the sign of both. A row that holds a value beyond
//! [`REDUCTION_LIMIT`] (or an infinity or NaN) goes to the standard library instead.
//!
//! Largest absolute error, measured against `f64` over ±6000: below 1.5e-7, or 1.7e-7 without fused multiplication
//! and addition (1.3 or 1.4 rounding steps at 1).
//! `exp`: reduction by multiples of ln 2 and a polynomial of degree 6; relative error below 2.0e-7.

use cfconv_fft::simd::{Isa, LANES};

/// Beyond this magnitude the three-part reduction is no longer exact, and the standard library is used.
const REDUCTION_LIMIT: f32 = 6000.0;

/// Values that share one range check.
const BLOCK: usize = 256;

/// 1.5·2²³: adding it rounds to an integer and leaves that integer in the low bits.
const MAGIC: f32 = 12_582_912.0;

// π in three parts: the first two have 8 and 12 significant bits, so that their products with the multiple are
// exact.
const PI_1: f32 = 3.140_625;
const PI_2: f32 = 9.675_026e-4;
const PI_3: f32 = 1.509_958e-7;

/// [`BLOCK`] values reduced to [−π/2, π/2]: x = r + nπ.
struct Reduced {
    r: [[f32; LANES]; BLOCK / LANES],
    /// n + [`MAGIC`].
    multiple: [[f32; LANES]; BLOCK / LANES],
}

/// Reduces |x| ≤ [`REDUCTION_LIMIT`].
///
/// Reduction and polynomials are loops of their own: each is a short chain of dependent operations, of which the
/// processor overlaps several only as long as they are short.
#[inline(always)]
fn reduce<I: Isa>(isa: I, x: &[[f32; LANES]], reduced: &mut Reduced) {
    let magic = isa.splat(MAGIC);
    for ((x, r_target), multiple_target) in x.iter().zip(&mut reduced.r).zip(&mut reduced.multiple) {
        let x = isa.load(x);
        let multiple = isa.fma(x, isa.splat(std::f32::consts::FRAC_1_PI), magic);
        let n = isa.sub(multiple, magic);
        let r = isa.fma(n, isa.splat(-PI_1), x);
        let r = isa.fma(n, isa.splat(-PI_2), r);
        let r = isa.fma(n, isa.splat(-PI_3), r);
        isa.store(r, r_target);
        isa.store(multiple, multiple_target);
    }
}

#[inline(always)]
fn sine<I: Isa>(isa: I, reduced: &Reduced, target: &mut [[f32; LANES]]) {
    for ((r, multiple), target) in reduced.r.iter().zip(&reduced.multiple).zip(target) {
        let r = isa.load(r);
        let r2 = isa.mul(r, r);
        let r3 = isa.mul(r2, r);
        let s = isa.fma(isa.splat(2.599_903_2e-6), r2, isa.splat(-1.980_654_6e-4));
        let s = isa.fma(s, r2, isa.splat(8.333_016e-3));
        let s = isa.fma(s, r2, isa.splat(-0.166_666_57));
        let s = isa.fma(s, r3, r);
        isa.store(isa.negate_where_odd(s, isa.load(multiple)), target);
    }
}

#[inline(always)]
fn cosine<I: Isa>(isa: I, reduced: &Reduced, target: &mut [[f32; LANES]]) {
    for ((r, multiple), target) in reduced.r.iter().zip(&reduced.multiple).zip(target) {
        let r = isa.load(r);
        let r2 = isa.mul(r, r);
        let c = isa.fma(isa.splat(-2.619_115e-7), r2, isa.splat(2.476_917_7e-5));
        let c = isa.fma(c, r2, isa.splat(-1.388_856_7e-3));
        let c = isa.fma(c, r2, isa.splat(4.166_665_7e-2));
        let c = isa.fma(c, r2, isa.splat(-0.5));
        let c = isa.fma(c, r2, isa.splat(1.0));
        isa.store(isa.negate_where_odd(c, isa.load(multiple)), target);
    }
}

/// Whether every value of `x` is within the reduction's range; false for NaN.
#[inline(always)]
fn all_reducible(x: &[f32]) -> bool {
    // Magnitudes compare like their bit patterns; NaN and infinity are the largest.
    let largest = x.iter().fold(0_u32, |largest, v| largest.max(v.to_bits() & 0x7fff_ffff));
    largest <= REDUCTION_LIMIT.to_bits()
}

/// Replaces each x by sin x and, with `COSINE`, writes cos x to `cosine` (same length; unused and may be empty
/// without `COSINE`).
#[inline(always)]
pub(crate) fn sine_in_place<I: Isa, const COSINE: bool>(isa: I, x: &mut [f32], cosine_target: &mut [f32]) {
    debug_assert!(!COSINE || x.len() == cosine_target.len());
    let zeros = [[0.0; LANES]; BLOCK / LANES];
    let mut reduced = Reduced { r: zeros, multiple: zeros };
    for (block, x) in x.chunks_mut(BLOCK).enumerate() {
        let cosine_target = if COSINE { &mut cosine_target[block * BLOCK..][..x.len()] } else { &mut [] };
        if !all_reducible(x) {
            for (index, x) in x.iter_mut().enumerate() {
                if COSINE {
                    cosine_target[index] = x.cos();
                }
                *x = x.sin();
            }
            continue;
        }
        let (full, tail) = x.as_chunks_mut::<LANES>();
        let (full_cosine, tail_cosine) = cosine_target.as_chunks_mut::<LANES>();
        reduce(isa, full, &mut reduced);
        sine(isa, &reduced, full);
        cosine(isa, &reduced, full_cosine);
        if !tail.is_empty() {
            let mut lanes = [[0.0; LANES]];
            lanes[0][..tail.len()].copy_from_slice(tail);
            reduce(isa, &lanes, &mut reduced);
            sine(isa, &reduced, &mut lanes);
            tail.copy_from_slice(&lanes[0][..tail.len()]);
            cosine(isa, &reduced, &mut lanes);
            tail_cosine.copy_from_slice(&lanes[0][..tail_cosine.len()]);
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

    struct Sine<'a, const COSINE: bool> {
        x: &'a mut [f32],
        cosine: &'a mut [f32],
    }

    impl<const COSINE: bool> Kernel for Sine<'_, COSINE> {
        type Output = ();

        #[inline(always)]
        fn run<I: Isa>(self, isa: I) {
            sine_in_place::<I, COSINE>(isa, self.x, self.cosine);
        }
    }

    /// sin x and cos x on the best instruction set of this processor.
    fn sincos(x: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let (mut sine, mut cosine) = (x.to_vec(), vec![f32::NAN; x.len()]);
        dispatch(Sine::<true> { x: &mut sine, cosine: &mut cosine });
        (sine, cosine)
    }

    /// The same on the portable one.
    fn portable_sincos(x: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let (mut sine, mut cosine) = (x.to_vec(), vec![f32::NAN; x.len()]);
        sine_in_place::<_, true>(Portable, &mut sine, &mut cosine);
        (sine, cosine)
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

    /// The largest error of sine and cosine over [`arguments`].
    fn largest_error(sincos: impl Fn(&[f32]) -> (Vec<f32>, Vec<f32>), limit: f32) -> f64 {
        let x = arguments(limit);
        let (sine, cosine) = sincos(&x);
        let errors = x.iter().zip(sine).zip(cosine).flat_map(|((&x, s), c)| {
            let (exact_s, exact_c) = f64::from(x).sin_cos();
            [(f64::from(s) - exact_s).abs(), (f64::from(c) - exact_c).abs()]
        });
        // Positive NaN is above all numbers in this order.
        errors.max_by(f64::total_cmp).unwrap()
    }

    #[test]
    fn sine_and_cosine_are_within_their_stated_error() {
        for limit in [REDUCTION_LIMIT, 3.0e7] {
            let portable = largest_error(portable_sincos, limit);
            assert!(portable < 1.7e-7, "portable: {portable:e}");
            // Where lanes are plain arrays, both are the same function.
            let x = arguments(limit);
            let bound = if sincos(&x) == portable_sincos(&x) { 1.7e-7 } else { 1.5e-7 };
            let error = largest_error(sincos, limit);
            assert!(error < bound, "{error:e}");
        }
    }

    #[test]
    fn sine_alone_is_the_same_sine() {
        let x = arguments(3.0e7);
        let mut sine = x.clone();
        dispatch(Sine::<false> { x: &mut sine, cosine: &mut [] });
        assert_eq!(sine, sincos(&x).0);
    }

    #[test]
    fn the_length_and_the_place_of_a_value_do_not_matter() {
        let x = &arguments(50.0)[..200];
        let (sine, cosine) = sincos(x);
        for (start, length) in [(0, 1), (3, 15), (40, 16), (5, 17), (1, 130), (7, 193)] {
            let (part_sine, part_cosine) = sincos(&x[start..start + length]);
            assert_eq!(part_sine, sine[start..start + length]);
            assert_eq!(part_cosine, cosine[start..start + length]);
        }
    }

    #[test]
    fn values_beyond_the_reduction_range_take_the_standard_library() {
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
        let (sine, cosine) = sincos(&x);
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
        let (sine, cosine) = sincos(&x);
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
