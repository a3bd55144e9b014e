//! The layer against its definition, between types, thread counts and layouts.

use cfconv_core::engine::{CfConvWorkspace, PaddingMode};
use cfconv_core::{CfConv2d, CfConv2dConfig, CoreError, GradientScale, NumPositions, SamplerConfig, naive};
use cfconv_fft::{Complex, Real};
use ndarray::{Array4, ArrayView1, ArrayView4};

use crate::common::{
    PARAMETERIZATIONS, SHAPES, engine, forward, input_len, numbers, output_len, parts, relative_error,
    samplers, seed, small_config, small_mlp, to_lanes, to_nchw,
};

/// The layer's output by explicit sums: naive Φ, naive transforms.
pub(crate) fn oracle(config: &CfConv2dConfig, params: &[f64], batch: usize, input: &[f64]) -> Vec<f64> {
    let (engine, _) = engine::<f64>(config);
    let plan = engine.plan();
    let grid = plan.grid;
    let network = &params[..engine.mlp().num_parameters()];
    let kernel: Vec<Complex<f64>> = (0..grid.num_positions() as u32)
        .map(|position| cfconv_mlp::naive::evaluate_at(engine.mlp(), network, position))
        .collect();
    let shape = (grid.height, grid.half_width(), grid.in_channels, grid.out_channels);
    let mut kernel = Array4::from_shape_vec(shape, kernel).unwrap();
    if config.depthwise {
        kernel = naive::without_mixing(kernel.view());
    }
    let kernel = kernel.view();
    let bias = config.bias.then(|| ArrayView1::from(&params[network.len()..]));
    let images = to_nchw(input, (config.in_channels, config.height, config.width), batch);
    let output = match config.lattice_size() {
        None => naive::spectral_convolution(images.view(), kernel, plan.torus.1, bias),
        Some(size) => {
            let taps = naive::centred_taps(kernel, size);
            naive::spatial_convolution(images.view(), taps.view(), config.padding, bias)
        }
    };
    to_lanes(output.view())
}

#[test]
fn a_share_of_zeros_gives_the_torus_and_the_layer_of_explicit_sums() {
    for (height, width, share, torus) in [
        (8, 4, 0.25, (10, 5)),
        (6, 10, 0.5, (9, 15)),
        (7, 5, 0.1, (8, 6)),
        (7, 1, 1.0, (15, 1)),
        (5, 4, 0.9, (9, 8)),
    ] {
        let config = CfConv2dConfig {
            padding: PaddingMode::Zeros,
            padding_share: share,
            ..small_config((height, width, 2, 3), SamplerConfig::All {})
        };
        let (mut engine, params) = engine::<f64>(&config);
        assert_eq!(engine.plan().torus, torus, "{height}×{width}, {share}");
        engine.begin_step(&params, seed(0), &mut CfConvWorkspace::default()).unwrap();
        let input = numbers(1, input_len(&config, 2));
        let output = forward(&mut engine, &params, 2, &input);
        let error = relative_error(&output, &oracle(&config, &params, 2, &input));
        assert!(error < 1e-12, "{height}×{width}, {share}: {error:e}");
    }
}

#[test]
fn layer_equals_explicit_sums_for_every_shape_and_padding() {
    for (height, width, in_channels, out_channels, batch) in SHAPES {
        for padding in [PaddingMode::Circular, PaddingMode::Zeros] {
            for (sampler, bias) in
                [(SamplerConfig::All {}, true), (SamplerConfig::Lattice { size: 3 }, false)]
            {
                let shape = (height, width, in_channels, out_channels);
                let config = CfConv2dConfig { padding, bias, ..small_config(shape, sampler) };
                let (mut engine, params) = engine::<f64>(&config);
                engine.begin_step(&params, seed(0), &mut CfConvWorkspace::default()).unwrap();
                let input = numbers(1, input_len(&config, batch));
                let output = forward(&mut engine, &params, batch, &input);
                let error = relative_error(&output, &oracle(&config, &params, batch, &input));
                assert!(error < 1e-12, "{shape:?} × {batch}, {padding:?}, {:?}: {error:e}", config.sampler);
            }
        }
    }
}

#[test]
fn layer_equals_explicit_sums_for_every_parameterization() {
    for parameterization in PARAMETERIZATIONS {
        let config = CfConv2dConfig {
            mlp: small_mlp(parameterization),
            ..small_config((3, 4, 2, 3), SamplerConfig::All {})
        };
        let (mut engine, params) = engine::<f64>(&config);
        engine.begin_evaluation(&params).unwrap();
        let input = numbers(1, input_len(&config, 2));
        let output = forward(&mut engine, &params, 2, &input);
        assert!(relative_error(&output, &oracle(&config, &params, 2, &input)) < 1e-12);
    }
}

