//! Layers on tokens: operations against naive formulas in `f64`, and whole networks of them.

use crate::support::training::{continue_training, labels};
use crate::support::{Operands, all_mut, assert_close, host, noise, unset, upload};
use cfconv_train::device::{Cpu, Device};
use cfconv_train::networks::{InputShape, Network, NetworkConfig, NetworkPlan};
use cfconv_train::nn::conv2d::PaddingMode;
use cfconv_train::nn::depthwise_conv2d::DepthwiseConvSizes;
use cfconv_train::nn::{
    DepthwiseConv2dSizes, GroupNormSizes, KernelSource, LayerNormSizes, OpSizes, PatchEmbedSizes,
    PositionEmbeddingSizes, SelfAttentionMemory, SelfAttentionSizes,
};
use cfconv_train::optim::{Optimizer, OptimizerConfig};

on_every_device!(
    attention_equals_naive_formula,
    attention_survives_large_scores,
    layer_norm_equals_naive_formula,
    group_norm_equals_naive_formula,
    patch_embedding_equals_naive_formula,
    depthwise_convolution_equals_naive_formula,
    position_embedding_adds_its_image,
    sizes_that_do_not_fit_are_refused,
);

/// Single precision, sums of some hundred products.
const TOLERANCE: f64 = 3e-6;

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| f64::from(x)).collect()
}

/// `[C, T]` of one image, by the definition.
fn naive_attention(sizes: &SelfAttentionSizes, x: &[f64], params: &[f64]) -> Vec<f64> {
    let (channels, tokens, d) = (sizes.channels, sizes.tokens(), sizes.head_channels());
    let project = |weight: &[f64], bias: &[f64], x: &[f64], row: usize, t: usize| -> f64 {
        let sum: f64 = (0..channels).map(|i| weight[row * channels + i] * x[i * tokens + t]).sum();
        sum + bias.get(row).copied().unwrap_or(0.0)
    };
    let (weights, biases) = params.split_at(sizes.num_weights());
    let (w_qkv, w_out) = weights.split_at(3 * channels * channels);
    let (b_qkv, b_out) = biases.split_at(if sizes.bias { 3 * channels } else { 0 });
    let qkv = |part: usize, c: usize, t: usize| project(w_qkv, b_qkv, x, part * channels + c, t);
    let mut heads = vec![0.0; channels * tokens];
    for head in 0..sizes.heads {
        for t in 0..tokens {
            let scores: Vec<f64> = (0..tokens)
                .map(|s| {
                    let c = head * d..(head + 1) * d;
                    c.map(|c| qkv(0, c, t) * qkv(1, c, s)).sum::<f64>() / (d as f64).sqrt()
                })
                .collect();
            let largest = scores.iter().copied().max_by(f64::total_cmp).unwrap();
            let total: f64 = scores.iter().map(|s| (s - largest).exp()).sum();
            for c in head * d..(head + 1) * d {
                heads[c * tokens + t] =
                    (0..tokens).map(|s| (scores[s] - largest).exp() / total * qkv(2, c, s)).sum();
            }
        }
    }
    (0..channels * tokens).map(|at| project(w_out, b_out, &heads, at / tokens, at % tokens)).collect()
}

fn attention<D: Device>(
    device: &D,
    sizes: &SelfAttentionSizes,
    batch: usize,
    input: &[f32],
    params: &[f32],
) -> Vec<f32> {
    let plan = device.plan_self_attention(sizes).unwrap();
    let mut saved = unset(device, device.self_attention_saved_len(&plan, batch));
    let mut scratch = unset(device, sizes.scratch_len(batch));
    let (saved, scratch) = (all_mut(device, &mut saved), all_mut(device, &mut scratch));
    let memory = SelfAttentionMemory { saved, scratch };
    Operands { batch, input, params }
        .forward(device, input.len(), |io| device.self_attention(&plan, memory, io))
}

