//! Addition of two values: the join of a residual block.

mod cpu_kernel;
mod cuda_kernel;

use crate::device::{Memory, Result, Span, SpanMut};

/// Addition on a device. Its vector-Jacobian product is a copy to both operands.
pub trait AddOp: Memory {
    /// Computes `output = a + b`.
    ///
    /// # Errors
    /// If the lengths differ.
    fn add(&self, a: Span<'_, Self>, b: Span<'_, Self>, output: SpanMut<'_, Self>) -> Result<()>;

    /// Computes `target += source`: joins gradients of a value that is used twice.
    ///
    /// # Errors
    /// If the lengths differ.
    fn add_assign(&self, source: Span<'_, Self>, target: SpanMut<'_, Self>) -> Result<()>;
}
