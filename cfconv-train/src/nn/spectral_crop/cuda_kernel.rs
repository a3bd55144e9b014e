//! Spectral pooling of half spectra on the CUDA device.

use super::{SpectralCropOp, SpectralCropPlan, SpectralCropSizes};
use crate::device::Result;
use crate::device::cuda::{Launcher, SpectrumCrop};
use crate::nn::{Forward, SpectralPoolSizes};

impl<L: Launcher> SpectralCropOp for L {
    type PreparedSpectralCrop = SpectrumCrop;

    fn prepare_spectral_crop(&self, sizes: &SpectralCropSizes) -> Result<SpectrumCrop> {
        let SpectralPoolSizes { channels, height, width, output_height, output_width } = sizes.0;
        let (large, small) = ((height, width), (output_height, output_width));
        let scale = ((output_height * output_width) as f64 / (height * width) as f64).sqrt() as f32;
        let hermitian = SpectrumCrop::shares_a_column(large, small);
        Ok(SpectrumCrop { channels, large, small, scale, hermitian })
    }

    fn spectral_crop_kernel(&self, plan: &SpectralCropPlan<Self>, io: Forward<'_, Self>) -> Result<()> {
        plan.prepared.forward(self, io.batch, io.input, io.output)
    }

    fn spectral_crop_adjoint_kernel(
        &self,
        plan: &SpectralCropPlan<Self>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        plan.prepared.adjoint(self, io.batch, io.input, io.output, 1.0)
    }
}
