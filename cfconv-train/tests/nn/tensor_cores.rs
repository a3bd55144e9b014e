//! Matrix products in TF32, as tensor cores compute them, beside the same device's single precision.

use crate::support::layer_record::{assert_same, layer_config, record};
use crate::support::training::train;
use crate::support::{Operands, largest, noise};
use cfconv_core::engine::Domain;
use cfconv_train::device::Device;
use cfconv_train::nn::conv2d::{DirectConvSizes, PaddingMode};
use cfconv_train::nn::{Conv2dSizes, OpSizes};

on_tensor_cores!(
    products_of_small_whole_numbers_are_exact,
    products_keep_infinities_and_nan,
    layers_differ_by_the_rounding_of_their_factors,
    narrow_kernel_networks_keep_single_precision,
    training_follows_single_precision,
    training_repeats_bit_for_bit,
);

/// Ten bits behind the point, nearest: two factors of a product are wrong by at most 2⁻¹¹ each.
const ROUNDING: f64 = 1.0 / 2048.0;

/// A convolution's output and gradients.
fn convolution<D: Device>(
    device: &D,
    sizes: &Conv2dSizes,
    batch: usize,
    value: impl Fn(u64, usize) -> Vec<f32>,
) -> [Vec<f32>; 3] {
    let plan = device.plan_conv2d(sizes).unwrap();
    let (input, params) = (value(1, sizes.input_len(batch)), value(2, sizes.num_parameters()));
    let operands = Operands { batch, input: &input, params: &params };
    let output = operands.forward(device, sizes.output_len(batch), |io| device.conv2d(&plan, io));
    let grad_output = value(3, sizes.output_len(batch));
    let (grad_input, grad_params) =
        operands.backward(device, &grad_output, 0.0, |io| device.conv2d_vjp(&plan, io));
    [output, grad_input, grad_params]
}

fn sizes(
    in_channels: usize,
    out_channels: usize,
    height: usize,
    width: usize,
    kernel_size: usize,
) -> Conv2dSizes {
    let padding = PaddingMode::Zeros;
    let conv = DirectConvSizes { in_channels, out_channels, height, width, kernel_size, padding };
    Conv2dSizes { conv, bias: true }
}

/// Whole numbers below 2¹¹ are numbers of TF32, and their sums numbers of single precision: what is in its right
/// place is right to the last bit.
fn products_of_small_whole_numbers_are_exact<D: Device>(device: &D, tensor_cores: &D) {
    let whole = |seed, len| noise(seed, len).iter().map(|x| (64.0 * x).round()).collect();
    // One value; fewer and more rows, columns and inner values than a tile.
    for (shape, batch) in [
        (sizes(1, 1, 1, 1, 1), 1),
        (sizes(3, 5, 4, 6, 3), 7),
        (sizes(17, 70, 3, 5, 1), 5),
        (sizes(8, 16, 4, 4, 5), 4),
        (sizes(66, 9, 2, 3, 3), 11),
    ] {
        let (got, expected) =
            (convolution(tensor_cores, &shape, batch, whole), convolution(device, &shape, batch, whole));
        assert_eq!(got, expected, "{shape:?}");
    }
}

fn products_keep_infinities_and_nan<D: Device>(_: &D, tensor_cores: &D) {
    for special in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::from_bits(0x7f80_0001), f32::MAX] {
        let shape = Conv2dSizes { bias: false, ..sizes(1, 1, 1, 1, 1) };
        let [output, ..] = convolution(tensor_cores, &shape, 1, |seed, len| {
            vec![if seed == 1 { special } else { 1.0 }; len]
        });
        // The largest number is rounded up.
        let expected = if special == f32::MAX { f32::INFINITY } else { special };
        assert!(output[0] == expected || (output[0].is_nan() && expected.is_nan()), "{special}: {output:?}");
    }
}

/// Layers whose kernel networks are wide enough for tensor cores.
const WIDE: [(&str, &str); 7] = [
    ("every position", "sampler = { kind = 'all' }\n[mlp]\nhidden_width = 24\nomega_channel = 10.0"),
    (
        "few positions",
        "sampler = { kind = 'uniform', num_positions = 37 }\n[mlp]\nhidden_width = 33\nomega_channel = 10.0",
    ),
    (
        "three hidden layers",
        "sampler = { kind = 'all' }\n[mlp]\nhidden_width = 16\nhidden_layers = 3\nactivation = 'gelu'",
    ),
    (
        "shared basis",
        "sampler = { kind = 'all' }\n[mlp]\nparameterization = 'shared-basis'\nbasis_size = 3\nhidden_width = 24",
    ),
    (
        "one network an output, embedding",
        "sampler = { kind = 'uniform', num_positions = 60 }\n[mlp]\nparameterization = 'hw-cin'\nhidden_width = 18\nchannel_encoding = 'embedding'\nembedding_dim = 3",
    ),
    (
        "wider than shared memory",
        "sampler = { kind = 'uniform', num_positions = 12 }\n[mlp]\nhidden_width = 400\nomega_channel = 10.0",
    ),
    (
        "lattice in space",
        "sampler = { kind = 'lattice', size = 3 }\napplication = 'direct'\n[mlp]\nhidden_width = 20\nomega_channel = 10.0",
    ),
];

