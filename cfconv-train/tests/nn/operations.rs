//! Operations on every device: against naive formulas in `f64` and values from PyTorch.
//!
//! Each check is generic over the device; `on_every_device` runs it on all there are.

use crate::support::{Operands, all, all_mut, assert_close, host, noise, transpose, unset, upload};
use cfconv_train::device::{Cpu, Device, DeviceError, Span, SpanMut};
use cfconv_train::nn::conv2d::{DirectConvSizes, PaddingMode};
use cfconv_train::nn::{
    Activation, ActivationSizes, AdamMoments, AdamStep, Backward, BatchNormSizes, BatchStatistics,
    Conv2dSizes, CrossEntropy, DropoutSizes, LinearSizes, OpSizes, PoolSizes, SgdStep, SpectralPoolSizes,
    StepMonitor, StepSums, Update,
};
use serde_json::Value;

on_every_device!(
    convolution_equals_naive_formula,
    convolution_gradients_are_adjoint,
    convolution_equals_pytorch,
    even_kernels_are_refused,
    max_pool_equals_naive_formula,
    max_pool_passes_nan_on,
    pooling_equals_pytorch,
    spectral_pool_keeps_constants_and_low_frequencies,
    spectral_pool_gradient_is_adjoint,
    linear_equals_pytorch,
    batch_norm_equals_pytorch,
    batch_norm_evaluates_with_running_statistics,
    activations_equal_their_formulas,
    dropout_keeps_its_share_and_repeats_its_mask,
    cross_entropy_equals_pytorch,
    cross_entropy_survives_extreme_logits,
    softmax_sums_to_one,
    adam_equals_pytorch,
    sgd_equals_pytorch,
    sums_join_two_values,
    steps_fail_by_loss_or_gradient_and_stay_failed,
    a_failed_step_changes_nothing,
    averages_move_towards_parameters,
    wrong_lengths_are_refused,
);

/// Single precision, sums of some hundred products.
const TOLERANCE: f64 = 2e-6;

/// Channels in and out, rows, columns, kernel size, batch.
const CONVOLUTIONS: [(usize, usize, usize, usize, usize, usize); 7] = [
    (1, 1, 1, 1, 1, 1),
    (1, 2, 1, 7, 3, 2),
    (3, 5, 4, 6, 3, 17),
    (2, 4, 5, 5, 5, 16),
    (5, 3, 7, 2, 1, 33),
    (4, 9, 6, 3, 3, 1),
    (2, 2, 3, 3, 5, 4),
];

fn conv_sizes(
    (in_channels, out_channels, height, width, kernel_size, _): (usize, usize, usize, usize, usize, usize),
    padding: PaddingMode,
    bias: bool,
) -> Conv2dSizes {
    let conv = DirectConvSizes { in_channels, out_channels, height, width, kernel_size, padding };
    Conv2dSizes { conv, bias }
}

fn naive_convolution(sizes: &Conv2dSizes, batch: usize, input: &[f32], params: &[f32]) -> Vec<f64> {
    let DirectConvSizes { in_channels, out_channels, height, width, kernel_size: k, padding } = sizes.conv;
    let bias = sizes.bias;
    let mut output = Vec::new();
    let source = |at: usize, tap: usize, size: usize| {
        let shifted = at as i64 + tap as i64 - (k as i64 - 1) / 2;
        match padding {
            PaddingMode::Circular => Some(shifted.rem_euclid(size as i64) as usize),
            PaddingMode::Zeros => (0..size as i64).contains(&shifted).then_some(shifted as usize),
        }
    };
    for o in 0..out_channels {
        for h in 0..height {
            for w in 0..width {
                for b in 0..batch {
                    let mut sum = if bias { f64::from(params[sizes.conv.num_weights() + o]) } else { 0.0 };
                    for i in 0..in_channels {
                        for p in 0..k {
                            for q in 0..k {
                                let (Some(y), Some(x)) = (source(h, p, height), source(w, q, width)) else {
                                    continue;
                                };
                                let weight = params[((o * in_channels + i) * k + p) * k + q];
                                let value = input[((i * height + y) * width + x) * batch + b];
                                sum += f64::from(weight) * f64::from(value);
                            }
                        }
                    }
                    output.push(sum);
                }
            }
        }
    }
    output
}

