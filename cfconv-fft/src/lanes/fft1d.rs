//! One-dimensional complex transforms of any length, across lanes.

use super::Point;
use super::bluestein::Bluestein;
use super::stockham::{Stockham, factorize};
use crate::Real;

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

    /// Transforms `length` points of `source`, `source_step` apart, into points of `target`, `target_step`
    /// apart: a signal is read where it lies and written where it is wanted, without copies.
    ///
    /// `scratch` has at least [`scratch_len`](Self::scratch_len) points of any content.
    pub fn process(
        &self,
        source: &[Point<T>],
        source_step: usize,
        target: &mut [Point<T>],
        target_step: usize,
        scratch: &mut [Point<T>],
    ) {
        debug_assert!(source.len() > (self.length() - 1) * source_step);
        debug_assert!(target.len() > (self.length() - 1) * target_step);
        debug_assert!(scratch.len() >= self.scratch_len());
        let (source, target) = ((source, source_step), (target, target_step));
        match &self.algorithm {
            Algorithm::Stockham(stockham) => stockham.process(source, target, scratch),
            Algorithm::Bluestein(bluestein) => bluestein.process(source, target, scratch),
        }
    }
}
