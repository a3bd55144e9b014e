//! Layer normalisation: over the channels of each pixel.

mod cpu_kernel;
mod cuda_kernel;

use super::operands::expect_positive;
use super::{Backward, Forward, OpSizes};
use crate::device::{Memory, Result};

/// Sizes and settings of a layer normalisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerNormSizes {
    /// Channels.
    pub channels: usize,
    /// Pixels of a channel of one image, H·W.
    pub pixels: usize,
    /// What is added to the variance.
    pub epsilon: f32,
}

impl OpSizes for LayerNormSizes {
    const BACKWARD_READS_INPUT: bool = true;

    fn validate(&self, op: &'static str) -> Result<()> {
        expect_positive(op, &[("channels", self.channels), ("pixels", self.pixels)])
    }

    fn input_len(&self, batch: usize) -> usize {
        self.channels * self.pixels * batch
    }

    fn num_parameters(&self) -> usize {
        2 * self.channels
    }
}

/// Layer normalisation on a device: at each pixel of each image, `y[c] = γ[c]·(x[c] − μ)/√(σ² + ε) + β[c]` with mean
/// μ and variance σ² over the channels.
///
/// Nothing is kept from the forward pass: the vector-Jacobian product computes μ and σ² again.
///
/// # Shapes
/// Values `[C, H, W, B]`; `params` `[2, C]`: γ, then β.
///
/// # Source
/// Ba, Kiros and Hinton, "Layer normalization", 2016, over channels alone as in Liu et al., "A ConvNet for the
/// 2020s", 2022. Gradients: docs/derivations/self-attention.md.
pub trait LayerNormOp: Memory {
    /// Normalises.
    ///
    /// # Errors
    /// As for [`Forward::check`].
    fn layer_norm(&self, sizes: &LayerNormSizes, io: Forward<'_, Self>) -> Result<()> {
        io.check("layer_norm", sizes)?;
        self.layer_norm_kernel(sizes, io)
    }

    /// Computes the gradient of the input and adds those of the parameters.
    ///
    /// # Errors
    /// As for [`Backward::check`].
    fn layer_norm_vjp(&self, sizes: &LayerNormSizes, io: Backward<'_, Self>) -> Result<()> {
        io.check("layer_norm_vjp", sizes)?;
        self.layer_norm_vjp_kernel(sizes, io)
    }

    /// [`layer_norm`](Self::layer_norm) of checked operands.
    fn layer_norm_kernel(&self, sizes: &LayerNormSizes, io: Forward<'_, Self>) -> Result<()>;

    /// [`layer_norm_vjp`](Self::layer_norm_vjp) of checked operands.
    fn layer_norm_vjp_kernel(&self, sizes: &LayerNormSizes, io: Backward<'_, Self>) -> Result<()>;
}
