//! Fresh parameters give a kernel of unit mean square, at any depth, with units spread over the domain.

use cfconv_mlp::{
    Activation, ChannelEncoding, ComplexOutput, KernelGrid, KernelMlp, KernelMlpConfig, OmegaMode,
    Parameterization,
};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

use crate::common::{ACTIVATIONS, largest};

const GRID: KernelGrid = KernelGrid { height: 12, width: 12, in_channels: 6, out_channels: 6 };

/// The mean of |Φ|² over the grid and a few seeds.
fn mean_square(config: &KernelMlpConfig, grid: KernelGrid) -> f64 {
    const SEEDS: u64 = 6;
    let phi = KernelMlp::<f32>::try_new(config, grid).unwrap();
    let mut sum = 0.0;
    for seed in 0..SEEDS {
        let mut params = vec![f32::NAN; phi.num_parameters()];
        phi.initialize(&mut ChaCha8Rng::seed_from_u64(seed), &mut params);
        let kernel = phi.kernel(&params).unwrap();
        sum += kernel.iter().map(|value| f64::from(value.norm_sqr())).sum::<f64>() / kernel.len() as f64;
    }
    sum / SEEDS as f64
}

#[test]
fn the_kernel_has_unit_mean_square_at_any_depth() {
    // Many independent networks: one of GELU or ReLU, whose activations have a mean, may be far from 1.
    let grid = KernelGrid { height: 8, width: 8, in_channels: 4, out_channels: 30 };
    for activation in ACTIVATIONS {
        for hidden_layers in [1, 2, 5] {
            let config = KernelMlpConfig {
                parameterization: Parameterization::HwCin,
                activation,
                hidden_layers,
                ..Default::default()
            };
            let mean = mean_square(&config, grid);
            // 360 independent outputs: a standard error near 0.1. A forgotten factor of 2 in the hidden
            // layers would be a factor of 16 at five layers.
            assert!((0.7..1.4).contains(&mean), "{activation:?}, {hidden_layers} layers: {mean}");
        }
    }
}

#[test]
fn every_form_has_unit_mean_square() {
    for parameterization in Parameterization::ALL {
        for complex_output in [ComplexOutput::Cartesian, ComplexOutput::Polar] {
            for channel_encoding in [ChannelEncoding::Coordinate, ChannelEncoding::Embedding] {
                for fourier_features in [0, 16] {
                    let config = KernelMlpConfig {
                        parameterization,
                        complex_output,
                        channel_encoding,
                        fourier_features,
                        hidden_width: 96,
                        basis_size: 32,
                        ..Default::default()
                    };
                    if config.validate().is_err() {
                        continue;
                    }
                    let mean = mean_square(&config, GRID);
                    assert!((0.6..1.6).contains(&mean), "{mean} with {config:?}");
                }
            }
        }
    }
}

#[test]
fn mixing_scale_is_the_size_of_the_values_of_a_shared_basis() {
    let config = KernelMlpConfig {
        parameterization: Parameterization::SharedBasis,
        hidden_width: 96,
        basis_size: 32,
        ..Default::default()
    };
    let smaller = KernelMlpConfig { mixing_scale: 0.125, ..config.clone() };
    let ratio = mean_square(&smaller, GRID) / mean_square(&config, GRID);
    assert!((ratio - 1.0 / 64.0).abs() < 1e-12, "{ratio}");
}

#[test]
fn first_layer_weights_are_bounded_by_omega_over_the_number_of_coordinates() {
    for (omega_mode, factors) in
        [(OmegaMode::Folded, [12.0, 12.0, 200.0, 200.0]), (OmegaMode::Multiplier, [1.0; 4])]
    {
        let config = KernelMlpConfig {
            omega_mode,
            omega_frequency: 12.0,
            omega_channel: 200.0,
            hidden_width: 256,
            ..Default::default()
        };
        let phi = KernelMlp::<f64>::try_new(&config, GRID).unwrap();
        let mut params = vec![0.0; phi.num_parameters()];
        phi.initialize(&mut ChaCha8Rng::seed_from_u64(7), &mut params);
        let weight = &params[phi.parameter_segments()[0].range.clone()];
        for (column, factor) in factors.into_iter().enumerate() {
            let largest = largest(weight.iter().skip(column).step_by(4));
            let bound = factor / 4.0;
            assert!(largest <= bound && largest > 0.95 * bound, "{omega_mode:?}, column {column}: {largest}");
        }
    }
}

