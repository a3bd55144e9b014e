//! Every device against the CPU: continuous Fourier convolutions of every kind, whole networks, training, states.
//!
//! Where the CPU itself is the device the checks compare it with itself, which shows that they are sound.

use std::path::Path;

use crate::support::layer_record::{assert_same, layer_config, record};
use crate::support::training::{first_step, network, train};
use crate::support::{Operands, all, all_mut, host, largest, noise, unset, upload};
use cfconv_core::engine::{Domain, EnginePlan};
use cfconv_core::{CfConv2dConfig, StepSeed};
use cfconv_train::config::TrainConfig;
use cfconv_train::device::{Cpu, Device};
use cfconv_train::nn::{
    BatchNormSizes, BatchStatistics, CfConv2d, DropoutSizes, Forward, KernelSource, OpSizes, PoolSizes,
};
use cfconv_train::signatures::{MemoryDemand, MemoryEstimate};

on_every_device!(
    cf_conv_equals_that_of_the_cpu,
    channel_mixes_equal_those_of_the_cpu,
    samplers_visit_the_same_positions,
    undone_steps_leave_no_trace,
    kernels_move_to_other_image_sizes,
    states_move_between_devices,
    dropout_keeps_the_same_values,
    pooling_and_normalisation_equal_those_of_the_cpu,
    networks_give_the_same_gradients,
    training_follows_the_cpu,
    training_repeats_bit_for_bit,
    planned_memory_is_that_of_the_device,
);

/// The bound for single operations in f32, relative to the largest value.
const TOLERANCE: f64 = 1e-4;

/// Settings of a layer: what follows the sizes in a configuration file.
const LAYERS: [(&str, &str); 24] = [
    ("every position", "sampler = { kind = 'all' }"),
    ("uniform", "sampler = { kind = 'uniform', num_positions = 37 }\nema_alpha = 0.5"),
    ("zeros around", "padding = 'zeros'\nsampler = { kind = 'uniform', num_positions = 50 }"),
    ("fewer zeros around", "padding = 'zeros'\npadding_share = 0.5\nsampler = { kind = 'all' }"),
    (
        "straight through",
        "gradient_scale = 'straight-through'\nsampler = { kind = 'uniform', num_positions = 9 }\nema_alpha = 0.3",
    ),
    (
        "unequal strata, unbiased",
        "gradient_scale = 'unbiased'\nsampler = { kind = 'stratified', num_positions = 7 }",
    ),
    (
        "frequency blocks, unbiased",
        "gradient_scale = 'unbiased'\nsampler = { kind = 'frequency-blocks', num_positions = 20 }",
    ),
    (
        "zeros at first, polished",
        "initial_fill = 'zeros'\npolish = true\nema_alpha = 0.25\nsampler = { kind = 'uniform', num_positions = 11 }",
    ),
    (
        "dense evaluation",
        "evaluation_kernel = 'dense'\nbias = false\nsampler = { kind = 'uniform', num_positions = 11 }",
    ),
    ("lattice in space", "sampler = { kind = 'lattice', size = 3 }\napplication = 'direct'"),
    (
        "lattice in space, zeros",
        "padding = 'zeros'\nsampler = { kind = 'lattice', size = 5 }\napplication = 'direct'",
    ),
    ("lattice by spectra", "sampler = { kind = 'lattice', size = 3 }\napplication = 'fft'"),
    (
        "lattice by spectra, zeros",
        "padding = 'zeros'\nsampler = { kind = 'lattice', size = 5 }\napplication = 'fft'",
    ),
    (
        "one network a pair",
        "sampler = { kind = 'uniform', num_positions = 45 }\n[mlp]\nparameterization = 'hw'\nhidden_width = 5",
    ),
    (
        "one network an output",
        "sampler = { kind = 'all' }\n[mlp]\nparameterization = 'hw-cin'\nhidden_width = 6\nactivation = 'gelu'",
    ),
    (
        "one network an output, embedding",
        "sampler = { kind = 'uniform', num_positions = 60 }\n[mlp]\nparameterization = 'hw-cin'\nhidden_width = 6\nchannel_encoding = 'embedding'\nembedding_dim = 3\nomega_mode = 'multiplier'\nomega_channel = 3.0",
    ),
    (
        "embeddings",
        "sampler = { kind = 'uniform', num_positions = 60 }\n[mlp]\nhidden_width = 7\nchannel_encoding = 'embedding'\nembedding_dim = 2",
    ),
    (
        "shared basis",
        "sampler = { kind = 'all' }\n[mlp]\nparameterization = 'shared-basis'\nbasis_size = 3\nhidden_width = 9",
    ),
    (
        "shared basis, sampled",
        "sampler = { kind = 'uniform', num_positions = 40 }\n[mlp]\nparameterization = 'shared-basis'\nbasis_size = 2\nhidden_width = 9\nactivation = 'tanh'",
    ),
    (
        "polar, Gabor, three layers",
        "sampler = { kind = 'all' }\n[mlp]\ncomplex_output = 'polar'\nactivation = 'gabor'\nhidden_layers = 3\nhidden_width = 5",
    ),
    (
        "Fourier features, ReLU",
        "sampler = { kind = 'uniform', num_positions = 33 }\n[mlp]\nfourier_features = 4\nactivation = 'relu'\nhidden_width = 6\nfrequency_grid = 'unit'",
    ),
    (
        "wider than shared memory",
        "sampler = { kind = 'uniform', num_positions = 12 }\n[mlp]\nhidden_width = 700\nhidden_layers = 1",
    ),
    ("depthwise", "depthwise = true\nsampler = { kind = 'uniform', num_positions = 14 }\nema_alpha = 0.5"),
    (
        "depthwise lattice",
        "depthwise = true\nsampler = { kind = 'lattice', size = 3 }\napplication = 'direct'",
    ),
];