fn attention_equals_naive_formula<D: Device>(device: &D) {
    for (channels, height, width, heads, bias, batch) in [
        (1, 1, 1, 1, true, 1),
        (6, 1, 1, 3, true, 17),
        (4, 3, 5, 1, false, 2),
        (6, 5, 5, 2, true, 16),
        (3, 1, 13, 3, true, 1),
        (8, 4, 9, 2, false, 18),
    ] {
        let sizes = SelfAttentionSizes { channels, height, width, heads, bias };
        let input: Vec<f32> = noise(1, sizes.input_len(batch)).iter().map(|x| 3.0 * x).collect();
        let params: Vec<f32> = noise(2, sizes.num_parameters()).iter().map(|x| 2.0 * x).collect();
        let got = attention(device, &sizes, batch, &input, &params);
        let mut expected = vec![0.0; got.len()];
        for b in 0..batch {
            let image: Vec<f64> = wide(&input).into_iter().skip(b).step_by(batch).collect();
            let output = naive_attention(&sizes, &image, &wide(&params));
            for (target, value) in expected[b..].iter_mut().step_by(batch).zip(output) {
                *target = value;
            }
        }
        assert_close(&got, &expected, TOLERANCE);
    }
}

/// Scores of some thousands, whose exponentials overflow: each token attends to its largest score alone.
fn attention_survives_large_scores<D: Device>(device: &D) {
    let sizes = SelfAttentionSizes { channels: 1, height: 1, width: 3, heads: 1, bias: false };
    let got = attention(device, &sizes, 1, &[-50.0, 10.0, 40.0], &[1.0, 1.0, 1.0, 1.0]);
    // The negative query prefers the smallest key.
    assert_close(&got, &[-50.0, 40.0, 40.0], 1e-6);
}

fn layer_norm_equals_naive_formula<D: Device>(device: &D) {
    for (channels, pixels, batch) in [(1, 1, 1), (5, 7, 17), (64, 30, 9), (3, 1, 2)] {
        let sizes = LayerNormSizes { channels, pixels, epsilon: 1e-3 };
        let input: Vec<f32> = noise(1, sizes.input_len(batch)).iter().map(|x| 4.0 * x + 1.0).collect();
        let params = noise(2, 2 * channels);
        let operands = Operands { batch, input: &input, params: &params };
        let y = operands.forward(device, input.len(), |io| device.layer_norm(&sizes, io));
        let (columns, input, params) = (pixels * batch, wide(&input), wide(&params));
        let mut expected = vec![0.0; input.len()];
        for n in 0..columns {
            let at = |c: usize| input[c * columns + n];
            let mean = (0..channels).map(at).sum::<f64>() / channels as f64;
            let variance = (0..channels).map(|c| (at(c) - mean).powi(2)).sum::<f64>() / channels as f64;
            for c in 0..channels {
                let normalized = (at(c) - mean) / (variance + f64::from(sizes.epsilon)).sqrt();
                expected[c * columns + n] = params[c] * normalized + params[channels + c];
            }
        }
        assert_close(&y, &expected, TOLERANCE);
    }
}

