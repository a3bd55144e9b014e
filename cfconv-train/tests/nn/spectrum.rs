//! Operations and networks in the frequency domain: against definitions in `f64`, against the layers on images that
//! they stand for, and the variance of signals at initialisation.

use std::f64::consts::{SQRT_2, TAU};

use crate::support::{Operands, all, all_mut, assert_close, host, largest, noise, unset, upload};
use cfconv_core::engine::EnginePlan;
use cfconv_core::{CfConv2dConfig, SamplerConfig, StepSeed};
use cfconv_mlp::Parameterization;
use cfconv_train::device::{Cpu, Device, DeviceError};
use cfconv_train::networks::{InputShape, NamedTensor, Network, NetworkConfig, NetworkPlan};
use cfconv_train::nn::{
    BatchStatistics, CfConv2d, ComplexActivation, ComplexActivationSizes, ComplexBatchNormSizes, Forward,
    KernelSource, OpSizes, SpectralPoolSizes, SpectrumSizes, SpectrumStatistics,
};

on_every_device!(
    spectrum_equals_its_definition_and_image_undoes_it,
    crop_equals_spectral_pooling,
    complex_activations_equal_their_formulas,
    complex_batch_norm_whitens_and_evaluates,
    wrong_lengths_are_refused,
    initial_variance_is_kept_through_many_layers,
);

/// Single precision, sums of some hundred products.
const TOLERANCE: f64 = 2e-6;

const SIZES: [(usize, usize, usize, usize); 5] =
    [(1, 1, 1, 1), (2, 4, 6, 17), (3, 5, 7, 2), (1, 7, 4, 16), (2, 8, 3, 33)];

fn spectrum_of<D: Device>(device: &D, sizes: &SpectrumSizes, batch: usize, images: &[f32]) -> Vec<f32> {
    let plan = device.plan_spectrum_transform(sizes).unwrap();
    let operands = Operands { batch, input: images, params: &[] };
    operands.forward(device, sizes.len(batch), |io| device.to_spectrum(&plan, io))
}

fn image_of<D: Device>(device: &D, sizes: &SpectrumSizes, batch: usize, spectra: &[f32]) -> Vec<f32> {
    let plan = device.plan_spectrum_transform(sizes).unwrap();
    let operands = Operands { batch, input: spectra, params: &[] };
    operands.forward(device, sizes.image_len(batch), |io| device.to_image(&plan, io))
}

fn as_f64(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| f64::from(x)).collect()
}

fn spectrum_equals_its_definition_and_image_undoes_it<D: Device>(device: &D) {
    for (channels, height, width, batch) in SIZES {
        let sizes = SpectrumSizes { channels, height, width };
        let images = noise(1, sizes.image_len(batch));
        let spectra = spectrum_of(device, &sizes, batch, &images);
        let norm = 1.0 / ((height * width) as f64).sqrt();
        let mut expected = Vec::new();
        for plane in images.chunks(height * width * batch) {
            for bin in 0..height * sizes.half_width() {
                let (p, q) = (bin / sizes.half_width(), bin % sizes.half_width());
                for part in [f64::cos as fn(f64) -> f64, |angle| -angle.sin()] {
                    for b in 0..batch {
                        let term = |at: usize| {
                            let turns = (p * (at / width)) as f64 / height as f64
                                + (q * (at % width)) as f64 / width as f64;
                            f64::from(plane[at * batch + b]) * part(TAU * turns)
                        };
                        expected.push(norm * (0..height * width).map(term).sum::<f64>());
                    }
                }
            }
        }
        assert_close(&spectra, &expected, TOLERANCE);
        assert_close(&image_of(device, &sizes, batch, &spectra), &as_f64(&images), TOLERANCE);
    }
}

