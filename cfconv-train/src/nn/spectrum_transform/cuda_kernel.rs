//! Transforms between images and half spectra on the CUDA device.

use super::SpectrumTransformOp;
use crate::device::cuda::{Launcher, RealTransform};
use crate::device::{Result, Span, SpanMut};
use crate::nn::SpectrumSizes;

/// Transforms of one size.
#[derive(Debug)]
pub struct CudaSpectrumTransformPlan<L: Launcher> {
    sizes: SpectrumSizes,
    transform: RealTransform<L>,
}

impl<L: Launcher> CudaSpectrumTransformPlan<L> {
    /// 1/√(H·W).
    fn scale(&self) -> f32 {
        (1.0 / ((self.sizes.height * self.sizes.width) as f64).sqrt()) as f32
    }
}

impl<L: Launcher> SpectrumTransformOp for L {
    type SpectrumTransformPlan = CudaSpectrumTransformPlan<L>;

    fn plan_spectrum_transform(&self, sizes: &SpectrumSizes) -> Result<CudaSpectrumTransformPlan<L>> {
        let size = (sizes.height, sizes.width);
        let transform = RealTransform::new(self, "spectrum_transform", size, size)?;
        Ok(CudaSpectrumTransformPlan { sizes: *sizes, transform })
    }

    fn to_spectrum(
        &self,
        plan: &CudaSpectrumTransformPlan<L>,
        batch: usize,
        images: Span<'_, Self>,
        spectra: SpanMut<'_, Self>,
    ) -> Result<()> {
        images.expect_len("to_spectrum", "images", plan.sizes.image_len(batch))?;
        spectra.expect_len("to_spectrum", "spectra", plan.sizes.len(batch))?;
        plan.transform.forward(self, batch, images, spectra, plan.scale(), 1.0)
    }

    fn to_spectrum_adjoint(
        &self,
        plan: &CudaSpectrumTransformPlan<L>,
        batch: usize,
        grad_spectra: Span<'_, Self>,
        grad_images: SpanMut<'_, Self>,
    ) -> Result<()> {
        grad_spectra.expect_len("to_spectrum_adjoint", "grad_spectra", plan.sizes.len(batch))?;
        grad_images.expect_len("to_spectrum_adjoint", "grad_images", plan.sizes.image_len(batch))?;
        plan.transform.inverse(self, batch, grad_spectra, grad_images, None, plan.scale(), 0.5)
    }

    fn to_image(
        &self,
        plan: &CudaSpectrumTransformPlan<L>,
        batch: usize,
        spectra: Span<'_, Self>,
        images: SpanMut<'_, Self>,
    ) -> Result<()> {
        spectra.expect_len("to_image", "spectra", plan.sizes.len(batch))?;
        images.expect_len("to_image", "images", plan.sizes.image_len(batch))?;
        plan.transform.inverse(self, batch, spectra, images, None, plan.scale(), 1.0)
    }

    fn to_image_adjoint(
        &self,
        plan: &CudaSpectrumTransformPlan<L>,
        batch: usize,
        grad_images: Span<'_, Self>,
        grad_spectra: SpanMut<'_, Self>,
    ) -> Result<()> {
        grad_images.expect_len("to_image_adjoint", "grad_images", plan.sizes.image_len(batch))?;
        grad_spectra.expect_len("to_image_adjoint", "grad_spectra", plan.sizes.len(batch))?;
        plan.transform.forward(self, batch, grad_images, grad_spectra, plan.scale(), 2.0)
    }
}