/// The value and the gradients by the definition, the gradients from the chain rule through μ and σ² written out.
fn group_norm_equals_naive_formula<D: Device>(device: &D) {
    for (channels, groups, pixels, batch) in
        [(1, 1, 1, 1), (6, 3, 7, 17), (6, 2, 150, 3), (4, 4, 30, 9), (5, 1, 1, 2)]
    {
        let sizes = GroupNormSizes { channels, pixels, groups, epsilon: 1e-3 };
        let input: Vec<f32> = noise(1, sizes.input_len(batch)).iter().map(|x| 4.0 * x + 1.0).collect();
        let (params, grad_output) = (noise(2, 2 * channels), noise(3, input.len()));
        let operands = Operands { batch, input: &input, params: &params };
        let y = operands.forward(device, input.len(), |io| device.group_norm(&sizes, io));
        let (grad_input, grad_params) =
            operands.backward(device, &grad_output, 0.0, |io| device.group_norm_vjp(&sizes, io));
        let (input, params, grad_output) = (wide(&input), wide(&params), wide(&grad_output));
        let (plane, rows) = (pixels * batch, channels / groups * pixels);
        let (mut output, mut dx, mut dp) =
            (vec![0.0; input.len()], vec![0.0; input.len()], vec![0.0; 2 * channels]);
        for group in 0..groups {
            for b in 0..batch {
                let places = || (0..rows).map(|row| (group * rows + row) * batch + b);
                let mean = |value: &dyn Fn(usize) -> f64| places().map(value).sum::<f64>() / rows as f64;
                let mu = mean(&|at| input[at]);
                let std = (mean(&|at| (input[at] - mu).powi(2)) + f64::from(sizes.epsilon)).sqrt();
                let normalized = |at: usize| (input[at] - mu) / std;
                let grad = |at: usize| params[at / plane] * grad_output[at];
                let (mean_grad, mean_product) = (mean(&grad), mean(&|at| grad(at) * normalized(at)));
                for at in places() {
                    let c = at / plane;
                    output[at] = params[c] * normalized(at) + params[channels + c];
                    dx[at] = (grad(at) - mean_grad - normalized(at) * mean_product) / std;
                    dp[c] += grad_output[at] * normalized(at);
                    dp[channels + c] += grad_output[at];
                }
            }
        }
        assert_close(&y, &output, TOLERANCE);
        assert_close(&grad_input, &dx, TOLERANCE);
        assert_close(&grad_params, &dp, TOLERANCE);
    }
}

fn patch_embedding_equals_naive_formula<D: Device>(device: &D) {
    for (in_channels, out_channels, rows, columns, size, bias, batch) in [
        (1, 1, 1, 1, 1, true, 1),
        (3, 5, 2, 3, 4, true, 17),
        (2, 4, 3, 1, 3, false, 2),
        (1, 3, 1, 1, 5, true, 16),
    ] {
        let (height, width) = (rows * size, columns * size);
        let sizes = PatchEmbedSizes { in_channels, out_channels, height, width, size, bias };
        let plan = device.plan_patch_embed(&sizes).unwrap();
        let (input, params) = (noise(1, sizes.input_len(batch)), noise(2, sizes.num_parameters()));
        let operands = Operands { batch, input: &input, params: &params };
        let mut scratch = unset(device, input.len());
        let scratch = all_mut(device, &mut scratch);
        let len = sizes.output_len(batch);
        let y = operands.forward(device, len, |io| device.patch_embed(&plan, scratch, io));
        let (input, params) = (wide(&input), wide(&params));
        let mut expected = Vec::new();
        for at in 0..sizes.output_len(batch) {
            let (b, pixel) = (at % batch, at / batch);
            let (w, h, o) = (pixel % columns, pixel / columns % rows, pixel / columns / rows);
            let mut sum = if bias { params[sizes.num_weights() + o] } else { 0.0 };
            for i in 0..in_channels {
                for p in 0..size {
                    for q in 0..size {
                        sum += params[((o * in_channels + i) * size + p) * size + q]
                            * input[((i * height + h * size + p) * width + w * size + q) * batch + b];
                    }
                }
            }
            expected.push(sum);
        }
        assert_close(&y, &expected, TOLERANCE);
    }
}