/// Cropping between transforms is spectral pooling; gradients are adjoint.
fn crop_equals_spectral_pooling<D: Device>(device: &D) {
    let dot =
        |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum() };
    for (height, width, output_height, output_width, batch) in
        [(8, 8, 4, 4, 17), (7, 10, 4, 5, 2), (9, 6, 6, 4, 3), (6, 6, 6, 6, 1), (5, 4, 1, 1, 16)]
    {
        let channels = 2;
        let sizes = SpectralPoolSizes { channels, height, width, output_height, output_width };
        let large = SpectrumSizes { channels, height, width };
        let small = SpectrumSizes { channels, height: output_height, width: output_width };
        let images = noise(1, sizes.input_len(batch));
        let operands = Operands { batch, input: &images, params: &[] };
        let pool = device.plan_spectral_pool(&sizes).unwrap();
        let len = sizes.output_len(batch);
        let pooled = operands.forward(device, len, |io| device.spectral_pool(&pool, io));

        let crop = device.plan_spectral_crop(&sizes).unwrap();
        let input = spectrum_of(device, &large, batch, &images);
        let operands = Operands { batch, input: &input, params: &[] };
        let cropped = operands.forward(device, small.len(batch), |io| device.spectral_crop(&crop, io));
        // Of spectra of images both ways agree in the frequency domain too.
        assert_close(&cropped, &as_f64(&spectrum_of(device, &small, batch, &pooled)), TOLERANCE);
        assert_close(&image_of(device, &small, batch, &cropped), &as_f64(&pooled), TOLERANCE);

        // Any half spectra.
        let (input, cotangent) = (noise(2, large.len(batch)), noise(3, small.len(batch)));
        let operands = Operands { batch, input: &input, params: &[] };
        let y = operands.forward(device, cotangent.len(), |io| device.spectral_crop(&crop, io));
        let (dz, _) =
            operands.backward(device, &cotangent, 0.0, |io| device.spectral_crop_adjoint(&crop, io));
        let (forward, backward) = (dot(&y, &cotangent), dot(&dz, &input));
        assert!((forward - backward).abs() < TOLERANCE * (input.len() as f64).sqrt());
    }
    let larger = SpectralPoolSizes { channels: 1, height: 4, width: 4, output_height: 5, output_width: 4 };
    assert!(device.plan_spectral_crop(&larger).is_err());
}

/// Each function's factor of z in polar form, from its parameters.
fn factor(function: ComplexActivation, params: &[f64], re: f64, im: f64) -> [f64; 2] {
    let (modulus, angle) = (re.hypot(im), im.atan2(re));
    let both = |factor: f64| [factor, factor];
    match function {
        ComplexActivation::Modrelu => both((modulus + params[0]).max(0.0) / modulus),
        ComplexActivation::Crelu => [f64::from(re > 0.0), f64::from(im > 0.0)],
        ComplexActivation::Zrelu => both(f64::from(re >= 0.0 && im >= 0.0)),
        ComplexActivation::Cardioid => both((1.0 + angle.cos()) / 2.0),
        ComplexActivation::PhaseGate => {
            both(1.0 / (1.0 + (-params[1] * (angle - params[0]).cos() - params[2]).exp()))
        }
    }
}

