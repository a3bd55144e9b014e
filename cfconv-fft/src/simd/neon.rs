//! Lanes in the registers of NEON, 128 bits each.

// Every function is compiled with NEON, which all 64-bit Arm processors have, so that most of the intrinsics are safe
// here; the macro is also for instruction sets where none is.
#![allow(unused_unsafe)]

use std::arch::aarch64::*;

use super::LANES;
use super::registers::register_block;

register_block!(
    NeonF32,
    f32,
    float32x4_t,
    4,
    vdupq_n_f32,
    vld1q_f32,
    vst1q_f32,
    vaddq_f32,
    vsubq_f32,
    vmulq_f32,
    mul_add_f32,
    negate_where_odd_f32,
    sum_f32,
    transpose_f32
);
register_block!(
    NeonF64,
    f64,
    float64x2_t,
    2,
    vdupq_n_f64,
    vld1q_f64,
    vst1q_f64,
    vaddq_f64,
    vsubq_f64,
    vmulq_f64,
    mul_add_f64,
    negate_where_odd_f64,
    sum_f64,
    transpose_f64
);

// SAFETY (of all of these): every processor this is compiled for has NEON.

/// `a·b + c`; the intrinsic wants the summand first.
#[inline(always)]
unsafe fn mul_add_f32(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
    // SAFETY: see above.
    unsafe { vfmaq_f32(c, a, b) }
}

/// As [`mul_add_f32`].
#[inline(always)]
unsafe fn mul_add_f64(a: float64x2_t, b: float64x2_t, c: float64x2_t) -> float64x2_t {
    // SAFETY: see above.
    unsafe { vfmaq_f64(c, a, b) }
}

#[inline(always)]
unsafe fn negate_where_odd_f32(x: float32x4_t, mantissa: float32x4_t) -> float32x4_t {
    // SAFETY: see above.
    unsafe {
        let sign = vshlq_n_u32::<31>(vreinterpretq_u32_f32(mantissa));
        vreinterpretq_f32_u32(veorq_u32(vreinterpretq_u32_f32(x), sign))
    }
}

#[inline(always)]
unsafe fn negate_where_odd_f64(x: float64x2_t, mantissa: float64x2_t) -> float64x2_t {
    // SAFETY: see above.
    unsafe {
        let sign = vshlq_n_u64::<63>(vreinterpretq_u64_f64(mantissa));
        vreinterpretq_f64_u64(veorq_u64(vreinterpretq_u64_f64(x), sign))
    }
}

#[inline(always)]
unsafe fn sum_f32([a, b, c, d]: [float32x4_t; 4]) -> f32 {
    // SAFETY: see above.
    unsafe {
        let four = vaddq_f32(vaddq_f32(a, c), vaddq_f32(b, d));
        let two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
        vget_lane_f32::<0>(two) + vget_lane_f32::<1>(two)
    }
}

#[inline(always)]
unsafe fn sum_f64([a, b, c, d, e, f, g, h]: [float64x2_t; 8]) -> f64 {
    // SAFETY: see above.
    unsafe {
        let eight = [vaddq_f64(a, e), vaddq_f64(b, f), vaddq_f64(c, g), vaddq_f64(d, h)];
        let two = vaddq_f64(vaddq_f64(eight[0], eight[2]), vaddq_f64(eight[1], eight[3]));
        vgetq_lane_f64::<0>(two) + vgetq_lane_f64::<1>(two)
    }
}

/// Blocks of 4×4: pairs of rows exchange single values, then pairs of values.
///
/// # Safety
/// As [`Block::transpose`](super::block::Block::transpose).
#[inline(always)]
unsafe fn transpose_f32(
    (source, source_step): (*const f32, usize),
    (target, target_step): (*mut f32, usize),
) {
    for top in (0..LANES).step_by(4) {
        for left in (0..LANES).step_by(4) {
            // SAFETY: the caller vouches for rows 0..16 on both sides.
            unsafe {
                let row = source.add(top * source_step + left);
                let rows = [
                    vld1q_f32(row),
                    vld1q_f32(row.add(source_step)),
                    vld1q_f32(row.add(2 * source_step)),
                    vld1q_f32(row.add(3 * source_step)),
                ];
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
///
/// # Safety
/// As [`Block::transpose`](super::block::Block::transpose).
#[inline(always)]
unsafe fn transpose_f64(
    (source, source_step): (*const f64, usize),
    (target, target_step): (*mut f64, usize),
) {
    for top in (0..LANES).step_by(2) {
        for left in (0..LANES).step_by(2) {
            // SAFETY: the caller vouches for rows 0..16 on both sides.
            unsafe {
                let row = source.add(top * source_step + left);
                let rows = [vld1q_f64(row), vld1q_f64(row.add(source_step))];
                let column = target.add(left * target_step + top);
                vst1q_f64(column, vtrn1q_f64(rows[0], rows[1]));
                vst1q_f64(column.add(target_step), vtrn2q_f64(rows[0], rows[1]));
            }
        }
    }
}