fn depthwise_convolution_equals_naive_formula<D: Device>(device: &D) {
    for (channels, height, width, k, padding, batch) in [
        (1, 1, 1, 3, PaddingMode::Zeros, 1),
        (3, 5, 4, 3, PaddingMode::Zeros, 17),
        (2, 3, 7, 5, PaddingMode::Circular, 2),
    ] {
        let conv = DepthwiseConvSizes { channels, height, width, kernel_size: k, padding };
        let sizes = DepthwiseConv2dSizes { conv, bias: true };
        let plan = device.plan_depthwise_conv2d(&sizes).unwrap();
        let (input, params) = (noise(1, sizes.input_len(batch)), noise(2, sizes.num_parameters()));
        let operands = Operands { batch, input: &input, params: &params };
        let y = operands.forward(device, input.len(), |io| device.depthwise_conv2d(&plan, io));
        let source = |at: usize, tap: usize, extent: usize| {
            let from = at as i64 + tap as i64 - (k as i64 - 1) / 2;
            match padding {
                PaddingMode::Circular => Some(from.rem_euclid(extent as i64) as usize),
                PaddingMode::Zeros => (0..extent as i64).contains(&from).then_some(from as usize),
            }
        };
        let (input, params) = (wide(&input), wide(&params));
        let mut expected = Vec::new();
        for at in 0..sizes.output_len(batch) {
            let (b, pixel) = (at % batch, at / batch);
            let (w, h, c) = (pixel % width, pixel / width % height, pixel / width / height);
            let mut sum = params[conv.num_weights() + c];
            for tap in 0..k * k {
                if let (Some(y), Some(x)) = (source(h, tap / k, height), source(w, tap % k, width)) {
                    sum += params[c * k * k + tap] * input[((c * height + y) * width + x) * batch + b];
                }
            }
            expected.push(sum);
        }
        assert_close(&y, &expected, TOLERANCE);
    }
}

fn position_embedding_adds_its_image<D: Device>(device: &D) {
    let sizes = PositionEmbeddingSizes { features: 2 };
    let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let operands = Operands { batch: 3, input: &x, params: &[10.0, 20.0] };
    let y = operands.forward(device, 6, |io| device.position_embedding(&sizes, io));
    assert_eq!(y, [11.0, 12.0, 13.0, 24.0, 25.0, 26.0]);
    let (dx, dp) = operands.backward(device, &x, 0.5, |io| device.position_embedding_vjp(&sizes, io));
    assert_eq!(dx, x);
    assert_eq!(dp, [6.5, 15.5]);
}

fn sizes_that_do_not_fit_are_refused<D: Device>(device: &D) {
    let sizes = SelfAttentionSizes { channels: 4, height: 2, width: 2, heads: 3, bias: true };
    let error = device.plan_self_attention(&sizes).unwrap_err().to_string();
    assert_eq!(
        error,
        "self_attention: heads = 3 is not supported, expected a divisor of the number of channels"
    );
    let sizes = PatchEmbedSizes { in_channels: 1, out_channels: 1, height: 4, width: 6, size: 4, bias: true };
    let error = device.plan_patch_embed(&sizes).unwrap_err().to_string();
    assert_eq!(error, "patch_embed: width = 6 is not supported, expected a multiple of the size of a patch");
    let padding = PaddingMode::Zeros;
    let conv = DepthwiseConvSizes { channels: 1, height: 4, width: 6, kernel_size: 2, padding };
    let sizes = DepthwiseConv2dSizes { conv, bias: true };
    assert!(device.plan_depthwise_conv2d(&sizes).is_err());
}