fn convolution_equals_naive_formula<D: Device>(device: &D) {
    for shape in CONVOLUTIONS {
        for (padding, bias) in [(PaddingMode::Zeros, true), (PaddingMode::Circular, false)] {
            let (sizes, batch) = (conv_sizes(shape, padding, bias), shape.5);
            let plan = device.plan_conv2d(&sizes).unwrap();
            let (input, params) = (noise(1, sizes.input_len(batch)), noise(2, sizes.num_parameters()));
            let operands = Operands { batch, input: &input, params: &params };
            let output = operands.forward(device, sizes.output_len(batch), |io| device.conv2d(&plan, io));
            let expected = naive_convolution(&sizes, batch, &input, &params);
            assert_close(&output, &expected, TOLERANCE);
        }
    }
}

/// ⟨conv(x, w), g⟩ is bilinear: its derivative in x along dx is ⟨conv(dx, w), g⟩ = ⟨dx, grad_x⟩, and so for w.
fn convolution_gradients_are_adjoint<D: Device>(device: &D) {
    let dot = |a: &[f64], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, &b)| a * f64::from(b)).sum() };
    for shape in CONVOLUTIONS {
        for padding in [PaddingMode::Zeros, PaddingMode::Circular] {
            let (sizes, batch) = (conv_sizes(shape, padding, true), shape.5);
            let plan = device.plan_conv2d(&sizes).unwrap();
            let (input, params) = (noise(1, sizes.input_len(batch)), noise(2, sizes.num_parameters()));
            let cotangent = noise(3, sizes.output_len(batch));
            let operands = Operands { batch, input: &input, params: &params };
            let (grad_input, grad_params) =
                operands.backward(device, &cotangent, 1.0, |io| device.conv2d_vjp(&plan, io));
            let mut without_bias = params.clone();
            without_bias[sizes.conv.num_weights()..].fill(0.0);
            let direction = noise(4, input.len());
            let expected = dot(&naive_convolution(&sizes, batch, &direction, &without_bias), &cotangent);
            let grad: Vec<f64> = grad_input.iter().map(|&g| f64::from(g)).collect();
            let scale = (cotangent.len() as f64).sqrt();
            assert!((dot(&grad, &direction) - expected).abs() < TOLERANCE * scale, "{sizes:?}");
            // Gradients of parameters are added to the ones that were there.
            let direction = noise(5, params.len());
            let expected = dot(&naive_convolution(&sizes, batch, &input, &direction), &cotangent);
            let grad: Vec<f64> = grad_params.iter().map(|&g| f64::from(g) - 1.0).collect();
            assert!((dot(&grad, &direction) - expected).abs() < 4.0 * TOLERANCE * scale, "{sizes:?}");
        }
    }
}

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/operations.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// The inputs of the script.
fn values(phase: f64, len: usize) -> Vec<f32> {
    (0..len).map(|j| (1.2 * (0.7 * j as f64 + phase).sin()) as f32).collect()
}

/// Compares with a tensor that PyTorch keeps as `[B, …]`.
#[track_caller]
fn assert_golden(got: &[f32], batch: usize, expected: &Value) {
    let features = got.len() / batch;
    assert_close(&transpose(got, features), &numbers(expected), 4e-6);
}

fn convolution_equals_pytorch<D: Device>(device: &D) {
    let golden = golden();
    for (name, padding) in [("conv_zeros", PaddingMode::Zeros), ("conv_circular", PaddingMode::Circular)] {
        let (sizes, batch) = (conv_sizes((2, 3, 5, 4, 3, 2), padding, true), 2);
        let plan = device.plan_conv2d(&sizes).unwrap();
        let (x, g) = (transpose(&values(0.1, 80), batch), transpose(&values(0.9, 120), batch));
        let operands = Operands { batch, input: &x, params: &[values(0.2, 54), values(0.3, 3)].concat() };
        let y = operands.forward(device, 120, |io| device.conv2d(&plan, io));
        let (dx, dp) = operands.backward(device, &g, 0.0, |io| device.conv2d_vjp(&plan, io));
        let expected = &golden[name];
        assert_golden(&y, batch, &expected["output"]);
        assert_golden(&dx, batch, &expected["grads"][0]);
        assert_close(&dp[..54], &numbers(&expected["grads"][1]), 4e-6);
        assert_close(&dp[54..], &numbers(&expected["grads"][2]), 4e-6);
    }
}

fn even_kernels_are_refused<D: Device>(device: &D) {
    let sizes = conv_sizes((1, 1, 4, 4, 2, 1), PaddingMode::Zeros, false);
    let error = device.plan_conv2d(&sizes).unwrap_err();
    assert_eq!(error.to_string(), "conv2d: kernel_size = 2 is not supported, expected an odd size");
}

