//! Values and gradients equal those of an independent implementation: NumPy formulas, gradients by autograd.
//! `tests/golden/kernel_mlp.py` made the file, and records the versions in it.

use cfconv_mlp::{KernelGrid, KernelMlp, KernelMlpConfig, Positions};
use num_complex::Complex;
use serde::Deserialize;

use crate::common::unwritten;

#[derive(Deserialize)]
struct Golden {
    grid: GoldenGrid,
    positions: Vec<u32>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct GoldenGrid {
    height: usize,
    width: usize,
    in_channels: usize,
    out_channels: usize,
}

#[derive(Deserialize)]
struct Case {
    config: KernelMlpConfig,
    values: Vec<[f64; 2]>,
    gradient: Vec<f64>,
}

#[test]
fn values_and_gradients_equal_numpy_and_autograd() {
    let golden: Golden = serde_json::from_str(include_str!("../golden/kernel_mlp.json")).unwrap();
    let GoldenGrid { height, width, in_channels, out_channels } = golden.grid;
    let grid = KernelGrid { height, width, in_channels, out_channels };
    let positions = Positions::List(&golden.positions);
    // d/dΦ of Σ cos(u)·Re Φ(u) + sin(u)·Im Φ(u).
    let grad_output: Vec<Complex<f64>> =
        golden.positions.iter().map(|&u| Complex::from_polar(1.0, f64::from(u))).collect();
    assert_eq!(golden.cases.len(), 30);
    for Case { config, values: expected, gradient } in &golden.cases {
        let phi = KernelMlp::<f64>::try_new(config, grid).unwrap();
        assert_eq!(phi.num_parameters(), gradient.len());
        let params: Vec<f64> =
            (0..gradient.len()).map(|index| 0.9 * (1.7 * index as f64 + 0.3).sin()).collect();
        let mut values = unwritten(expected.len());
        phi.evaluate(&params, positions, &mut values).unwrap();
        for (value, [re, im]) in values.iter().zip(expected) {
            assert!((value - Complex::new(*re, *im)).norm() < 1e-12, "{value} {re} {im} with {config:?}");
        }
        let mut grad = vec![0.0; params.len()];
        phi.evaluate_vjp(&params, positions, &grad_output, &mut grad).unwrap();
        for (index, (grad, expected)) in grad.iter().zip(gradient).enumerate() {
            assert!((grad - expected).abs() < 1e-11, "parameter {index}: {grad} {expected} with {config:?}");
        }
    }
}