/// Channels in and out, rows, columns, batch: single values, odd, prime and unequal sizes.
const SHAPES: [(usize, usize, usize, usize, usize); 3] = [(1, 1, 1, 1, 1), (2, 3, 5, 4, 3), (3, 2, 7, 6, 1)];

/// More channels and images than a tile of the mix.
const LARGE: (usize, usize, usize, usize, usize) = (34, 33, 2, 1, 35);

#[track_caller]
fn plan(config: &CfConv2dConfig) -> EnginePlan {
    EnginePlan::try_new(config).unwrap()
}

fn compare_layers<D: Device>(device: &D, name: &str, config: &CfConv2dConfig, domain: Domain, batch: usize) {
    let expected = record(&Cpu::default(), config, domain, batch);
    let got = record(device, config, domain, batch);
    match (got, expected) {
        (Ok(got), Ok(expected)) => {
            for ((what, got), (_, expected)) in got.0.iter().zip(&expected.0) {
                assert_same(&format!("{name}, {config:?}: {what}"), got, expected, TOLERANCE);
            }
        }
        // What one device refuses, the other refuses in the same words.
        (got, expected) => assert_eq!(
            got.err().map(|error| error.to_string()),
            expected.err().map(|error| error.to_string()),
            "{name}"
        ),
    }
}

fn cf_conv_equals_that_of_the_cpu<D: Device>(device: &D) {
    for (name, settings) in LAYERS {
        for shape in SHAPES {
            let config = layer_config(shape, settings);
            compare_layers(device, name, &config, Domain::Images, shape.4);
        }
    }
    for settings in ["sampler = { kind = 'all' }", "sampler = { kind = 'uniform', num_positions = 70 }"] {
        compare_layers(device, "large", &layer_config(LARGE, settings), Domain::Images, LARGE.4);
    }
}

fn channel_mixes_equal_those_of_the_cpu<D: Device>(device: &D) {
    for settings in [
        "sampler = { kind = 'all' }",
        "sampler = { kind = 'uniform', num_positions = 31 }\nema_alpha = 0.5",
        "sampler = { kind = 'lattice', size = 3 }\nbias = false",
        "padding = 'zeros'",
    ] {
        for shape in [(1, 1, 1, 1, 1), (3, 2, 5, 4, 3), (2, 4, 4, 7, 17)] {
            compare_layers(device, "mix", &layer_config(shape, settings), Domain::Spectra, shape.4);
        }
    }
}