/// Every type of layer on tokens, each mixing in turn.
pub(crate) const TOKENS: &str = "
    [kernel]
    parameterization = 'hw-cin'
    omega_channel = 5.0
    hidden_width = 8
    hidden_layers = 1
    [sampler]
    kind = 'stratified'
    num_positions = 30
    [[layers]]
    type = 'patch-embed'
    out_channels = 6
    size = 2
    [[layers]]
    type = 'position-embedding'
    [[layers]]
    type = 'residual'
    layers = [{ type = 'layer-norm' }, { type = 'self-attention', heads = 2 }]
    [[layers]]
    type = 'residual'
    layers = [{ type = 'layer-norm', epsilon = 1e-3 }, { type = 'depthwise-cf-conv' }]
    [[layers]]
    type = 'residual'
    layers = [
        { type = 'group-norm', num_groups = 3 },
        { type = 'depthwise-conv', padding = 'circular', bias = false },
        { type = 'conv', out_channels = 12, kernel_size = 1 },
        { type = 'activation', kind = 'gelu' },
        { type = 'conv', out_channels = 6, kernel_size = 1 },
    ]
    [[layers]]
    type = 'residual'
    [[layers.layers]]
    type = 'depthwise-cf-conv'
    padding = 'zeros'
    bias = false
    kernel = { hidden_width = 5 }
    sampler = { kind = 'lattice', size = 3 }
    [[layers.layers]]
    type = 'self-attention'
    heads = 1
    bias = false
    [[layers]]
    type = 'global-avg-pool'
    [[layers]]
    type = 'layer-norm'
    [[layers]]
    type = 'linear'";

pub(crate) const INPUT: InputShape = InputShape { channels: 2, height: 6, width: 10 };

fn network(max_batch: usize) -> Network<Cpu> {
    let config: NetworkConfig = toml::from_str(TOKENS).unwrap();
    let mut network = Network::try_new(Cpu::default(), &config, INPUT, 3, max_batch).unwrap();
    network.initialize(5).unwrap();
    network
}

fn images(batch: usize, seed: u64) -> Vec<f32> {
    noise(seed, 2 * 6 * 10 * batch).iter().map(|x| 3.0 * x).collect()
}

#[test]
fn gradients_of_networks_on_tokens_match_finite_differences() {
    let norm = |values: &[f32]| values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let mut network = network(8);
    let loss = |network: &mut Network<Cpu>, params: &[f32]| {
        *network.params_and_grads().0 = upload(network.device(), params);
        network.begin_step(3).unwrap();
        network.forward(5, &images(5, 1)).unwrap();
        network.loss(&labels(5), 0.1).unwrap().mean()
    };
    let params = host(network.device(), network.params());
    loss(&mut network, &params);
    network.backward().unwrap();
    let grads = host(network.device(), network.grads());
    for segment in network.segments().to_vec() {
        let range = segment.range.clone();
        let direction = noise(20, range.len());
        let length = norm(&direction);
        let step = 1e-3 * norm(&params[range.clone()]).max(0.3) / length;
        let mut moved = |amount: f64| {
            let mut params = params.clone();
            for (param, direction) in params[range.clone()].iter_mut().zip(&direction) {
                *param += (amount * f64::from(*direction)) as f32;
            }
            loss(&mut network, &params)
        };
        // Four points: the error of the formula is of fourth order.
        let near = moved(step) - moved(-step);
        let far = moved(2.0 * step) - moved(-2.0 * step);
        let numeric = (8.0 * near - far) / (12.0 * step);
        let analytic: f64 =
            grads[range.clone()].iter().zip(&direction).map(|(&g, &d)| f64::from(g) * f64::from(d)).sum();
        let tolerance = 4.0 * f64::from(f32::EPSILON) / step + 3e-3 * norm(&grads[range.clone()]) * length;
        let name = &segment.name;
        assert!((numeric - analytic).abs() < tolerance, "{name}: {numeric} ≠ {analytic} ({tolerance})");
    }
}

#[test]
fn networks_on_tokens_train_alike_on_any_number_of_threads_and_learn() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut network = network(8);
            let mut optimizer = Optimizer::try_new(&network, &OptimizerConfig::default()).unwrap();
            continue_training(&mut network, 0..4, &mut optimizer)
        })
    };
    let one = run(1);
    assert!(one.iter().all(|param| param.is_finite()));
    assert_eq!(one, run(3));
    let mut network = network(8);
    let mut optimizer = Optimizer::try_new(&network, &OptimizerConfig::default()).unwrap();
    let mut losses = Vec::new();
    for step in 0..60 {
        network.begin_step(step).unwrap();
        network.forward(8, &images(8, 1)).unwrap();
        losses.push(network.loss(&labels(8), 0.0).unwrap().mean());
        network.backward().unwrap();
        optimizer.step(&mut network, 5e-3).unwrap();
    }
    // Eight images of noise are learned by heart.
    assert!(losses[59] < 0.25 * losses[0], "{losses:?}");
}

