//! Where the kernel state lags behind the network most.

use cfconv_fft::{Complex, Real};

use super::positions::SampledPositions;
use super::stratified::Strata;
use crate::seed::StepSeed;

/// Runs of positions that a profile tells apart.
const RUNS: usize = 64;

/// How far the kernel state lags behind Φ in each of 64 equal runs of consecutive positions: root mean squares of
/// |Φ − K̃| in 255ths of the largest, at least 1.
///
/// Positions are numbered frequency by frequency, so a run is a band of frequencies. Bytes make a profile the same
/// number on every machine, and small enough to be kept with the history of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GapProfile([u8; RUNS]);

impl Default for GapProfile {
    /// The same gap everywhere.
    fn default() -> Self {
        Self([u8::MAX; RUNS])
    }
}

impl GapProfile {
    /// 64-bit numbers that [`to_words`](Self::to_words) gives.
    pub(crate) const WORDS: usize = RUNS / 8;

    /// Measures the gap at the positions of a step, before they are refreshed: `state` is the whole kernel state,
    /// `phi` Φ at `positions` in their order. A run without a position is taken to have the mean gap.
    pub(crate) fn measure<T: Real>(
        positions: &SampledPositions,
        state: &[Complex<T>],
        phi: &[Complex<T>],
    ) -> Self {
        let strata = runs(state.len() as u32);
        let (mut squares, mut counts) = ([0.0_f64; RUNS], [0_u32; RUNS]);
        for (position, &phi) in positions.iter().zip(phi) {
            let run = strata.containing(position) as usize;
            squares[run] += (phi - state[position as usize]).norm_sqr().as_f64();
            counts[run] += 1;
        }
        let mean = squares.iter().sum::<f64>() / f64::from(counts.iter().sum::<u32>().max(1));
        let mut gaps = [mean.sqrt(); RUNS];
        for ((gap, square), &count) in gaps.iter_mut().zip(squares).zip(&counts) {
            if count > 0 {
                *gap = (square / f64::from(count)).sqrt();
            }
        }
        let largest = gaps.iter().copied().fold(0.0, f64::max);
        // Nothing lags behind, or something is not finite: no run is preferred.
        if largest == 0.0 || !mean.is_finite() {
            return Self::default();
        }
        Self(gaps.map(|gap| (gap / largest * 255.0).round().max(1.0) as u8))
    }

    /// The profile as numbers, for checkpoints.
    pub(crate) fn to_words(self) -> [u64; Self::WORDS] {
        let mut words = [0; Self::WORDS];
        for (word, bytes) in words.iter_mut().zip(self.0.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        words
    }

    /// The profile that [`to_words`](Self::to_words) described; `None` if a gap is zero.
    pub(crate) fn from_words(words: [u64; Self::WORDS]) -> Option<Self> {
        let mut gaps = [0; RUNS];
        for (bytes, word) in gaps.as_chunks_mut().0.iter_mut().zip(words) {
            *bytes = word.to_le_bytes();
        }
        (!gaps.contains(&0)).then_some(Self(gaps))
    }
}

/// A step whose positions can be drawn again: its seed, and the profile that a gap-weighted sampler followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrawnStep {
    /// The step's seed.
    pub seed: StepSeed,
    /// The gaps known when it was drawn.
    pub gap_profile: GapProfile,
}

impl From<StepSeed> for DrawnStep {
    /// A step of a sampler that follows no gaps.
    fn from(seed: StepSeed) -> Self {
        Self { seed, gap_profile: GapProfile::default() }
    }
}

/// Numbers of positions of each run, means over draws.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RunShares(pub(super) [f64; RUNS]);

impl Default for RunShares {
    fn default() -> Self {
        Self([0.0; RUNS])
    }
}

/// The runs of positions of a kernel.
pub(super) fn runs(population: u32) -> Strata {
    Strata { population, count: population.min(RUNS as u32) }
}

