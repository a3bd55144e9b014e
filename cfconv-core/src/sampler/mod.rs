//! Which positions of the kernel a step visits.

mod blocks;
mod config;
mod distinct;
mod gap_profile;
mod low_discrepancy;
mod positions;
mod stratified;

pub use config::{NumPositions, SamplerConfig};
pub use gap_profile::{DrawnStep, GapProfile};
pub use positions::SampledPositions;

use cfconv_mlp::KernelGrid;
use rand::Rng;

use crate::error::{CoreError, Result, check_size};
use crate::seed::{Purpose, StepSeed};
use low_discrepancy::GoldenWalk;
use stratified::Strata;

/// Steps from one measurement of gaps to the next.
const GAP_INTERVAL: u64 = 16;

/// Draws the positions of each step.
///
/// A draw depends on its [`StepSeed`], not on earlier draws. A gap-weighted sampler's draw also depends on the
/// [`GapProfile`] that was [set](Self::set_gap_profile) last. The inclusion probability π(u), the chance that a step
/// visits position u, is known exactly for every kind.
///
/// # Examples
/// ```
/// use cfconv_core::{NumPositions, PositionSampler, SamplerConfig, StepSeed};
/// use cfconv_mlp::KernelGrid;
///
/// let grid = KernelGrid { height: 8, width: 8, in_channels: 3, out_channels: 4 }; // 8 × 5 frequencies × 12 channel pairs
/// let config = SamplerConfig::Uniform { num_positions: NumPositions::Count(48), replacement: false };
/// let mut sampler = PositionSampler::try_new(&config, grid)?;
/// let positions = sampler.sample(StepSeed { run_seed: 1, layer: 0, step: 0 });
/// assert_eq!(positions.len(), 48);
/// assert_eq!(sampler.inclusion_probability(0), 0.1);
/// # Ok::<(), cfconv_core::CoreError>(())
/// ```
#[derive(Debug, Clone)]
pub struct PositionSampler {
    rule: Rule,
    grid: KernelGrid,
    population: u32,
    /// The mean shares of the runs of a gap-weighted sampler.
    run_shares: gap_profile::RunShares,
    bitmap: Vec<u64>,
    blocks: Vec<u32>,
}

/// A sampler's rule with its numbers settled.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Rule {
    All,
    Uniform { count: u32 },
    UniformWithReplacement { draws: usize },
    Stratified(Strata),
    LowDiscrepancy(GoldenWalk),
    GapWeighted { count: u32 },
    FrequencyBlocks { count: u32 },
    ChannelBlocks { count: u32 },
}

