//! What several test files share.

use cfconv_fft::{Complex, Real};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// Uniform noise in [−1, 1).
pub(crate) fn noise<T: Real>(seed: u64, count: usize) -> Vec<T> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| T::cast(rng.random_range(-1.0..1.0))).collect()
}

/// Complex uniform noise.
pub(crate) fn complex_noise<T: Real>(seed: u64, count: usize) -> Vec<Complex<T>> {
    noise(seed, 2 * count).chunks(2).map(|pair| Complex::new(pair[0], pair[1])).collect()
}

/// ⟨a, b⟩.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Σ Re(conj(a)·b).
pub(crate) fn complex_dot(a: &[Complex<f64>], b: &[Complex<f64>]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a.conj() * b).re).sum()
}

/// ‖a − b‖/‖b‖.
pub(crate) fn relative_error<A: Real, B: Real>(a: &[A], b: &[B]) -> f64 {
    assert_eq!(a.len(), b.len());
    let norm = b.iter().map(|b| b.as_f64().powi(2)).sum::<f64>().sqrt();
    a.iter().zip(b).map(|(a, b)| (a.as_f64() - b.as_f64()).powi(2)).sum::<f64>().sqrt() / norm
}

/// Complex values as a flat list of real and imaginary parts.
pub(crate) fn flatten<T: Real>(values: &[Complex<T>]) -> Vec<T> {
    values.iter().flat_map(|z| [z.re, z.im]).collect()
}
