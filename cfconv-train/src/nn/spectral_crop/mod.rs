//! Spectral pooling of half spectra: a smaller half spectrum from the low frequencies of a larger one.

mod cpu_kernel;
mod cuda_kernel;

use super::SpectralPoolSizes;
use crate::device::{Memory, Result, Span, SpanMut};

/// Spectral pooling within the frequency domain on a device: of orthonormal half spectra the bins of the smaller
/// grid are kept, times √(H'·W'/(H·W)), so that a constant image stays that constant.
///
/// Where the smaller size is even its Nyquist row is the mean of the larger spectrum's rows of frequency +1/2 and
/// −1/2; its Nyquist column is the mean of the columns of +1/2 and −1/2, `(Z[p] + conj Z[−p])/2`, since half spectra
/// keep one of the two. Between [`to_spectrum`](super::SpectrumTransformOp::to_spectrum) and
/// [`to_image`](super::SpectrumTransformOp::to_image) it is [`SpectralPoolOp`](super::SpectralPoolOp), without its
/// transforms.
///
/// # Shapes
/// Input `[C, H, Wr, 2, B]`, output `[C, H', Wr', 2, B]`.
///
/// # Source
/// Rippel, Snoek and Adams, "Spectral representations for convolutional neural networks", 2015, section 4.
pub trait SpectralCropOp: Memory {
    /// What the device prepares once for given sizes.
    type SpectralCropPlan: std::fmt::Debug + Send + Sync;

    /// Prepares croppings between spectra of images of these sizes.
    ///
    /// # Errors
    /// [`DeviceError::UnsupportedSize`](crate::device::DeviceError::UnsupportedSize) if an output size is zero or
    /// larger than the input's.
    fn plan_spectral_crop(&self, sizes: &SpectralPoolSizes) -> Result<Self::SpectralCropPlan>;

    /// Computes the smaller half spectra.
    ///
    /// # Errors
    /// If a length is wrong.
    fn spectral_crop(
        &self,
        plan: &Self::SpectralCropPlan,
        batch: usize,
        input: Span<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()>;

    /// Computes the gradient of the larger half spectra: the adjoint.
    ///
    /// # Errors
    /// If a length is wrong.
    fn spectral_crop_adjoint(
        &self,
        plan: &Self::SpectralCropPlan,
        batch: usize,
        grad_output: Span<'_, Self>,
        grad_input: SpanMut<'_, Self>,
    ) -> Result<()>;
}
