//! Distribution, structure and reproducibility of the samplers.

use cfconv_core::{CoreError, DrawnStep, NumPositions, PositionSampler, SamplerConfig};
use cfconv_mlp::KernelGrid;
use proptest::prelude::*;

use crate::common::{drawing_samplers, samplers, seed};

/// 5 × 4 frequencies × 6 channel pairs: 120 positions.
const GRID: KernelGrid = KernelGrid { height: 5, width: 6, in_channels: 2, out_channels: 3 };

fn build(config: &SamplerConfig) -> PositionSampler {
    let grid = match *config {
        SamplerConfig::Lattice { size } => GRID.with_size(size, size),
        _ => GRID,
    };
    PositionSampler::try_new(config, grid).unwrap()
}

fn step(step: u64) -> DrawnStep {
    seed(step).into()
}

/// How often each position came in `steps` steps.
fn counts(sampler: &mut PositionSampler, steps: u64) -> Vec<u64> {
    let mut counts = vec![0; sampler.grid().num_positions()];
    for step in 0..steps {
        for position in sampler.sample(seed(step)).iter() {
            counts[position as usize] += 1;
        }
    }
    counts
}

#[test]
fn inclusion_probability_equals_the_observed_share_of_every_kind() {
    const STEPS: u64 = 20_000;
    for config in samplers() {
        let mut sampler = build(&config);
        for (position, count) in counts(&mut sampler, STEPS).into_iter().enumerate() {
            let probability = sampler.inclusion_probability(position as u32);
            let expected = probability * STEPS as f64;
            let deviation = (expected * (1.0 - probability)).sqrt();
            // Five standard deviations: under 1e-6 a position.
            let error = (count as f64 - expected).abs();
            assert!(error <= 5.0 * deviation + 1e-9, "{config:?}, position {position}: {count} ≠ {expected}");
        }
    }
}

#[test]
fn uniform_positions_pass_the_chi_square_test() {
    const STEPS: u64 = 20_000;
    for replacement in [false, true] {
        let num_positions = NumPositions::Count(17);
        let mut sampler = build(&SamplerConfig::Uniform { num_positions, replacement });
        let probability = sampler.inclusion_probability(0);
        let counts = counts(&mut sampler, STEPS);
        let mean = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
        // The variance of a count about the mean of all counts: draws without replacement are negatively
        // correlated, so that N/(N − 1) of the binomial variance remains.
        let freedom = counts.len() as f64 - 1.0;
        let variance = STEPS as f64 * probability * (1.0 - probability) * counts.len() as f64 / freedom;
        let chi_square: f64 = counts.iter().map(|&c| (c as f64 - mean).powi(2) / variance).sum();
        // Mean `freedom`, variance 2·freedom; four standard deviations on both sides: too even is wrong too.
        let score = (chi_square - freedom) / (2.0 * freedom).sqrt();
        assert!(score.abs() < 4.0, "replacement {replacement}: χ² = {chi_square}");
    }
}

#[test]
fn pairs_of_positions_are_drawn_independently_of_their_distance() {
    // Without replacement, each pair comes with probability n(n − 1)/(N(N − 1)).
    const STEPS: u64 = 40_000;
    let num_positions = NumPositions::Count(17);
    let mut sampler = build(&SamplerConfig::Uniform { num_positions, replacement: false });
    let mut neighbours = 0_u64;
    for step in 0..STEPS {
        let positions = sampler.sample(seed(step));
        let list = positions.list().unwrap();
        neighbours += list.windows(2).filter(|pair| pair[0] + 1 == pair[1]).count() as u64;
    }
    let expected = STEPS as f64 * 119.0 * (17.0 * 16.0) / (120.0 * 119.0);
    assert!((neighbours as f64 - expected).abs() < 5.0 * expected.sqrt(), "{neighbours} ≠ {expected}");
}

