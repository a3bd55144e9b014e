//! Lanes in the registers of NEON, 128 bits each.

// The compiler knows that every 64-bit Arm processor has NEON and asks for no `unsafe`; the macros serve other
// instruction sets too.
#![allow(unused_unsafe)]

use std::arch::aarch64::*;

use super::LANES;
use super::block::assert_rows_within;
use super::registers::{compiled, declare_isa, each_register};

declare_isa! {
    /// NEON, which every 64-bit Arm processor has.
    Neon: "neon", WIDE = false, Lanes = Neon;
    NeonF32: [float32x4_t; 4] of f32 {
        splat: vdupq_n_f32,
        load: vld1q_f32,
        store: vst1q_f32,
        add: vaddq_f32,
        sub: vsubq_f32,
        mul: vmulq_f32,
        fma: fma_f32,
        negate_where_odd: negate_where_odd_f32,
        sum: sum_f32,
        transpose: transpose_f32
    }
    NeonF64: [float64x2_t; 8] of f64 {
        splat: vdupq_n_f64,
        load: vld1q_f64,
        store: vst1q_f64,
        add: vaddq_f64,
        sub: vsubq_f64,
        mul: vmulq_f64,
        fma: fma_f64,
        negate_where_odd: negate_where_odd_f64,
        sum: sum_f64,
        transpose: transpose_f64
    }
}

impl Neon {
    /// The token: every processor this is compiled for has NEON.
    pub(super) fn detect() -> Self {
        Self(())
    }
}

/// `a·b + c`; the intrinsic wants the summand first.
#[inline]
#[target_feature(enable = "neon")]
fn fma_f32(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
    vfmaq_f32(c, a, b)
}

/// As [`fma_f32`].
#[inline]
#[target_feature(enable = "neon")]
fn fma_f64(a: float64x2_t, b: float64x2_t, c: float64x2_t) -> float64x2_t {
    vfmaq_f64(c, a, b)
}

#[inline]
#[target_feature(enable = "neon")]
fn negate_where_odd_f32(x: float32x4_t, mantissa: float32x4_t) -> float32x4_t {
    let sign = vshlq_n_u32::<31>(vreinterpretq_u32_f32(mantissa));
    vreinterpretq_f32_u32(veorq_u32(vreinterpretq_u32_f32(x), sign))
}

#[inline]
#[target_feature(enable = "neon")]
fn negate_where_odd_f64(x: float64x2_t, mantissa: float64x2_t) -> float64x2_t {
    let sign = vshlq_n_u64::<63>(vreinterpretq_u64_f64(mantissa));
    vreinterpretq_f64_u64(veorq_u64(vreinterpretq_u64_f64(x), sign))
}

#[inline]
#[target_feature(enable = "neon")]
fn sum_f32([a, b, c, d]: [float32x4_t; 4]) -> f32 {
    let four = vaddq_f32(vaddq_f32(a, c), vaddq_f32(b, d));
    let two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    vget_lane_f32::<0>(two) + vget_lane_f32::<1>(two)
}

#[inline]
#[target_feature(enable = "neon")]
fn sum_f64([a, b, c, d, e, f, g, h]: [float64x2_t; 8]) -> f64 {
    let eight = [vaddq_f64(a, e), vaddq_f64(b, f), vaddq_f64(c, g), vaddq_f64(d, h)];
    let two = vaddq_f64(vaddq_f64(eight[0], eight[2]), vaddq_f64(eight[1], eight[3]));
    vgetq_lane_f64::<0>(two) + vgetq_lane_f64::<1>(two)
}

/// Blocks of 4×4: pairs of rows exchange single values, then pairs of values.
#[inline]
#[target_feature(enable = "neon")]
fn transpose_f32((source, source_step): (&[f32], usize), (target, target_step): (&mut [f32], usize)) {
    assert_rows_within((source, source_step), (target, target_step));
    let (source, target) = (source.as_ptr(), target.as_mut_ptr());
    for top in (0..LANES).step_by(4) {
        for left in (0..LANES).step_by(4) {
            // SAFETY: rows 0..16 of 16 values lie within both slices, as asserted above.
            unsafe {
                let mut rows = [vdupq_n_f32(0.0); 4];
                for r in 0..4 {
                    rows[r] = vld1q_f32(source.add((top + r) * source_step + left));
                }
                let even01 = vreinterpretq_f64_f32(vtrn1q_f32(rows[0], rows[1]));
                let odd01 = vreinterpretq_f64_f32(vtrn2q_f32(rows[0], rows[1]));
                let even23 = vreinterpretq_f64_f32(vtrn1q_f32(rows[2], rows[3]));
                let odd23 = vreinterpretq_f64_f32(vtrn2q_f32(rows[2], rows[3]));
                let column = target.add(left * target_step + top);
                vst1q_f32(column, vreinterpretq_f32_f64(vtrn1q_f64(even01, even23)));
                vst1q_f32(column.add(target_step), vreinterpretq_f32_f64(vtrn1q_f64(odd01, odd23)));
                vst1q_f32(column.add(2 * target_step), vreinterpretq_f32_f64(vtrn2q_f64(even01, even23)));
                vst1q_f32(column.add(3 * target_step), vreinterpretq_f32_f64(vtrn2q_f64(odd01, odd23)));
            }
        }
    }
}

/// Blocks of 2×2.
#[inline]
#[target_feature(enable = "neon")]
fn transpose_f64((source, source_step): (&[f64], usize), (target, target_step): (&mut [f64], usize)) {
    assert_rows_within((source, source_step), (target, target_step));
    let (source, target) = (source.as_ptr(), target.as_mut_ptr());
    for top in (0..LANES).step_by(2) {
        for left in (0..LANES).step_by(2) {
            // SAFETY: rows 0..16 of 16 values lie within both slices, as asserted above.
            unsafe {
                let mut rows = [vdupq_n_f64(0.0); 2];
                for r in 0..2 {
                    rows[r] = vld1q_f64(source.add((top + r) * source_step + left));
                }
                let column = target.add(left * target_step + top);
                vst1q_f64(column, vtrn1q_f64(rows[0], rows[1]));
                vst1q_f64(column.add(target_step), vtrn2q_f64(rows[0], rows[1]));
            }
        }
    }
}
