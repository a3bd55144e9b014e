//! One-dimensional complex transforms of any length, across lanes.

use super::ComplexLanes;
use super::bluestein::Bluestein;
use super::stockham::{Stockham, factorize};
use crate::Real;
use crate::fast_len::next_smooth_len;

/// Lengths with a larger prime factor go through Bluestein's algorithm: above it the quadratic butterfly of
/// an odd radix costs more than two transforms of a padded length.
const LARGEST_DIRECT_PRIME: usize = 31;

/// The smallest length of at least `length` at which these transforms are fastest: one whose only prime factors are
/// 2, 3 and 5. 0 gives 1.
///
/// # Examples
/// ```
/// use cfconv_fft::lanes::next_fast_len;
///
/// assert_eq!([7, 11, 49, 61].map(next_fast_len), [8, 12, 50, 64]);
/// ```
pub const fn next_fast_len(length: usize) -> usize {
    next_smooth_len(length, 5)
}

/// A plan for the DFT of [`LANES`](crate::simd::LANES) complex signals of one length side by side.
///
/// `X[k] = Σ_j x[j]·exp(−2πi·jk/n)`, unnormalised, in each lane. An inverse transform is the forward
/// transform of the [swapped](ComplexLanes::swapped) points, swapped again. Lengths whose prime factors are at most
/// 31 use Stockham's self-sorting mixed-radix algorithm, all others Bluestein's.
#[derive(Clone, Debug)]
pub struct LanesFft<T> {
    algorithm: Algorithm<T>,
}

#[derive(Clone, Debug)]
enum Algorithm<T> {
    Stockham(Stockham<T>),
    Bluestein(Bluestein<T>),
}

impl<T: Real> LanesFft<T> {
    /// Plans transforms of `length` ≥ 1 points.
    pub fn new(length: usize) -> Self {
        let algorithm = if Self::is_direct(length) {
            Algorithm::Stockham(Stockham::new(length))
        } else {
            Algorithm::Bluestein(Bluestein::new(length))
        };
        Self { algorithm }
    }

    /// Whether transforms of `length` ≥ 1 points need no padding.
    pub(super) fn is_direct(length: usize) -> bool {
        factorize(length).into_iter().all(|factor| factor <= LARGEST_DIRECT_PRIME)
    }

    /// Number of points of each signal.
    pub fn length(&self) -> usize {
        match &self.algorithm {
            Algorithm::Stockham(stockham) => stockham.length(),
            Algorithm::Bluestein(bluestein) => bluestein.length(),
        }
    }

    /// Points of scratch that [`process`](Self::process) needs.
    pub fn scratch_len(&self) -> usize {
        match &self.algorithm {
            Algorithm::Stockham(stockham) => stockham.scratch_len(),
            Algorithm::Bluestein(bluestein) => bluestein.scratch_len(),
        }
    }

    /// Transforms `length` points of `source`, `source_step` apart, into points of `target`, `target_step`
    /// apart: a signal is read where it lies and written where it is wanted, without copies.
    ///
    /// `scratch` has at least [`scratch_len`](Self::scratch_len) points of any content.
    pub fn process(
        &self,
        source: &[ComplexLanes<T>],
        source_step: usize,
        target: &mut [ComplexLanes<T>],
        target_step: usize,
        scratch: &mut [ComplexLanes<T>],
    ) {
        debug_assert!(source.len() > (self.length() - 1) * source_step);
        debug_assert!(target.len() > (self.length() - 1) * target_step);
        debug_assert!(scratch.len() >= self.scratch_len());
        match &self.algorithm {
            Algorithm::Stockham(stockham) => {
                stockham.process(source, source_step, target, target_step, scratch);
            }
            Algorithm::Bluestein(bluestein) => {
                bluestein.process((source, source_step), (target, target_step), scratch);
            }
        }
    }

    /// Transforms `length` points of `signal`, `step` apart, in place; `scratch` as for
    /// [`process`](Self::process).
    pub fn process_in_place(
        &self,
        signal: &mut [ComplexLanes<T>],
        step: usize,
        scratch: &mut [ComplexLanes<T>],
    ) {
        debug_assert!(signal.len() > (self.length() - 1) * step);
        debug_assert!(scratch.len() >= self.scratch_len());
        match &self.algorithm {
            Algorithm::Stockham(stockham) => stockham.process_in_place((signal, step), scratch),
            Algorithm::Bluestein(bluestein) => bluestein.process_in_place((signal, step), scratch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::LANES;

    #[test]
    fn process_in_place_equals_process() {
        // No stage, one stage of each kind, several, and Bluestein's algorithm.
        for length in [1, 2, 3, 4, 5, 31, 8, 64, 60, 37] {
            let step = 3;
            let fft = LanesFft::<f64>::new(length);
            let mut signal: Vec<ComplexLanes<f64>> = (0..length * step)
                .map(|n| ComplexLanes {
                    re: std::array::from_fn(|l| ((n * 7 + l * 5) % 23) as f64),
                    im: std::array::from_fn(|l| ((n * 11 + l * 3) % 19) as f64),
                })
                .collect();
            let before = signal.clone();
            let nan = ComplexLanes { re: [f64::NAN; LANES], im: [f64::NAN; LANES] };
            let mut expected = vec![nan; length];
            fft.process(&signal, step, &mut expected, 1, &mut vec![nan; fft.scratch_len()]);
            fft.process_in_place(&mut signal, step, &mut vec![nan; fft.scratch_len()]);
            for (n, point) in signal.iter().enumerate() {
                let expected = if n % step == 0 { &expected[n / step] } else { &before[n] };
                assert_eq!((point.re, point.im), (expected.re, expected.im), "length {length}, point {n}");
            }
        }
    }
}