/// A sampler that follows measured gaps depends on the values of state and Φ: twenty steps pass a measurement.
fn samplers_visit_the_same_positions<D: Device>(device: &D) {
    let config = layer_config(
        (2, 3, 6, 5, 1),
        "sampler = { kind = 'gap-weighted', num_positions = 64 }\nema_alpha = 0.5",
    );
    fn run<D: Device>(device: &D, config: &CfConv2dConfig, steps: u64) -> Vec<u64> {
        let mut layer = CfConv2d::try_new(device, &plan(config)).unwrap();
        let mut params = unset(device, layer.num_parameters());
        layer.initialize(StepSeed { run_seed: 1, layer: 0, step: 0 }, all_mut(device, &mut params)).unwrap();
        let mut workspace = Default::default();
        for step in 0..steps {
            let moved: Vec<f32> = host(device, &params)
                .iter()
                .zip(noise(step, layer.num_parameters()))
                .map(|(p, n)| p + 0.05 * n)
                .collect();
            params = upload(device, &moved);
            layer
                .begin_step(StepSeed { run_seed: 1, layer: 0, step }, all(device, &params), &mut workspace)
                .unwrap();
        }
        layer.state().unwrap().history
    }
    let got = run(device, &config, 20);
    let expected = run(&Cpu::default(), &config, 20);
    assert!(got.len() > 4, "a profile of gaps was measured");
    // Gaps are rounded to 255ths of the largest: rounding errors may move one to its neighbour.
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(&expected) {
        for (got, expected) in got.to_le_bytes().iter().zip(expected.to_le_bytes()) {
            assert!(got.abs_diff(expected) <= 1, "{got} ≠ {expected}");
        }
    }
}

fn undone_steps_leave_no_trace<D: Device>(device: &D) {
    for settings in
        ["sampler = { kind = 'all' }", "sampler = { kind = 'uniform', num_positions = 20 }\nema_alpha = 0.5"]
    {
        let config = layer_config((2, 3, 4, 5, 1), settings);
        let mut layer = CfConv2d::try_new(device, &plan(&config)).unwrap();
        let mut params = unset(device, layer.num_parameters());
        let seed = |step| StepSeed { run_seed: 1, layer: 0, step };
        layer.initialize(seed(0), all_mut(device, &mut params)).unwrap();
        let mut workspace = Default::default();
        layer.enable_rollback(true);
        layer.begin_step(seed(0), all(device, &params), &mut workspace).unwrap();
        let before = layer.state().unwrap();
        let others = upload(device, &vec![0.3; layer.num_parameters()]);
        layer.begin_step(seed(1), all(device, &others), &mut workspace).unwrap();
        assert_ne!(layer.state().unwrap(), before);
        let moved = layer.state().unwrap();
        let (passed, failed) = (upload(device, &[0.0, 1.0]), upload(device, &[1.0, 1.0]));
        layer.rollback_step_if_failed(all(device, &passed)).unwrap();
        assert_eq!(layer.state().unwrap(), moved);
        layer.begin_step(seed(2), all(device, &params), &mut workspace).unwrap();
        layer.rollback_step_if_failed(all(device, &failed)).unwrap();
        layer.drop_last_steps(1);
        assert_eq!(layer.state().unwrap(), moved);
        assert!(layer.rollback_step_if_failed(all(device, &failed)).is_err());
    }
}

