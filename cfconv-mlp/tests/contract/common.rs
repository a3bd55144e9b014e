//! Configurations, parameters and positions that the contract tests share.

use cfconv_fft::Real;
use cfconv_mlp::{
    Activation, ChannelEncoding, ComplexOutput, FrequencyGrid, KernelGrid, KernelMlp, KernelMlpConfig,
    OmegaMode, Parameterization,
};
use num_complex::Complex;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

pub(crate) const ACTIVATIONS: [Activation; 5] =
    [Activation::Sine, Activation::Gelu, Activation::Relu, Activation::Tanh, Activation::Gabor];

/// Every combination of the discrete options that is valid, with a small network.
pub(crate) fn every_config() -> Vec<KernelMlpConfig> {
    let mut configs = Vec::new();
    for parameterization in Parameterization::ALL {
        for activation in ACTIVATIONS {
            for omega_mode in [OmegaMode::Folded, OmegaMode::Multiplier] {
                for frequency_grid in [FrequencyGrid::Signed, FrequencyGrid::Unit] {
                    for fourier_features in [0, 3] {
                        for channel_encoding in [ChannelEncoding::Coordinate, ChannelEncoding::Embedding] {
                            for complex_output in [ComplexOutput::Cartesian, ComplexOutput::Polar] {
                                configs.push(KernelMlpConfig {
                                    parameterization,
                                    activation,
                                    omega_mode,
                                    frequency_grid,
                                    fourier_features,
                                    channel_encoding,
                                    complex_output,
                                    hidden_width: 5,
                                    hidden_layers: 2,
                                    omega_frequency: 3.0,
                                    omega_channel: 7.0,
                                    embedding_dim: 2,
                                    basis_size: 3,
                                    ..Default::default()
                                });
                            }
                        }
                    }
                }
            }
        }
    }
    configs.retain(|config| config.validate().is_ok());
    configs
}

/// Φ with an output scale other than 1, and initial parameters with every bias set.
pub(crate) fn kernel<T: Real>(
    config: &KernelMlpConfig,
    grid: KernelGrid,
    seed: u64,
) -> (KernelMlp<T>, Vec<T>) {
    let mut phi = KernelMlp::try_new(config, grid).unwrap();
    phi.set_output_scale(T::cast(0.75));
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut params = vec![T::cast(f64::NAN); phi.num_parameters()];
    phi.initialize(&mut rng, &mut params);
    for segment in phi.parameter_segments() {
        if segment.name.ends_with(".bias") {
            for value in &mut params[segment.range.clone()] {
                *value += T::cast(rng.random_range(-0.3..0.3));
            }
        }
    }
    (phi, params)
}

/// About `share` of all positions, at random.
pub(crate) fn random_positions(grid: KernelGrid, share: f64, seed: u64) -> Vec<u32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..grid.num_positions() as u32).filter(|_| rng.random_bool(share)).collect()
}

/// Complex values with parts in [−1, 1).
pub(crate) fn random_values<T: Real>(len: usize, seed: u64) -> Vec<Complex<T>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut part = || T::cast(rng.random_range(-1.0..1.0));
    (0..len).map(|_| Complex::new(part(), part())).collect()
}

/// The largest absolute value; NaN if one of the values is: `f64::max` would leave it out.
pub(crate) fn largest<'a>(values: impl IntoIterator<Item = &'a f64>) -> f64 {
    values.into_iter().map(|value| value.abs()).max_by(f64::total_cmp).expect("at least one value")
}

/// NaN in both parts, so that a value that is not written is seen.
pub(crate) fn unwritten<T: Real>(len: usize) -> Vec<Complex<T>> {
    vec![Complex::new(T::nan(), T::nan()); len]
}
