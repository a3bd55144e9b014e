//! What the unit tests of operations share.

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
