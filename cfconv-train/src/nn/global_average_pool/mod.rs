//! Mean over all pixels of a channel.

mod cpu_kernel;
mod cuda_kernel;

use super::operands::expect_positive;
use super::{Backward, Forward, OpSizes};
use crate::device::{Memory, Result};

/// Sizes of a global average pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobalAveragePoolSizes {
    /// Channels.
    pub channels: usize,
    /// Pixels of a channel of one image, H·W.
    pub pixels: usize,
}

impl OpSizes for GlobalAveragePoolSizes {
    const BACKWARD_READS_INPUT: bool = false;

    fn validate(&self, op: &'static str) -> Result<()> {
        expect_positive(op, &[("channels", self.channels), ("pixels", self.pixels)])
    }

    fn input_len(&self, batch: usize) -> usize {
        self.channels * self.pixels * batch
    }

    fn output_len(&self, batch: usize) -> usize {
        self.channels * batch
    }
}

/// Global average pooling on a device.
///
/// # Shapes
/// Input `[C, H, W, B]`, output `[C, B]`.
pub trait GlobalAveragePoolOp: Memory {
    /// Computes each channel's mean.
    ///
    /// # Errors
    /// As for [`Forward::check`].
    fn global_average_pool(&self, sizes: &GlobalAveragePoolSizes, io: Forward<'_, Self>) -> Result<()> {
        io.check("global_average_pool", sizes)?;
        self.global_average_pool_kernel(sizes, io)
    }

    /// Spreads each channel's gradient over its pixels: the adjoint.
    ///
    /// # Errors
    /// As for [`Backward::check`].
    fn global_average_pool_adjoint(
        &self,
        sizes: &GlobalAveragePoolSizes,
        io: Backward<'_, Self>,
    ) -> Result<()> {
        io.check("global_average_pool_adjoint", sizes)?;
        let Some(io) = io.into_adjoint() else { return Ok(()) };
        self.global_average_pool_adjoint_kernel(sizes, io)
    }

    /// [`global_average_pool`](Self::global_average_pool) of checked operands.
    fn global_average_pool_kernel(&self, sizes: &GlobalAveragePoolSizes, io: Forward<'_, Self>)
    -> Result<()>;

    /// [`global_average_pool_adjoint`](Self::global_average_pool_adjoint) of checked operands: from the gradient of the
    /// output to that of the input.
    fn global_average_pool_adjoint_kernel(
        &self,
        sizes: &GlobalAveragePoolSizes,
        io: Forward<'_, Self>,
    ) -> Result<()>;
}
