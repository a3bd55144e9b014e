//! Spectral pooling: a smaller image from the low frequencies of a larger one.

mod cpu_kernel;
mod cuda_kernel;
mod kept_rows;

pub(crate) use kept_rows::{KeptRow, kept_rows};

use super::operands::expect_positive;
use super::{Backward, Forward, OpPlan, OpSizes};
use crate::device::{DeviceError, Memory, Result};

/// Sizes of a spectral pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpectralPoolSizes {
    /// Channels.
    pub channels: usize,
    /// Rows of the input.
    pub height: usize,
    /// Columns of the input.
    pub width: usize,
    /// Rows of the output, at most those of the input.
    pub output_height: usize,
    /// Columns of the output, at most those of the input.
    pub output_width: usize,
}

/// Poolings of given sizes, prepared on a device.
pub type SpectralPoolPlan<D> = OpPlan<SpectralPoolSizes, <D as SpectralPoolOp>::PreparedSpectralPool>;

impl OpSizes for SpectralPoolSizes {
    const BACKWARD_READS_INPUT: bool = false;

    fn validate(&self, op: &'static str) -> Result<()> {
        expect_positive(op, &[("channels", self.channels)])?;
        for (name, got, largest) in [
            ("output_height", self.output_height, self.height),
            ("output_width", self.output_width, self.width),
        ] {
            if got == 0 || got > largest {
                let expected = "1 to the size of the input";
                return Err(DeviceError::UnsupportedSize { op, name, expected, got });
            }
        }
        Ok(())
    }

    fn input_len(&self, batch: usize) -> usize {
        self.channels * self.height * self.width * batch
    }

    fn output_len(&self, batch: usize) -> usize {
        self.channels * self.output_height * self.output_width * batch
    }
}

/// Spectral pooling on a device: the trigonometric interpolation of an image, with the frequencies beyond those
/// of the smaller grid left out, sampled on that grid.
///
/// Where the smaller size is even its Nyquist row (column) is the mean of the larger spectrum's rows (columns) of
/// frequency +1/2 and −1/2, so that the result is real and the operation linear and symmetric. A constant image
/// stays that constant.
///
/// # Shapes
/// Input `[C, H, W, B]`, output `[C, H', W', B]`.
///
/// # Source
/// Rippel, Snoek and Adams, "Spectral representations for convolutional neural networks", 2015, section 4; there
/// the Nyquist terms are treated by a list of cases, here by the mean.
pub trait SpectralPoolOp: Memory {
    /// What the device prepares once for given sizes.
    type PreparedSpectralPool: std::fmt::Debug + Send + Sync;

    /// Prepares poolings of these sizes.
    ///
    /// # Errors
    /// [`DeviceError::UnsupportedSize`] if an output size is zero or larger than the input's.
    fn plan_spectral_pool(&self, sizes: &SpectralPoolSizes) -> Result<SpectralPoolPlan<Self>> {
        OpPlan::try_new("spectral_pool", sizes, |sizes| self.prepare_spectral_pool(sizes))
    }

    /// Computes the smaller image.
    ///
    /// # Errors
    /// As for [`Forward::check`].
    fn spectral_pool(&self, plan: &SpectralPoolPlan<Self>, io: Forward<'_, Self>) -> Result<()> {
        io.check("spectral_pool", &plan.sizes)?;
        self.spectral_pool_kernel(plan, io)
    }

    /// Computes the gradient of the larger image: the adjoint.
    ///
    /// # Errors
    /// As for [`Backward::check`].
    fn spectral_pool_adjoint(&self, plan: &SpectralPoolPlan<Self>, io: Backward<'_, Self>) -> Result<()> {
        io.check("spectral_pool_adjoint", &plan.sizes)?;
        let Some(io) = io.into_adjoint() else { return Ok(()) };
        self.spectral_pool_adjoint_kernel(plan, io)
    }

    /// [`plan_spectral_pool`](Self::plan_spectral_pool) of checked sizes.
    fn prepare_spectral_pool(&self, sizes: &SpectralPoolSizes) -> Result<Self::PreparedSpectralPool>;

    /// [`spectral_pool`](Self::spectral_pool) of checked operands.
    fn spectral_pool_kernel(&self, plan: &SpectralPoolPlan<Self>, io: Forward<'_, Self>) -> Result<()>;

    /// [`spectral_pool_adjoint`](Self::spectral_pool_adjoint) of checked operands: from the gradient of the output to
    /// that of the input.
    fn spectral_pool_adjoint_kernel(
        &self,
        plan: &SpectralPoolPlan<Self>,
        io: Forward<'_, Self>,
    ) -> Result<()>;
}
