//! Fully connected layers.

mod cpu_kernel;
mod cuda_kernel;

use crate::device::{Memory, Result, Span, SpanMut};

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

    /// Number of parameters: weights, then biases if there are any.
    pub fn num_parameters(&self) -> usize {
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
    /// If a length is wrong.
    fn linear(
        &self,
        sizes: &LinearSizes,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()>;

    /// Computes the gradient of the input and adds those of the parameters.
    ///
    /// # Errors
    /// If a length is wrong.
    fn linear_vjp(
        &self,
        sizes: &LinearSizes,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        grad_output: Span<'_, Self>,
        grad_input: Option<SpanMut<'_, Self>>,
        grad_params: SpanMut<'_, Self>,
    ) -> Result<()>;
}
