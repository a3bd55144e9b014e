//! Depthwise layers: against explicit sums, central differences, and layers that mix channels.

use cfconv_core::engine::{CfConv2dEngine, CfConvWorkspace, PaddingMode, PlannedAlgorithm};
use cfconv_core::{CfConv2dConfig, ConvAlgorithm, NumPositions, SamplerConfig, StepSeed};
use cfconv_mlp::{KernelGrid, Parameterization};

use crate::common::{
    PARAMETERIZATIONS, SHAPES, engine, forward, input_len, numbers, relative_error, samplers, seed,
    small_config, small_mlp,
};
use crate::gradients::check;
use crate::initialization::output_variance;
use crate::layer::{oracle, step};

fn depthwise_config(
    (height, width, channels): (usize, usize, usize),
    sampler: SamplerConfig,
) -> CfConv2dConfig {
    CfConv2dConfig { depthwise: true, ..small_config((height, width, channels, channels), sampler) }
}

/// Samplers and, where they exist, both forms.
fn samplers_and_forms() -> Vec<(SamplerConfig, ConvAlgorithm)> {
    let mut all: Vec<_> = samplers().into_iter().map(|sampler| (sampler, ConvAlgorithm::Auto)).collect();
    all.push((SamplerConfig::Lattice { size: 3 }, ConvAlgorithm::Direct));
    all.push((SamplerConfig::Lattice { size: 3 }, ConvAlgorithm::Fft));
    all
}

#[test]
fn depthwise_layer_equals_explicit_sums() {
    for (height, width, channels, _, batch) in SHAPES {
        for padding in [PaddingMode::Circular, PaddingMode::Zeros] {
            for (sampler, algorithm) in [
                (SamplerConfig::All {}, ConvAlgorithm::Auto),
                (SamplerConfig::Lattice { size: 3 }, ConvAlgorithm::Direct),
                (SamplerConfig::Lattice { size: 3 }, ConvAlgorithm::Fft),
            ] {
                let config = CfConv2dConfig {
                    padding,
                    algorithm,
                    bias: height != 2,
                    ..depthwise_config((height, width, channels), sampler)
                };
                let (mut engine, params) = engine::<f64>(&config);
                let input = numbers(1, input_len(&config, batch));
                let expected = oracle(&config, &params, batch, &input);
                engine.begin_step(&params, seed(0), &mut CfConvWorkspace::default()).unwrap();
                let error = relative_error(&forward(&mut engine, &params, batch, &input), &expected);
                assert!(error < 1e-12, "training, {config:?}: {error:e}");
                engine.begin_evaluation(&params).unwrap();
                let error = relative_error(&forward(&mut engine, &params, batch, &input), &expected);
                assert!(error < 1e-12, "evaluation, {config:?}: {error:e}");
            }
        }
    }
}

#[test]
fn depthwise_gradients_equal_central_differences() {
    for (sampler, algorithm) in samplers_and_forms() {
        for padding in [PaddingMode::Circular, PaddingMode::Zeros] {
            let config = CfConv2dConfig {
                mlp: small_mlp(Parameterization::HwCin),
                padding,
                algorithm,
                ema_alpha: 0.7,
                ..depthwise_config((3, 4, 3), sampler.clone())
            };
            check(&config, 2);
        }
    }
    for parameterization in PARAMETERIZATIONS {
        let mlp = small_mlp(parameterization);
        check(&CfConv2dConfig { mlp, ..depthwise_config((3, 4, 3), SamplerConfig::All {}) }, 2);
    }
    for (height, width, channels, _, batch) in SHAPES {
        for sampler in [
            SamplerConfig::Uniform { num_positions: NumPositions::Count(10), replacement: false },
            SamplerConfig::Lattice { size: 3 },
        ] {
            check(&depthwise_config((height, width, channels), sampler), batch.min(3));
        }
    }
}

#[test]
fn depthwise_f32_agrees_with_f64_for_any_number_of_threads() {
    for (sampler, algorithm) in samplers_and_forms() {
        let config = CfConv2dConfig { algorithm, ..depthwise_config((8, 7, 5), sampler) };
        let params: Vec<f64> = engine::<f32>(&config).1.iter().map(|&p| f64::from(p)).collect();
        let exact = step::<f64>(&config, &params, 33);
        let with_threads = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| step::<f32>(&config, &params, 33))
        };
        let one = with_threads(1);
        for (got, expected) in one.iter().zip(&exact) {
            assert!(relative_error(got, expected) < 1e-5, "{config:?}");
        }
        assert_eq!(one, with_threads(3), "{config:?}");
    }
}

#[test]
fn depthwise_layer_with_one_channel_is_the_layer_that_mixes() {
    for sampler in samplers() {
        let config = depthwise_config((5, 6, 1), sampler);
        let params = engine::<f64>(&config).1;
        let depthwise = step::<f64>(&config, &params, 3);
        let mixing = step::<f64>(&CfConv2dConfig { depthwise: false, ..config }, &params, 3);
        for (got, expected) in depthwise.iter().zip(&mixing) {
            assert!(relative_error(got, expected) < 1e-12);
        }
    }
}

#[test]
fn depthwise_kernel_has_one_axis_of_channels() {
    let config = depthwise_config((6, 8, 5), SamplerConfig::All {});
    let (engine, params) = engine::<f64>(&config);
    let grid = KernelGrid { height: 6, width: 8, in_channels: 5, out_channels: 1 };
    assert_eq!(engine.plan().grid, grid);
    assert_eq!(engine.plan().algorithm, PlannedAlgorithm::Spectral);
    assert_eq!(engine.kernel_state().len(), 6 * 5 * 5);
    assert_eq!(params.len(), config.mlp.num_parameters(grid).unwrap() + 5);
    let variance = output_variance(&depthwise_config((9, 8, 6), SamplerConfig::All {}), 256);
    assert!((variance - 2.0).abs() < 0.1, "{variance}");
}

#[test]
fn depthwise_layer_needs_as_many_outputs_as_inputs() {
    let config = CfConv2dConfig { out_channels: 4, ..depthwise_config((6, 8, 5), SamplerConfig::All {}) };
    let error = CfConv2dEngine::<f32>::try_new(&config).unwrap_err().to_string();
    assert!(error.starts_with("out_channels = 4") && error.contains("depthwise = true"), "{error}");
}

#[test]
fn depthwise_state_survives_a_round_trip() {
    let num_positions = NumPositions::Count(17);
    let sampler = SamplerConfig::Stratified { num_positions };
    let config = CfConv2dConfig { ema_alpha: 0.5, ..depthwise_config((4, 5, 3), sampler) };
    let (mut engine, params) = engine::<f64>(&config);
    let mut workspace = CfConvWorkspace::default();
    engine.begin_step(&params, seed(1), &mut workspace).unwrap();
    let mut again = CfConv2dEngine::<f64>::try_new(&config).unwrap();
    let history = engine.refresh_history().clone();
    again.load_state(engine.kernel_state(), history, engine.output_scale()).unwrap();
    let input = numbers(1, input_len(&config, 2));
    let next = StepSeed { step: 2, ..seed(0) };
    let outputs = [&mut engine, &mut again].map(|engine| {
        engine.begin_step(&params, next, &mut workspace).unwrap();
        forward(engine, &params, 2, &input)
    });
    assert_eq!(outputs[0], outputs[1]);
}
