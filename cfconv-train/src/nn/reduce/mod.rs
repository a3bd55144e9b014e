//! Reductions of flat buffers.

mod cpu_kernel;
mod cuda_kernel;

use crate::device::{Memory, Result, Span};

/// Reductions on a device.
pub trait ReduceOp: Memory {
    /// The sum of squares, in `f64`: it is finite if and only if every value is.
    ///
    /// # Errors
    /// What the device reports.
    fn sum_of_squares(&self, values: Span<'_, Self>) -> Result<f64>;
}
