//! Transpositions of [`LANES`] × [`LANES`] values, through the registers of one instruction set.
//!
//! Every function writes `target[c·target_step + r] = source[r·source_step + c]` for r, c < [`LANES`].

use super::LANES;
use crate::Real;

/// Value by value: the reference, and what the compiler makes of it.
///
/// # Safety
/// Rows of [`LANES`] values, a step apart, can be read from `source` and written to `target`.
#[inline(always)]
pub(super) unsafe fn transpose_values<T: Real>(
    (source, source_step): (*const T, usize),
    (target, target_step): (*mut T, usize),
) {
    for c in 0..LANES {
        for r in 0..LANES {
            // SAFETY: the caller vouches for rows r and c.
            unsafe { *target.add(c * target_step + r) = *source.add(r * source_step + c) };
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{transpose_pd256, transpose_ps256};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::LANES;

    /// Blocks of 8×8. The two halves of a register come from rows four apart, so that no exchange crosses
    /// halves: 16 shuffles a block and not 24. Eight rows are done before the next eight: planes of 64×64
    /// lie so that all 16 rows share the eight places of one set of the level-1 cache.
    ///
    /// # Safety
    /// As [`transpose_values`](super::transpose_values), and the processor has AVX.
    #[inline(always)]
    pub(in super::super) unsafe fn transpose_ps256(
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
                        _mm256_storeu_ps(
                            column.add(2 * target_step),
                            _mm256_shuffle_ps::<0x44>(high01, high23),
                        );
                        _mm256_storeu_ps(
                            column.add(3 * target_step),
                            _mm256_shuffle_ps::<0xEE>(high01, high23),
                        );
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
    /// As [`transpose_values`](super::transpose_values), and the processor has AVX.
    #[inline(always)]
    pub(in super::super) unsafe fn transpose_pd256(
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
}
