//! Planned memory against what a layer holds after training and evaluation.

use cfconv_core::engine::{CfConvWorkspace, EnginePlan, PlannedAlgorithm};
use cfconv_core::{CfConv2dConfig, ConvAlgorithm, CoreError, PaddingMode, SamplerConfig};

use crate::common::{engine, input_len, numbers, output_len, samplers, seed, small_config};

/// Layers of every form, every sampler, both paddings.
fn configurations() -> Vec<CfConv2dConfig> {
    let mut all: Vec<_> = samplers().into_iter().map(|sampler| small_config((8, 6, 3, 4), sampler)).collect();
    for algorithm in [ConvAlgorithm::Direct, ConvAlgorithm::Fft] {
        for padding in [PaddingMode::Circular, PaddingMode::Zeros] {
            let sampler = SamplerConfig::Lattice { size: 3 };
            all.push(CfConv2dConfig { algorithm, padding, ..small_config((9, 7, 5, 2), sampler) });
        }
    }
    all.push(CfConv2dConfig {
        padding: PaddingMode::Zeros,
        ..small_config((5, 6, 17, 2), SamplerConfig::All {})
    });
    all
}

#[test]
fn layers_grow_to_the_planned_memory_and_not_beyond() {
    let threads = rayon::current_num_threads();
    let mut forms = Vec::new();
    for config in configurations() {
        for (training, evaluation) in [(1, 1), (17, 33), (33, 5)] {
            let plan = EnginePlan::try_new(&config).unwrap();
            forms.push(plan.algorithm);
            let planned = plan.memory::<f32>(training, evaluation, threads, true);
            let (mut engine, params) = engine::<f32>(&config);
            let mut workspace = CfConvWorkspace::default();
            engine.enable_rollback(true);
            engine.begin_step(&params, seed(1), &mut workspace).unwrap();
            let (input, mut output) =
                (numbers(1, input_len(&config, training)), vec![0.0; output_len(&config, training)]);
            engine.forward(&params, training, &input, &mut output, &mut workspace).unwrap();
            let (mut grad_input, mut grad_params) = (vec![0.0; input.len()], vec![0.0; params.len()]);
            let (grad_input, grad_params) = (Some(&mut grad_input[..]), &mut grad_params);
            engine
                .backward(&params, training, &output.clone(), grad_input, grad_params, &mut workspace)
                .unwrap();
            engine.begin_dense_evaluation(&params).unwrap();
            let (input, mut output) =
                (numbers(1, input_len(&config, evaluation)), vec![0.0; output_len(&config, evaluation)]);
            engine.forward(&params, evaluation, &input, &mut output, &mut workspace).unwrap();

            assert_eq!(engine.state_bytes(), planned.state);
            assert_eq!(engine.saved_bytes(), planned.saved, "{config:?}");
            let held = engine.scratch_bytes() + workspace.bytes();
            let most =
                planned.rollback + planned.evaluation_kernel + planned.scratch + planned.workspace.total();
            assert!(held <= most, "{held} bytes, planned {most}: {config:?}");
            // Buffers of tasks that never ran at once are missing.
            let idle = planned.scratch + (threads - 1) * planned.scratch / threads;
            assert!(most - held <= idle, "{held} bytes, planned {most}: {config:?}");
        }
    }
    for form in [PlannedAlgorithm::Spectral, PlannedAlgorithm::LatticeFft, PlannedAlgorithm::LatticeDirect] {
        assert!(forms.contains(&form), "{form:?} was not tried");
    }
}

#[test]
fn kernels_that_cannot_be_numbered_are_refused() {
    let config = CfConv2dConfig::new(4096, 4096, 512, 512);
    let outcome = EnginePlan::try_new(&config);
    assert!(matches!(outcome, Err(CoreError::TooManyPositions { .. })), "{outcome:?}");
}