impl PositionSampler {
    /// Builds the sampler for a kernel on `grid`.
    ///
    /// The lattice visits every position of its own grid: give it the `size`×`size` grid.
    ///
    /// # Errors
    /// [`CoreError::InvalidSetting`] for zero positions, for an even or zero lattice size or one that is
    /// not the grid's; [`CoreError::TooManyPositions`] if 32 bits cannot number the positions.
    pub fn try_new(config: &SamplerConfig, grid: KernelGrid) -> Result<Self> {
        config.validate()?;
        let population = count_positions(&grid)?;
        for (setting, size) in [
            ("height", grid.height),
            ("width", grid.width),
            ("in_channels", grid.in_channels),
            ("out_channels", grid.out_channels),
        ] {
            check_size(setting, size)?;
        }
        let channel_pairs = grid.num_channel_pairs() as u32;
        let frequencies = population / channel_pairs;
        let rule = match *config {
            SamplerConfig::All {} => Rule::All,
            SamplerConfig::Lattice { size } => {
                if (grid.height, grid.width) != (size, size) {
                    return Err(CoreError::InvalidSetting {
                        setting: "sampler.size",
                        expected: "the rows and columns of the grid the sampler draws from",
                        got: size.to_string(),
                    });
                }
                Rule::All
            }
            SamplerConfig::Uniform { num_positions, replacement } => {
                let count = num_positions.resolve(population as usize) as u32;
                match (replacement, num_positions) {
                    // More draws than there are positions still miss some.
                    (true, NumPositions::Count(draws)) => Rule::UniformWithReplacement { draws },
                    (true, NumPositions::Share(_) | NumPositions::Auto) => {
                        Rule::UniformWithReplacement { draws: count as usize }
                    }
                    // "all" asks for all, with or without replacement.
                    _ if count == population => Rule::All,
                    _ => Rule::Uniform { count },
                }
            }
            SamplerConfig::Stratified { num_positions } => {
                let count = num_positions.resolve(population as usize) as u32;
                if count == population { Rule::All } else { Rule::Stratified(Strata { population, count }) }
            }
            SamplerConfig::LowDiscrepancy { num_positions } => {
                let count = num_positions.resolve(population as usize) as u32;
                if count == population {
                    Rule::All
                } else {
                    Rule::LowDiscrepancy(GoldenWalk::new(population, count))
                }
            }
            SamplerConfig::GapWeighted { num_positions } => {
                let count = num_positions.resolve(population as usize) as u32;
                if count == population { Rule::All } else { Rule::GapWeighted { count } }
            }
            SamplerConfig::FrequencyBlocks { num_positions } => {
                let count = (num_positions.resolve(population as usize) as u32).div_ceil(channel_pairs);
                if count == frequencies { Rule::All } else { Rule::FrequencyBlocks { count } }
            }
            SamplerConfig::ChannelBlocks { num_positions } => {
                let count = (num_positions.resolve(population as usize) as u32).div_ceil(frequencies);
                if count == channel_pairs { Rule::All } else { Rule::ChannelBlocks { count } }
            }
        };
        let mut sampler = Self {
            rule,
            grid,
            population,
            run_shares: Default::default(),
            bitmap: Vec::new(),
            blocks: Vec::new(),
        };
        sampler.set_gap_profile(GapProfile::default());
        Ok(sampler)
    }

    /// The grid the positions belong to.
    pub fn grid(&self) -> &KernelGrid {
        &self.grid
    }

    /// Whether every step visits every position.
    pub fn is_all(&self) -> bool {
        self.rule == Rule::All
    }

    /// The largest number of positions that a step can visit.
    pub fn max_positions(&self) -> usize {
        let channel_pairs = self.channel_pairs() as usize;
        let frequencies = self.population as usize / channel_pairs;
        match self.rule {
            Rule::All => self.population as usize,
            Rule::Uniform { count } => count as usize,
            Rule::UniformWithReplacement { draws } => draws.min(self.population as usize),
            Rule::Stratified(strata) => strata.count as usize,
            Rule::LowDiscrepancy(walk) => walk.count as usize,
            Rule::GapWeighted { count } => count as usize,
            Rule::FrequencyBlocks { count } => count as usize * channel_pairs,
            Rule::ChannelBlocks { count } => count as usize * frequencies,
        }
    }

    /// The probability π(u) that a step visits `position`.
    ///
    /// `num_positions / N` without replacement and with low discrepancy (over all runs); `1 − (1 − 1/N)^draws` with
    /// replacement; one over its stratum's size if stratified; its run's mean share over its run's size if weighted by
    /// gap; the share of blocks that are drawn for blocks; 1 if every position is visited.
    pub fn inclusion_probability(&self, position: u32) -> f64 {
        debug_assert!(position < self.population);
        let population = f64::from(self.population);
        let channel_pairs = f64::from(self.channel_pairs());
        match self.rule {
            Rule::All => 1.0,
            Rule::Uniform { count } | Rule::LowDiscrepancy(GoldenWalk { count, .. }) => {
                f64::from(count) / population
            }
            Rule::UniformWithReplacement { draws } => -(draws as f64 * (-1.0 / population).ln_1p()).exp_m1(),
            Rule::Stratified(strata) => 1.0 / f64::from(strata.size(strata.containing(position))),
            Rule::GapWeighted { .. } => {
                let runs = gap_profile::runs(self.population);
                let run = runs.containing(position);
                self.run_shares.0[run as usize] / f64::from(runs.size(run))
            }
            Rule::FrequencyBlocks { count } => f64::from(count) * channel_pairs / population,
            Rule::ChannelBlocks { count } => f64::from(count) / channel_pairs,
        }
    }

