//! The kernel state within a layer: moving average, shadow gap, coverage, evaluation kernels, checkpoints.

use cfconv_core::engine::{CfConv2dEngine, CfConvWorkspace};
use cfconv_core::{
    CfConv2dConfig, CoreError, EvaluationKernel, InitialFill, NumPositions, RefreshHistory, SamplerConfig,
};
use cfconv_fft::{Complex, Real};
use cfconv_mlp::Positions;

use crate::common::{
    engine, forward, input_len, numbers, output_len, parts, relative_error, samplers, seed, small_config,
};

const SHAPE: (usize, usize, usize, usize) = (4, 6, 2, 3);

fn stratified() -> SamplerConfig {
    SamplerConfig::Stratified { num_positions: NumPositions::Count(24) }
}

fn phi(engine: &CfConv2dEngine<f64>, params: &[f64]) -> Vec<Complex<f64>> {
    let mut phi = vec![Complex::default(); engine.kernel_state().len()];
    engine.mlp().evaluate(&params[..engine.mlp().num_parameters()], Positions::All, &mut phi).unwrap();
    phi
}

fn moved<T: Real>(params: &[T]) -> Vec<T> {
    params.iter().zip(numbers::<T>(9, params.len())).map(|(&p, change)| p + T::cast(0.2) * change).collect()
}

#[test]
fn a_step_moves_the_visited_positions_and_no_others() {
    for sampler in samplers() {
        let config = CfConv2dConfig { ema_alpha: 0.25, ..small_config(SHAPE, sampler) };
        let (mut engine, params) = engine::<f64>(&config);
        let params = moved(&params);
        let before = engine.kernel_state().to_vec();
        let phi = phi(&engine, &params);
        engine.begin_step(&params, seed(1), &mut CfConvWorkspace::default()).unwrap();
        let mut visited = vec![false; before.len()];
        engine.positions().iter().for_each(|u| visited[u as usize] = true);
        for (u, value) in engine.kernel_state().iter().enumerate() {
            let expected = if visited[u] { before[u] + (phi[u] - before[u]) * 0.25 } else { before[u] };
            assert!((value - expected).norm() < 1e-13, "{:?}, position {u}", config.sampler);
        }
    }
}

#[test]
fn undone_step_leaves_nothing_behind() {
    for sampler in samplers() {
        let config = CfConv2dConfig { ema_alpha: 0.25, ..small_config(SHAPE, sampler) };
        let (mut engine, params) = engine::<f32>(&config);
        let mut workspace = CfConvWorkspace::default();
        engine.begin_step(&params, seed(1), &mut workspace).unwrap();
        let error = engine.rollback_step().unwrap_err();
        assert!(matches!(error, CoreError::WrongOrder { .. }), "nothing was kept: {error}");
        engine.enable_rollback(true);
        engine.begin_step(&moved(&params), seed(2), &mut workspace).unwrap();
        let before = (engine.kernel_state().to_vec(), engine.refresh_history().clone());
        // Whatever the step computes, not a number included.
        let broken = vec![f32::NAN; params.len()];
        engine.begin_step(&broken, seed(3), &mut workspace).unwrap();
        forward(&mut engine, &broken, 2, &numbers(1, input_len(&config, 2)));
        engine.rollback_step().unwrap();
        let after = (engine.kernel_state().to_vec(), engine.refresh_history().clone());
        assert!(before == after, "{:?}", config.sampler);
        assert!(engine.rollback_step().is_err(), "a step is undone once");
    }
}

#[test]
fn alpha_one_with_every_position_is_the_dense_kernel_bit_for_bit() {
    let num_positions = NumPositions::Count(usize::MAX);
    for sampler in [SamplerConfig::All {}, SamplerConfig::Uniform { num_positions, replacement: false }] {
        let config = CfConv2dConfig {
            initial_fill: InitialFill::Zeros,
            evaluation_kernel: EvaluationKernel::Dense,
            ..small_config(SHAPE, sampler)
        };
        let (mut engine, params) = engine::<f32>(&config);
        // With fewer images, evaluation sums in another order.
        const BATCH: usize = 9;
        let input = numbers(1, input_len(&config, BATCH));
        engine.begin_step(&params, seed(1), &mut CfConvWorkspace::default()).unwrap();
        let step = forward(&mut engine, &params, BATCH, &input);
        assert_eq!(engine.shadow_gap(&params).unwrap(), 0.0);
        engine.begin_evaluation(&params).unwrap();
        assert_eq!(forward(&mut engine, &params, BATCH, &input), step);
    }
}