#[test]
fn draws_depend_on_the_seed_alone() {
    for config in samplers() {
        let mut forward = build(&config);
        let first: Vec<_> = (0..6).map(|step| forward.sample(seed(step))).collect();
        let mut backward = build(&config);
        for step in (0..6).rev() {
            assert_eq!(backward.sample(seed(step)), first[step as usize], "{config:?}");
        }
        if !forward.is_all() {
            // Two steps can agree where there are few blocks; six cannot but by a chance of 6^-5.
            assert!(first.iter().any(|positions| positions != &first[0]), "{config:?} repeats itself");
        }
    }
}

#[test]
fn blocks_are_whole() {
    let num_positions = NumPositions::Count(17);
    let mut sampler = build(&SamplerConfig::FrequencyBlocks { num_positions });
    let positions = sampler.sample(seed(0));
    // ⌈17/6⌉ frequencies of 6 pairs.
    assert_eq!((positions.len(), sampler.max_positions()), (18, 18));
    for block in positions.list().unwrap().chunks(6) {
        assert!(block[0] % 6 == 0 && block.windows(2).all(|pair| pair[0] + 1 == pair[1]));
    }
    let mut sampler = build(&SamplerConfig::ChannelBlocks { num_positions });
    let positions = sampler.sample(seed(0));
    // ⌈17/20⌉ pair of 20 frequencies.
    assert_eq!(positions.len(), 20);
    let pair = positions.list().unwrap()[0];
    assert!(pair < 6);
    assert!(positions.iter().enumerate().all(|(frequency, u)| u == 6 * frequency as u32 + pair));
}

#[test]
fn strata_hold_one_position_each() {
    let mut sampler = build(&SamplerConfig::Stratified { num_positions: NumPositions::Count(40) });
    for step in 0..50 {
        let positions = sampler.sample(seed(step));
        assert!(positions.iter().enumerate().all(|(stratum, u)| u / 3 == stratum as u32));
    }
}

#[test]
fn low_discrepancy_visits_all_before_it_repeats() {
    let mut sampler = build(&SamplerConfig::LowDiscrepancy { num_positions: NumPositions::Count(17) });
    // 7 · 17 = 119 of 120 positions.
    assert_eq!(sampler.coverage((3..10).map(step)), 119.0 / 120.0);
    assert_eq!(sampler.coverage((3..11).map(step)), 1.0);
}

#[test]
fn as_many_positions_as_the_kernel_has_means_all() {
    for count in [120, 121, usize::MAX] {
        let num_positions = NumPositions::Count(count);
        for config in [
            SamplerConfig::Uniform { num_positions, replacement: false },
            SamplerConfig::Stratified { num_positions },
            SamplerConfig::LowDiscrepancy { num_positions },
            SamplerConfig::GapWeighted { num_positions },
            SamplerConfig::FrequencyBlocks { num_positions },
            SamplerConfig::ChannelBlocks { num_positions },
            SamplerConfig::Uniform { num_positions: NumPositions::All, replacement: true },
        ] {
            let mut sampler = build(&config);
            let positions = sampler.sample(seed(0));
            assert!(positions.is_all() && positions.len() == 120, "{config:?}");
            assert_eq!(sampler.inclusion_probability(7), 1.0);
        }
    }
    // With replacement, as many draws as positions miss about a third of them.
    let num_positions = NumPositions::Count(120);
    let positions = build(&SamplerConfig::Uniform { num_positions, replacement: true }).sample(seed(0));
    assert!((60..90).contains(&positions.len()), "{}", positions.len());
}

#[test]
fn automatic_positions_are_four_fifths() {
    let large = KernelGrid { in_channels: 64, out_channels: 64, ..GRID }.with_size(16, 16);
    for (grid, expected) in [(GRID, 96), (GRID.with_size(1, 1), 5), (large, 471_859)] {
        let config = SamplerConfig::Stratified { num_positions: NumPositions::Auto };
        let mut sampler = PositionSampler::try_new(&config, grid).unwrap();
        assert_eq!((sampler.max_positions(), sampler.sample(seed(0)).len()), (expected, expected));
    }
}