#[test]
fn a_resumed_run_on_tokens_equals_an_unbroken_one() {
    let mut first = network(8);
    let mut optimizer = Optimizer::try_new(&first, &OptimizerConfig::default()).unwrap();
    continue_training(&mut first, 0..3, &mut optimizer);
    let mut tensors = first.export_parameters().unwrap();
    tensors.extend(first.export_states().unwrap());
    tensors.extend(optimizer.export(&first).unwrap());
    for name in
        ["layers.2.layers.1.qkv.weight", "layers.2.layers.1.out.bias", "layers.3.layers.1.kernel_state"]
    {
        assert!(tensors.iter().any(|tensor| tensor.name == name), "{name}");
    }
    let unbroken = continue_training(&mut first, 3..6, &mut optimizer);
    let mut again = network(8);
    again.initialize(99).unwrap();
    again.set_run_seed(5);
    again.import_parameters(&tensors).unwrap();
    again.import_states(&tensors).unwrap();
    let mut optimizer = Optimizer::try_new(&again, &OptimizerConfig::default()).unwrap();
    optimizer.import(&again, &tensors).unwrap();
    assert_eq!(continue_training(&mut again, 3..6, &mut optimizer), unbroken);
}

#[test]
fn images_do_not_see_each_other() {
    let mut large = network(40);
    large.begin_evaluation(KernelSource::Configured).unwrap();
    large.forward(20, &images(20, 2)).unwrap();
    let all = large.logits().unwrap();
    let first: Vec<f32> = images(20, 2).into_iter().step_by(20).collect();
    large.forward(1, &first).unwrap();
    let expected: Vec<f64> = all.iter().step_by(20).map(|&x| f64::from(x)).collect();
    assert_close(&large.logits().unwrap(), &expected, 1e-5);
}

#[test]
fn messages_name_layers_on_tokens() {
    let message = |layer: &str| {
        let config: NetworkConfig = toml::from_str(&format!("layers = [{layer}]")).unwrap();
        NetworkPlan::try_new(&config, INPUT, 3).unwrap_err().to_string()
    };
    assert_eq!(
        message("{ type = 'patch-embed', out_channels = 4, size = 4 }"),
        "network.layers.0 (patch-embed): size = 4, expected a divisor of 6 and 10, rows and columns of the input"
    );
    assert_eq!(
        message("{ type = 'self-attention', heads = 3 }"),
        "network.layers.0 (self-attention): heads = 3, expected a divisor of 2, the channels of the input"
    );
    assert_eq!(
        message("{ type = 'depthwise-conv', kernel_size = 4 }"),
        "network.layers.0 (depthwise-conv): kernel_size = 4, expected an odd number"
    );
    assert_eq!(
        message("{ type = 'layer-norm', epsilon = 0.0 }"),
        "network.layers.0 (layer-norm): epsilon = 0, expected finite and above 0"
    );
    assert_eq!(
        message("{ type = 'flatten' }, { type = 'position-embedding' }"),
        "network.layers.1 (position-embedding): got an input of 120, expected an image"
    );
    let refused = message("{ type = 'depthwise-cf-conv', kernel = { hidden_widht = 3 } }");
    assert!(
        refused.starts_with("network.layers.0.kernel: ") && refused.contains("hidden_widht"),
        "{refused}"
    );
    let refused = message("{ type = 'depthwise-cf-conv', ema_alpha = 2.0 }");
    assert!(refused.starts_with("network.layers.0 (depthwise-cf-conv): ema_alpha = 2"), "{refused}");
}