#[test]
fn initial_fill_gives_no_gap_or_the_whole_gap() {
    let (engine_phi, params) = engine::<f64>(&small_config(SHAPE, stratified()));
    assert_eq!(engine_phi.shadow_gap(&params).unwrap(), 0.0);
    let config = CfConv2dConfig { initial_fill: InitialFill::Zeros, ..small_config(SHAPE, stratified()) };
    let (engine_zeros, params) = engine::<f64>(&config);
    assert_eq!(engine_zeros.shadow_gap(&params).unwrap(), 1.0);
}

#[test]
fn shadow_gap_equals_its_definition_and_the_sampled_estimate_is_near() {
    let config = small_config((16, 16, 4, 4), stratified());
    let (engine, params) = engine::<f64>(&config);
    let params = moved(&params);
    let phi = phi(&engine, &params);
    let expected = relative_error(&parts(engine.kernel_state()), &parts(&phi));
    assert!(expected > 0.01);
    assert!((engine.shadow_gap(&params).unwrap() - expected).abs() < 1e-12);
    let estimate = engine.sampled_shadow_gap(&params, 1000, seed(0)).unwrap();
    assert!((estimate / expected - 1.0).abs() < 0.1, "{estimate} ≠ {expected}");
    assert_eq!(
        engine.sampled_shadow_gap(&params, usize::MAX, seed(0)).unwrap(),
        engine.shadow_gap(&params).unwrap()
    );
}

#[test]
fn coverage_counts_the_last_steps_and_survives_a_checkpoint() {
    let (mut engine, params) = engine::<f64>(&small_config(SHAPE, stratified()));
    let mut workspace = CfConvWorkspace::default();
    assert_eq!(engine.coverage(10), 0.0);
    let mut last = Vec::new();
    for step in 0..5 {
        engine.begin_step(&params, seed(step), &mut workspace).unwrap();
        last.push(engine.positions().iter().collect::<Vec<_>>());
    }
    let visited: std::collections::BTreeSet<_> = last[2..].iter().flatten().collect();
    assert_eq!(engine.coverage(3), visited.len() as f64 / 96.0);
    let words = engine.refresh_history().to_words();
    assert_eq!(words, [11, 3, 0, 5]);
    let mut resumed = CfConv2dEngine::<f64>::try_new(engine.config()).unwrap();
    let history = RefreshHistory::from_words(&words).unwrap();
    resumed.load_state(engine.kernel_state(), history, engine.output_scale()).unwrap();
    assert_eq!(resumed.coverage(3), engine.coverage(3));
}