fn kernels_move_to_other_image_sizes<D: Device>(device: &D) {
    for settings in ["sampler = { kind = 'all' }", "sampler = { kind = 'lattice', size = 3 }"] {
        fn outputs<D: Device>(device: &D, settings: &str) -> Vec<f32> {
            let config = layer_config((2, 3, 4, 6, 1), settings);
            let mut layer = CfConv2d::try_new(device, &plan(&config)).unwrap();
            let mut params = unset(device, layer.num_parameters());
            layer
                .initialize(StepSeed { run_seed: 1, layer: 0, step: 0 }, all_mut(device, &mut params))
                .unwrap();
            assert!(layer.transfer_function().is_err());
            layer.begin_evaluation(KernelSource::Configured, all(device, &params)).unwrap();
            let function = layer.transfer_function().unwrap();
            let config = layer_config((2, 3, 6, 9, 1), "sampler = { kind = 'all' }");
            let mut larger = CfConv2d::try_new(device, &plan(&config)).unwrap();
            larger.begin_transferred_evaluation(&function).unwrap();
            let input = upload(device, &noise(1, 2 * 6 * 9 * 2));
            let mut output = unset(device, 3 * 6 * 9 * 2);
            let params = upload(device, &vec![0.0; larger.num_parameters()]);
            let target = all_mut(device, &mut output);
            let (input, params) = (all(device, &input), all(device, &params));
            let io = Forward { batch: 2, input, params, output: target };
            larger.forward(io, &mut Default::default()).unwrap();
            host(device, &output)
        }
        assert_same(settings, &outputs(device, settings), &outputs(&Cpu::default(), settings), TOLERANCE);
    }
}

/// What a layer of one device saves, one of the other loads, bit for bit.
fn states_move_between_devices<D: Device>(device: &D) {
    let config =
        layer_config((2, 3, 4, 5, 1), "sampler = { kind = 'uniform', num_positions = 20 }\nema_alpha = 0.5");
    let mut there = CfConv2d::try_new(device, &plan(&config)).unwrap();
    let mut here = CfConv2d::try_new(&Cpu::default(), &plan(&config)).unwrap();
    let mut params = unset(device, there.num_parameters());
    let seed = |step| StepSeed { run_seed: 1, layer: 0, step };
    there.initialize(seed(0), all_mut(device, &mut params)).unwrap();
    there.begin_step(seed(0), all(device, &params), &mut Default::default()).unwrap();
    let state = there.state().unwrap();
    here.load_state(&state).unwrap();
    assert_eq!(here.state().unwrap(), state);
    assert_eq!(here.parameter_segments(), there.parameter_segments());
    assert_eq!(here.coverage(1), there.coverage(1));
    assert_eq!(here.ringing(4).unwrap(), there.ringing(4).unwrap());
    let mut back = CfConv2d::try_new(device, &plan(&config)).unwrap();
    back.load_state(&here.state().unwrap()).unwrap();
    assert_eq!(back.state().unwrap(), state);
}

fn dropout_keeps_the_same_values<D: Device>(device: &D) {
    for (len, rate) in [(1, 0.5), (16, 0.3), (1000, 0.1), (40_000, 0.7)] {
        let sizes = DropoutSizes { features: len, rate, run_seed: u64::MAX - 7, layer: 3, step: 1 << 40 };
        let values = noise(1, len);
        fn dropped<D: Device>(device: &D, sizes: &DropoutSizes, values: &[f32]) -> Vec<f32> {
            let operands = Operands { batch: 1, input: values, params: &[] };
            operands.forward(device, values.len(), |io| device.dropout(sizes, io))
        }
        assert_eq!(dropped(device, &sizes, &values), dropped(&Cpu::default(), &sizes, &values));
    }
}