/// Channels, rows, columns, window, stride, batch.
const POOLS: [(usize, usize, usize, usize, usize, usize); 7] = [
    (1, 1, 1, 1, 1, 1),
    (3, 4, 6, 2, 2, 17),
    (2, 5, 7, 2, 2, 16),
    (2, 7, 5, 3, 2, 3),
    (1, 6, 6, 2, 3, 33),
    (4, 5, 4, 3, 1, 2),
    (2, 8, 8, 4, 4, 5),
];

fn pool_sizes(
    (channels, height, width, size, stride, _): (usize, usize, usize, usize, usize, usize),
) -> PoolSizes {
    PoolSizes { channels, height, width, size, stride }
}

fn max_pool_equals_naive_formula<D: Device>(device: &D) {
    for shape in POOLS {
        let (sizes, batch) = (pool_sizes(shape), shape.5);
        // Few distinct values: ties are common.
        let input: Vec<f32> = noise(1, sizes.input_len(batch)).iter().map(|x| (x * 6.0).round()).collect();
        let cotangent = noise(2, sizes.output_len(batch));
        let operands = Operands { batch, input: &input, params: &[] };
        let mut winners = device.alloc_indices(cotangent.len()).unwrap();
        let y =
            operands.forward(device, cotangent.len(), |io| device.max_pool(&sizes, Some(&mut winners), io));
        let (dx, _) =
            operands.backward(device, &cotangent, 0.0, |io| device.max_pool_vjp(&sizes, &winners, io));
        let mut expected_output = vec![0.0; cotangent.len()];
        let mut expected_grad = vec![0.0; input.len()];
        let (rows, columns) = (sizes.output_height(), sizes.output_width());
        for at in 0..cotangent.len() {
            let (b, pixel) = (at % batch, at / batch);
            let (w, h, c) = (pixel % columns, pixel / columns % rows, pixel / columns / rows);
            let index = |tap: usize| {
                let (y, x) = (h * sizes.stride + tap / sizes.size, w * sizes.stride + tap % sizes.size);
                ((c * sizes.height + y) * sizes.width + x) * batch + b
            };
            let first_largest = (0..sizes.size * sizes.size)
                .map(index)
                .reduce(|best, other| if input[other] > input[best] { other } else { best })
                .unwrap();
            expected_output[at] = f64::from(input[first_largest]);
            expected_grad[first_largest] += f64::from(cotangent[at]);
        }
        assert_close(&y, &expected_output, 0.0);
        assert_close(&dx, &expected_grad, 1e-6);
        // Without the places of the maxima the output is the same.
        let again = operands.forward(device, cotangent.len(), |io| device.max_pool(&sizes, None, io));
        assert_eq!(again, y);
    }
}

fn max_pool_passes_nan_on<D: Device>(device: &D) {
    let sizes = PoolSizes { channels: 1, height: 2, width: 2, size: 2, stride: 2 };
    for place in 0..4 {
        let mut input = [1.0, 2.0, 3.0, 4.0];
        input[place] = f32::NAN;
        let operands = Operands { batch: 1, input: &input, params: &[] };
        assert!(operands.forward(device, 1, |io| device.max_pool(&sizes, None, io))[0].is_nan());
    }
}

fn pooling_equals_pytorch<D: Device>(device: &D) {
    let (golden, batch) = (golden(), 2);
    let sizes = PoolSizes { channels: 2, height: 5, width: 6, size: 3, stride: 2 };
    let (x, g) = (transpose(&values(0.1, 120), batch), transpose(&values(0.9, 16), batch));
    let operands = Operands { batch, input: &x, params: &[] };
    let mut winners = device.alloc_indices(16).unwrap();
    let y = operands.forward(device, 16, |io| device.max_pool(&sizes, Some(&mut winners), io));
    let (dx, _) = operands.backward(device, &g, 0.0, |io| device.max_pool_vjp(&sizes, &winners, io));
    assert_golden(&y, batch, &golden["max_pool"]["output"]);
    assert_golden(&dx, batch, &golden["max_pool"]["grads"][0]);
    let y = operands.forward(device, 16, |io| device.average_pool(&sizes, io));
    let (dx, _) = operands.backward(device, &g, 0.0, |io| device.average_pool_adjoint(&sizes, io));
    assert_golden(&y, batch, &golden["avg_pool"]["output"]);
    assert_golden(&dx, batch, &golden["avg_pool"]["grads"][0]);
}