#[test]
fn a_gap_weighted_step_prefers_what_lags_behind_and_survives_a_checkpoint_and_an_undo() {
    // 16 × 9 frequencies × 16 channel pairs.
    let sampler = SamplerConfig::GapWeighted { num_positions: NumPositions::Count(512) };
    let config = small_config((16, 16, 4, 4), sampler);
    let (mut engine, mut params) = engine::<f64>(&config);
    let mut workspace = CfConvWorkspace::default();
    // The state lags behind in the first quarter of the positions alone.
    let quarter = 576;
    let mut values = engine.kernel_state().to_vec();
    values[..quarter].iter_mut().for_each(|value| value.re += 10.0);
    let output_scale = engine.output_scale();
    engine.load_state(&values, RefreshHistory::default(), output_scale).unwrap();
    engine.enable_rollback(true);
    engine.begin_step(&params, seed(0), &mut workspace).unwrap();
    let early = |engine: &CfConv2dEngine<f64>| {
        engine.positions().iter().filter(|&position| (position as usize) < quarter).count()
    };
    // Nothing was known before the first step: a quarter. Then a quarter of one half and the other half.
    assert!((126..=130).contains(&early(&engine)), "{}", early(&engine));
    engine.rollback_step().unwrap();
    assert_eq!(engine.refresh_history(), &RefreshHistory::default());
    for step in 0..4 {
        engine.begin_step(&params, seed(step), &mut workspace).unwrap();
        assert_eq!(early(&engine) > 300, step > 0, "step {step}: {}", early(&engine));
    }
    let history = RefreshHistory::from_words(&engine.refresh_history().to_words()).unwrap();
    let mut resumed = CfConv2dEngine::<f64>::try_new(&config).unwrap();
    resumed.load_state(engine.kernel_state(), history, output_scale).unwrap();
    params.iter_mut().for_each(|parameter| *parameter *= 1.5);
    for step in 4..20 {
        engine.begin_step(&params, seed(step), &mut workspace).unwrap();
        resumed.begin_step(&params, seed(step), &mut workspace).unwrap();
        assert_eq!(engine.positions(), resumed.positions());
    }
    assert_eq!(engine.kernel_state(), resumed.kernel_state());
    assert_eq!(engine.coverage(20), resumed.coverage(20));
    let visited: std::collections::BTreeSet<_> = engine.positions().iter().collect();
    assert_eq!(engine.coverage(1), visited.len() as f64 / 2304.0);
}

#[test]
fn evaluation_kernels_are_state_polished_state_and_network() {
    let config = CfConv2dConfig { ema_alpha: 0.25, ..small_config(SHAPE, stratified()) };
    let (first, params) = engine::<f64>(&config);
    let params = moved(&params);
    let phi = phi(&first, &params);
    let input = numbers(1, input_len(&config, 2));
    // What the layer gives with a kernel: that kernel as the state.
    let with_kernel = |kernel: &[Complex<f64>]| {
        let mut engine = CfConv2dEngine::<f64>::try_new(&config).unwrap();
        engine.load_state(kernel, RefreshHistory::default(), 1.0).unwrap();
        engine.begin_evaluation(&params).unwrap();
        forward(&mut engine, &params, 2, &input)
    };
    let state = first.kernel_state();
    let polished: Vec<_> = state.iter().zip(&phi).map(|(k, phi)| k + (phi - k) * 0.25).collect();
    let cases = [
        (EvaluationKernel::State, false, state),
        (EvaluationKernel::State, true, &polished),
        (EvaluationKernel::Dense, false, &phi),
    ];
    for (evaluation_kernel, refresh_before_evaluation, kernel) in cases {
        let config = CfConv2dConfig { evaluation_kernel, refresh_before_evaluation, ..config.clone() };
        let (mut engine, _) = engine::<f64>(&config);
        engine.begin_evaluation(&params).unwrap();
        let output = forward(&mut engine, &params, 2, &input);
        assert!(relative_error(&output, &with_kernel(kernel)) < 1e-13, "{config:?}");
    }
}

#[test]
fn evaluation_does_not_disturb_training() {
    for (evaluation_kernel, refresh_before_evaluation) in
        [(EvaluationKernel::Dense, false), (EvaluationKernel::State, true)]
    {
        let mut results = Vec::new();
        for evaluates in [false, true] {
            let config = CfConv2dConfig {
                ema_alpha: 0.5,
                evaluation_kernel,
                refresh_before_evaluation,
                ..small_config(SHAPE, stratified())
            };
            let (mut engine, mut params) = engine::<f32>(&config);
            let mut workspace = CfConvWorkspace::default();
            let input = numbers(1, input_len(&config, 2));
            for step in 0..4 {
                engine.begin_step(&params, seed(step), &mut workspace).unwrap();
                let output = forward(&mut engine, &params, 2, &input);
                let mut grad_params = vec![0.0; params.len()];
                engine.backward(&params, 2, &output, None, &mut grad_params, &mut workspace).unwrap();
                params.iter_mut().zip(&grad_params).for_each(|(p, g)| *p -= 0.01 * g);
                if evaluates {
                    engine.begin_evaluation(&params).unwrap();
                    forward(&mut engine, &params, 2, &input);
                }
            }
            results.push((params, engine.kernel_state().to_vec()));
        }
        assert_eq!(results[0], results[1]);
    }
}

