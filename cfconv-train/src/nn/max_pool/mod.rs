//! Maximum over windows.

mod cpu_kernel;
mod cuda_kernel;

use super::PoolSizes;
use crate::device::{IndexBuffer, Memory, Result, Span, SpanMut};

/// Max pooling on a device.
///
/// # Shapes
/// Input `[C, H, W, B]`, output and `winners` `[C, H', W', B]`. A winner is the number, row by row, of the first
/// pixel of the window that holds its maximum; NaN counts as larger than every number.
pub trait MaxPoolOp: Memory {
    /// Computes each window's maximum; with `winners` also where it lies.
    ///
    /// # Errors
    /// If a length is wrong.
    fn max_pool(
        &self,
        sizes: &PoolSizes,
        batch: usize,
        input: Span<'_, Self>,
        winners: Option<&mut IndexBuffer<Self>>,
        output: SpanMut<'_, Self>,
    ) -> Result<()>;

    /// Gives each window's gradient to its winner.
    ///
    /// # Errors
    /// If a length is wrong.
    fn max_pool_vjp(
        &self,
        sizes: &PoolSizes,
        batch: usize,
        winners: &IndexBuffer<Self>,
        grad_output: Span<'_, Self>,
        grad_input: SpanMut<'_, Self>,
    ) -> Result<()>;
}
