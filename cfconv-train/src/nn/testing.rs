//! What the unit tests of operations share.

use std::fmt::Debug;

use super::slices::{BackwardSlices, ForwardSlices};

/// Rows and columns before and behind spectral pooling, and batches.
pub(crate) const SPECTRAL_POOLS: [(usize, usize, usize, usize, usize); 9] = [
    (1, 1, 1, 1, 1),
    (4, 4, 2, 2, 17),
    (8, 6, 4, 3, 2),
    (7, 9, 4, 4, 5),
    (9, 7, 5, 3, 16),
    (6, 8, 6, 4, 1),
    (5, 5, 1, 2, 3),
    (16, 12, 8, 12, 2),
    (13, 11, 12, 10, 1),
];

/// Reproducible values in [−0.5, 0.5).
pub(crate) fn noise(seed: u64, len: usize) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
        })
        .collect()
}

/// Σ a·b.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Checks `gradient` against central differences of `function` at `point`, to 1e-6 of the gradient's norm.
pub(crate) fn assert_gradient(function: impl Fn(&[f64]) -> f64, point: &[f64], gradient: &[f64]) {
    const STEP: f64 = 1e-5;
    assert_eq!(point.len(), gradient.len());
    let mut at = point.to_vec();
    let numeric: Vec<f64> = (0..point.len())
        .map(|i| {
            at[i] = point[i] + STEP;
            let above = function(&at);
            at[i] = point[i] - STEP;
            let below = function(&at);
            at[i] = point[i];
            (above - below) / (2.0 * STEP)
        })
        .collect();
    let error = numeric.iter().zip(gradient).map(|(n, g)| (n - g).powi(2)).sum::<f64>().sqrt();
    let norm = dot(&numeric, &numeric).sqrt();
    assert!(error <= 1e-6 * norm.max(1e-2), "gradient off by {error:e}, norm {norm:e}");
}

/// Checks the gradients of an operation against central differences. Those of the parameters must be added to what was
/// there, and must not depend on whether the gradient of the input is wanted.
pub(crate) fn assert_vjp(
    batch: usize,
    input: &[f64],
    params: &[f64],
    output_len: usize,
    forward: impl Fn(ForwardSlices<'_, f64>),
    backward: impl Fn(BackwardSlices<'_, f64>),
) {
    let grad_output = noise(3, output_len);
    let gradients = |grad_input: Option<&mut [f64]>| {
        let mut grad_params = vec![2.0; params.len()];
        backward(BackwardSlices {
            batch,
            input,
            params,
            grad_output: &grad_output,
            grad_input,
            grad_params: &mut grad_params,
        });
        grad_params
    };
    let mut grad_input = vec![f64::NAN; input.len()];
    let grad_params = gradients(Some(&mut grad_input));
    assert_eq!(gradients(None), grad_params);
    let loss = |input: &[f64], params: &[f64]| {
        let mut output = vec![f64::NAN; output_len];
        forward(ForwardSlices { batch, input, params, output: &mut output });
        dot(&output, &grad_output)
    };
    assert_gradient(|x| loss(x, params), input, &grad_input);
    let added: Vec<f64> = grad_params.iter().map(|g| g - 2.0).collect();
    assert_gradient(|p| loss(input, p), params, &added);
}

/// Checks that ⟨op(x), g⟩ = ⟨x, adjoint(g)⟩.
pub(crate) fn assert_adjoint(
    what: &impl Debug,
    batch: usize,
    (input_len, output_len): (usize, usize),
    op: impl Fn(ForwardSlices<'_, f64>),
    adjoint: impl Fn(ForwardSlices<'_, f64>),
) {
    let (x, g) = (noise(1, input_len), noise(2, output_len));
    let (mut y, mut back) = (vec![f64::NAN; output_len], vec![f64::NAN; input_len]);
    op(ForwardSlices { batch, input: &x, params: &[], output: &mut y });
    adjoint(ForwardSlices { batch, input: &g, params: &[], output: &mut back });
    assert!((dot(&y, &g) - dot(&x, &back)).abs() < 1e-12, "{what:?}");
}
