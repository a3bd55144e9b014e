//! Reproducible operands.

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

/// Returns `len` numbers from −1 to 1.
pub(crate) fn uniform(len: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
}
