//! Addition of two values: the join of a residual block.

mod cpu_kernel;
mod cuda_kernel;

use crate::device::{Memory, Result, Span, SpanMut};

/// Addition on a device. Its vector-Jacobian product is a copy to both operands.
pub trait AddOp: Memory {
    /// Computes `output = a + b`.
    ///
    /// # Errors
    /// [`DeviceError::LengthMismatch`](crate::device::DeviceError::LengthMismatch) if the lengths differ.
    fn add(&self, a: Span<'_, Self>, b: Span<'_, Self>, output: SpanMut<'_, Self>) -> Result<()> {
        b.expect_len("add", "b", a.len())?;
        output.expect_len("add", "output", a.len())?;
        self.add_kernel(a, b, output)
    }

    /// Computes `target += source`: joins the gradients of a value that is used twice.
    ///
    /// # Errors
    /// As for [`add`](Self::add).
    fn add_assign(&self, source: Span<'_, Self>, target: SpanMut<'_, Self>) -> Result<()> {
        target.expect_len("add_assign", "target", source.len())?;
        self.add_assign_kernel(source, target)
    }

    /// [`add`](Self::add) of checked operands.
    fn add_kernel(&self, a: Span<'_, Self>, b: Span<'_, Self>, output: SpanMut<'_, Self>) -> Result<()>;

    /// [`add_assign`](Self::add_assign) of checked operands.
    fn add_assign_kernel(&self, source: Span<'_, Self>, target: SpanMut<'_, Self>) -> Result<()>;
}
