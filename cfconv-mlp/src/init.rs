//! Initial parameters.
//!
//! First layer: the weight of a coordinate is uniform in ±omega/n, n the number of coordinates (SIREN,
//! Sitzmann et al. 2020, with omega folded in). Its biases spread the units over the domain: uniform phases
//! for sine; for the others each unit's zero lies at a random place of the grid.
//!
//! Hidden and output layers: uniform with the variance that gives every pre-activation unit variance, and
//! every complex value unit mean square (times `mixing_scale`² with a shared basis). It follows from the second
//! moment of the activations before them, which is sampled behind the first layer and an integral behind the
//! others. Their biases are zero.

use cfconv_fft::Real;
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::KernelGrid;
use crate::config::{Activation, ComplexOutput, KernelMlpConfig, OmegaMode};
use crate::coords::InputEncoder;
use crate::layout::ParameterLayout;

/// The first layer's activations are never taken to be smaller than this in mean square: the weights behind
/// stay bounded on grids with a single place.
const SMALLEST_SECOND_MOMENT: f64 = 1e-2;

/// Pre-activations, at random units and places, that the first layer's second moment is the mean of.
const MOMENT_SAMPLES: usize = 1024;

pub(crate) fn initialize<T: Real, R: Rng + ?Sized>(
    config: &KernelMlpConfig,
    grid: &KernelGrid,
    layout: &ParameterLayout,
    encoder: &InputEncoder<T>,
    rng: &mut R,
    params: &mut [T],
) {
    for range in &layout.embeddings {
        fill_uniform(rng, 1.0, &mut params[range.clone()]);
    }
    if let Some(range) = &layout.mixing {
        // Σ_k C²·|B_k|² has mean mixing_scale² with unit mean square B.
        let deviation = config.mixing_scale / (config.basis_size as f64).sqrt();
        for value in &mut params[range.clone()] {
            *value = T::cast(deviation * rng.sample::<f64, _>(StandardNormal));
        }
    }
    let mut second_moment = initialize_first_layer(config, grid, layout, encoder, rng, params);
    for (index, layer) in layout.layers.iter().enumerate().skip(1) {
        let is_output = index == config.hidden_layers;
        // Cartesian: |Φ|² is the sum of two squares. Polar: |Φ|² is the square of the amplitude.
        let variance = if is_output && config.complex_output == ComplexOutput::Cartesian { 0.5 } else { 1.0 };
        let bound = (3.0 * variance / (layer.in_features as f64 * second_moment)).sqrt();
        for mlp in 0..layout.num_networks {
            fill_uniform(rng, bound, &mut params[layer.weight_range(mlp)]);
            params[layer.bias_range(mlp)].fill(T::zero());
        }
        second_moment = config.activation.second_moment(1.0);
    }
}

fn fill_uniform<T: Real, R: Rng + ?Sized>(rng: &mut R, bound: f64, values: &mut [T]) {
    for value in values {
        *value = T::cast(bound * rng.random_range(-1.0..1.0));
    }
}

/// Returns the mean square of the activations over units and grid.
fn initialize_first_layer<T: Real, R: Rng + ?Sized>(
    config: &KernelMlpConfig,
    grid: &KernelGrid,
    layout: &ParameterLayout,
    encoder: &InputEncoder<T>,
    rng: &mut R,
    params: &mut [T],
) -> f64 {
    let layer = &layout.layers[0];
    let bounds = first_layer_bounds(config, layout);
    let num_positions = grid.num_positions() as u32;
    let mut inputs = vec![T::zero(); layer.in_features];
    let places = MOMENT_SAMPLES.div_ceil(layout.num_networks * layer.out_features);
    let mut squares = 0.0;
    for mlp in 0..layout.num_networks {
        let (weight_start, bias_start) = (layer.weight_range(mlp).start, layer.bias_range(mlp).start);
        for unit in 0..layer.out_features {
            let start = weight_start + unit * layer.in_features;
            let weight = start..start + layer.in_features;
            for (value, &bound) in params[weight.clone()].iter_mut().zip(&bounds) {
                *value = T::cast(bound * rng.random_range(-1.0..1.0));
            }
            if config.activation == Activation::Sine {
                let phase = std::f64::consts::PI * rng.random_range(-1.0..1.0);
                params[bias_start + unit] = T::cast(phase);
                continue;
            }
            // weight·x at a random place of the grid.
            let mut response = || {
                let point = grid.decode(rng.random_range(0..num_positions));
                encoder.encode(point, params, &mut inputs);
                let weight = &params[weight.clone()];
                weight.iter().zip(&inputs).map(|(w, x)| w.as_f64() * x.as_f64()).sum::<f64>()
            };
            let center = response();
            for _ in 0..places {
                squares += config.activation.value_and_derivative(response() - center).0.powi(2);
            }
            params[bias_start + unit] = T::cast(-center);
        }
    }
    match config.activation {
        // The mean of sin² over uniform phases.
        Activation::Sine => 0.5,
        _ => {
            let samples = places * layout.num_networks * layer.out_features;
            (squares / samples as f64).max(SMALLEST_SECOND_MOMENT)
        }
    }
}

/// Bounds of the uniform distributions of the first layer's weights, one for each input feature.
fn first_layer_bounds(config: &KernelMlpConfig, layout: &ParameterLayout) -> Vec<f64> {
    let channel_features = config.channel_features();
    let coordinates = (2 + channel_features) as f64;
    let folded = |omega: f64| match config.omega_mode {
        OmegaMode::Folded => omega / coordinates,
        OmegaMode::Multiplier => 1.0 / coordinates,
    };
    let frequency_bound = if config.fourier_features == 0 {
        folded(config.omega_frequency)
    } else {
        // 2F features of mean square 1/2: unit variance of the pre-activation with weights of variance 1/F.
        (3.0 / config.fourier_features as f64).sqrt()
    };
    let mut bounds = vec![frequency_bound; layout.in_features() - channel_features];
    bounds.resize(layout.in_features(), folded(config.omega_channel));
    bounds
}