#[test]
fn shares_of_the_positions_are_counts() {
    for (share, expected) in [(0.1, 12), (0.104, 12), (0.107, 13), (1e-9, 1), (1.0, 120)] {
        let config = SamplerConfig::Stratified { num_positions: NumPositions::Share(share) };
        assert_eq!(build(&config).sample(seed(0)).len(), expected, "{share}");
    }
    // With replacement some of the draws coincide.
    let config = SamplerConfig::Uniform { num_positions: NumPositions::Share(0.117), replacement: true };
    let mut sampler = build(&config);
    assert!((sampler.inclusion_probability(7) - (1.0 - (119.0_f64 / 120.0).powi(14))).abs() < 1e-12);
    assert!((0..20).any(|step| sampler.sample(seed(step)).len() < 14));
    for share in [0.0, -0.5, 1.5, f64::NAN] {
        let config = SamplerConfig::Stratified { num_positions: NumPositions::Share(share) };
        let message = PositionSampler::try_new(&config, GRID).unwrap_err().to_string();
        assert!(message.contains("sampler.num_positions") && message.contains("at most 1.0"), "{message}");
    }
}

#[test]
fn coverage_is_the_share_of_positions_visited() {
    let mut sampler = build(&SamplerConfig::Stratified { num_positions: NumPositions::Count(40) });
    assert_eq!(sampler.coverage([]), 0.0);
    assert_eq!(sampler.coverage([step(0)]), 40.0 / 120.0);
    assert_eq!(sampler.coverage([step(0), step(0)]), 40.0 / 120.0);
    let mut visited = [false; 120];
    for step in 0..3 {
        sampler.sample(seed(step)).iter().for_each(|u| visited[u as usize] = true);
    }
    let expected = visited.iter().filter(|&&v| v).count() as f64 / 120.0;
    assert_eq!(sampler.coverage((0..3).map(step)), expected);
    assert_eq!(build(&SamplerConfig::All {}).coverage([step(0)]), 1.0);
}

#[test]
fn settings_without_meaning_are_refused() {
    let message =
        |config: &SamplerConfig, grid| PositionSampler::try_new(config, grid).unwrap_err().to_string();
    let none = SamplerConfig::Stratified { num_positions: NumPositions::Count(0) };
    assert_eq!(message(&none, GRID), "sampler.num_positions = 0 is not allowed: expected at least 1");
    let even = message(&SamplerConfig::Lattice { size: 4 }, GRID.with_size(4, 4));
    assert!(even.starts_with("sampler.size = 4 is not allowed: expected an odd number"), "{even}");
    let other = message(&SamplerConfig::Lattice { size: 3 }, GRID);
    assert!(other.starts_with("sampler.size = 3 is not allowed"), "{other}");
    let empty = KernelGrid { in_channels: 0, ..GRID };
    assert_eq!(message(&SamplerConfig::All {}, empty), "in_channels = 0 is not allowed: expected at least 1");
    let huge = KernelGrid { height: 1 << 20, width: 1 << 20, in_channels: 64, out_channels: 64 };
    let error = PositionSampler::try_new(&SamplerConfig::All {}, huge).unwrap_err();
    assert!(matches!(error, CoreError::TooManyPositions { .. }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn positions_are_sorted_distinct_in_range_and_as_many_as_said(
        height in 1_usize..8, width in 1_usize..8, in_channels in 1_usize..5, out_channels in 1_usize..5,
        count in 1_usize..300, kind in 0_usize..7, step in 0_u64..1000,
    ) {
        let config = drawing_samplers(NumPositions::Count(count))[kind].clone();
        let grid = KernelGrid { height, width, in_channels, out_channels };
        let mut sampler = PositionSampler::try_new(&config, grid).unwrap();
        let positions: Vec<_> = sampler.sample(seed(step)).iter().collect();
        prop_assert!(positions.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert!(positions.iter().all(|&u| (u as usize) < grid.num_positions()));
        let expected: f64 =
            (0..grid.num_positions() as u32).map(|u| sampler.inclusion_probability(u)).sum();
        if kind == 1 {
            prop_assert!(!positions.is_empty() && positions.len() <= sampler.max_positions());
        } else {
            // The mean number of positions is the number.
            prop_assert!((positions.len() as f64 - expected).abs() < 1e-9 * expected);
            prop_assert_eq!(positions.len(), sampler.max_positions());
        }
    }
}
