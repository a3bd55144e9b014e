//! The "unbiased" gradient scale: the exact mean over every set of positions is the dense gradient.

use std::collections::BTreeMap;

use cfconv_core::engine::CfConvWorkspace;
use cfconv_core::{CfConv2dConfig, GradientScale, NumPositions, SamplerConfig};

use crate::common::{engine, forward, input_len, numbers, output_len, relative_error, seed, small_config};

/// The parameter gradient of a step, with its positions. The state is Φ already, so that the kernel, and with
/// it dK, does not depend on the positions.
fn gradients(config: &CfConv2dConfig, steps: u64) -> BTreeMap<Vec<u32>, Vec<f64>> {
    let (mut engine, params) = engine::<f64>(config);
    let mut workspace = CfConvWorkspace::default();
    let input = numbers(1, input_len(config, 2));
    let grad_output = numbers(2, output_len(config, 2));
    let mut found = BTreeMap::new();
    for step in 0..steps {
        engine.begin_step(&params, seed(step), &mut workspace).unwrap();
        found.entry(engine.positions().iter().collect::<Vec<_>>()).or_insert_with(|| {
            forward(&mut engine, &params, 2, &input);
            let mut grad_params = vec![0.0; params.len()];
            engine.backward(&params, 2, &grad_output, None, &mut grad_params, &mut workspace).unwrap();
            grad_params
        });
    }
    found
}

fn check(sampler: SamplerConfig, sets: usize, probability: impl Fn(&[u32]) -> f64) {
    // 2 × 2 frequencies, 1 × 2 channel pairs: 8 positions.
    let config = CfConv2dConfig {
        ema_alpha: 0.5,
        gradient_scale: GradientScale::Unbiased,
        bias: false,
        ..small_config((2, 2, 1, 2), sampler.clone())
    };
    let found = gradients(&config, 2000);
    assert_eq!(found.len(), sets, "{sampler:?}: not every set of positions was drawn");
    let mut mean = vec![0.0; found.values().next().unwrap().len()];
    let mut total = 0.0;
    for (positions, gradient) in &found {
        let weight = probability(positions);
        total += weight;
        mean.iter_mut().zip(gradient).for_each(|(mean, gradient)| *mean += weight * gradient);
    }
    assert!((total - 1.0).abs() < 1e-12, "{sampler:?}: probabilities add up to {total}");
    let dense = CfConv2dConfig { sampler: SamplerConfig::All {}, ..config };
    let dense = gradients(&dense, 1).into_values().next().unwrap();
    let error = relative_error(&mean, &dense);
    assert!(error < 1e-11, "{sampler:?}: {error:e}");
    // A single set does not already give the dense gradient: the test can fail.
    assert!(relative_error(found.values().next().unwrap(), &dense) > 0.1);
}

#[test]
fn unbiased_scale_has_the_dense_gradient_as_its_exact_mean() {
    let num_positions = |count| NumPositions::Count(count);
    // 8·7/2 sets of two.
    let uniform = SamplerConfig::Uniform { num_positions: num_positions(2), replacement: false };
    check(uniform, 28, |_| 1.0 / 28.0);
    // Two draws: 8 single positions, 28 pairs in two orders.
    let replacement = SamplerConfig::Uniform { num_positions: num_positions(2), replacement: true };
    check(replacement, 36, |set| if set.len() == 1 { 1.0 / 64.0 } else { 2.0 / 64.0 });
    // Strata of 2, 3 and 3 positions: π differs between positions.
    check(SamplerConfig::Stratified { num_positions: num_positions(3) }, 18, |_| 1.0 / 18.0);
    // One frequency of four; one channel pair of two.
    check(SamplerConfig::FrequencyBlocks { num_positions: num_positions(2) }, 4, |_| 0.25);
    check(SamplerConfig::ChannelBlocks { num_positions: num_positions(4) }, 2, |_| 0.5);
}