fn complex_activations_equal_their_formulas<D: Device>(device: &D) {
    for (channels, height, width, batch) in SIZES {
        for function in ComplexActivation::ALL {
            let spectrum = SpectrumSizes { channels, height, width };
            let sizes = ComplexActivationSizes { spectrum, function };
            let input: Vec<f32> = noise(1, spectrum.len(batch)).iter().map(|x| 4.0 * x).collect();
            let params = noise(2, sizes.num_parameters());
            let operands = Operands { batch, input: &input, params: &params };
            let y = operands.forward(device, input.len(), |io| device.complex_activation(&sizes, io));
            let count = function.parameters().len();
            let mut expected = vec![0.0; input.len()];
            for at in 0..input.len() / 2 {
                let (b, bin) = (at % batch, at / batch);
                let c = bin / (height * spectrum.half_width());
                let own: Vec<f64> = (0..count).map(|k| f64::from(params[k * channels + c])).collect();
                let place = [0, batch].map(|part| bin * 2 * batch + part + b);
                let [re, im] = place.map(|at| f64::from(input[at]));
                let factor = factor(function, &own, re, im);
                (expected[place[0]], expected[place[1]]) = (factor[0] * re, factor[1] * im);
            }
            assert_close(&y, &expected, TOLERANCE);
            // Zeros everywhere: no value and no gradient is lost to 0/0.
            let zeros = vec![0.0; input.len()];
            let operands = Operands { input: &zeros, ..operands };
            let y = operands.forward(device, input.len(), |io| device.complex_activation(&sizes, io));
            assert!(y.iter().all(|&y| y == 0.0), "{function:?}");
            let ones = vec![1.0; input.len()];
            let (dz, dp) =
                operands.backward(device, &ones, 0.0, |io| device.complex_activation_vjp(&sizes, io));
            let gradients = [dz, dp].concat();
            assert!(gradients.iter().all(|gradient| gradient.is_finite()), "{function:?}");
        }
    }
}

fn complex_batch_norm_whitens_and_evaluates<D: Device>(device: &D) {
    let spectrum = SpectrumSizes { channels: 2, height: 6, width: 5 };
    let batch = 33;
    let sizes = ComplexBatchNormSizes {
        spectrum,
        statistics: SpectrumStatistics::Channel,
        epsilon: 1e-5,
        momentum: 1.0,
    };
    let mut input = noise(1, spectrum.len(batch));
    for bin in input.chunks_mut(2 * batch) {
        let (re, im) = bin.split_at_mut(batch);
        for (re, im) in re.iter_mut().zip(im) {
            (*re, *im) = (40.0 * *re + 3.0, *im - 20.0 * *re);
        }
    }
    let params = [1.0, SQRT_2, 1.0, 0.5, 0.0, -0.25, 0.0, 1.0, 0.0, 2.0].map(|x| x as f32);
    let operands = Operands { batch, input: &input, params: &params };
    let mut running = upload(device, &vec![0.0; sizes.num_statistics()]);
    let mut saved = unset(device, sizes.num_statistics());
    let statistics =
        BatchStatistics { running: all_mut(device, &mut running), saved: all_mut(device, &mut saved) };
    let output =
        operands.forward(device, input.len(), |io| device.complex_batch_norm_train(&sizes, statistics, io));
    for (c, plane) in output.chunks(output.len() / 2).enumerate() {
        let pairs: Vec<[f64; 2]> = plane
            .chunks(2 * batch)
            .flat_map(|bin| (0..batch).map(|b| [bin[b], bin[batch + b]].map(f64::from)))
            .collect();
        let mean = |f: &dyn Fn(&[f64; 2]) -> f64| pairs.iter().map(f).sum::<f64>() / pairs.len() as f64;
        let centre = [mean(&|z| z[0]), mean(&|z| z[1])];
        let covariance = |i: usize, j: usize| mean(&|z| (z[i] - centre[i]) * (z[j] - centre[j]));
        let [rr, ii, ri, beta_re, beta_im] = std::array::from_fn(|k| f64::from(params[2 * k + c]));
        for (got, expected) in [
            (centre[0], beta_re),
            (centre[1], beta_im),
            (covariance(0, 0), rr * rr + ri * ri),
            (covariance(1, 1), ii * ii + ri * ri),
            (covariance(0, 1), ri * (rr + ii)),
        ] {
            assert!((got - expected).abs() < 2e-4, "channel {c}: {got} ≠ {expected}");
        }
    }
    // With momentum 1 the running statistics are the batch's, the covariance unbiased.
    let running = all(device, &running);
    let evaluated =
        operands.forward(device, input.len(), |io| device.complex_batch_norm_eval(&sizes, running, io));
    let values = (spectrum.height * spectrum.half_width() * batch) as f64;
    let shrunk = (1.0 - 1.0 / values).sqrt();
    let plane = output.len() / 2;
    let expected: Vec<f64> = output
        .iter()
        .enumerate()
        .map(|(at, &y)| {
            let beta = f64::from(params[6 + 2 * (at / batch % 2) + at / plane]);
            beta + shrunk * (f64::from(y) - beta)
        })
        .collect();
    assert_close(&evaluated, &expected, 1e-5);
}