fn pooling_and_normalisation_equal_those_of_the_cpu<D: Device>(device: &D) {
    // Channels, rows, columns, size, stride, batch.
    for (channels, height, width, size, stride, batch) in
        [(1, 1, 1, 1, 1, 1), (2, 5, 7, 2, 2, 3), (3, 7, 5, 3, 2, 17), (1, 6, 6, 2, 3, 5), (2, 4, 4, 3, 1, 1)]
    {
        let sizes = PoolSizes { channels, height, width, size, stride };
        fn pooled<D: Device>(device: &D, sizes: &PoolSizes, batch: usize) -> Vec<Vec<f32>> {
            let (input, grad) = (noise(1, sizes.input_len(batch)), noise(2, sizes.output_len(batch)));
            let operands = Operands { batch, input: &input, params: &[] };
            let mut winners = device.alloc_indices(grad.len()).unwrap();
            let largest =
                operands.forward(device, grad.len(), |io| device.max_pool(sizes, Some(&mut winners), io));
            let (to_winners, _) =
                operands.backward(device, &grad, 0.0, |io| device.max_pool_vjp(sizes, &winners, io));
            let mean = operands.forward(device, grad.len(), |io| device.average_pool(sizes, io));
            let (spread, _) =
                operands.backward(device, &grad, 0.0, |io| device.average_pool_adjoint(sizes, io));
            vec![largest, to_winners, mean, spread]
        }
        let (got, expected) = (pooled(device, &sizes, batch), pooled(&Cpu::default(), &sizes, batch));
        for (got, expected) in got.iter().zip(&expected) {
            assert_same(&format!("{sizes:?}"), got, expected, TOLERANCE);
        }
    }
    // Values far from zero: the variance must not drown.
    for (channels, pixels, batch) in [(1, 1, 1), (3, 35, 17), (2, 700, 1)] {
        let sizes = BatchNormSizes { channels, pixels, epsilon: 1e-5, momentum: 0.1, activation: None };
        fn normalized<D: Device>(device: &D, sizes: &BatchNormSizes, batch: usize) -> Vec<f32> {
            let values: Vec<f32> = noise(1, sizes.input_len(batch)).iter().map(|x| x + 300.0).collect();
            let params = noise(2, sizes.num_parameters());
            let mut running = upload(device, &vec![1.0; sizes.num_statistics()]);
            let mut saved = unset(device, sizes.num_statistics());
            let statistics = BatchStatistics {
                running: all_mut(device, &mut running),
                saved: all_mut(device, &mut saved),
            };
            let operands = Operands { batch, input: &values, params: &params };
            let output =
                operands.forward(device, values.len(), |io| device.batch_norm_train(sizes, statistics, io));
            [output, host(device, &running)].concat()
        }
        let (got, expected) = (normalized(device, &sizes, batch), normalized(&Cpu::default(), &sizes, batch));
        let (got_output, got_running) = got.split_at(sizes.output_len(batch));
        let (output, running) = expected.split_at(sizes.output_len(batch));
        // Means are near 300: their rounding is that of x − μ.
        assert_same("batch norm", got_output, output, 1e-3);
        assert_same("running statistics", got_running, running, TOLERANCE);
    }
}

const NETWORK: &str = "
    [kernel]
    hidden_width = 8
    omega_channel = 10.0
    [sampler]
    kind = 'uniform'
    num_positions = 60
    [[layers]]
    type = 'cf-conv'
    out_channels = 4
    ema_alpha = 0.5
    [[layers]]
    type = 'batch-norm'
    [[layers]]
    type = 'activation'
    kind = 'gelu'
    [[layers]]
    type = 'max-pool'
    [[layers]]
    type = 'cf-conv'
    out_channels = 5
    padding = 'zeros'
    sampler = { kind = 'lattice', size = 3 }
    [[layers]]
    type = 'batch-norm'
    [[layers]]
    type = 'activation'
    [[layers]]
    type = 'conv'
    out_channels = 4
    [[layers]]
    type = 'dropout'
    rate = 0.1
    [[layers]]
    type = 'global-avg-pool'
    [[layers]]
    type = 'linear'";

const TOKENS: &str = "
    [[layers]]
    type = 'patch-embed'
    out_channels = 4
    size = 3
    [[layers]]
    type = 'position-embedding'
    [[layers]]
    type = 'residual'
    [[layers.layers]]
    type = 'layer-norm'
    [[layers.layers]]
    type = 'self-attention'
    heads = 2
    [[layers]]
    type = 'depthwise-conv'
    [[layers]]
    type = 'layer-norm'
    [[layers]]
    type = 'global-avg-pool'
    [[layers]]
    type = 'linear'";

