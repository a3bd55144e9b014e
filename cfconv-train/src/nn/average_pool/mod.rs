//! Mean over windows.

mod cpu_kernel;
mod cuda_kernel;

use super::{Backward, Forward, PoolSizes};
use crate::device::{Memory, Result};

/// Average pooling on a device.
///
/// # Shapes
/// Input `[C, H, W, B]`, output `[C, H', W', B]`.
pub trait AveragePoolOp: Memory {
    /// Computes each window's mean.
    ///
    /// # Errors
    /// As for [`Forward::check`].
    fn average_pool(&self, sizes: &PoolSizes, io: Forward<'_, Self>) -> Result<()> {
        io.check("average_pool", sizes)?;
        self.average_pool_kernel(sizes, io)
    }

    /// Spreads each window's gradient over its pixels: the adjoint.
    ///
    /// # Errors
    /// As for [`Backward::check`].
    fn average_pool_adjoint(&self, sizes: &PoolSizes, io: Backward<'_, Self>) -> Result<()> {
        io.check("average_pool_adjoint", sizes)?;
        let Some(io) = io.into_adjoint() else { return Ok(()) };
        self.average_pool_adjoint_kernel(sizes, io)
    }

    /// [`average_pool`](Self::average_pool) of checked operands.
    fn average_pool_kernel(&self, sizes: &PoolSizes, io: Forward<'_, Self>) -> Result<()>;

    /// [`average_pool_adjoint`](Self::average_pool_adjoint) of checked operands: from the gradient of the output to
    /// that of the input.
    fn average_pool_adjoint_kernel(&self, sizes: &PoolSizes, io: Forward<'_, Self>) -> Result<()>;
}
