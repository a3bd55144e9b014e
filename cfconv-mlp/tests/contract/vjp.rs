//! The gradient equals central differences for every configuration, and accumulates.

use crate::common::{ACTIVATIONS, every_config, kernel, largest, random_positions, random_values, unwritten};
use cfconv_mlp::{
    ChannelEncoding, ComplexOutput, KernelGrid, KernelMlp, KernelMlpConfig, OmegaMode, Parameterization,
    Positions,
};
use num_complex::Complex;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// ⟨grad_output, Φ⟩ = Σ Re(conj(grad_output)·Φ).
fn loss(phi: &KernelMlp<f64>, params: &[f64], list: &[u32], grad_output: &[Complex<f64>]) -> f64 {
    let mut values = unwritten(list.len());
    phi.evaluate(params, Positions::List(list), &mut values).unwrap();
    values.iter().zip(grad_output).map(|(value, grad)| (grad.conj() * value).re).sum()
}

/// Checks every parameter if there are few, else two hundred at random; to 1e-6 of the largest gradient.
fn assert_gradient(config: &KernelMlpConfig, grid: KernelGrid, list: &[u32]) {
    let (phi, mut params) = kernel::<f64>(config, grid, 21);
    let grad_output = random_values(list.len(), 22);
    let mut grad = vec![0.0; params.len()];
    phi.evaluate_vjp(&params, Positions::List(list), &grad_output, &mut grad).unwrap();
    let largest = largest(&grad);
    assert!(largest > 0.0);
    let mut rng = ChaCha8Rng::seed_from_u64(23);
    let chosen: Vec<usize> = if params.len() <= 200 {
        (0..params.len()).collect()
    } else {
        (0..200).map(|_| rng.random_range(0..params.len())).collect()
    };
    for index in chosen {
        let (value, step) = (params[index], 1e-5);
        params[index] = value + step;
        let up = loss(&phi, &params, list, &grad_output);
        params[index] = value - step;
        let down = loss(&phi, &params, list, &grad_output);
        params[index] = value;
        let difference = (up - down) / (2.0 * step);
        assert!(
            (difference - grad[index]).abs() <= 1e-6 * largest,
            "parameter {index}: {} instead of {difference} (largest {largest}) with {config:?}",
            grad[index]
        );
    }
}

#[test]
fn every_configuration_passes_central_differences() {
    let grid = KernelGrid { height: 3, width: 4, in_channels: 2, out_channels: 3 };
    let list = random_positions(grid, 0.6, 31);
    for mut config in every_config() {
        // A small omega keeps the third derivatives, which central differences see, small.
        (config.omega_frequency, config.omega_channel) = (1.5, 2.0);
        config.hidden_width = 4;
        assert_gradient(&config, grid, &list);
    }
}

#[test]
fn several_tiles_and_depths_pass_central_differences() {
    let grid = KernelGrid { height: 7, width: 6, in_channels: 5, out_channels: 4 };
    for parameterization in Parameterization::ALL {
        // The wide one has more outputs than a tile of the matrix product on any instruction set.
        for (hidden_layers, hidden_width) in [(1, 6), (3, 6), (2, 70)] {
            let config = KernelMlpConfig {
                parameterization,
                hidden_layers,
                hidden_width,
                omega_channel: 8.0,
                ..Default::default()
            };
            assert_gradient(&config, grid, &random_positions(grid, 0.7, 32));
            // Whole frequencies: the dense form of the shared basis.
            let list: Vec<u32> = (20..20 * 9).collect();
            assert_gradient(&config, grid, &list);
        }
    }
}

#[test]
fn gradients_accumulate() {
    let grid = KernelGrid { height: 3, width: 4, in_channels: 2, out_channels: 3 };
    let list = random_positions(grid, 0.6, 31);
    for parameterization in [Parameterization::HwCin, Parameterization::SharedBasis] {
        let config = KernelMlpConfig { parameterization, hidden_width: 4, ..Default::default() };
        let (phi, params) = kernel::<f64>(&config, grid, 1);
        let grad_output = random_values(list.len(), 2);
        let mut fresh = vec![0.0; params.len()];
        phi.evaluate_vjp(&params, Positions::List(&list), &grad_output, &mut fresh).unwrap();
        let mut onto = vec![1.0; params.len()];
        phi.evaluate_vjp(&params, Positions::List(&list), &grad_output, &mut onto).unwrap();
        for (fresh, onto) in fresh.iter().zip(onto) {
            assert!((fresh + 1.0 - onto).abs() < 1e-12 * (1.0 + fresh.abs()));
        }
    }
}

