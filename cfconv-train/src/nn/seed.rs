//! Random streams of networks.

use rand::rngs::ChaCha8Rng;

/// What a stream is for; streams of different purposes never overlap.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    InitializeLayer = 0x0e01,
    Dropout = 0x0e02,
}

/// The stream of (`run_seed`, `purpose`, `layer`, `step`).
pub(crate) fn stream(run_seed: u64, purpose: Purpose, layer: u64, step: u64) -> ChaCha8Rng {
    cfconv_core::random_stream([run_seed, purpose as u64, layer, step])
}
