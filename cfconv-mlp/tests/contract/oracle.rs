//! The fast path equals the naive oracle and itself, however the positions are given.

use crate::common::{every_config, kernel, random_positions, unwritten};
use cfconv_fft::Real;
use cfconv_mlp::{KernelGrid, KernelMlpConfig, Parameterization, Positions, naive};
use proptest::prelude::*;

fn assert_equals_oracle<T: Real>(config: &KernelMlpConfig, grid: KernelGrid, list: &[u32], tolerance: f64) {
    let (phi, params) = kernel::<T>(config, grid, 11);
    let mut values = unwritten(list.len());
    phi.evaluate(&params, Positions::List(list), &mut values).unwrap();
    for (&position, value) in list.iter().zip(&values) {
        let expected = naive::evaluate_at(&phi, &params, position);
        let error = (value.re.as_f64() - expected.re).hypot(value.im.as_f64() - expected.im);
        assert!(
            error <= tolerance * (1.0 + expected.norm()),
            "position {position}: {value} instead of {expected} with {config:?}"
        );
    }
}

#[test]
fn every_configuration_equals_the_oracle_in_f64() {
    let grid = KernelGrid { height: 5, width: 6, in_channels: 3, out_channels: 2 };
    let list = random_positions(grid, 0.4, 1);
    let configs = every_config();
    // Per activation: 2·2·2·2 forms each for hw and shared-basis, twice that for the two with channels.
    assert_eq!(configs.len(), 5 * (2 * 16 + 2 * 32));
    for config in &configs {
        assert_equals_oracle::<f64>(config, grid, &list, 1e-12);
    }
}

#[test]
fn every_configuration_equals_the_oracle_in_f32() {
    let grid = KernelGrid { height: 4, width: 7, in_channels: 2, out_channels: 3 };
    let list = random_positions(grid, 0.3, 2);
    for config in &every_config() {
        // Pre-activations of the first layer reach 3 + 7 + 7: their rounding dominates, and two layers of
        // gain up to 2 follow.
        assert_equals_oracle::<f32>(config, grid, &list, 400.0 * f64::from(f32::EPSILON));
    }
}

#[test]
fn the_default_network_equals_the_oracle_on_a_realistic_grid() {
    let grid = KernelGrid { height: 32, width: 32, in_channels: 16, out_channels: 16 };
    let list = random_positions(grid, 0.01, 3);
    for parameterization in Parameterization::ALL {
        let config = KernelMlpConfig { parameterization, ..Default::default() };
        assert_equals_oracle::<f64>(&config, grid, &list, 1e-11);
        // Pre-activations of the first layer reach 60: phases are rounded to 60·6e-8.
        assert_equals_oracle::<f32>(&config, grid, &list, 1e-4);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_shape_and_depth_equals_the_oracle(
        parameterization in prop::sample::select(Parameterization::ALL.to_vec()),
        height in 1_usize..8,
        width in 1_usize..8,
        in_channels in 1_usize..20,
        out_channels in 1_usize..20,
        hidden_width in 1_usize..20,
        hidden_layers in 1_usize..4,
        basis_size in 1_usize..6,
        share in 0.02_f64..1.0,
    ) {
        let grid = KernelGrid { height, width, in_channels, out_channels };
        let config = KernelMlpConfig {
            parameterization, hidden_width, hidden_layers, basis_size, ..Default::default()
        };
        assert_equals_oracle::<f64>(&config, grid, &random_positions(grid, share, 5), 1e-11);
    }
}

#[test]
fn all_equals_the_list_of_all_bit_for_bit() {
    for (height, width, in_channels, out_channels) in [(1, 1, 1, 1), (5, 7, 3, 5), (4, 4, 8, 4)] {
        let grid = KernelGrid { height, width, in_channels, out_channels };
        let list: Vec<u32> = (0..grid.num_positions() as u32).collect();
        for parameterization in Parameterization::ALL {
            let config = KernelMlpConfig { parameterization, hidden_width: 9, ..Default::default() };
            let (phi, params) = kernel::<f32>(&config, grid, 4);
            let (mut all, mut listed) = (unwritten(list.len()), unwritten(list.len()));
            phi.evaluate(&params, Positions::All, &mut all).unwrap();
            phi.evaluate(&params, Positions::List(&list), &mut listed).unwrap();
            assert!(all.iter().all(|value| value.re.is_finite() && value.im.is_finite()));
            assert_eq!(all, listed, "{parameterization:?}");

            let grad_output = crate::common::random_values(list.len(), 6);
            let (mut grad_all, mut grad_listed) = (vec![0.0; params.len()], vec![0.0; params.len()]);
            phi.evaluate_vjp(&params, Positions::All, &grad_output, &mut grad_all).unwrap();
            phi.evaluate_vjp(&params, Positions::List(&list), &grad_output, &mut grad_listed).unwrap();
            assert_eq!(grad_all, grad_listed, "{parameterization:?}");
        }
    }
}

#[test]
fn a_value_does_not_depend_on_the_list_it_is_in() {
    let grid = KernelGrid { height: 9, width: 8, in_channels: 5, out_channels: 3 };
    let all: Vec<u32> = (0..grid.num_positions() as u32).collect();
    for parameterization in Parameterization::ALL {
        let config = KernelMlpConfig { parameterization, hidden_width: 16, ..Default::default() };
        let (phi, params) = kernel::<f64>(&config, grid, 4);
        let kernel = phi.kernel(&params).unwrap();
        let kernel = kernel.as_slice().unwrap();
        // Tiles hold 128 positions.
        for len in [0, 1, 2, 15, 16, 17, 127, 128, 129, 255, 257, 600] {
            let list = &all[3..3 + len];
            let mut values = unwritten(len);
            phi.evaluate(&params, Positions::List(list), &mut values).unwrap();
            for (&position, value) in list.iter().zip(&values) {
                assert!((value - kernel[position as usize]).norm() < 1e-13, "{parameterization:?}, {len}");
            }
        }
    }
}

#[test]
fn the_same_frequency_has_the_same_value_on_another_grid() {
    let grid = KernelGrid { height: 9, width: 9, in_channels: 2, out_channels: 3 };
    for parameterization in Parameterization::ALL {
        let config = KernelMlpConfig { parameterization, hidden_width: 8, ..Default::default() };
        let (phi, params) = kernel::<f64>(&config, grid, 9);
        let lattice = phi.with_size(3, 3).unwrap();
        assert_eq!(lattice.output_scale(), phi.output_scale());
        assert_eq!(lattice.parameter_segments(), phi.parameter_segments());
        let (fine, coarse) = (phi.kernel(&params).unwrap(), lattice.kernel(&params).unwrap());
        assert_eq!(coarse.dim(), (3, 2, 2, 3));
        // Row p of 3 is frequency p/3: row 3p of 9; row 2 (−1/3) is row 6 of 9.
        for ((h, w, i, o), value) in coarse.indexed_iter() {
            assert!((value - fine[[3 * h, 3 * w, i, o]]).norm() < 1e-13, "{parameterization:?} at {h}, {w}");
        }
    }
}