#[test]
fn f32_gradients_equal_f64_gradients() {
    let grid = KernelGrid { height: 8, width: 8, in_channels: 4, out_channels: 4 };
    let list = random_positions(grid, 0.8, 41);
    for parameterization in Parameterization::ALL {
        for activation in ACTIVATIONS {
            let config = KernelMlpConfig {
                parameterization,
                activation,
                hidden_width: 16,
                omega_frequency: 5.0,
                omega_channel: 10.0,
                complex_output: ComplexOutput::Polar,
                ..Default::default()
            };
            let (narrow, params) = kernel::<f32>(&config, grid, 42);
            let (wide, _) = kernel::<f64>(&config, grid, 42);
            let wide_params: Vec<f64> = params.iter().map(|&value| f64::from(value)).collect();
            let grad_output = random_values::<f32>(list.len(), 43);
            let wide_output: Vec<Complex<f64>> =
                grad_output.iter().map(|value| Complex::new(value.re.into(), value.im.into())).collect();
            let (mut grad, mut wide_grad) = (vec![0.0; params.len()], vec![0.0; params.len()]);
            narrow.evaluate_vjp(&params, Positions::List(&list), &grad_output, &mut grad).unwrap();
            wide.evaluate_vjp(&wide_params, Positions::List(&list), &wide_output, &mut wide_grad).unwrap();
            let norm = wide_grad.iter().map(|g| g * g).sum::<f64>().sqrt();
            let difference =
                grad.iter().zip(&wide_grad).map(|(&a, b)| (f64::from(a) - b).powi(2)).sum::<f64>().sqrt();
            // A pre-activation of ReLU within rounding of zero may fall on the other side.
            let tolerance = if activation == cfconv_mlp::Activation::Relu { 1e-2 } else { 1e-4 };
            assert!(difference < tolerance * norm, "{difference:e} of {norm:e} with {config:?}");
        }
    }
}

#[test]
fn multiplier_takes_omega_times_larger_steps_than_folded() {
    let grid = KernelGrid { height: 6, width: 6, in_channels: 3, out_channels: 3 };
    let list = random_positions(grid, 0.9, 51);
    for parameterization in Parameterization::ALL {
        for channel_encoding in [ChannelEncoding::Coordinate, ChannelEncoding::Embedding] {
            let folded = KernelMlpConfig {
                parameterization,
                channel_encoding,
                hidden_width: 8,
                omega_frequency: 4.0,
                omega_channel: 32.0,
                ..Default::default()
            };
            if folded.validate().is_err() {
                continue;
            }
            let multiplier = KernelMlpConfig { omega_mode: OmegaMode::Multiplier, ..folded.clone() };
            let (phi_folded, params_folded) = kernel::<f64>(&folded, grid, 52);
            let (phi_multiplier, params_multiplier) = kernel::<f64>(&multiplier, grid, 52);
            let (mut a, mut b) = (unwritten(list.len()), unwritten(list.len()));
            phi_folded.evaluate(&params_folded, Positions::List(&list), &mut a).unwrap();
            phi_multiplier.evaluate(&params_multiplier, Positions::List(&list), &mut b).unwrap();
            for (a, b) in a.iter().zip(&b) {
                assert!((a - b).norm() < 1e-12, "the same function at the start");
            }
            // The gradient of a first-layer weight is omega times larger where the weight is omega times smaller.
            let grad_output = random_values(list.len(), 53);
            let (mut grad_folded, mut grad_multiplier) =
                (vec![0.0; params_folded.len()], vec![0.0; params_folded.len()]);
            phi_folded
                .evaluate_vjp(&params_folded, Positions::List(&list), &grad_output, &mut grad_folded)
                .unwrap();
            phi_multiplier
                .evaluate_vjp(&params_multiplier, Positions::List(&list), &grad_output, &mut grad_multiplier)
                .unwrap();
            let weight = &phi_folded.parameter_segments()[0];
            let inputs = *weight.shape.last().unwrap();
            for (place, index) in weight.range.clone().enumerate() {
                let omega = if place % inputs < 2 { 4.0 } else { 32.0 };
                assert!((params_folded[index] - omega * params_multiplier[index]).abs() < 1e-12);
                let (f, m) = (omega * grad_folded[index], grad_multiplier[index]);
                assert!((f - m).abs() < 1e-9 * (1.0 + f.abs()), "{f} {m}");
            }
            for index in weight.range.end..params_folded.len() {
                let (f, m) = (grad_folded[index], grad_multiplier[index]);
                assert!((f - m).abs() < 1e-9 * (1.0 + f.abs()), "{f} {m}");
            }
        }
    }
}