const SPECTRUM: &str = "
    [kernel]
    hidden_width = 8
    omega_channel = 10.0
    [[layers]]
    type = 'to-spectrum'
    [[layers]]
    type = 'cf-mix'
    out_channels = 3
    sampler = { kind = 'uniform', num_positions = 40 }
    [[layers]]
    type = 'complex-batch-norm'
    statistics = 'radial'
    [[layers]]
    type = 'complex-activation'
    kind = 'phase-gate'
    initial_bias = 0.1
    [[layers]]
    type = 'spectral-crop'
    size = 6
    [[layers]]
    type = 'complex-batch-norm'
    [[layers]]
    type = 'complex-activation'
    kind = 'modrelu'
    initial_bias = 0.2
    [[layers]]
    type = 'to-image'
    [[layers]]
    type = 'spectral-pool'
    size = 4
    [[layers]]
    type = 'global-avg-pool'
    [[layers]]
    type = 'linear'";

/// Batches that a training goes through again and again.
const BATCHES: u64 = 4;

fn networks_give_the_same_gradients<D: Device>(device: &D) {
    for text in [NETWORK, TOKENS, SPECTRUM] {
        let (mut got, mut expected) = (network(device, text), network(&Cpu::default(), text));
        assert_eq!(host(device, got.params()), host(expected.device(), expected.params()));
        let (loss, expected_loss) = (first_step(&mut got), first_step(&mut expected));
        assert!((loss - expected_loss).abs() < 1e-5, "{loss} ≠ {expected_loss}");
        let (grads, expected_grads) = (host(device, got.grads()), host(expected.device(), expected.grads()));
        for segment in got.segments() {
            let range = segment.range.clone();
            // Rounding grows from layer to layer, through normalisations of few values above all.
            let floor = 1e-2 * largest(0.0, expected_grads.iter().copied());
            let own: Vec<f64> = expected_grads[range.clone()].iter().map(|&x| f64::from(x)).collect();
            let size = largest(floor, own.iter().copied());
            for (got, expected) in grads[range].iter().zip(own) {
                let error = (f64::from(*got) - expected).abs();
                assert!(error < 1e-3 * size, "{}: {got} ≠ {expected}", segment.name);
            }
        }
    }
}

/// Single precision diverges slowly: losses of fifty steps stay within 2 % of the first.
fn training_follows_the_cpu<D: Device>(device: &D) {
    let (got, _) = train(device, NETWORK, BATCHES, 50);
    let (expected, _) = train(&Cpu::default(), NETWORK, BATCHES, 50);
    assert!(expected[49] < 0.7 * expected[0], "{expected:?}");
    for (step, (got, expected_loss)) in got.iter().zip(&expected).enumerate() {
        let bound = if step < 5 { 1e-4 } else { 2e-2 };
        assert!((got - expected_loss).abs() < bound * expected[0], "step {step}: {got} ≠ {expected_loss}");
    }
}

fn planned_memory_is_that_of_the_device<D: Device>(device: &D) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/embedded-cfconv.toml");
    let config = TrainConfig::load(&path, &[]).unwrap();
    let demand = MemoryDemand { classes: 2, images: 100 };
    let estimate = MemoryEstimate::of(device, &config, &demand).unwrap();
    let on_cpu = MemoryEstimate::of(&Cpu::default(), &config, &demand).unwrap();
    assert_eq!(estimate.parameters, on_cpu.parameters);
    assert!(estimate.activations > 0 && on_cpu.images > 0 && on_cpu.checkpoint > 0);
    if D::OWN_MEMORY {
        assert_eq!((estimate.images, estimate.checkpoint), (0, 0), "they stay on the host");
    } else {
        assert_eq!(estimate, on_cpu);
    }
    assert_ne!(device.available_bytes(), Some(0));
}

fn training_repeats_bit_for_bit<D: Device>(device: &D) {
    for text in [NETWORK, SPECTRUM, TOKENS] {
        assert_eq!(train(device, text, BATCHES, 4), train(device, text, BATCHES, 4));
    }
}