#[test]
fn circular_layer_is_circular_convolution_with_its_spatial_taps() {
    let config = small_config((5, 7, 2, 3), SamplerConfig::All {});
    let (mut engine, params) = engine::<f64>(&config);
    engine.begin_evaluation(&params).unwrap();
    let input = numbers(1, input_len(&config, 2));
    let output = forward(&mut engine, &params, 2, &input);
    let kernel = ArrayView4::from_shape((5, 4, 2, 3), engine.kernel_state()).unwrap();
    let taps = naive::centred_taps(kernel, 7);
    let images = to_nchw(&input, (2, 5, 7), 2);
    let bias = ArrayView1::from(&params[params.len() - 3..]);
    let expected = naive::spatial_convolution(images.view(), taps.view(), PaddingMode::Circular, Some(bias));
    assert!(relative_error(&output, &to_lanes(expected.view())) < 1e-12);
}

#[test]
fn zero_padded_layer_is_linear_convolution_with_its_spatial_taps() {
    // 2·5 − 1 = 9 rows and 2·8 − 1 = 15 columns are fast sizes: the torus has exactly the taps that matter.
    let config =
        CfConv2dConfig { padding: PaddingMode::Zeros, ..small_config((5, 8, 2, 3), SamplerConfig::All {}) };
    let (mut engine, params) = engine::<f64>(&config);
    assert_eq!(engine.plan().torus, (9, 15));
    engine.begin_evaluation(&params).unwrap();
    let input = numbers(1, input_len(&config, 2));
    let output = forward(&mut engine, &params, 2, &input);
    let kernel = ArrayView4::from_shape((9, 8, 2, 3), engine.kernel_state()).unwrap();
    let taps = naive::centred_taps(kernel, 15);
    let images = to_nchw(&input, (2, 5, 8), 2);
    let bias = ArrayView1::from(&params[params.len() - 3..]);
    let expected = naive::spatial_convolution(images.view(), taps.view(), PaddingMode::Zeros, Some(bias));
    assert!(relative_error(&output, &to_lanes(expected.view())) < 1e-12);
}

/// Output and gradients of one step.
pub(crate) fn step<T: Real>(config: &CfConv2dConfig, params: &[f64], batch: usize) -> [Vec<f64>; 3] {
    let (mut engine, _) = engine::<T>(config);
    let params: Vec<T> = params.iter().map(|&p| T::cast(p)).collect();
    let mut workspace = CfConvWorkspace::default();
    engine.begin_step(&params, seed(1), &mut workspace).unwrap();
    let input: Vec<T> = numbers(1, input_len(config, batch));
    let output = forward(&mut engine, &params, batch, &input);
    // `forward` used a workspace of its own: what backward needs is in the engine.
    let grad_output: Vec<T> = numbers(2, output_len(config, batch));
    let mut grad_input = vec![T::nan(); input.len()];
    let mut grad_params = vec![T::zero(); params.len()];
    engine
        .backward(&params, batch, &grad_output, Some(&mut grad_input), &mut grad_params, &mut workspace)
        .unwrap();
    [output, grad_input, grad_params].map(|values| values.iter().map(|x| x.as_f64()).collect())
}

#[test]
fn f32_agrees_with_f64() {
    for sampler in samplers() {
        for padding in [PaddingMode::Circular, PaddingMode::Zeros] {
            let config = CfConv2dConfig { padding, ..small_config((8, 7, 3, 4), sampler.clone()) };
            // Parameters that both types hold exactly.
            let params: Vec<f64> = engine::<f32>(&config).1.iter().map(|&p| f64::from(p)).collect();
            let exact = step::<f64>(&config, &params, 17);
            for (what, (got, expected)) in step::<f32>(&config, &params, 17).iter().zip(&exact).enumerate() {
                let error = relative_error(got, expected);
                assert!(error < 1e-5, "{sampler:?} {padding:?}, result {what}: {error:e}");
            }
        }
    }
}

#[test]
fn results_are_bit_identical_for_one_and_two_threads() {
    for sampler in samplers() {
        let sampler = match sampler {
            // Large enough for several tiles of the kernel network.
            SamplerConfig::Uniform { replacement, .. } => {
                SamplerConfig::Uniform { num_positions: NumPositions::Count(1000), replacement }
            }
            other => other,
        };
        let config = CfConv2dConfig { ema_alpha: 0.5, ..small_config((12, 10, 8, 6), sampler) };
        let params: Vec<f64> = engine::<f32>(&config).1.iter().map(|&p| f64::from(p)).collect();
        let with_threads = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| step::<f32>(&config, &params, 33))
        };
        let one = with_threads(1);
        assert_eq!(one, with_threads(2), "{:?}", config.sampler);
        assert_eq!(one, with_threads(3), "{:?}", config.sampler);
    }
}