#[test]
fn first_layer_units_are_spread_over_the_domain() {
    let config = KernelMlpConfig {
        activation: Activation::Relu,
        parameterization: Parameterization::Hw,
        hidden_width: 200,
        hidden_layers: 1,
        ..Default::default()
    };
    let grid = KernelGrid { in_channels: 1, out_channels: 1, ..GRID };
    let phi = KernelMlp::<f64>::try_new(&config, grid).unwrap();
    let mut params = vec![0.0; phi.num_parameters()];
    phi.initialize(&mut ChaCha8Rng::seed_from_u64(7), &mut params);
    let (weight, bias) = (&phi.parameter_segments()[0], &phi.parameter_segments()[1]);
    let (weight, bias) = (&params[weight.range.clone()], &params[bias.range.clone()]);
    // A unit whose kink lies inside the square [−1, 1) × [0, 1] is neither always on nor always off there.
    let kinks = weight.chunks_exact(2).zip(bias).filter(|(w, b)| {
        let corners =
            [(-1.0, 0.0), (-1.0, 1.0), (1.0, 0.0), (1.0, 1.0)].map(|(y, x)| w[0] * y + w[1] * x + *b);
        corners.iter().any(|&z| z > 0.0) && corners.iter().any(|&z| z < 0.0)
    });
    assert!(kinks.count() >= 198);

    let config = KernelMlpConfig { activation: Activation::Sine, ..config };
    let phi = KernelMlp::<f64>::try_new(&config, grid).unwrap();
    phi.initialize(&mut ChaCha8Rng::seed_from_u64(7), &mut params);
    let bias = &params[phi.parameter_segments()[1].range.clone()];
    // Uniform in ±π: variance π²/3 = 3.29, with a standard error of 0.21 over 200 phases.
    let variance = bias.iter().map(|b| b * b).sum::<f64>() / 200.0;
    assert!((variance - 3.29).abs() < 0.8, "{variance}");
    assert!(bias.iter().all(|b| b.abs() <= std::f64::consts::PI));
}

#[test]
fn the_same_seed_gives_the_same_parameters_and_another_seed_others() {
    for parameterization in Parameterization::ALL {
        let config = KernelMlpConfig { parameterization, hidden_width: 4, ..Default::default() };
        let phi = KernelMlp::<f32>::try_new(&config, GRID).unwrap();
        let initial = |seed| {
            let mut params = vec![f32::NAN; phi.num_parameters()];
            phi.initialize(&mut ChaCha8Rng::seed_from_u64(seed), &mut params);
            params
        };
        assert!(initial(1).iter().all(|value| value.is_finite()));
        assert_eq!(initial(1), initial(1));
        assert_ne!(initial(1), initial(2));
    }
}

#[test]
fn a_grid_of_one_position_initialises_to_finite_values() {
    let grid = KernelGrid { height: 1, width: 1, in_channels: 1, out_channels: 1 };
    for activation in ACTIVATIONS {
        let config = KernelMlpConfig { activation, ..Default::default() };
        let phi = KernelMlp::<f32>::try_new(&config, grid).unwrap();
        let mut params = vec![f32::NAN; phi.num_parameters()];
        phi.initialize(&mut ChaCha8Rng::seed_from_u64(1), &mut params);
        let value = phi.kernel(&params).unwrap()[[0, 0, 0, 0]];
        assert!(value.norm() < 10.0, "{activation:?}: {value}");
    }
}
