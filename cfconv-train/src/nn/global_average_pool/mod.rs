//! Mean over all pixels of a channel.

mod cpu_kernel;
mod cuda_kernel;

use crate::device::{Memory, Result, Span, SpanMut};

/// Global average pooling on a device.
///
/// # Shapes
/// Input `[C, H, W, B]` with `pixels` = H·W, output `[C, B]`.
pub trait GlobalAveragePoolOp: Memory {
    /// Computes each channel's mean.
    ///
    /// # Errors
    /// If a length is wrong.
    fn global_average_pool(
        &self,
        pixels: usize,
        batch: usize,
        input: Span<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()>;

    /// Spreads each channel's gradient over its pixels: the adjoint.
    ///
    /// # Errors
    /// If a length is wrong.
    fn global_average_pool_adjoint(
        &self,
        pixels: usize,
        batch: usize,
        grad_output: Span<'_, Self>,
        grad_input: SpanMut<'_, Self>,
    ) -> Result<()>;
}
