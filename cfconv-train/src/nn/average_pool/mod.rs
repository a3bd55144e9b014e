//! Mean over windows.

mod cpu_kernel;
mod cuda_kernel;

use super::PoolSizes;
use crate::device::{Memory, Result, Span, SpanMut};

/// Average pooling on a device.
///
/// # Shapes
/// Input `[C, H, W, B]`, output `[C, H', W', B]`.
pub trait AveragePoolOp: Memory {
    /// Computes each window's mean.
    ///
    /// # Errors
    /// If a length is wrong.
    fn average_pool(
        &self,
        sizes: &PoolSizes,
        batch: usize,
        input: Span<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()>;

    /// Spreads each window's gradient over its pixels: the adjoint.
    ///
    /// # Errors
    /// If a length is wrong.
    fn average_pool_adjoint(
        &self,
        sizes: &PoolSizes,
        batch: usize,
        grad_output: Span<'_, Self>,
        grad_input: SpanMut<'_, Self>,
    ) -> Result<()>;
}
