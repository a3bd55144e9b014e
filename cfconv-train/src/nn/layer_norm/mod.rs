//! Layer normalisation: over the channels of each pixel.

mod cpu_kernel;
mod cuda_kernel;

use crate::device::{Memory, Result, Span, SpanMut};

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

impl LayerNormSizes {
    /// Values of a batch.
    pub fn len(&self, batch: usize) -> usize {
        self.channels * self.pixels * batch
    }
}

/// Layer normalisation on a device: at each pixel of each image, `y[c] = γ[c]·(x[c] − μ)/√(σ² + ε) + β[c]` with mean
/// μ and variance σ² over the channels.
///
/// Nothing is kept from the forward pass: the vector-Jacobian product computes μ and σ² anew.
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
    /// If a length is wrong.
    fn layer_norm(
        &self,
        sizes: &LayerNormSizes,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()>;

    /// Computes the gradient of the input and adds those of the parameters.
    ///
    /// # Errors
    /// If a length is wrong.
    fn layer_norm_vjp(
        &self,
        sizes: &LayerNormSizes,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        grad_output: Span<'_, Self>,
        grad_input: Option<SpanMut<'_, Self>>,
        grad_params: SpanMut<'_, Self>,
    ) -> Result<()>;
}