#[test]
fn a_resumed_layer_continues_bit_for_bit() {
    for sampler in samplers() {
        let config = CfConv2dConfig { ema_alpha: 0.5, ..small_config(SHAPE, sampler) };
        let (mut engine, params) = engine::<f32>(&config);
        let mut workspace = CfConvWorkspace::default();
        for step in 0..3 {
            engine.begin_step(&params, seed(step), &mut workspace).unwrap();
        }
        let mut resumed = CfConv2dEngine::<f32>::try_new(&config).unwrap();
        let history = engine.refresh_history().clone();
        resumed.load_state(engine.kernel_state(), history, engine.output_scale()).unwrap();
        let input = numbers(1, input_len(&config, 2));
        for engine in [&mut engine, &mut resumed] {
            engine.begin_step(&params, seed(3), &mut CfConvWorkspace::default()).unwrap();
        }
        assert_eq!(forward(&mut engine, &params, 2, &input), forward(&mut resumed, &params, 2, &input));
        assert_eq!(engine.kernel_state(), resumed.kernel_state());
    }
}

#[test]
fn memory_is_that_of_the_state_and_a_few_tiles() {
    let config = small_config((32, 32, 16, 16), SamplerConfig::All {});
    let mut engine = CfConv2dEngine::<f32>::try_new(&config).unwrap();
    let params = vec![0.1; engine.num_parameters()];
    let mut workspace = CfConvWorkspace::default();
    let state = 32 * 17 * 256 * 8;
    assert_eq!(engine.state_bytes(), state);
    engine.begin_step(&params, seed(0), &mut workspace).unwrap();
    // At α = 1 the network writes the state itself.
    assert_eq!(workspace.bytes(), 0);
    let input = numbers(1, input_len(&config, 1));
    let output = forward(&mut engine, &params, 1, &input);
    engine.backward(&params, 1, &output, None, &mut vec![0.0; params.len()], &mut workspace).unwrap();
    // The gradient of the kernel, and spectra of one block of images.
    assert!(workspace.bytes() >= state);
    let spectra = 16 * 32 * 17 * 16 * 8;
    assert!(workspace.bytes() <= state + 2 * spectra, "{}", workspace.bytes());
    assert!(engine.saved_bytes() <= spectra);
    assert!(engine.scratch_bytes() < state / 4, "{}", engine.scratch_bytes());
}

#[test]
fn calls_out_of_order_and_wrong_lengths_are_refused() {
    let config = small_config(SHAPE, stratified());
    let (mut engine, params) = engine::<f64>(&config);
    let mut workspace = CfConvWorkspace::default();
    let input = numbers(1, input_len(&config, 2));
    let mut output = vec![0.0; output_len(&config, 2)];
    let error = engine.forward(&params, 2, &input, &mut output, &mut workspace).unwrap_err();
    assert_eq!(error.to_string(), "CfConv2dEngine::forward: call begin_step or begin_evaluation first");
    engine.begin_evaluation(&params).unwrap();
    engine.forward(&params, 2, &input, &mut output, &mut workspace).unwrap();
    let mut grad_params = vec![0.0; params.len()];
    let error = engine.backward(&params, 2, &output, None, &mut grad_params, &mut workspace).unwrap_err();
    assert_eq!(error.to_string(), "CfConv2dEngine::backward: call begin_step and forward first");
    engine.begin_step(&params, seed(0), &mut workspace).unwrap();
    let error = engine.forward(&params, 2, &input[1..], &mut output, &mut workspace).unwrap_err();
    assert_eq!(error.to_string(), "CfConv2dEngine::forward: input has shape [95], expected [96]");
    let error = engine.forward(&params, 0, &[], &mut [], &mut workspace).unwrap_err();
    assert!(matches!(error, CoreError::ShapeMismatch { operand: "batch", .. }));
    let error = engine.begin_step(&params[1..], seed(0), &mut workspace).unwrap_err();
    assert!(matches!(error, CoreError::ShapeMismatch { operand: "params", .. }));
    let error = engine.load_state(&[], RefreshHistory::default(), 1.0).unwrap_err();
    assert!(matches!(error, CoreError::ShapeMismatch { operand: "values", .. }));
}