/// More channels and images than a tile.
const LARGE: (usize, usize, usize, usize, usize) = (34, 33, 2, 1, 35);

/// Rounding of factors passes through a layer of each kind: some of it shows, and no more than a few times as much.
fn layers_differ_by_the_rounding_of_their_factors<D: Device>(device: &D, tensor_cores: &D) {
    let mut errors: Vec<(&str, f64)> = Vec::new();
    let mut compare = |name: &str, config: &_, domain, batch| {
        let expected = record(device, config, domain, batch).unwrap();
        let got = record(tensor_cores, config, domain, batch).unwrap();
        let mut any = false;
        for ((what, got), (_, expected)) in got.0.into_iter().zip(expected.0) {
            if ["shadow gap", "coverage"].contains(&what) {
                continue;
            }
            assert_same(&format!("{name}: {what}"), &got, &expected, 16.0 * ROUNDING);
            any |= got != expected;
            let size = largest(1e-3, expected.iter().copied());
            let error = largest(0.0, got.iter().zip(&expected).map(|(a, b)| a - b)) / size;
            match errors.iter_mut().find(|(known, _)| *known == what) {
                Some(entry) => entry.1 = entry.1.max(error),
                None => errors.push((what, error)),
            }
        }
        assert!(any, "{name}: nothing was computed in TF32");
    };
    for (name, settings) in WIDE {
        for shape in [(2, 3, 5, 4, 3), (3, 2, 7, 6, 1)] {
            compare(name, &layer_config(shape, settings), Domain::Images, shape.4);
        }
    }
    for settings in ["sampler = { kind = 'all' }", "sampler = { kind = 'uniform', num_positions = 70 }"] {
        compare("large", &layer_config(LARGE, settings), Domain::Images, LARGE.4);
    }
    compare("mix", &layer_config((2, 4, 4, 7, 17), "sampler = { kind = 'all' }"), Domain::Spectra, 17);
    for (what, error) in errors {
        eprintln!("largest error of TF32, of the largest value: {error:.1e} {what}");
    }
}

fn narrow_kernel_networks_keep_single_precision<D: Device>(device: &D, tensor_cores: &D) {
    let states = |device: &D, settings: &str| {
        let record = record(device, &layer_config((2, 3, 5, 4, 3), settings), Domain::Images, 3).unwrap();
        let (_, state) = record.0.into_iter().find(|(what, _)| *what == "state").unwrap();
        state
    };
    for (settings, same) in [
        ("sampler = { kind = 'all' }\n[mlp]\nhidden_width = 15", true),
        // Between two hidden layers only.
        ("sampler = { kind = 'all' }\n[mlp]\nhidden_width = 32\nhidden_layers = 1", true),
        ("sampler = { kind = 'all' }\n[mlp]\nhidden_width = 32", false),
    ] {
        assert_eq!(states(device, settings) == states(tensor_cores, settings), same, "{settings}");
    }
}

const NETWORK: &str = "
    [kernel]
    hidden_width = 24
    omega_channel = 10.0
    [sampler]
    kind = 'uniform'
    num_positions = 60
    [[layers]]
    type = 'cf-conv'
    out_channels = 4
    [[layers]]
    type = 'batch-norm'
    [[layers]]
    type = 'activation'
    [[layers]]
    type = 'conv'
    out_channels = 4
    [[layers]]
    type = 'cf-conv'
    out_channels = 5
    padding = 'zeros'
    sampler = { kind = 'lattice', size = 3 }
    [[layers]]
    type = 'activation'
    [[layers]]
    type = 'global-avg-pool'
    [[layers]]
    type = 'linear'";

/// Batches that a training goes through again and again.
const BATCHES: u64 = 2;

fn training_follows_single_precision<D: Device>(device: &D, tensor_cores: &D) {
    let (got, _) = train(tensor_cores, NETWORK, BATCHES, 50);
    let (expected, _) = train(device, NETWORK, BATCHES, 50);
    assert!(expected[49] < 0.7 * expected[0], "{expected:?}");
    let difference =
        |steps: std::ops::Range<usize>| largest(0.0, steps.map(|step| got[step] - expected[step]));
    eprintln!(
        "losses of TF32 differ by {:.1e} in five steps, {:.1e} in fifty",
        difference(0..5),
        difference(0..50)
    );
    assert!(difference(0..5) < 5e-3 * expected[0], "{got:?} ≠ {expected:?}");
    assert!(difference(0..50) < 0.1 * expected[0], "{got:?} ≠ {expected:?}");
}

fn training_repeats_bit_for_bit<D: Device>(_: &D, tensor_cores: &D) {
    assert_eq!(train(tensor_cores, NETWORK, BATCHES, 4), train(tensor_cores, NETWORK, BATCHES, 4));
}
