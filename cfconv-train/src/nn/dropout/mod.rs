//! Dropout: sets random values to zero while training.

mod cpu_kernel;
mod cuda_kernel;

use crate::device::{Memory, Result, Span, SpanMut};

/// What determines which values are dropped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DropoutSizes {
    /// Share of the values that are dropped, in [0, 1).
    pub rate: f64,
    /// The seed of the run.
    pub run_seed: u64,
    /// The layer's number.
    pub layer: u64,
    /// The optimiser step.
    pub step: u64,
}

/// Dropout on a device.
///
/// The mask is drawn anew by the backward pass and never stored: value i is kept if word i of the ChaCha8 stream
/// of (run seed, layer, step) is at least `rate`·2³².
pub trait DropoutOp: Memory {
    /// Computes `output = input·mask/(1 − rate)`; the vector-Jacobian product is the same function of the
    /// gradient.
    ///
    /// # Errors
    /// If the lengths differ.
    fn dropout(&self, sizes: &DropoutSizes, input: Span<'_, Self>, output: SpanMut<'_, Self>) -> Result<()>;
}