fn spectral_pool_keeps_constants_and_low_frequencies<D: Device>(device: &D) {
    let (height, width, batch) = (12, 10, 3);
    let sizes = SpectralPoolSizes { channels: 1, height, width, output_height: 7, output_width: 6 };
    let wave = |y: f64, x: f64| 0.5 + (std::f64::consts::TAU * (3.0 * y + 2.0 * x) + 0.4).cos();
    let sample = |height: usize, width: usize| -> Vec<f64> {
        (0..height * width * batch)
            .map(|at| {
                let pixel = at / batch;
                let (y, x) = (pixel / width, pixel % width);
                wave(y as f64 / height as f64, x as f64 / width as f64) * (1 + at % batch) as f64
            })
            .collect()
    };
    let input: Vec<f32> = sample(height, width).iter().map(|&x| x as f32).collect();
    let plan = device.plan_spectral_pool(&sizes).unwrap();
    let operands = Operands { batch, input: &input, params: &[] };
    let y = operands.forward(device, sizes.output_len(batch), |io| device.spectral_pool(&plan, io));
    assert_close(&y, &sample(7, 6), TOLERANCE);
    let larger = SpectralPoolSizes { output_height: 13, ..sizes };
    assert!(device.plan_spectral_pool(&larger).is_err());
}

fn spectral_pool_gradient_is_adjoint<D: Device>(device: &D) {
    let dot =
        |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum() };
    for (height, width, output_height, output_width, batch) in
        [(8, 8, 4, 4, 17), (7, 10, 4, 5, 2), (6, 6, 6, 6, 1)]
    {
        let sizes = SpectralPoolSizes { channels: 3, height, width, output_height, output_width };
        let (input, cotangent) = (noise(1, sizes.input_len(batch)), noise(2, sizes.output_len(batch)));
        let plan = device.plan_spectral_pool(&sizes).unwrap();
        let operands = Operands { batch, input: &input, params: &[] };
        let y = operands.forward(device, cotangent.len(), |io| device.spectral_pool(&plan, io));
        let (dx, _) =
            operands.backward(device, &cotangent, 0.0, |io| device.spectral_pool_adjoint(&plan, io));
        let (forward, backward) = (dot(&y, &cotangent), dot(&dx, &input));
        assert!((forward - backward).abs() < TOLERANCE * (cotangent.len() as f64).sqrt());
    }
}

fn linear_equals_pytorch<D: Device>(device: &D) {
    let (expected, batch) = (&golden()["linear"], 3);
    let sizes = LinearSizes { in_features: 5, out_features: 2, bias: true };
    let (x, g) = (transpose(&values(0.1, 15), batch), transpose(&values(0.9, 6), batch));
    let operands = Operands { batch, input: &x, params: &[values(0.2, 10), values(0.3, 2)].concat() };
    let y = operands.forward(device, 6, |io| device.linear(&sizes, io));
    let (dx, dp) = operands.backward(device, &g, 0.0, |io| device.linear_vjp(&sizes, io));
    assert_golden(&y, batch, &expected["output"]);
    assert_golden(&dx, batch, &expected["grads"][0]);
    assert_close(&dp[..10], &numbers(&expected["grads"][1]), 4e-6);
    assert_close(&dp[10..], &numbers(&expected["grads"][2]), 4e-6);
}

fn batch_norm_equals_pytorch<D: Device>(device: &D) {
    let (expected, batch) = (&golden()["batch_norm_gelu"], 3);
    let sizes = BatchNormSizes {
        channels: 2,
        pixels: 6,
        epsilon: 1e-5,
        momentum: 0.1,
        activation: Some(Activation::Gelu),
    };
    let (x, g) = (transpose(&values(0.1, 36), batch), transpose(&values(0.9, 36), batch));
    let operands = Operands { batch, input: &x, params: &[values(0.2, 2), values(0.3, 2)].concat() };
    let (mut running, mut saved) = (upload(device, &[0.0, 0.0, 1.0, 1.0]), unset(device, 4));
    let statistics =
        BatchStatistics { running: all_mut(device, &mut running), saved: all_mut(device, &mut saved) };
    let y = operands.forward(device, 36, |io| device.batch_norm_train(&sizes, statistics, io));
    let saved = all(device, &saved);
    let (dx, dp) = operands.backward(device, &g, 0.0, |io| device.batch_norm_vjp(&sizes, saved, io));
    let running = host(device, &running);
    assert_golden(&y, batch, &expected["output"]);
    assert_golden(&dx, batch, &expected["grads"][0]);
    assert_close(&dp[..2], &numbers(&expected["grads"][1]), 4e-6);
    assert_close(&dp[2..], &numbers(&expected["grads"][2]), 4e-6);
    assert_close(&running[..2], &numbers(&expected["running_mean"]), 1e-6);
    assert_close(&running[2..], &numbers(&expected["running_var"]), 1e-6);
}

