//! Spectral pooling: a smaller image from the low frequencies of a larger one.

mod cpu_kernel;
mod cuda_kernel;
mod kept_rows;

pub(crate) use kept_rows::{KeptRow, check_smaller, kept_rows};

use crate::device::{Memory, Result, Span, SpanMut};

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

impl SpectralPoolSizes {
    /// Values of the input of a batch.
    pub fn input_len(&self, batch: usize) -> usize {
        self.channels * self.height * self.width * batch
    }

    /// Values of the output of a batch.
    pub fn output_len(&self, batch: usize) -> usize {
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
    type SpectralPoolPlan: std::fmt::Debug + Send + Sync;

    /// Prepares poolings of these sizes.
    ///
    /// # Errors
    /// [`DeviceError::UnsupportedSize`](crate::device::DeviceError::UnsupportedSize) if an output size is zero or
    /// larger than the input's.
    fn plan_spectral_pool(&self, sizes: &SpectralPoolSizes) -> Result<Self::SpectralPoolPlan>;

    /// Computes the smaller image.
    ///
    /// # Errors
    /// If a length is wrong.
    fn spectral_pool(
        &self,
        plan: &Self::SpectralPoolPlan,
        batch: usize,
        input: Span<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()>;

    /// Computes the gradient of the larger image: the adjoint.
    ///
    /// # Errors
    /// If a length is wrong.
    fn spectral_pool_adjoint(
        &self,
        plan: &Self::SpectralPoolPlan,
        batch: usize,
        grad_output: Span<'_, Self>,
        grad_input: SpanMut<'_, Self>,
    ) -> Result<()>;
}
