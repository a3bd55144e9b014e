//! Spectral pooling of half spectra on the CUDA device.

use super::SpectralCropOp;
use crate::device::cuda::{Launcher, SpectrumCrop};
use crate::device::{Result, Span, SpanMut};
use crate::nn::spectral_pool::check_smaller;
use crate::nn::{SpectralPoolSizes, SpectrumSizes};

/// What is kept.
#[derive(Clone, Copy, Debug)]
pub struct CudaSpectralCropPlan {
    large: SpectrumSizes,
    small: SpectrumSizes,
    crop: SpectrumCrop,
}

impl<L: Launcher> SpectralCropOp for L {
    type SpectralCropPlan = CudaSpectralCropPlan;

    fn plan_spectral_crop(&self, sizes: &SpectralPoolSizes) -> Result<CudaSpectralCropPlan> {
        check_smaller("spectral_crop", sizes)?;
        let SpectralPoolSizes { channels, height, width, output_height, output_width } = *sizes;
        let (large, small) = ((height, width), (output_height, output_width));
        let scale = ((output_height * output_width) as f64 / (height * width) as f64).sqrt() as f32;
        let hermitian = SpectrumCrop::shares_a_column(large, small);
        Ok(CudaSpectralCropPlan {
            large: SpectrumSizes { channels, height, width },
            small: SpectrumSizes { channels, height: output_height, width: output_width },
            crop: SpectrumCrop { channels, large, small, scale, hermitian },
        })
    }

    fn spectral_crop(
        &self,
        plan: &CudaSpectralCropPlan,
        batch: usize,
        input: Span<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()> {
        input.expect_len("spectral_crop", "input", plan.large.len(batch))?;
        output.expect_len("spectral_crop", "output", plan.small.len(batch))?;
        plan.crop.forward(self, batch, input, output)
    }

    fn spectral_crop_adjoint(
        &self,
        plan: &CudaSpectralCropPlan,
        batch: usize,
        grad_output: Span<'_, Self>,
        grad_input: SpanMut<'_, Self>,
    ) -> Result<()> {
        grad_output.expect_len("spectral_crop_adjoint", "grad_output", plan.small.len(batch))?;
        grad_input.expect_len("spectral_crop_adjoint", "grad_input", plan.large.len(batch))?;
        plan.crop.adjoint(self, batch, grad_output, grad_input, 1.0)
    }
}