fn batch_norm_evaluates_with_running_statistics<D: Device>(device: &D) {
    let sizes = BatchNormSizes { channels: 2, pixels: 3, epsilon: 0.25, momentum: 0.1, activation: None };
    let batch = 17;
    let input = noise(1, sizes.input_len(batch));
    let running = upload(device, &[0.5, -0.25, 0.75, 3.75]);
    let operands = Operands { batch, input: &input, params: &[2.0, -1.0, 0.5, 0.25] };
    let running = all(device, &running);
    let y = operands.forward(device, input.len(), |io| device.batch_norm_eval(&sizes, running, io));
    let plane = 3 * batch;
    let expected: Vec<f64> = input
        .iter()
        .enumerate()
        .map(|(at, &x)| match at / plane {
            0 => 2.0 * (f64::from(x) - 0.5) / 1.0 + 0.5,
            _ => -(f64::from(x) + 0.25) / 2.0 + 0.25,
        })
        .collect();
    assert_close(&y, &expected, 1e-6);
}

fn activations_equal_their_formulas<D: Device>(device: &D) {
    let input: Vec<f32> = noise(1, 1000).iter().map(|x| 12.0 * x).collect();
    let cotangent = noise(2, 1000);
    let operands = Operands { batch: 4, input: &input, params: &[] };
    let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
    let gelu =
        |z: f64| 0.5 * z * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (z + 0.044_715 * z.powi(3))).tanh());
    let formulas: [(Activation, &dyn Fn(f64) -> f64); 4] = [
        (Activation::Relu, &|z| z.max(0.0)),
        (Activation::Gelu, &gelu),
        (Activation::Silu, &|z| z * sigmoid(z)),
        (Activation::Tanh, &f64::tanh),
    ];
    for (function, formula) in formulas {
        let sizes = ActivationSizes { function, features: 250 };
        let y = operands.forward(device, 1000, |io| device.activation(&sizes, io));
        let (dx, _) = operands.backward(device, &cotangent, 0.0, |io| device.activation_vjp(&sizes, io));
        let exact = |f: &dyn Fn(f64) -> f64| input.iter().map(|&z| f(f64::from(z))).collect::<Vec<_>>();
        assert_close(&y, &exact(formula), 5e-7);
        let slope = |z: f64| (formula(z + 1e-6) - formula(z - 1e-6)) / 2e-6;
        let expected: Vec<f64> =
            exact(&slope).iter().zip(&cotangent).map(|(slope, &g)| slope * f64::from(g)).collect();
        assert_close(&dx, &expected, 2e-6);
    }
}

fn dropout_keeps_its_share_and_repeats_its_mask<D: Device>(device: &D) {
    let len = 50_000;
    let sizes = DropoutSizes { features: 5000, rate: 0.3, run_seed: 5, layer: 2, step: 9 };
    let ones = vec![1.0; len];
    let operands = Operands { batch: 10, input: &ones, params: &[] };
    let run = |sizes: &DropoutSizes| operands.forward(device, len, |io| device.dropout(sizes, io));
    let first = run(&sizes);
    let kept = first.iter().filter(|&&y| y != 0.0).count() as f64;
    // Five standard deviations of a binomial count.
    assert!((kept - 0.7 * len as f64).abs() < 5.0 * (0.21 * len as f64).sqrt(), "kept {kept}");
    assert!(first.iter().all(|&y| y == 0.0 || (y - 1.0 / 0.7).abs() < 1e-6));
    assert_eq!(first, run(&sizes));
    let (backward, _) = operands.backward(device, &ones, 0.0, |io| device.dropout_adjoint(&sizes, io));
    assert_eq!(first, backward);
    let differs = |other: DropoutSizes| assert_ne!(first, run(&other), "{other:?}");
    differs(DropoutSizes { run_seed: 6, ..sizes });
    differs(DropoutSizes { layer: 3, ..sizes });
    differs(DropoutSizes { step: 10, ..sizes });
    assert!(run(&DropoutSizes { rate: 0.0, ..sizes }).iter().all(|&y| y == 1.0));
}

