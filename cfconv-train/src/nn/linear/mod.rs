//! Fully connected layers.

mod cpu_kernel;
mod cuda_kernel;

use super::operands::expect_positive;
use super::{Backward, Forward, OpSizes};
use crate::device::{Memory, Result};

/// Sizes of a fully connected layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearSizes {
    /// Input features.
    pub in_features: usize,
    /// Output features.
    pub out_features: usize,
    /// Whether a learned constant is added to each output feature.
    pub bias: bool,
}

impl LinearSizes {
    /// Number of weights, `[out_features, in_features]`.
    pub fn num_weights(&self) -> usize {
        self.out_features * self.in_features
    }
}

impl OpSizes for LinearSizes {
    const BACKWARD_READS_INPUT: bool = true;

    fn validate(&self, op: &'static str) -> Result<()> {
        let sizes = [("in_features", self.in_features), ("out_features", self.out_features)];
        expect_positive(op, &sizes)
    }

    fn input_len(&self, batch: usize) -> usize {
        self.in_features * batch
    }

    fn output_len(&self, batch: usize) -> usize {
        self.out_features * batch
    }

    fn num_parameters(&self) -> usize {
        self.num_weights() + if self.bias { self.out_features } else { 0 }
    }
}

/// Fully connected layers on a device: `y[o, b] = Σ_i weight[o, i]·x[i, b] + bias[o]`.
///
/// # Shapes
/// Input `[in_features, B]`, output `[out_features, B]`, `params`: weights `[out_features, in_features]`, then
/// biases `[out_features]` if there are any.
pub trait LinearOp: Memory {
    /// Computes the output.
    ///
    /// # Errors
    /// As for [`Forward::check`].
    fn linear(&self, sizes: &LinearSizes, io: Forward<'_, Self>) -> Result<()> {
        io.check("linear", sizes)?;
        self.linear_kernel(sizes, io)
    }

    /// Computes the gradient of the input and adds those of the parameters.
    ///
    /// # Errors
    /// As for [`Backward::check`].
    fn linear_vjp(&self, sizes: &LinearSizes, io: Backward<'_, Self>) -> Result<()> {
        io.check("linear_vjp", sizes)?;
        self.linear_vjp_kernel(sizes, io)
    }

    /// [`linear`](Self::linear) of checked operands.
    fn linear_kernel(&self, sizes: &LinearSizes, io: Forward<'_, Self>) -> Result<()>;

    /// [`linear_vjp`](Self::linear_vjp) of checked operands.
    fn linear_vjp_kernel(&self, sizes: &LinearSizes, io: Backward<'_, Self>) -> Result<()>;
}
