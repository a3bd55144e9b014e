//! Lanes in the registers of AVX2 and AVX-512.

use std::arch::x86_64::*;

use super::LANES;
use super::registers::register_block;

register_block!(
    Avx2F32,
    f32,
    __m256,
    8,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_add_ps,
    _mm256_sub_ps,
    _mm256_mul_ps,
    _mm256_fmadd_ps,
    negate_where_odd_ps256,
    sum_ps256,
    transpose_ps256
);
register_block!(
    Avx2F64,
    f64,
    __m256d,
    4,
    _mm256_set1_pd,
    _mm256_loadu_pd,
    _mm256_storeu_pd,
    _mm256_add_pd,
    _mm256_sub_pd,
    _mm256_mul_pd,
    _mm256_fmadd_pd,
    negate_where_odd_pd256,
    sum_pd256,
    transpose_pd256
);
register_block!(
    Avx512F32,
    f32,
    __m512,
    16,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_add_ps,
    _mm512_sub_ps,
    _mm512_mul_ps,
    _mm512_fmadd_ps,
    negate_where_odd_ps512,
    sum_ps512,
    transpose_ps256
);
register_block!(
    Avx512F64,
    f64,
    __m512d,
    8,
    _mm512_set1_pd,
    _mm512_loadu_pd,
    _mm512_storeu_pd,
    _mm512_add_pd,
    _mm512_sub_pd,
    _mm512_mul_pd,
    _mm512_fmadd_pd,
    negate_where_odd_pd512,
    sum_pd512,
    transpose_pd256
);

// SAFETY (of all of these): callers have the instruction set, as everywhere in this module.

#[inline(always)]
unsafe fn negate_where_odd_ps256(x: __m256, mantissa: __m256) -> __m256 {
    // SAFETY: see above.
    unsafe {
        let sign = _mm256_slli_epi32::<31>(_mm256_castps_si256(mantissa));
        _mm256_xor_ps(x, _mm256_castsi256_ps(sign))
    }
}

#[inline(always)]
unsafe fn negate_where_odd_pd256(x: __m256d, mantissa: __m256d) -> __m256d {
    // SAFETY: see above.
    unsafe {
        let sign = _mm256_slli_epi64::<63>(_mm256_castpd_si256(mantissa));
        _mm256_xor_pd(x, _mm256_castsi256_pd(sign))
    }
}

#[inline(always)]
unsafe fn negate_where_odd_ps512(x: __m512, mantissa: __m512) -> __m512 {
    // SAFETY: see above.
    unsafe {
        let sign = _mm512_slli_epi32::<31>(_mm512_castps_si512(mantissa));
        _mm512_xor_ps(x, _mm512_castsi512_ps(sign))
    }
}

#[inline(always)]
unsafe fn negate_where_odd_pd512(x: __m512d, mantissa: __m512d) -> __m512d {
    // SAFETY: see above.
    unsafe {
        let sign = _mm512_slli_epi64::<63>(_mm512_castpd_si512(mantissa));
        _mm512_xor_pd(x, _mm512_castsi512_pd(sign))
    }
}

#[inline(always)]
unsafe fn sum_ps256([low, high]: [__m256; 2]) -> f32 {
    // SAFETY: see above.
    unsafe {
        let eight = _mm256_add_ps(low, high);
        let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
    }
}

#[inline(always)]
unsafe fn sum_pd256([a, b, c, d]: [__m256d; 4]) -> f64 {
    // SAFETY: see above.
    unsafe { sum_four_pd(_mm256_add_pd(_mm256_add_pd(a, c), _mm256_add_pd(b, d))) }
}

#[inline(always)]
unsafe fn sum_ps512([lanes]: [__m512; 1]) -> f32 {
    // SAFETY: see above.
    unsafe { sum_ps256([_mm512_castps512_ps256(lanes), _mm512_extractf32x8_ps::<1>(lanes)]) }
}

#[inline(always)]
unsafe fn sum_pd512([low, high]: [__m512d; 2]) -> f64 {
    // SAFETY: see above.
    unsafe {
        let eight = _mm512_add_pd(low, high);
        sum_four_pd(_mm256_add_pd(_mm512_castpd512_pd256(eight), _mm512_extractf64x4_pd::<1>(eight)))
    }
}

/// The sum of one 256-bit register.
#[inline(always)]
unsafe fn sum_four_pd(four: __m256d) -> f64 {
    // SAFETY: see above.
    unsafe {
        let two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd::<1>(four));
        _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)))
    }
}

/// Blocks of 8×8. The two halves of a register come from rows four apart, so that no exchange crosses
/// halves: 16 shuffles a block and not 24. Eight rows are done before the next eight: planes of 64×64
/// lie so that all 16 rows share the eight places of one set of the level-1 cache.
///
/// # Safety
/// As [`Block::transpose`](super::block::Block::transpose), and the processor has AVX.
#[inline(always)]
unsafe fn transpose_ps256(
    (source, source_step): (*const f32, usize),
    (target, target_step): (*mut f32, usize),
) {
    for top in (0..LANES).step_by(8) {
        for left in (0..LANES).step_by(8) {
            // SAFETY: the caller vouches for the instruction set and for rows 0..16 on both sides.
            unsafe {
                for c in [left, left + 4] {
                    let row = source.add(top * source_step + c);
                    let rows = [
                        load_ps(row, source_step),
                        load_ps(row.add(source_step), source_step),
                        load_ps(row.add(2 * source_step), source_step),
                        load_ps(row.add(3 * source_step), source_step),
                    ];
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

/// Four values of a row and four of the row four steps below.
///
/// # Safety
/// Both can be read, and the processor has AVX.
#[inline(always)]
unsafe fn load_ps(row: *const f32, step: usize) -> __m256 {
    // SAFETY: the caller vouches for the rows and the instruction set.
    unsafe {
        let upper = _mm256_castps128_ps256(_mm_loadu_ps(row));
        _mm256_insertf128_ps::<1>(upper, _mm_loadu_ps(row.add(4 * step)))
    }
}

/// Blocks of 4×4, as [`transpose_ps256`].
///
/// # Safety
/// As [`Block::transpose`](super::block::Block::transpose), and the processor has AVX.
#[inline(always)]
unsafe fn transpose_pd256(
    (source, source_step): (*const f64, usize),
    (target, target_step): (*mut f64, usize),
) {
    for top in (0..LANES).step_by(4) {
        for left in (0..LANES).step_by(2) {
            // SAFETY: the caller vouches for the instruction set and for rows 0..16 on both sides.
            unsafe {
                let row = source.add(top * source_step + left);
                let rows = [load_pd(row, source_step), load_pd(row.add(source_step), source_step)];
                let column = target.add(left * target_step + top);
                _mm256_storeu_pd(column, _mm256_unpacklo_pd(rows[0], rows[1]));
                _mm256_storeu_pd(column.add(target_step), _mm256_unpackhi_pd(rows[0], rows[1]));
            }
        }
    }
}

/// Two values of a row and two of the row two steps below.
///
/// # Safety
/// Both can be read, and the processor has AVX.
#[inline(always)]
unsafe fn load_pd(row: *const f64, step: usize) -> __m256d {
    // SAFETY: the caller vouches for the rows and the instruction set.
    unsafe {
        let upper = _mm256_castpd128_pd256(_mm_loadu_pd(row));
        _mm256_insertf128_pd::<1>(upper, _mm_loadu_pd(row.add(2 * step)))
    }
}