fn cross_entropy_equals_pytorch<D: Device>(device: &D) {
    let (expected, batch) = (&golden()["cross_entropy"], 3);
    let logits = upload(device, &transpose(&values(0.1, 12), batch));
    let mut labels = device.alloc_indices(batch).unwrap();
    device.upload_indices(&[2, 0, 3], &mut labels).unwrap();
    let (mut losses, mut correct, mut grad) = (unset(device, 3), unset(device, 3), unset(device, 12));
    device
        .cross_entropy(CrossEntropy {
            batch,
            smoothing: 0.1,
            logits: all(device, &logits),
            labels: &labels,
            losses: all_mut(device, &mut losses),
            correct: all_mut(device, &mut correct),
            grad_logits: Some(SpanMut::new(&mut grad, 0..12)),
        })
        .unwrap();
    let mean = host(device, &losses).iter().sum::<f32>() / 3.0;
    assert!((f64::from(mean) - expected["loss"].as_f64().unwrap()).abs() < 1e-6);
    assert_golden(&host(device, &grad), batch, &expected["grad"]);
    // Largest logits: the values of 1.2·sin(0.7j + 0.1) at j = 2 of 0 … 3, 4 of 4 … 7, 11 of 8 … 11.
    let expected: Vec<f32> = (0..3)
        .map(|image| {
            let row = &values(0.1, 12)[image * 4..][..4];
            let largest = (0..4).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
            if largest == [2, 0, 3][image] { 1.0 } else { 0.0 }
        })
        .collect();
    assert_eq!(host(device, &correct), expected);
}

fn cross_entropy_survives_extreme_logits<D: Device>(device: &D) {
    let logits = upload(device, &[1e30, -1e30, 0.0, 0.0]);
    let mut labels = device.alloc_indices(2).unwrap();
    device.upload_indices(&[0, 1], &mut labels).unwrap();
    let (mut losses, mut correct, mut grad) = (unset(device, 2), unset(device, 2), unset(device, 4));
    device
        .cross_entropy(CrossEntropy {
            batch: 2,
            smoothing: 0.0,
            logits: all(device, &logits),
            labels: &labels,
            losses: all_mut(device, &mut losses),
            correct: all_mut(device, &mut correct),
            grad_logits: Some(SpanMut::new(&mut grad, 0..4)),
        })
        .unwrap();
    assert_eq!(host(device, &losses), [0.0, 0.0]);
    assert_eq!(host(device, &correct), [1.0, 1.0]);
    assert_eq!(host(device, &grad), [0.0; 4]);
}

fn softmax_sums_to_one<D: Device>(device: &D) {
    let logits = upload(device, &[0.0, 1000.0, 3.0_f32.ln(), 0.0]);
    let mut probabilities = unset(device, 4);
    device.softmax(2, all(device, &logits), all_mut(device, &mut probabilities)).unwrap();
    assert_close(&host(device, &probabilities), &[0.25, 1.0, 0.75, 0.0], 1e-6);
}

fn adam_equals_pytorch<D: Device>(device: &D) {
    let golden = golden();
    let step_status = upload(device, &[0.0, 1.0]);
    for (name, decoupled) in [("adam", false), ("adam-w", true)] {
        let mut params = upload(device, &[values(0.1, 3), values(0.2, 2)].concat());
        let decay = upload(device, &[1.0, 1.0, 1.0, 0.0, 0.0]);
        let (mut first, mut second) = (upload(device, &[0.0; 5]), upload(device, &[0.0; 5]));
        for step in 0..5_i32 {
            let phase = f64::from(step);
            let grads = upload(device, &[values(phase + 0.3, 3), values(phase + 0.4, 2)].concat());
            let numbers_of_step = AdamStep {
                learning_rate: (0.05 / (phase + 1.0)) as f32,
                beta_1: 0.9,
                beta_2: 0.99,
                epsilon: 1e-8,
                correction_1: (1.0 - 0.9_f64.powi(step + 1)) as f32,
                correction_2: (1.0 - 0.99_f64.powi(step + 1)) as f32,
                weight_decay: 0.1,
                decoupled,
            };
            let moments =
                AdamMoments { first: all_mut(device, &mut first), second: all_mut(device, &mut second) };
            let update = Update {
                step_status: all(device, &step_status),
                grads: all(device, &grads),
                decay: all(device, &decay),
                params: all_mut(device, &mut params),
            };
            device.adam_step(&numbers_of_step, moments, update).unwrap();
            let expected = numbers(&golden[name][step as usize]);
            assert_close(&host(device, &params), &expected, 1e-6);
        }
    }
}