fn wrong_lengths_are_refused<D: Device>(device: &D) {
    let sizes = SpectrumSizes { channels: 1, height: 2, width: 2 };
    let plan = device.plan_spectrum_transform(&sizes).unwrap();
    let operands = Operands { batch: 1, input: &[0.0; 5], params: &[] };
    let error = operands.try_forward(device, 8, |io| device.to_spectrum(&plan, io)).unwrap_err();
    let (op, operand) = ("to_spectrum", "input");
    assert_eq!(error, DeviceError::LengthMismatch { op, operand, expected: 4, got: 5 });
    let sizes = ComplexActivationSizes { spectrum: sizes, function: ComplexActivation::PhaseGate };
    let operands = Operands { batch: 1, input: &[0.0; 8], params: &[0.0; 5] };
    let error = operands.try_forward(device, 8, |io| device.complex_activation(&sizes, io)).unwrap_err();
    assert_eq!(error.to_string(), "complex_activation: params has length 5, expected 3");
}

/// White noise keeps its variance through six layers, each a mix whose gain undoes what its activation stops.
fn initial_variance_is_kept_through_many_layers<D: Device>(device: &D) {
    let spectrum = SpectrumSizes { channels: 24, height: 16, width: 16 };
    let batch = 8;
    // Means over the phase: of 1, of cos²₊, of a quadrant, of ((1 + cos φ)/2)², of σ(2·cos φ)².
    let steps = 1000;
    let phase_gate = (0..steps)
        .map(|k| (1.0 + (-2.0 * (TAU * f64::from(k) / f64::from(steps)).cos()).exp()).powi(-2))
        .sum::<f64>()
        / f64::from(steps);
    for (function, passes) in [
        (ComplexActivation::Modrelu, 1.0),
        (ComplexActivation::Crelu, 0.5),
        (ComplexActivation::Zrelu, 0.25),
        (ComplexActivation::Cardioid, 0.375),
        (ComplexActivation::PhaseGate, phase_gate),
    ] {
        let sizes = ComplexActivationSizes { spectrum, function };
        // As networks initialise them: zeros, but for the gate's slope.
        let mut params = vec![0.0; sizes.num_parameters()];
        if function == ComplexActivation::PhaseGate {
            params[24..48].fill(2.0);
        }
        let images: Vec<f32> =
            noise(1, spectrum.image_len(batch)).iter().map(|x| 12.0_f32.sqrt() * x).collect();
        let mut values = spectrum_of(device, &spectrum, batch, &images);
        for layer in 0..6 {
            let mut config = CfConv2dConfig::new(24, 24, 16, 16);
            config.sampler = SamplerConfig::All {};
            config.bias = false;
            // Coefficients of different channel pairs are independent.
            config.mlp.parameterization = Parameterization::SharedBasis;
            let plan = EnginePlan::try_between_spectra(&config, 1.0 / passes).unwrap();
            let mut mix = CfConv2d::try_new(device, &plan).unwrap();
            let mut weights = device.alloc(mix.num_parameters()).unwrap();
            let seed = StepSeed { run_seed: 4, layer, step: 0 };
            mix.initialize(seed, all_mut(device, &mut weights)).unwrap();
            let mut workspace = Default::default();
            mix.begin_step(seed, all(device, &weights), &mut workspace).unwrap();
            let input = upload(device, &values);
            let mut mixed = unset(device, values.len());
            let (input, network) = (all(device, &input), all(device, &weights));
            let io = Forward { batch, input, params: network, output: all_mut(device, &mut mixed) };
            mix.forward(io, &mut workspace).unwrap();
            let mixed = host(device, &mixed);
            let operands = Operands { batch, input: &mixed, params: &params };
            values = operands.forward(device, mixed.len(), |io| device.complex_activation(&sizes, io));
        }
        let power = 2.0 * values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / values.len() as f64;
        assert!((0.7..1.5).contains(&power), "{function:?}: {power}");
    }
}

