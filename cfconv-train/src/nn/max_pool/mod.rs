//! Maximum over windows.

mod cpu_kernel;
mod cuda_kernel;

use super::operands::expect_indices;
use super::{Backward, Forward, OpSizes, PoolSizes};
use crate::device::{IndexBuffer, Memory, Result};

/// Max pooling on a device.
///
/// # Shapes
/// Input `[C, H, W, B]`, output and `winners` `[C, H', W', B]`. A winner is the number, row by row, of the first
/// pixel of the window that holds its maximum; NaN counts as larger than every number.
pub trait MaxPoolOp: Memory {
    /// Computes each window's maximum; with `winners` also where it lies.
    ///
    /// # Errors
    /// As for [`Forward::check`], and if there are too few winners.
    fn max_pool(
        &self,
        sizes: &PoolSizes,
        winners: Option<&mut IndexBuffer<Self>>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "max_pool";
        io.check(OP, sizes)?;
        if let Some(winners) = &winners {
            expect_indices(self, OP, "winners", sizes.output_len(io.batch), winners)?;
        }
        self.max_pool_kernel(sizes, winners, io)
    }

    /// Gives each window's gradient to its winner.
    ///
    /// # Errors
    /// As for [`Backward::check`], and if there are too few winners.
    fn max_pool_vjp(
        &self,
        sizes: &PoolSizes,
        winners: &IndexBuffer<Self>,
        io: Backward<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "max_pool_vjp";
        io.check(OP, sizes)?;
        expect_indices(self, OP, "winners", sizes.output_len(io.batch), winners)?;
        let Some(io) = io.into_adjoint() else { return Ok(()) };
        self.max_pool_vjp_kernel(sizes, winners, io)
    }

    /// [`max_pool`](Self::max_pool) of checked operands.
    fn max_pool_kernel(
        &self,
        sizes: &PoolSizes,
        winners: Option<&mut IndexBuffer<Self>>,
        io: Forward<'_, Self>,
    ) -> Result<()>;

    /// [`max_pool_vjp`](Self::max_pool_vjp) of checked operands: from the gradient of the output to that of the input.
    fn max_pool_vjp_kernel(
        &self,
        sizes: &PoolSizes,
        winners: &IndexBuffer<Self>,
        io: Forward<'_, Self>,
    ) -> Result<()>;
}
