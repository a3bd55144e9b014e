//! Spectral pooling of half spectra: a smaller half spectrum from the low frequencies of a larger one.

mod cpu_kernel;
mod cuda_kernel;

use super::{Backward, Forward, OpPlan, OpSizes, SpectralPoolSizes, SpectrumSizes};
use crate::device::{Memory, Result};

/// Sizes of a cropping: the half spectra of the images of [`SpectralPoolSizes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpectralCropSizes(pub SpectralPoolSizes);

/// Croppings of given sizes, prepared on a device.
pub type SpectralCropPlan<D> = OpPlan<SpectralCropSizes, <D as SpectralCropOp>::PreparedSpectralCrop>;

impl SpectralCropSizes {
    /// The half spectra before.
    pub fn large(&self) -> SpectrumSizes {
        let SpectralPoolSizes { channels, height, width, .. } = self.0;
        SpectrumSizes { channels, height, width }
    }

    /// The half spectra after.
    pub fn small(&self) -> SpectrumSizes {
        let SpectralPoolSizes { channels, output_height, output_width, .. } = self.0;
        SpectrumSizes { channels, height: output_height, width: output_width }
    }
}

impl OpSizes for SpectralCropSizes {
    const BACKWARD_READS_INPUT: bool = false;

    fn validate(&self, op: &'static str) -> Result<()> {
        self.0.validate(op)
    }

    fn input_len(&self, batch: usize) -> usize {
        self.large().len(batch)
    }

    fn output_len(&self, batch: usize) -> usize {
        self.small().len(batch)
    }
}

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
    type PreparedSpectralCrop: std::fmt::Debug + Send + Sync;

    /// Prepares croppings between half spectra of images of these sizes.
    ///
    /// # Errors
    /// [`DeviceError::UnsupportedSize`](crate::device::DeviceError::UnsupportedSize) if an output size is zero or
    /// larger than the input's.
    fn plan_spectral_crop(&self, sizes: &SpectralPoolSizes) -> Result<SpectralCropPlan<Self>> {
        let sizes = SpectralCropSizes(*sizes);
        OpPlan::try_new("spectral_crop", &sizes, |sizes| self.prepare_spectral_crop(sizes))
    }

    /// Computes the smaller half spectra.
    ///
    /// # Errors
    /// As for [`Forward::check`].
    fn spectral_crop(&self, plan: &SpectralCropPlan<Self>, io: Forward<'_, Self>) -> Result<()> {
        io.check("spectral_crop", &plan.sizes)?;
        self.spectral_crop_kernel(plan, io)
    }

    /// Computes the gradient of the larger half spectra: the adjoint.
    ///
    /// # Errors
    /// As for [`Backward::check`].
    fn spectral_crop_adjoint(&self, plan: &SpectralCropPlan<Self>, io: Backward<'_, Self>) -> Result<()> {
        io.check("spectral_crop_adjoint", &plan.sizes)?;
        let Some(io) = io.into_adjoint() else { return Ok(()) };
        self.spectral_crop_adjoint_kernel(plan, io)
    }

    /// [`plan_spectral_crop`](Self::plan_spectral_crop) of checked sizes.
    fn prepare_spectral_crop(&self, sizes: &SpectralCropSizes) -> Result<Self::PreparedSpectralCrop>;

    /// [`spectral_crop`](Self::spectral_crop) of checked operands.
    fn spectral_crop_kernel(&self, plan: &SpectralCropPlan<Self>, io: Forward<'_, Self>) -> Result<()>;

    /// [`spectral_crop_adjoint`](Self::spectral_crop_adjoint) of checked operands: from the gradient of the output to
    /// that of the input.
    fn spectral_crop_adjoint_kernel(
        &self,
        plan: &SpectralCropPlan<Self>,
        io: Forward<'_, Self>,
    ) -> Result<()>;
}
