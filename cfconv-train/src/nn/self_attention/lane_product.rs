//! Small matrix products of which each lane computes its own.

use cfconv_fft::Real;
use cfconv_fft::simd::{Isa, LANES};

/// A matrix with any strides, one in each lane.
#[derive(Clone, Copy)]
pub(super) struct LaneMatrix<'a, T> {
    pub(super) values: &'a [[T; LANES]],
    pub(super) row: usize,
    pub(super) column: usize,
}

impl<T> LaneMatrix<'_, T> {
    /// The rest of the matrix from `row` and `column` on.
    #[inline(always)]
    fn from(self, row: usize, column: usize) -> Self {
        Self { values: &self.values[row * self.row + column * self.column..], ..self }
    }
}

/// Steps of the inner sum that are taken for all targets before the next ones: both operands' parts then stay in a
/// level-1 cache.
const DEPTH: usize = 32;

/// `c[n, m] = Σ_l a[n, l]·b[m, l]`, or with `ACCUMULATE` added to what c holds, in each lane; the rows of c are
/// `columns` long.
#[inline(always)]
pub(super) fn product<T: Real, I: Isa, const ACCUMULATE: bool>(
    isa: I,
    (rows, columns, depth): (usize, usize, usize),
    a: LaneMatrix<'_, T>,
    b: LaneMatrix<'_, T>,
    c: &mut [[T; LANES]],
) {
    debug_assert!(c.len() >= rows * columns && depth > 0);
    for first in (0..depth).step_by(DEPTH) {
        let sizes = (rows, columns, DEPTH.min(depth - first));
        let (a, b) = (a.from(0, first), b.from(0, first));
        let accumulate = ACCUMULATE || first > 0;
        // Sums, the values of b and one of a fill the registers.
        if I::WIDE {
            blocks::<T, I, 4>(isa, sizes, a, b, accumulate, c);
        } else {
            blocks::<T, I, 3>(isa, sizes, a, b, accumulate, c);
        }
    }
}

/// All blocks of N rows and two columns, and what is left.
#[inline(always)]
fn blocks<T: Real, I: Isa, const N: usize>(
    isa: I,
    (rows, columns, depth): (usize, usize, usize),
    a: LaneMatrix<'_, T>,
    b: LaneMatrix<'_, T>,
    accumulate: bool,
    c: &mut [[T; LANES]],
) {
    let whole = rows / N * N;
    for m in (0..columns / 2 * 2).step_by(2) {
        let b = b.from(m, 0);
        for n in (0..whole).step_by(N) {
            block::<T, I, N, 2>(isa, depth, a.from(n, 0), b, accumulate, &mut c[n * columns + m..], columns);
        }
        for n in whole..rows {
            block::<T, I, 1, 2>(isa, depth, a.from(n, 0), b, accumulate, &mut c[n * columns + m..], columns);
        }
    }
    if columns % 2 == 1 {
        let m = columns - 1;
        let b = b.from(m, 0);
        for n in (0..whole).step_by(N) {
            block::<T, I, N, 1>(isa, depth, a.from(n, 0), b, accumulate, &mut c[n * columns + m..], columns);
        }
        for n in whole..rows {
            block::<T, I, 1, 1>(isa, depth, a.from(n, 0), b, accumulate, &mut c[n * columns + m..], columns);
        }
    }
}

/// N rows and M columns, whose sums stay in registers.
#[inline(always)]
fn block<T: Real, I: Isa, const N: usize, const M: usize>(
    isa: I,
    depth: usize,
    a: LaneMatrix<'_, T>,
    b: LaneMatrix<'_, T>,
    accumulate: bool,
    c: &mut [[T; LANES]],
    c_row: usize,
) {
    let mut sums = [[isa.splat(T::ZERO); M]; N];
    if accumulate {
        for n in 0..N {
            for m in 0..M {
                sums[n][m] = isa.load(&c[n * c_row + m]);
            }
        }
    }
    // The last index read of each operand: the compiler then needs no check inside the loop.
    let a_values = &a.values[..(N - 1) * a.row + (depth - 1) * a.column + 1];
    let b_values = &b.values[..(M - 1) * b.row + (depth - 1) * b.column + 1];
    for l in 0..depth {
        let mut y = [isa.splat(T::ZERO); M];
        for m in 0..M {
            y[m] = isa.load(&b_values[m * b.row + l * b.column]);
        }
        for n in 0..N {
            let x = isa.load(&a_values[n * a.row + l * a.column]);
            for m in 0..M {
                sums[n][m] = isa.fma(x, y[m], sums[n][m]);
            }
        }
    }
    for n in 0..N {
        for m in 0..M {
            isa.store(sums[n][m], &mut c[n * c_row + m]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cfconv_fft::simd::{Kernel, dispatch};

    struct Product<'a> {
        sizes: (usize, usize, usize),
        a: LaneMatrix<'a, f64>,
        b: LaneMatrix<'a, f64>,
        accumulate: bool,
        c: &'a mut [[f64; LANES]],
    }

    impl Kernel for Product<'_> {
        type Output = ();

        #[inline(always)]
        fn run<I: Isa>(self, isa: I) {
            let Self { sizes, a, b, accumulate, c } = self;
            if accumulate {
                product::<f64, I, true>(isa, sizes, a, b, c);
            } else {
                product::<f64, I, false>(isa, sizes, a, b, c);
            }
        }
    }

    #[test]
    fn product_equals_explicit_sums_for_every_remainder() {
        // Values are small integers: sums are exact in any order.
        let values = |step: usize, len: usize| -> Vec<[f64; LANES]> {
            (0..len).map(|at| std::array::from_fn(|l| ((at * step + l * 5) % 7) as f64 - 3.0)).collect()
        };
        for rows in [1, 2, 3, 4, 7, 12] {
            for columns in [1, 2, 5] {
                for depth in [1, 31, 33] {
                    let (a, b) = (values(3, rows * depth), values(2, columns * depth));
                    let start = values(1, rows * columns);
                    // a by rows, b by columns.
                    let a = LaneMatrix { values: &a, row: depth, column: 1 };
                    let b = LaneMatrix { values: &b, row: 1, column: columns };
                    for accumulate in [false, true] {
                        let mut c = start.clone();
                        dispatch(Product { sizes: (rows, columns, depth), a, b, accumulate, c: &mut c });
                        for n in 0..rows {
                            for m in 0..columns {
                                for lane in 0..LANES {
                                    let before = if accumulate { start[n * columns + m][lane] } else { 0.0 };
                                    let sum: f64 = (0..depth)
                                        .map(|l| {
                                            a.values[n * depth + l][lane] * b.values[l * columns + m][lane]
                                        })
                                        .sum();
                                    assert_eq!(c[n * columns + m][lane], before + sum);
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