/// The mean number of positions that each run gets of `count`: half of them by its size, half by its size times its
/// gap; what a run has no room for goes to the others in proportion.
pub(super) fn mean_shares(strata: Strata, count: u32, profile: GapProfile) -> RunShares {
    let mut sizes = [0.0; RUNS];
    for (run, size) in (0..strata.count).zip(&mut sizes) {
        *size = f64::from(strata.size(run));
    }
    let weight = |run: usize| sizes[run] * f64::from(profile.0[run]);
    let population = f64::from(strata.population);
    let total_weight: f64 = (0..RUNS).map(weight).sum();
    let appeal: [f64; RUNS] =
        std::array::from_fn(|run| 0.5 * sizes[run] / population + 0.5 * weight(run) / total_weight);
    let mut full = sizes.map(|size| size == 0.0);
    loop {
        let taken: f64 = (0..RUNS).filter(|&run| full[run]).map(|run| sizes[run]).sum();
        let open: f64 = (0..RUNS).filter(|&run| !full[run]).map(|run| appeal[run]).sum();
        let share = |run: usize| (f64::from(count) - taken) * appeal[run] / open;
        let overfull: Vec<usize> = (0..RUNS).filter(|&run| !full[run] && share(run) > sizes[run]).collect();
        if overfull.is_empty() {
            return RunShares(std::array::from_fn(|run| if full[run] { sizes[run] } else { share(run) }));
        }
        overfull.into_iter().for_each(|run| full[run] = true);
    }
}

/// Whole numbers of positions whose means over `offset`, uniform in [0, 1), are `shares` and which always add up to
/// `count`: differences of their rounded running sum. None exceeds its run; where rounding errors of the sum would have
/// it so, the next run with room takes the position.
pub(super) fn round_shares(strata: Strata, shares: &RunShares, count: u32, offset: f64) -> [u32; RUNS] {
    let mut rounded = [0; RUNS];
    let (mut sum, mut given) = (0.0, 0);
    for (run, (share, rounded)) in (0..strata.count).zip(shares.0.iter().zip(&mut rounded)) {
        sum += share;
        let due = ((sum + offset).floor() as u32).min(count);
        *rounded = due.saturating_sub(given).min(strata.size(run));
        given += *rounded;
    }
    for (run, rounded) in (0..strata.count).zip(&mut rounded) {
        let more = (count - given).min(strata.size(run) - *rounded);
        *rounded += more;
        given += more;
    }
    rounded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_fit_and_follow_the_gaps() {
        for population in [1, 2, 63, 64, 65, 1000, 1 << 30] {
            let strata = runs(population);
            let mut profile = GapProfile([1; RUNS]);
            profile.0[0] = 255;
            for count in [1, population / 3 + 1, population - population / 7, population] {
                for profile in [profile, GapProfile::default()] {
                    let means = mean_shares(strata, count, profile);
                    for offset in [0.0, 0.25, 0.999_999] {
                        let shares = round_shares(strata, &means, count, offset);
                        assert_eq!(shares.iter().sum::<u32>(), count);
                        assert!((0..strata.count).all(|run| shares[run as usize] <= strata.size(run)));
                        let close = |run: usize| (f64::from(shares[run]) - means.0[run]).abs() < 1.001;
                        assert!((0..RUNS).all(close), "{shares:?} {means:?}");
                    }
                }
            }
        }
        // Half of 640 by size, 5 a run; half by gap, 255 of 318 parts to the first, which has room for only 100.
        let mut profile = GapProfile([1; RUNS]);
        profile.0[0] = 255;
        let means = mean_shares(runs(6400), 640, profile);
        assert_eq!(means.0[0], 100.0);
        assert!(means.0[1..].iter().all(|mean| (mean - 540.0 / 63.0).abs() < 1e-9), "{means:?}");
    }

    #[test]
    fn a_profile_says_where_the_state_lags_behind() {
        let population = 640;
        let positions = SampledPositions::all(population);
        let state = vec![Complex::new(1.0_f64, 0.0); population as usize];
        let mut phi = state.clone();
        // The first run is off by 2, the third by 1, the others not at all.
        phi[..10].iter_mut().for_each(|value| value.im = 2.0);
        phi[20..30].iter_mut().for_each(|value| value.re = 0.0);
        let profile = GapProfile::measure(&positions, &state, &phi);
        assert_eq!(profile.0[..4], [255, 1, 128, 1]);
        assert_eq!(GapProfile::from_words(profile.to_words()), Some(profile));
        assert_eq!(GapProfile::measure(&positions, &state, &state), GapProfile::default());
        phi[5].re = f64::NAN;
        assert_eq!(GapProfile::measure(&positions, &state, &phi), GapProfile::default());
        assert_eq!(GapProfile::from_words([0; GapProfile::WORDS]), None);
    }
}
