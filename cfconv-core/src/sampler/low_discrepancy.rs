//! Positions that keep away from each other, within a step and over the steps.

use super::distinct::draw_below;
use crate::seed::{Purpose, StepSeed};

/// The golden section: of all irrational numbers the worst to approximate by fractions, so that its multiples are
/// spread most evenly.
const GOLDEN_SECTION: f64 = 0.618_033_988_749_894_9;

/// A walk over all positions in steps of about the golden section of their number.
///
/// Point number j of a run is `(offset + j·stride) mod population`, with a stride that has no divisor in common with
/// the population and an offset that the run and the layer decide. A step takes the next `count` points. Any points in
/// a row lie evenly (the gaps between them have at most three sizes), none is met twice before all have been, and so
/// no value of the kernel state is older than ⌈population/count⌉ steps.
///
/// # Source
/// The sequence of H. Weyl, 1916, on whole numbers; three gaps: V. T. Sós, 1958.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GoldenWalk {
    pub(super) population: u32,
    pub(super) count: u32,
    stride: u32,
}

impl GoldenWalk {
    pub(super) fn new(population: u32, count: u32) -> Self {
        let golden = (f64::from(population) * GOLDEN_SECTION) as u32;
        // Numbers near the golden section, nearest first; 1 has no divisor in common with anything.
        let stride = (0..=population)
            .flat_map(|distance| [golden.checked_add(distance), golden.checked_sub(distance)])
            .flatten()
            .find(|&stride| (1..=population).contains(&stride) && greatest_divisor(stride, population) == 1)
            .unwrap_or(1);
        Self { population, count, stride }
    }

    /// Calls `visit` with each position of a step, in no order.
    pub(super) fn visit(self, seed: StepSeed, mut visit: impl FnMut(u32)) {
        let population = u64::from(self.population);
        let offset = draw_below(&mut seed.at_step(0).rng(Purpose::SamplePositions), self.population);
        let first = u128::from(seed.step) * u128::from(self.count) % u128::from(self.population);
        let stride = u64::from(self.stride);
        let mut position = (u64::from(offset) + first as u64 * stride) % population;
        for _ in 0..self.count {
            visit(position as u32);
            position = (position + stride) % population;
        }
    }
}

/// Euclid's algorithm.
fn greatest_divisor(mut a: u32, mut b: u32) -> u32 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(walk: GoldenWalk, step: u64) -> Vec<u32> {
        let mut positions = Vec::new();
        walk.visit(StepSeed { run_seed: 5, layer: 1, step }, |position| positions.push(position));
        positions.sort_unstable();
        positions
    }

    #[test]
    fn every_position_comes_once_before_any_comes_again() {
        for population in [1_u32, 2, 3, 30, 64, 97, 120] {
            let count = population.div_ceil(7);
            let walk = GoldenWalk::new(population, count);
            let mut visits = vec![0; population as usize];
            for number in 0..population / count {
                step(walk, number.into()).into_iter().for_each(|position| visits[position as usize] += 1);
            }
            let seen = (population / count * count) as usize;
            assert_eq!(visits.iter().filter(|&&visits| visits == 1).count(), seen, "{population}");
            assert_eq!(visits.iter().sum::<usize>(), seen, "{population}");
        }
    }

    #[test]
    fn gaps_within_a_step_are_even() {
        // 1,000 of 100,000 positions: a mean gap of 100; at random the largest would be about 700.
        let positions = step(GoldenWalk::new(100_000, 1_000), 3);
        let mut gaps: Vec<u32> = positions.windows(2).map(|pair| pair[1] - pair[0]).collect();
        gaps.sort_unstable();
        assert!(gaps[0] >= 30 && gaps[gaps.len() - 1] <= 200, "{} to {}", gaps[0], gaps[gaps.len() - 1]);
        gaps.dedup();
        assert!(gaps.len() <= 3, "{gaps:?}");
    }

    #[test]
    fn late_steps_of_large_kernels_do_not_overflow() {
        let positions = step(GoldenWalk::new(u32::MAX, 100), u64::MAX);
        assert_eq!(positions.len(), 100);
    }
}
