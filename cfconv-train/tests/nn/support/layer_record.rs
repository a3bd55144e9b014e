//! Everything that a CF-Conv layer computes, to compare devices with.

use cfconv_core::engine::{Domain, EnginePlan};
use cfconv_core::{CfConv2dConfig, StepSeed};
use cfconv_train::device::Device;
use cfconv_train::nn::{Backward, CfConv2d, Forward, KernelSource};

use super::{all, all_mut, host, largest, noise, unset, upload};

/// Checks that values agree to `tolerance` of the largest.
#[track_caller]
pub(crate) fn assert_same(what: &str, got: &[f32], expected: &[f32], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let largest = largest(1e-3, expected.iter().copied());
    for (at, (&got, &expected)) in got.iter().zip(expected).enumerate() {
        let error = f64::from((got - expected).abs());
        assert!(error <= tolerance * largest, "{what} at {at}: {got} ≠ {expected} (largest {largest})");
    }
}

/// A layer of `(in_channels, out_channels, height, width, batch)`.
pub(crate) fn layer_config(
    (in_channels, out_channels, height, width, _): (usize, usize, usize, usize, usize),
    settings: &str,
) -> CfConv2dConfig {
    let out_channels = if settings.contains("depthwise = true") { in_channels } else { out_channels };
    // Φ is steep along channels by default, which multiplies rounding: sizes here are small.
    let settings = if settings.contains("[mlp]") {
        settings.to_owned()
    } else {
        format!("{settings}\n[mlp]\nhidden_width = 8\nomega_channel = 10.0")
    };
    toml::from_str(&format!(
        "in_channels = {in_channels}\nout_channels = {out_channels}\nheight = {height}\nwidth = {width}\n{settings}"
    ))
    .unwrap_or_else(|error| panic!("{settings}: {error}"))
}

/// Everything that two steps and three evaluations of a layer give.
pub(crate) struct Record(pub(crate) Vec<(&'static str, Vec<f32>)>);

/// Makes a record; what the layer refuses is its error.
pub(crate) fn record<D: Device>(
    device: &D,
    config: &CfConv2dConfig,
    domain: Domain,
    batch: usize,
) -> cfconv_train::device::Result<Record> {
    let plan = match domain {
        Domain::Images => EnginePlan::try_new(config)?,
        Domain::Spectra => EnginePlan::try_between_spectra(config, 1.0)?,
    };
    let mut layer = CfConv2d::try_new(device, &plan)?;
    let plane = batch
        * match domain {
            Domain::Images => config.height * config.width,
            Domain::Spectra => config.height * (config.width / 2 + 1) * 2,
        };
    let mut workspace = Default::default();
    let mut values = Vec::new();
    let mut params = unset(device, layer.num_parameters());
    let seed = |step| StepSeed { run_seed: 5, layer: 1, step };
    layer.initialize(seed(0), all_mut(device, &mut params))?;
    values.push(("initial parameters", host(device, &params)));
    values.push(("initial state", layer.state()?.values));
    let input = upload(device, &noise(1, config.in_channels * plane));
    let grad_output = upload(device, &noise(2, config.out_channels * plane));
    let mut output = unset(device, config.out_channels * plane);
    for step in 0..2 {
        layer.begin_step(seed(step), all(device, &params), &mut workspace)?;
        values.push(("state", layer.state()?.values));
        layer.forward(
            Forward {
                batch,
                input: all(device, &input),
                params: all(device, &params),
                output: all_mut(device, &mut output),
            },
            &mut workspace,
        )?;
        values.push(("output", host(device, &output)));
        let mut grad_input = unset(device, config.in_channels * plane);
        // Gradients of parameters accumulate.
        let mut grad_params = upload(device, &vec![0.5; layer.num_parameters()]);
        layer.backward(
            Backward {
                batch,
                input: None,
                params: all(device, &params),
                grad_output: all(device, &grad_output),
                grad_input: Some(all_mut(device, &mut grad_input)),
                grad_params: all_mut(device, &mut grad_params),
            },
            &mut workspace,
        )?;
        values.push(("gradient of the input", host(device, &grad_input)));
        let mut grads = host(device, &grad_params);
        grads.iter_mut().for_each(|grad| *grad -= 0.5);
        let network = layer.num_parameters() - if config.bias { config.out_channels } else { 0 };
        values.push(("gradient of the bias", grads.split_off(network)));
        assert!(grads.iter().all(|grad| grad.is_finite()));
        // The same move on every device.
        let moved: Vec<f32> = host(device, &params)
            .iter()
            .zip(noise(3, layer.num_parameters()))
            .map(|(param, noise)| param + 0.02 * noise)
            .collect();
        values.push(("gradient of the network", grads));
        params = upload(device, &moved);
    }
    for kernel in [KernelSource::Configured, KernelSource::Dense] {
        layer.begin_evaluation(kernel, all(device, &params))?;
        layer.forward(
            Forward {
                batch,
                input: all(device, &input),
                params: all(device, &params),
                output: all_mut(device, &mut output),
            },
            &mut workspace,
        )?;
        values.push(("output of an evaluation", host(device, &output)));
    }
    values.push(("shadow gap", vec![layer.shadow_gap(all(device, &params), 10, seed(9))? as f32]));
    values.push(("coverage", vec![layer.coverage(2) as f32]));
    let mut grad_alone = upload(device, &vec![0.0; layer.num_parameters()]);
    layer.begin_step(seed(2), all(device, &params), &mut workspace)?;
    let (input, params) = (all(device, &input), all(device, &params));
    let output = all_mut(device, &mut output);
    layer.forward(Forward { batch, input, params, output }, &mut workspace)?;
    let (grad_output, grad_params) = (all(device, &grad_output), all_mut(device, &mut grad_alone));
    let io = Backward { batch, input: None, params, grad_output, grad_input: None, grad_params };
    layer.backward(io, &mut workspace)?;
    values.push(("gradient without that of the input", host(device, &grad_alone)));
    Ok(Record(values))
}
