//! Position embedding: a learned image that is added to every image of a batch.

mod cpu_kernel;
mod cuda_kernel;

use super::operands::expect_positive;
use super::{Backward, Forward, OpSizes};
use crate::device::{Memory, Result, Span, SpanMut};

/// Sizes of a position embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositionEmbeddingSizes {
    /// Values of one image.
    pub features: usize,
}

impl OpSizes for PositionEmbeddingSizes {
    const BACKWARD_READS_INPUT: bool = false;

    fn validate(&self, op: &'static str) -> Result<()> {
        expect_positive(op, &[("features", self.features)])
    }

    fn input_len(&self, batch: usize) -> usize {
        self.features * batch
    }

    fn num_parameters(&self) -> usize {
        self.features
    }
}

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
    /// As for [`Forward::check`].
    fn position_embedding(&self, sizes: &PositionEmbeddingSizes, io: Forward<'_, Self>) -> Result<()> {
        io.check("position_embedding", sizes)?;
        self.position_embedding_kernel(io)
    }

    /// Copies the gradient to the input and adds its sum over the images to that of the parameters.
    ///
    /// # Errors
    /// As for [`Backward::check`].
    fn position_embedding_vjp(&self, sizes: &PositionEmbeddingSizes, io: Backward<'_, Self>) -> Result<()> {
        io.check("position_embedding_vjp", sizes)?;
        let Backward { batch, grad_output, grad_input, grad_params, .. } = io;
        if let Some(grad_input) = grad_input {
            self.copy(grad_output, grad_input)?;
        }
        self.add_sums_over_images(batch, grad_output, grad_params)
    }

    /// [`position_embedding`](Self::position_embedding) of checked operands.
    fn position_embedding_kernel(&self, io: Forward<'_, Self>) -> Result<()>;

    /// Computes `sums[c, h, w] += Σ_b values[c, h, w, b]` of checked operands.
    fn add_sums_over_images(
        &self,
        batch: usize,
        values: Span<'_, Self>,
        sums: SpanMut<'_, Self>,
    ) -> Result<()>;
}