fn sgd_equals_pytorch<D: Device>(device: &D) {
    let golden = golden();
    let mut params = upload(device, &[values(0.1, 3), values(0.2, 2)].concat());
    let decay = upload(device, &[1.0, 1.0, 1.0, 0.0, 0.0]);
    let mut velocity = upload(device, &[0.0; 5]);
    let halved = upload(device, &[0.0, 0.5]);
    for step in 0..5 {
        let phase = f64::from(step);
        // Twice the gradient with half the factor: the factor acts before everything else.
        let grads: Vec<f32> = [values(phase + 0.3, 3), values(phase + 0.4, 2)].concat();
        let doubled = upload(device, &grads.iter().map(|g| 2.0 * g).collect::<Vec<_>>());
        let learning_rate = (0.05 / (phase + 1.0)) as f32;
        let numbers_of_step = SgdStep { learning_rate, momentum: 0.9, weight_decay: 0.1 };
        let update = Update {
            step_status: all(device, &halved),
            grads: all(device, &doubled),
            decay: all(device, &decay),
            params: all_mut(device, &mut params),
        };
        device.sgd_step(&numbers_of_step, all_mut(device, &mut velocity), update).unwrap();
        assert_close(&host(device, &params), &numbers(&golden["sgd"][step as usize]), 1e-6);
    }
}

fn sums_join_two_values<D: Device>(device: &D) {
    let (a, b) = (noise(1, 40_000), noise(2, 40_000));
    let (x, y) = (upload(device, &a), upload(device, &b));
    let mut sum = unset(device, a.len());
    device.add(all(device, &x), all(device, &y), all_mut(device, &mut sum)).unwrap();
    let expected: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
    assert_eq!(host(device, &sum), expected);
    let mut target = upload(device, &b);
    device.add_assign(all(device, &x), all_mut(device, &mut target)).unwrap();
    let expected: Vec<f32> = a.iter().zip(&b).map(|(a, b)| b + a).collect();
    assert_eq!(host(device, &target), expected);
}

fn steps_fail_by_loss_or_gradient_and_stay_failed<D: Device>(device: &D) {
    let mut values = vec![3e38_f32; 40_001];
    let check = |monitor: &mut StepMonitor<D>, losses: &[f32], values: &[f32], clip_norm| {
        let correct = upload(device, &vec![1.0; losses.len()]);
        let losses = upload(device, losses);
        monitor.sum_losses(device, all(device, &losses), all(device, &correct)).unwrap();
        let grads = upload(device, values);
        monitor.check_finite(device, clip_norm, Span::new(&grads, 0..values.len())).unwrap();
        device.to_host(monitor.step_status()).unwrap()
    };
    let mut monitor = StepMonitor::try_new(device, 3).unwrap();
    assert_eq!(check(&mut monitor, &[1.0, 3.0], &values, 0.0), [0.0, 1.0]);
    assert_eq!(check(&mut monitor, &[2.0; 40], &[6.0, 8.0], 5.0), [0.0, 0.5]);
    assert_eq!(check(&mut monitor, &[0.5], &[], 5.0), [0.0, 1.0]);
    assert!(monitor.check_finite(device, 0.0, all(device, &upload(device, &[1.0]))).is_err(), "it is full");
    let sums = monitor.sync(device).unwrap();
    let expected = 40_001.0 * f64::from(3e38_f32) * f64::from(3e38_f32);
    assert!((sums[0].grad_squares / expected - 1.0).abs() < 1e-12);
    assert_eq!((sums[0].loss, sums[0].loss_squares, sums[0].correct), (4.0, 10.0, 2.0));
    assert_eq!(sums[1], StepSums { loss: 80.0, loss_squares: 160.0, correct: 40.0, grad_squares: 100.0 });
    assert_eq!(sums[2], StepSums { loss: 0.5, loss_squares: 0.25, correct: 1.0, grad_squares: 0.0 });
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        values[40_000] = bad;
        for (losses, grads) in [(&[1.0, 2.0], &values[..]), (&[bad, 2.0], &[1.0])] {
            assert_eq!(check(&mut monitor, losses, grads, 0.0)[0], 1.0);
            assert_eq!(check(&mut monitor, &[1.0], &[1.0], 0.0)[0], 1.0, "a step behind one that failed");
            let sums = monitor.sync(device).unwrap();
            assert_eq!([sums[0].is_finite(), sums[1].is_finite()], [false, true]);
            assert_eq!(check(&mut monitor, &[1.0], &[1.0], 0.0)[0], 0.0, "it was seen");
            monitor.sync(device).unwrap();
        }
    }
}