    /// π if it is the same for every position; strata may differ in size by one, and gaps differ.
    pub fn constant_inclusion_probability(&self) -> Option<f64> {
        match self.rule {
            Rule::GapWeighted { .. } => None,
            Rule::Stratified(strata) if strata.population % strata.count != 0 => None,
            _ => Some(self.inclusion_probability(0)),
        }
    }

    /// Whether the gaps at the positions of the step `seed` are to be measured, for the draws after it: every sixteenth
    /// step of a gap-weighted sampler.
    pub fn measures_gaps(&self, seed: StepSeed) -> bool {
        matches!(self.rule, Rule::GapWeighted { .. }) && seed.step.is_multiple_of(GAP_INTERVAL)
    }

    /// Lets the next draws prefer runs of positions that lag behind; without effect on other samplers.
    pub fn set_gap_profile(&mut self, gap_profile: GapProfile) {
        if let Rule::GapWeighted { count } = self.rule {
            let runs = gap_profile::runs(self.population);
            self.run_shares = gap_profile::mean_shares(runs, count, gap_profile);
        }
    }

    /// Draws the positions of one step.
    pub fn sample(&mut self, seed: StepSeed) -> SampledPositions {
        let mut positions = SampledPositions::default();
        self.sample_into(seed, &mut positions);
        positions
    }

    /// [`sample`](Self::sample) into a buffer that keeps its memory from step to step.
    pub fn sample_into(&mut self, seed: StepSeed, positions: &mut SampledPositions) {
        let population = self.population;
        let channel_pairs = self.channel_pairs();
        let frequencies = population / channel_pairs;
        let bitmap = &mut self.bitmap;
        let rng = &mut seed.rng(Purpose::SamplePositions);
        match self.rule {
            Rule::All => positions.set_all(population),
            Rule::Uniform { count } => {
                distinct::draw_distinct(rng, population, count, bitmap, positions.set_list(population));
            }
            Rule::UniformWithReplacement { draws } => {
                distinct::draw_with_replacement(
                    rng,
                    population,
                    draws,
                    bitmap,
                    positions.set_list(population),
                );
            }
            Rule::Stratified(strata) => strata.draw(rng, positions.set_list(population)),
            Rule::LowDiscrepancy(walk) => {
                distinct::clear(bitmap, population);
                walk.visit(seed, |position| {
                    distinct::mark(bitmap, position);
                });
                distinct::read_out(bitmap, population, false, positions.set_list(population));
            }
            Rule::GapWeighted { count } => {
                let runs = gap_profile::runs(population);
                let offset = f64::from(rng.next_u32()) / (u64::from(u32::MAX) + 1) as f64;
                let shares = gap_profile::round_shares(runs, &self.run_shares, count, offset);
                let list = positions.set_list(population);
                for (run, share) in (0..runs.count).zip(shares) {
                    distinct::draw_distinct(rng, runs.size(run), share, bitmap, &mut self.blocks);
                    list.extend(self.blocks.iter().map(|offset| runs.start(run) + offset));
                }
            }
            Rule::FrequencyBlocks { count } => {
                distinct::draw_distinct(rng, frequencies, count, bitmap, &mut self.blocks);
                blocks::expand_frequencies(&self.blocks, channel_pairs, positions.set_list(population));
            }
            Rule::ChannelBlocks { count } => {
                distinct::draw_distinct(rng, channel_pairs, count, bitmap, &mut self.blocks);
                let list = positions.set_list(population);
                blocks::expand_channel_pairs(&self.blocks, frequencies, channel_pairs, list);
            }
        }
    }