const INPUT: InputShape = InputShape { channels: 3, height: 6, width: 8 };

fn network(text: &str) -> Network<Cpu> {
    let config: NetworkConfig = toml::from_str(text).unwrap();
    let mut network = Network::try_new(Cpu::default(), &config, INPUT, 3, 8).unwrap();
    network.initialize(7).unwrap();
    network
}

/// A section of transforms and one mix is the layer on images: logits and gradients of a training step, logits of an
/// evaluation.
#[test]
fn section_of_one_mix_equals_the_layer_on_images() {
    for sampler in [
        "sampler = { kind = 'all' }",
        "sampler = { kind = 'lattice', size = 3 }",
        "sampler = { kind = 'uniform', num_positions = 200 }",
    ] {
        let head = "kernel = { hidden_width = 8 }\nema_alpha = 0.5\n";
        let tail =
            "{ type = 'activation', kind = 'gelu' }, { type = 'global-avg-pool' }, { type = 'linear' }]";
        // Dropout of nothing, so that both layers have the number 1 in random streams.
        let mut on_images = network(&format!(
            "{head}{sampler}\nlayers = [{{ type = 'dropout', rate = 0.0 }}, {{ type = 'cf-conv', out_channels = 5 \
             }}, {tail}"
        ));
        let mut between = network(&format!(
            "{head}{sampler}\nlayers = [{{ type = 'to-spectrum' }}, {{ type = 'cf-mix', out_channels = 5 }}, \
             {{ type = 'to-image' }}, {tail}"
        ));
        // The same draws give the same kernels; only the last layer has another number, hence other weights.
        let rename = |mut tensors: Vec<NamedTensor>| {
            for tensor in &mut tensors {
                tensor.name = tensor.name.replace("layers.4.", "layers.5.");
            }
            tensors
        };
        let mut parameters = rename(on_images.export_parameters().unwrap());
        assert_eq!(parameters[0], between.export_parameters().unwrap()[0]);
        for tensor in &mut parameters {
            if let ("layers.1.bias", cfconv_train::networks::TensorValues::F32(values)) =
                (tensor.name.as_str(), &mut tensor.values)
            {
                values.copy_from_slice(&[0.5, -1.0, 0.25, 2.0, 0.0]);
            }
        }
        between.import_parameters(&parameters).unwrap();
        let mut back = parameters.clone();
        back.iter_mut().for_each(|tensor| tensor.name = tensor.name.replace("layers.5.", "layers.4."));
        on_images.import_parameters(&back).unwrap();
        between.import_states(&on_images.export_states().unwrap()).unwrap();

        let images = noise(2, 3 * 6 * 8 * 5);
        let labels = [0, 1, 2, 1, 0];
        let step = |network: &mut Network<Cpu>| {
            network.begin_step(3).unwrap();
            network.forward(5, &images).unwrap();
            let logits = network.logits().unwrap();
            network.loss(&labels, 0.0).unwrap();
            network.backward().unwrap();
            let grads = host(network.device(), network.grads());
            network.begin_evaluation(KernelSource::Configured).unwrap();
            network.forward(5, &images).unwrap();
            (logits, grads, network.logits().unwrap())
        };
        let (expected, got) = (step(&mut on_images), step(&mut between));
        assert_close(&got.0, &as_f64(&expected.0), 5e-6);
        assert_close(&got.1, &as_f64(&expected.1), 5e-5);
        assert_close(&got.2, &as_f64(&expected.2), 5e-6);
    }
}

