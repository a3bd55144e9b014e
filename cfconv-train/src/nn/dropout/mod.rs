//! Dropout: sets random values to zero while training.

mod cpu_kernel;
mod cuda_kernel;

use super::operands::expect_positive;
use super::{Backward, Forward, OpSizes};
use crate::device::{Memory, Result};

/// The number of values and what determines which of them are dropped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DropoutSizes {
    /// Values of one image.
    pub features: usize,
    /// Share of the values that are dropped, in [0, 1).
    pub rate: f64,
    /// The seed of the run.
    pub run_seed: u64,
    /// The layer's number.
    pub layer: u64,
    /// The optimiser step.
    pub step: u64,
}

impl OpSizes for DropoutSizes {
    const BACKWARD_READS_INPUT: bool = false;

    fn validate(&self, op: &'static str) -> Result<()> {
        expect_positive(op, &[("features", self.features)])
    }

    fn input_len(&self, batch: usize) -> usize {
        self.features * batch
    }
}

/// Dropout on a device.
///
/// The backward pass draws the mask again; it is never stored. Value i is kept if word i of the ChaCha8 stream of
/// (run seed, layer, step) is at least `rate`·2³².
///
/// # Shapes
/// Input and output `[F, B]`.
pub trait DropoutOp: Memory {
    /// Computes `output = input·mask/(1 − rate)`.
    ///
    /// # Errors
    /// As for [`Forward::check`].
    fn dropout(&self, sizes: &DropoutSizes, io: Forward<'_, Self>) -> Result<()> {
        io.check("dropout", sizes)?;
        self.dropout_kernel(sizes, io)
    }

    /// Computes `grad_input = grad_output·mask/(1 − rate)`.
    ///
    /// # Errors
    /// As for [`Backward::check`].
    fn dropout_adjoint(&self, sizes: &DropoutSizes, io: Backward<'_, Self>) -> Result<()> {
        io.check("dropout_adjoint", sizes)?;
        let Some(io) = io.into_adjoint() else { return Ok(()) };
        self.dropout_kernel(sizes, io)
    }

    /// [`dropout`](Self::dropout) of checked operands; its own adjoint.
    fn dropout_kernel(&self, sizes: &DropoutSizes, io: Forward<'_, Self>) -> Result<()>;
}
