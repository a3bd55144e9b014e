//! Sums along contiguous values, in an order that depends on their number only.

use cfconv_fft::Real;
use cfconv_fft::simd::LANES;

/// Values that are added in the working precision before their sum is added in `f64`.
const BLOCK: usize = 256 * LANES;

/// Σ term(a) over one slice.
#[inline(always)]
pub(crate) fn sum<T: Real>(a: &[T], term: impl Fn(T) -> T) -> f64 {
    // Four registers, so that additions of one need not wait for each other.
    const WIDE: usize = 4 * LANES;
    let mut total = 0.0;
    for block in a.chunks(BLOCK) {
        let mut lanes = [T::ZERO; WIDE];
        let (full, rest) = block.as_chunks::<WIDE>();
        for values in full {
            for l in 0..WIDE {
                lanes[l] += term(values[l]);
            }
        }
        for (lane, &value) in lanes.iter_mut().zip(rest) {
            *lane += term(value);
        }
        total += lanes.iter().map(|lane| lane.as_f64()).sum::<f64>();
    }
    total
}

/// Both sums of terms(a, b) over two slices of one length.
#[inline(always)]
pub(crate) fn sum_two<T: Real>(a: &[T], b: &[T], terms: impl Fn(T, T) -> (T, T)) -> (f64, f64) {
    debug_assert_eq!(a.len(), b.len());
    const WIDE: usize = 2 * LANES;
    let mut total = (0.0, 0.0);
    for (a, b) in a.chunks(BLOCK).zip(b.chunks(BLOCK)) {
        let (mut first, mut second) = ([T::ZERO; WIDE], [T::ZERO; WIDE]);
        let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<WIDE>(), b.as_chunks::<WIDE>());
        for (a, b) in a.iter().zip(b) {
            for l in 0..WIDE {
                let (s, t) = terms(a[l], b[l]);
                first[l] += s;
                second[l] += t;
            }
        }
        for (l, (&a, &b)) in a_rest.iter().zip(b_rest).enumerate() {
            let (s, t) = terms(a, b);
            first[l] += s;
            second[l] += t;
        }
        total.0 += first.iter().map(|lane| lane.as_f64()).sum::<f64>();
        total.1 += second.iter().map(|lane| lane.as_f64()).sum::<f64>();
    }
    total
}

/// K sums that grow by one stretch of values after another.
#[derive(Clone)]
pub(crate) struct LaneSums<T, const K: usize> {
    lanes: [[T; LANES]; K],
    /// Additions to each lane since the last transfer to the totals.
    added: usize,
    totals: [f64; K],
}

impl<T: Real, const K: usize> Default for LaneSums<T, K> {
    fn default() -> Self {
        Self { lanes: [[T::ZERO; LANES]; K], added: 0, totals: [0.0; K] }
    }
}

impl<T: Real, const K: usize> LaneSums<T, K> {
    /// Adds terms(a, b, …) of each place of slices of one length.
    #[inline(always)]
    pub(crate) fn add<const N: usize>(&mut self, operands: [&[T]; N], terms: impl Fn([T; N]) -> [T; K]) {
        let len = operands[0].len();
        debug_assert!(operands.iter().all(|operand| operand.len() == len));
        let mut lanes = self.lanes;
        let whole = len - len % LANES;
        for start in (0..whole).step_by(LANES) {
            let blocks = operands.map(|operand| &operand[start..start + LANES]);
            for l in 0..LANES {
                let terms = terms(blocks.map(|block| block[l]));
                for k in 0..K {
                    lanes[k][l] += terms[k];
                }
            }
        }
        for at in whole..len {
            let terms = terms(operands.map(|operand| operand[at]));
            for k in 0..K {
                lanes[k][at - whole] += terms[k];
            }
        }
        self.lanes = lanes;
        self.added += len.div_ceil(LANES);
        if self.added >= BLOCK / LANES {
            self.transfer();
        }
    }

    /// The sums of everything added.
    pub(crate) fn totals(mut self) -> [f64; K] {
        self.transfer();
        self.totals
    }

    #[inline(always)]
    fn transfer(&mut self) {
        for (total, lanes) in self.totals.iter_mut().zip(&mut self.lanes) {
            *total += lanes.iter().map(|lane| lane.as_f64()).sum::<f64>();
            *lanes = [T::ZERO; LANES];
        }
        self.added = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_integers_are_exact_at_every_length() {
        for len in [0, 1, 15, 16, 17, 63, 64, 65, BLOCK - 1, BLOCK, 2 * BLOCK + 37] {
            let values: Vec<f32> = (0..len).map(|i| (i % 7) as f32 - 3.0).collect();
            let expected: f64 = values.iter().map(|&x| f64::from(x)).sum();
            assert_eq!(sum(&values, |x| x), expected);
            let squares: f64 = values.iter().map(|&x| f64::from(x * x)).sum();
            assert_eq!(sum_two(&values, &values, |a, b| (a, a * b)), (expected, squares));
        }
    }

    #[test]
    fn growing_sums_of_integers_are_exact() {
        let values: Vec<f32> = (0..20_000).map(|i| (i % 7) as f32 - 3.0).collect();
        for step in [1, 15, 16, 17, 100, 5_000] {
            let mut sums = LaneSums::<f32, 2>::default();
            for part in values.chunks(step) {
                sums.add([part, part], |[a, b]| [a, a * b]);
            }
            let expected: f64 = values.iter().map(|&x| f64::from(x)).sum();
            let squares: f64 = values.iter().map(|&x| f64::from(x * x)).sum();
            assert_eq!(sums.totals(), [expected, squares]);
        }
    }
}