/// What the readout of `cats-vs-dogs-complex.toml` rests on: functions of the modulus commute with shifts.
#[test]
fn modulus_functions_make_logits_blind_to_circular_shifts() {
    let text = |kind: &str| {
        format!(
            "kernel = {{ hidden_width = 8 }}
             layers = [
                 {{ type = 'to-spectrum' }}, {{ type = 'cf-mix', out_channels = 4, bias = false }},
                 {{ type = 'complex-activation', kind = '{kind}' }},
                 {{ type = 'cf-mix', out_channels = 4 }}, {{ type = 'to-image' }},
                 {{ type = 'activation' }}, {{ type = 'global-avg-pool' }}, {{ type = 'linear' }}]"
        )
    };
    let images = noise(2, 3 * 6 * 8 * 2);
    let shifted: Vec<f32> = (0..images.len())
        .map(|at| {
            let (pixel, b) = (at / 2, at % 2);
            let (w, h, c) = (pixel % 8, pixel / 8 % 6, pixel / 48);
            images[((c * 6 + (h + 2) % 6) * 8 + (w + 5) % 8) * 2 + b]
        })
        .collect();
    let change = |kind: &str| {
        let mut network = network(&text(kind));
        network.begin_evaluation(KernelSource::Configured).unwrap();
        let mut logits = |images: &[f32]| {
            network.forward(2, images).unwrap();
            network.logits().unwrap()
        };
        let (before, after) = (logits(&images), logits(&shifted));
        largest(0.0, before.iter().zip(&after).map(|(a, b)| a - b))
    };
    assert!(change("modrelu") < 1e-5, "{}", change("modrelu"));
    assert!(change("cardioid") > 1e-3, "a function of the phase sees where things are");
}

#[test]
fn layers_name_what_they_need() {
    let message = |layers: &str| {
        let config: NetworkConfig = toml::from_str(&format!("layers = [{layers}]")).unwrap();
        NetworkPlan::try_new(&config, INPUT, 3).unwrap_err().to_string()
    };
    let to = "{ type = 'to-spectrum' }";
    assert_eq!(
        message("{ type = 'complex-activation' }"),
        "network.layers.0 (complex-activation): got an input of 3×6×8, expected a half spectrum: put to-spectrum \
         before it"
    );
    assert_eq!(
        message(&format!("{to}, {{ type = 'conv', out_channels = 2 }}")),
        "network.layers.1 (conv): got an input of 3×6×5×2, expected an image: put to-image before it"
    );
    for (layer, instead) in [
        ("type = 'batch-norm'", "complex-batch-norm"),
        ("type = 'activation'", "complex-activation"),
        ("type = 'dropout', rate = 0.1", "dropout behind to-image"),
    ] {
        let found = message(&format!("{to}, {{ {layer} }}"));
        assert!(found.ends_with(&format!("for half spectra there is {instead}")), "{found}");
    }
    assert_eq!(
        message(&format!("{to}, {{ type = 'complex-activation', kind = 'crelu', initial_bias = 0.5 }}")),
        "network.layers.1 (complex-activation): initial_bias = 0.5, expected none: this function has no bias"
    );
    assert_eq!(
        message(&format!("{to}, {{ type = 'cf-mix', out_channels = 2, gain = 0.0 }}")),
        "network.layers.1 (cf-mix): gain = 0, expected finite and above 0"
    );
    assert_eq!(
        message(&format!("{to}, {{ type = 'spectral-crop', size = 7 }}")),
        "network.layers.1 (spectral-crop): size = 7, expected 1 to 6, the size of the input"
    );
    assert_eq!(
        message(&format!("{to}, {{ type = 'to-image' }}")),
        "the last layer gives 3×6×8, expected 3: one value for each class"
    );
}
