//! Lanes in the registers of AVX2 and AVX-512.

use std::arch::x86_64::*;

use super::LANES;
use super::block::assert_rows_within;
use super::registers::{compiled, declare_isa, each_register};

declare_isa! {
    /// AVX2 with FMA.
    Avx2: "avx2,fma", WIDE = false, Lanes = Avx2;
    Avx2F32: [__m256; 2] of f32 {
        splat: _mm256_set1_ps,
        load: _mm256_loadu_ps,
        store: _mm256_storeu_ps,
        add: _mm256_add_ps,
        sub: _mm256_sub_ps,
        mul: _mm256_mul_ps,
        fma: _mm256_fmadd_ps,
        negate_where_odd: negate_where_odd_ps256,
        sum: sum_ps256,
        transpose: transpose_ps256
    }
    Avx2F64: [__m256d; 4] of f64 {
        splat: _mm256_set1_pd,
        load: _mm256_loadu_pd,
        store: _mm256_storeu_pd,
        add: _mm256_add_pd,
        sub: _mm256_sub_pd,
        mul: _mm256_mul_pd,
        fma: _mm256_fmadd_pd,
        negate_where_odd: negate_where_odd_pd256,
        sum: sum_pd256,
        transpose: transpose_pd256
    }
}

declare_isa! {
    /// AVX-512 F, BW, DQ and VL, with AVX2 and FMA.
    Avx512: "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma", WIDE = true, Lanes = Avx512;
    Avx512F32: [__m512; 1] of f32 {
        splat: _mm512_set1_ps,
        load: _mm512_loadu_ps,
        store: _mm512_storeu_ps,
        add: _mm512_add_ps,
        sub: _mm512_sub_ps,
        mul: _mm512_mul_ps,
        fma: _mm512_fmadd_ps,
        negate_where_odd: negate_where_odd_ps512,
        sum: sum_ps512,
        transpose: transpose_ps256
    }
    Avx512F64: [__m512d; 2] of f64 {
        splat: _mm512_set1_pd,
        load: _mm512_loadu_pd,
        store: _mm512_storeu_pd,
        add: _mm512_add_pd,
        sub: _mm512_sub_pd,
        mul: _mm512_mul_pd,
        fma: _mm512_fmadd_pd,
        negate_where_odd: negate_where_odd_pd512,
        sum: sum_pd512,
        transpose: transpose_pd256
    }
}

impl Avx2 {
    /// The token, if this processor has AVX2 and FMA.
    pub(super) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }
}