#[test]
fn sampled_kernel_gradient_is_the_dense_one_at_the_sampled_positions() {
    // With a shared basis of one function and no hidden structure in the way: the gradient of the mixing
    // coefficients is linear in dK. Compared here one level lower, through the spectral convolution itself.
    use cfconv_core::engine::{SavedSpectrum, SpectralConv, SpectralConvSizes, SpectralWorkspace};
    let sizes = SpectralConvSizes {
        in_channels: 3,
        out_channels: 2,
        height: 6,
        width: 5,
        kernel_height: 12,
        kernel_width: 10,
    };
    let conv = SpectralConv::<f64>::new(sizes);
    let (mut saved, mut workspace) = (SavedSpectrum::default(), SpectralWorkspace::default());
    let kernel: Vec<_> =
        numbers::<f64>(1, 2 * sizes.num_positions()).chunks(2).map(|z| Complex::new(z[0], z[1])).collect();
    let (input, grad_output) = (numbers::<f64>(2, 3 * 30 * 4), numbers::<f64>(3, 2 * 30 * 4));
    let mut output = vec![f64::NAN; grad_output.len()];
    conv.forward(4, &input, &kernel, None, &mut output, &mut saved, &mut workspace);
    let mut backward = |positions: Option<&[u32]>, len: usize| {
        let mut grad_kernel = vec![Complex::new(f64::NAN, f64::NAN); len];
        conv.backward(
            4,
            &grad_output,
            &kernel,
            &saved,
            positions,
            0.5,
            &mut grad_kernel,
            None,
            &mut workspace,
        );
        grad_kernel
    };
    let dense = backward(None, sizes.num_positions());
    for sampler in samplers() {
        if matches!(sampler, SamplerConfig::Lattice { .. }) {
            continue;
        }
        let grid = cfconv_mlp::KernelGrid { height: 12, width: 10, in_channels: 3, out_channels: 2 };
        let positions = cfconv_core::PositionSampler::try_new(&sampler, grid).unwrap().sample(seed(0));
        let sampled = backward(positions.list(), positions.len());
        let expected: Vec<_> = positions.iter().map(|u| dense[u as usize]).collect();
        assert_eq!(sampled, expected, "{sampler:?}");
    }
    assert!(parts(&dense).iter().all(|x| x.is_finite()));
}

#[test]
fn nchw_layer_equals_the_engine_and_checks_shapes() {
    let config =
        small_config((4, 6, 2, 3), SamplerConfig::Stratified { num_positions: NumPositions::Count(20) });
    let mut layer = CfConv2d::<f64>::try_new(&config, 11).unwrap();
    let mut engine = layer.engine().clone();
    let params = layer.params().to_vec();
    let batch = 5;
    let input = numbers(1, input_len(&config, batch));
    let grad_output = numbers(2, output_len(&config, batch));
    let mut workspace = CfConvWorkspace::default();
    let step_seed = cfconv_core::StepSeed { run_seed: 11, layer: 0, step: 4 };
    engine.begin_step(&params, step_seed, &mut workspace).unwrap();
    let expected = forward(&mut engine, &params, batch, &input);
    let mut expected_input = vec![f64::NAN; input.len()];
    let mut expected_params = vec![0.0; params.len()];
    let wanted = Some(&mut expected_input[..]);
    engine.backward(&params, batch, &grad_output, wanted, &mut expected_params, &mut workspace).unwrap();

    layer.begin_step(4).unwrap();
    let (output, saved) = layer.forward(to_nchw(&input, (2, 4, 6), batch).view()).unwrap();
    assert_eq!(to_lanes(output.view()), expected);
    let mut grad_params = vec![0.0; params.len()];
    let grad_output = to_nchw(&grad_output, (3, 4, 6), batch);
    let grad_input = layer.backward(saved, grad_output.view(), &mut grad_params).unwrap();
    assert_eq!(to_lanes(grad_input.view()), expected_input);
    assert_eq!(grad_params, expected_params);

    let wrong = Array4::zeros((5, 3, 4, 6));
    let message = layer.forward(wrong.view()).unwrap_err().to_string();
    assert_eq!(message, "CfConv2d::forward: input has shape [5, 3, 4, 6], expected [5, 2, 4, 6]");
    let images = Array4::zeros((1, 2, 4, 6));
    let (_, stale) = layer.forward(images.view()).unwrap();
    let (_, saved) = layer.forward(images.view()).unwrap();
    let grad = Array4::zeros((1, 3, 4, 6));
    let error = layer.backward(stale, grad.view(), &mut grad_params).unwrap_err();
    assert!(matches!(error, CoreError::WrongOrder { .. }));
    let error = layer.backward(saved, grad_output.view(), &mut grad_params).unwrap_err();
    assert!(matches!(error, CoreError::ShapeMismatch { operand: "grad_output", .. }));
}

#[test]
fn gradient_scale_only_changes_the_network_gradient() {
    let uniform = SamplerConfig::Uniform { num_positions: NumPositions::Count(24), replacement: false };
    let config = CfConv2dConfig { ema_alpha: 0.5, ..small_config((4, 6, 2, 3), uniform) };
    let params = engine::<f64>(&config).1;
    let [_, input, exact] = step::<f64>(&config, &params, 3);
    let config = CfConv2dConfig { gradient_scale: GradientScale::Unbiased, ..config };
    let [_, input_unbiased, unbiased] = step::<f64>(&config, &params, 3);
    assert_eq!(input, input_unbiased);
    // π = 24/96.
    let network = exact.len() - 3;
    let scaled: Vec<_> = exact[..network].iter().map(|gradient| 4.0 * gradient).collect();
    assert!(relative_error(&unbiased[..network], &scaled) < 1e-14);
    assert_eq!(unbiased[network..], exact[network..]);
}