fn a_failed_step_changes_nothing<D: Device>(device: &D) {
    let step_status = upload(device, &[1.0, 1.0]);
    let (grads, ones) = (upload(device, &[f32::NAN, 1.0]), upload(device, &[1.0; 2]));
    let (mut params, mut first, mut second) =
        (upload(device, &[1.0, 2.0]), upload(device, &[3.0, 4.0]), upload(device, &[5.0, 6.0]));
    let adam = AdamStep {
        learning_rate: 0.1,
        beta_1: 0.9,
        beta_2: 0.99,
        epsilon: 1e-8,
        correction_1: 0.1,
        correction_2: 0.01,
        weight_decay: 0.1,
        decoupled: true,
    };
    let (step_status, grads) = (all(device, &step_status), all(device, &grads));
    let decay = all(device, &ones);
    let moments = AdamMoments { first: all_mut(device, &mut first), second: all_mut(device, &mut second) };
    let update = Update { step_status, grads, decay, params: all_mut(device, &mut params) };
    device.adam_step(&adam, moments, update).unwrap();
    let sgd = SgdStep { learning_rate: 0.1, momentum: 0.9, weight_decay: 0.1 };
    let update = Update { step_status, grads, decay, params: all_mut(device, &mut params) };
    device.sgd_step(&sgd, all_mut(device, &mut first), update).unwrap();
    device.average_step(0.5, step_status, decay, all_mut(device, &mut params)).unwrap();
    assert_eq!(host(device, &params), [1.0, 2.0]);
    assert_eq!(host(device, &first), [3.0, 4.0]);
    assert_eq!(host(device, &second), [5.0, 6.0]);
    let passed = upload(device, &[0.0, 1.0]);
    device.copy_if_failed(all(device, &passed), decay, all_mut(device, &mut params)).unwrap();
    assert_eq!(host(device, &params), [1.0, 2.0]);
    device.copy_if_failed(step_status, decay, all_mut(device, &mut params)).unwrap();
    assert_eq!(host(device, &params), [1.0; 2]);
}

fn averages_move_towards_parameters<D: Device>(device: &D) {
    let step_status = upload(device, &[0.0, 1.0]);
    let params = upload(device, &[1.0, -2.0, 8.0]);
    let mut average = upload(device, &[0.0, 2.0, 8.0]);
    let target = all_mut(device, &mut average);
    device.average_step(0.25, all(device, &step_status), all(device, &params), target).unwrap();
    assert_eq!(host(device, &average), [0.25, 1.0, 8.0]);
}

fn wrong_lengths_are_refused<D: Device>(device: &D) {
    let sizes = LinearSizes { in_features: 2, out_features: 1, bias: true };
    let refused = |operands: Operands<'_>, output_len: usize| {
        operands.try_forward(device, output_len, |io| device.linear(&sizes, io)).unwrap_err()
    };
    let right = Operands { batch: 2, input: &[0.0; 4], params: &[0.0; 3] };
    let mismatch =
        |operand, expected, got| DeviceError::LengthMismatch { op: "linear", operand, expected, got };
    assert_eq!(refused(Operands { input: &[0.0; 5], ..right }, 2), mismatch("input", 4, 5));
    assert_eq!(refused(Operands { params: &[0.0; 2], ..right }, 2), mismatch("params", 3, 2));
    assert_eq!(refused(right, 3), mismatch("output", 2, 3));
    let (x, p) = (upload(device, &[0.0; 4]), upload(device, &[0.0; 3]));
    let (g, mut dp) = (upload(device, &[0.0; 2]), upload(device, &[0.0; 3]));
    let mut refused = |input, grad_input| {
        let (params, grad_output) = (all(device, &p), all(device, &g));
        let grad_params = all_mut(device, &mut dp);
        let io = Backward { batch: 2, input, params, grad_output, grad_input, grad_params };
        device.linear_vjp(&sizes, io).unwrap_err()
    };
    assert_eq!(refused(None, None), DeviceError::MissingInput { op: "linear_vjp" });
    let mut y = upload(device, &[0.0; 2]);
    let error = refused(Some(all(device, &x)), Some(all_mut(device, &mut y)));
    assert_eq!(error.to_string(), "linear_vjp: grad_input has length 2, expected 4");
    let error =
        right.try_forward(device, 2, |io| device.linear(&LinearSizes { out_features: 0, ..sizes }, io));
    let message = "linear: out_features = 0 is not supported, expected at least 1";
    assert_eq!(error.unwrap_err().to_string(), message);
    let error = device.upload(&[1.0], all_mut(device, &mut y)).unwrap_err();
    assert_eq!(error.to_string(), "upload: target has length 2, expected 1");
    let mut labels = device.alloc_indices(1).unwrap();
    assert!(device.upload_indices(&[1, 2], &mut labels).is_err());
}