    /// The share of positions visited by at least one of `steps`; 0 for no step.
    ///
    /// The steps are drawn again: the sampler is its own record of what it visited, so no state grows with
    /// the kernel. It costs as much as drawing those steps did.
    pub fn coverage(&mut self, steps: impl IntoIterator<Item = DrawnStep>) -> f64 {
        let mut visited = Vec::new();
        distinct::clear(&mut visited, self.population);
        let mut positions = SampledPositions::default();
        let mut count = 0_usize;
        for DrawnStep { seed, gap_profile } in steps {
            if self.is_all() {
                return 1.0;
            }
            self.set_gap_profile(gap_profile);
            self.sample_into(seed, &mut positions);
            count += positions.iter().filter(|&position| distinct::mark(&mut visited, position)).count();
        }
        count as f64 / f64::from(self.population)
    }

    /// Bytes of memory that the sampler and a list of its positions grow to. A list may be larger than its positions
    /// need, by up to as much again.
    pub(crate) fn planned_bytes(&self) -> usize {
        // A vector has room for four from the start, and a list grows to powers of two.
        let bitmap = |numbers: u32| (numbers as usize).div_ceil(64).max(4) * size_of::<u64>();
        let list = |len: usize| len.next_power_of_two().max(4) * size_of::<u32>();
        let positions = self.max_positions();
        let channel_pairs = self.channel_pairs();
        match self.rule {
            Rule::All => 0,
            Rule::Uniform { .. } | Rule::UniformWithReplacement { .. } | Rule::LowDiscrepancy(_) => {
                bitmap(self.population) + list(positions)
            }
            Rule::Stratified(_) => list(positions),
            Rule::GapWeighted { .. } => {
                let run = gap_profile::runs(self.population).size(0) + 1;
                bitmap(run) + list(run as usize) + list(positions)
            }
            Rule::FrequencyBlocks { count } => {
                bitmap(self.population / channel_pairs) + list(positions) + list(count as usize)
            }
            Rule::ChannelBlocks { count } => bitmap(channel_pairs) + list(positions) + list(count as usize),
        }
    }

    /// Bytes of memory the sampler keeps between steps.
    pub fn scratch_bytes(&self) -> usize {
        self.bitmap.capacity() * size_of::<u64>() + self.blocks.capacity() * size_of::<u32>()
    }

    fn channel_pairs(&self) -> u32 {
        self.grid.num_channel_pairs() as u32
    }
}

/// Draws one position from each of `count` equal strata.
pub(crate) fn draw_stratified(rng: &mut impl Rng, population: u32, count: u32) -> Vec<u32> {
    let mut positions = Vec::with_capacity(count as usize);
    Strata { population, count }.draw(rng, &mut positions);
    positions
}

/// Checks that a lattice can have `size` rows and columns.
pub(crate) fn check_lattice_size(size: usize) -> Result<()> {
    if size % 2 == 1 {
        return Ok(());
    }
    Err(CoreError::InvalidSetting {
        setting: "sampler.size",
        expected: "an odd number, so that no lattice row lies on the Nyquist frequency",
        got: size.to_string(),
    })
}

/// The number of positions of `grid`, if `u32` can number them.
fn count_positions(grid: &KernelGrid) -> Result<u32> {
    let half_width = grid.half_width();
    [grid.height, half_width, grid.in_channels, grid.out_channels]
        .into_iter()
        .try_fold(1_usize, usize::checked_mul)
        .and_then(|count| u32::try_from(count).ok())
        .ok_or(CoreError::TooManyPositions {
            height: grid.height,
            half_width,
            in_channels: grid.in_channels,
            out_channels: grid.out_channels,
        })
}
