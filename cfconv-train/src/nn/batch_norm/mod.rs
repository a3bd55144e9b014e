//! Batch normalisation, with the activation behind it in the same pass.

mod cpu_kernel;
mod cuda_kernel;

use super::Activation;
use crate::device::{Memory, Result, Span, SpanMut};

/// Sizes and settings of a batch normalisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormSizes {
    /// Channels.
    pub channels: usize,
    /// Pixels of a channel of one image, H·W.
    pub pixels: usize,
    /// What is added to the variance.
    pub epsilon: f32,
    /// Weight of the new value in the running statistics.
    pub momentum: f32,
    /// The function applied to the normalised values, if any.
    pub activation: Option<Activation>,
}

impl BatchNormSizes {
    /// Values of a batch.
    pub fn len(&self, batch: usize) -> usize {
        self.channels * self.pixels * batch
    }
}

/// Batch normalisation on a device: per channel,
/// `y = f(γ·(x − μ)/√(σ² + ε) + β)` over the batch and all pixels.
///
/// # Shapes
/// Values `[C, H, W, B]`; `params` `[2, C]`: γ, then β; `running` `[2, C]`: means, then variances; `saved`
/// `[2, C]`: means, then 1/√(σ² + ε) of this batch.
///
/// # Source
/// Ioffe and Szegedy, 2015. As in PyTorch the running variance is the unbiased one (of a single value, the
/// biased one), normalisation uses the biased one.
pub trait BatchNormOp: Memory {
    /// Normalises with the statistics of the batch and updates the running ones.
    ///
    /// # Errors
    /// If a length is wrong.
    fn batch_norm_train(
        &self,
        sizes: &BatchNormSizes,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        running: SpanMut<'_, Self>,
        saved: SpanMut<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()>;

    /// Computes the gradients of [`batch_norm_train`](Self::batch_norm_train) from its input and `saved`.
    ///
    /// # Errors
    /// If a length is wrong.
    fn batch_norm_vjp(
        &self,
        sizes: &BatchNormSizes,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        saved: Span<'_, Self>,
        grad_output: Span<'_, Self>,
        grad_input: Option<SpanMut<'_, Self>>,
        grad_params: SpanMut<'_, Self>,
    ) -> Result<()>;

    /// Normalises with the running statistics.
    ///
    /// # Errors
    /// If a length is wrong.
    fn batch_norm_eval(
        &self,
        sizes: &BatchNormSizes,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        running: Span<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()>;
}