impl Avx512 {
    /// The token, if this processor has AVX-512 F, BW, DQ and VL, AVX2 and FMA.
    pub(super) fn detect() -> Option<Self> {
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        (avx512 && Avx2::detect().is_some()).then_some(Self(()))
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn negate_where_odd_ps256(x: __m256, mantissa: __m256) -> __m256 {
    let sign = _mm256_slli_epi32::<31>(_mm256_castps_si256(mantissa));
    _mm256_xor_ps(x, _mm256_castsi256_ps(sign))
}

#[inline]
#[target_feature(enable = "avx2")]
fn negate_where_odd_pd256(x: __m256d, mantissa: __m256d) -> __m256d {
    let sign = _mm256_slli_epi64::<63>(_mm256_castpd_si256(mantissa));
    _mm256_xor_pd(x, _mm256_castsi256_pd(sign))
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn negate_where_odd_ps512(x: __m512, mantissa: __m512) -> __m512 {
    let sign = _mm512_slli_epi32::<31>(_mm512_castps_si512(mantissa));
    _mm512_xor_ps(x, _mm512_castsi512_ps(sign))
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn negate_where_odd_pd512(x: __m512d, mantissa: __m512d) -> __m512d {
    let sign = _mm512_slli_epi64::<63>(_mm512_castpd_si512(mantissa));
    _mm512_xor_pd(x, _mm512_castsi512_pd(sign))
}

#[inline]
#[target_feature(enable = "avx2")]
fn sum_ps256([low, high]: [__m256; 2]) -> f32 {
    let eight = _mm256_add_ps(low, high);
    let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn sum_pd256([a, b, c, d]: [__m256d; 4]) -> f64 {
    sum_four_pd(_mm256_add_pd(_mm256_add_pd(a, c), _mm256_add_pd(b, d)))
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn sum_ps512([lanes]: [__m512; 1]) -> f32 {
    sum_ps256([_mm512_castps512_ps256(lanes), _mm512_extractf32x8_ps::<1>(lanes)])
}

#[inline]
#[target_feature(enable = "avx512f")]
fn sum_pd512([low, high]: [__m512d; 2]) -> f64 {
    let eight = _mm512_add_pd(low, high);
    sum_four_pd(_mm256_add_pd(_mm512_castpd512_pd256(eight), _mm512_extractf64x4_pd::<1>(eight)))
}

/// The sum of one 256-bit register.
#[inline]
#[target_feature(enable = "avx2")]
fn sum_four_pd(four: __m256d) -> f64 {
    let two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd::<1>(four));
    _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)))
}

/// Blocks of 8×8. The two halves of a register come from rows four apart, so that no exchange crosses
/// halves: 16 shuffles a block and not 24. Eight rows are done before the next eight: planes of 64×64
/// lie so that all 16 rows share the eight places of one set of the level-1 cache.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose_ps256((source, source_step): (&[f32], usize), (target, target_step): (&mut [f32], usize)) {
    assert_rows_within((source, source_step), (target, target_step));
    let (source, target) = (source.as_ptr(), target.as_mut_ptr());
    for top in (0..LANES).step_by(8) {
        for left in (0..LANES).step_by(8) {
            for c in [left, left + 4] {
                // SAFETY: rows 0..16 of 16 values lie within both slices, as asserted above.
                unsafe {
                    // Four values of a row, and four of the row four below.
                    let mut rows = [_mm256_setzero_ps(); 4];
                    for r in 0..4 {
                        let row = source.add((top + r) * source_step + c);
                        let upper = _mm256_castps128_ps256(_mm_loadu_ps(row));
                        rows[r] = _mm256_insertf128_ps::<1>(upper, _mm_loadu_ps(row.add(4 * source_step)));
                    }
                    let low01 = _mm256_unpacklo_ps(rows[0], rows[1]);
                    let high01 = _mm256_unpackhi_ps(rows[0], rows[1]);
                    let low23 = _mm256_unpacklo_ps(rows[2], rows[3]);
                    let high23 = _mm256_unpackhi_ps(rows[2], rows[3]);
                    let column = target.add(c * target_step + top);
                    _mm256_storeu_ps(column, _mm256_shuffle_ps::<0x44>(low01, low23));
                    _mm256_storeu_ps(column.add(target_step), _mm256_shuffle_ps::<0xEE>(low01, low23));
                    _mm256_storeu_ps(column.add(2 * target_step), _mm256_shuffle_ps::<0x44>(high01, high23));
                    _mm256_storeu_ps(column.add(3 * target_step), _mm256_shuffle_ps::<0xEE>(high01, high23));
                }
            }
        }
    }
}

/// Blocks of 4×4, as [`transpose_ps256`].
#[inline]
#[target_feature(enable = "avx2")]
fn transpose_pd256((source, source_step): (&[f64], usize), (target, target_step): (&mut [f64], usize)) {
    assert_rows_within((source, source_step), (target, target_step));
    let (source, target) = (source.as_ptr(), target.as_mut_ptr());
    for top in (0..LANES).step_by(4) {
        for left in (0..LANES).step_by(2) {
            // SAFETY: rows 0..16 of 16 values lie within both slices, as asserted above.
            unsafe {
                // Two values of a row, and two of the row two below.
                let mut rows = [_mm256_setzero_pd(); 2];
                for r in 0..2 {
                    let row = source.add((top + r) * source_step + left);
                    let upper = _mm256_castpd128_pd256(_mm_loadu_pd(row));
                    rows[r] = _mm256_insertf128_pd::<1>(upper, _mm_loadu_pd(row.add(2 * source_step)));
                }
                let column = target.add(left * target_step + top);
                _mm256_storeu_pd(column, _mm256_unpacklo_pd(rows[0], rows[1]));
                _mm256_storeu_pd(column.add(target_step), _mm256_unpackhi_pd(rows[0], rows[1]));
            }
        }
    }
}
