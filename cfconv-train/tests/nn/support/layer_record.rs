//! Everything that a CF-Conv layer computes, to compare devices with.

use cfconv_core::engine::Domain;
use cfconv_core::{CfConv2dConfig, StepSeed};
use cfconv_train::device::Device;
use cfconv_train::nn::{CfConv2d, CfConv2dOp, EvaluationWeights};

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
    let mut layer = match domain {
        Domain::Images => <D as CfConv2dOp>::CfConv2d::try_new(device, config)?,
        Domain::Spectra => <D as CfConv2dOp>::CfConv2d::try_new_mix(device, config, 1.0)?,
    };
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
        let target = all_mut(device, &mut output);
        layer.forward(batch, all(device, &params), all(device, &input), target, &mut workspace)?;
        values.push(("output", host(device, &output)));
        let mut grad_input = unset(device, config.in_channels * plane);
        // Gradients of parameters accumulate.
        let mut grad_params = upload(device, &vec![0.5; layer.num_parameters()]);
        layer.backward(
            batch,
            all(device, &params),
            all(device, &grad_output),
            Some(all_mut(device, &mut grad_input)),
            all_mut(device, &mut grad_params),
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
    for weights in [EvaluationWeights::Trained, EvaluationWeights::Other] {
        layer.begin_evaluation(weights, all(device, &params))?;
        let target = all_mut(device, &mut output);
        layer.forward(batch, all(device, &params), all(device, &input), target, &mut workspace)?;
        values.push(("output of an evaluation", host(device, &output)));
    }
    values.push(("shadow gap", vec![layer.shadow_gap(all(device, &params), 10, seed(9))? as f32]));
    values.push(("coverage", vec![layer.coverage(2) as f32]));
    let mut grad_alone = upload(device, &vec![0.0; layer.num_parameters()]);
    layer.begin_step(seed(2), all(device, &params), &mut workspace)?;
    let target = all_mut(device, &mut output);
    layer.forward(batch, all(device, &params), all(device, &input), target, &mut workspace)?;
    let (params, grads) = (all(device, &params), all_mut(device, &mut grad_alone));
    layer.backward(batch, params, all(device, &grad_output), None, grads, &mut workspace)?;
    values.push(("gradient without that of the input", host(device, &grad_alone)));
    Ok(Record(values))
}
