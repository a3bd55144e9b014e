//! One-dimensional complex transforms of any length, across lanes.

use super::Point;
use super::bluestein::Bluestein;
use super::stockham::{Stockham, factorize};
use crate::Real;
use crate::simd::{Isa, Kernel, dispatch};

/// Lengths with a larger prime factor go through Bluestein's algorithm: above it the quadratic butterfly of
/// an odd radix costs more than two transforms of a padded length.
const LARGEST_DIRECT_PRIME: usize = 31;

/// A plan for the DFT of [`LANES`](crate::simd::LANES) complex signals of one length side by side.
///
/// `X[k] = Σ_j x[j]·exp(−2πi·jk/n)`, unnormalised, in each lane. An inverse transform is the forward
/// transform of the [swapped](Point::swapped) points, swapped again. Lengths whose prime factors are at most
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
        let direct = factorize(length).into_iter().all(|factor| factor <= LARGEST_DIRECT_PRIME);
        let algorithm = if direct {
            Algorithm::Stockham(Stockham::new(length))
        } else {
            Algorithm::Bluestein(Bluestein::new(length))
        };
        Self { algorithm }
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

    /// Transforms `data` (`length` points) and returns the buffer that holds the result: `data` itself or
    /// the start of `scratch`, whichever the last stage wrote.
    ///
    /// `scratch` has at least [`scratch_len`](Self::scratch_len) points of any content. Dispatches on the
    /// instruction set itself: one line is enough work to hide the call, and callers stay small.
    #[inline(never)]
    pub fn process<'a>(&self, data: &'a mut [Point<T>], scratch: &'a mut [Point<T>]) -> &'a mut [Point<T>] {
        debug_assert_eq!(data.len(), self.length());
        debug_assert!(scratch.len() >= self.scratch_len());
        dispatch(Process { plan: self, data, scratch })
    }
}

struct Process<'p, 'a, T> {
    plan: &'p LanesFft<T>,
    data: &'a mut [Point<T>],
    scratch: &'a mut [Point<T>],
}

impl<'a, T: Real> Kernel for Process<'_, 'a, T> {
    type Output = &'a mut [Point<T>];

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> Self::Output {
        match &self.plan.algorithm {
            Algorithm::Stockham(stockham) => stockham.process(isa, self.data, self.scratch),
            Algorithm::Bluestein(bluestein) => {
                bluestein.process(isa, self.data, self.scratch);
                self.data
            }
        }
    }
}
