//! Position embedding: a learned image that is added to every image of a batch.

mod cpu_kernel;
mod cuda_kernel;

use crate::device::{Memory, Result, Span, SpanMut};

/// Position embedding on a device: `y[c, h, w] = x[c, h, w] + p[c, h, w]`.
///
/// # Shapes
/// Values `[C, H, W, B]`, `params` `[C, H, W]`.
///
/// # Source
/// Dosovitskiy et al., "An image is worth 16x16 words", 2021, eq. 1.
pub trait PositionEmbeddingOp: Memory {
    /// Adds the parameters to each image.
    ///
    /// # Errors
    /// If a length is wrong.
    fn position_embedding(
        &self,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()>;

    /// Copies the gradient to the input and adds its sum over the images to that of the parameters.
    ///
    /// # Errors
    /// If a length is wrong.
    fn position_embedding_vjp(
        &self,
        batch: usize,
        grad_output: Span<'_, Self>,
        grad_input: Option<SpanMut<'_, Self>>,
        grad_params: SpanMut<'_, Self>,
    ) -> Result<()>;
}
