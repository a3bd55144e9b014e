//! Spectral pooling on the CUDA device: transform, crop, transform back.

use super::kept_rows::check_smaller;
use super::{SpectralPoolOp, SpectralPoolSizes};
use crate::device::cuda::{Launcher, RealTransform, Scratch, SpectrumCrop};
use crate::device::{Result, Span, SpanMut};

/// Transforms of both sizes.
#[derive(Debug)]
pub struct CudaSpectralPoolPlan<L: Launcher> {
    sizes: SpectralPoolSizes,
    large: RealTransform<L>,
    small: RealTransform<L>,
    crop: SpectrumCrop,
}

impl<L: Launcher> SpectralPoolOp for L {
    type SpectralPoolPlan = CudaSpectralPoolPlan<L>;

    fn plan_spectral_pool(&self, sizes: &SpectralPoolSizes) -> Result<CudaSpectralPoolPlan<L>> {
        const OP: &str = "spectral_pool";
        check_smaller(OP, sizes)?;
        let (large, small) = ((sizes.height, sizes.width), (sizes.output_height, sizes.output_width));
        // The inverse takes the Hermitian part of the smaller grid's Nyquist column.
        let crop = SpectrumCrop { channels: sizes.channels, large, small, scale: 1.0, hermitian: false };
        Ok(CudaSpectralPoolPlan {
            sizes: *sizes,
            large: RealTransform::new(self, OP, large, large)?,
            small: RealTransform::new(self, OP, small, small)?,
            crop,
        })
    }

    fn spectral_pool(
        &self,
        plan: &CudaSpectralPoolPlan<L>,
        batch: usize,
        input: Span<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()> {
        input.expect_len("spectral_pool", "input", plan.sizes.input_len(batch))?;
        output.expect_len("spectral_pool", "output", plan.sizes.output_len(batch))?;
        let (mut large, mut small) = plan.scratch(self, batch)?;
        plan.large.forward(self, batch, input, large.all_mut(), plan.scale(), 1.0)?;
        plan.crop.forward(self, batch, large.all(), small.all_mut())?;
        plan.small.inverse(self, batch, small.all(), output, None, 1.0, 1.0)
    }

    fn spectral_pool_adjoint(
        &self,
        plan: &CudaSpectralPoolPlan<L>,
        batch: usize,
        grad_output: Span<'_, Self>,
        grad_input: SpanMut<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "spectral_pool_adjoint";
        grad_output.expect_len(OP, "grad_output", plan.sizes.output_len(batch))?;
        grad_input.expect_len(OP, "grad_input", plan.sizes.input_len(batch))?;
        let (mut large, mut small) = plan.scratch(self, batch)?;
        plan.small.forward(self, batch, grad_output, small.all_mut(), plan.scale(), 1.0)?;
        // The smaller grid's Nyquist column stands for two of the larger one.
        let nyquist = if SpectrumCrop::shares_a_column(plan.crop.large, plan.crop.small) { 0.5 } else { 1.0 };
        plan.crop.adjoint(self, batch, small.all(), large.all_mut(), nyquist)?;
        plan.large.inverse(self, batch, large.all(), grad_input, None, 1.0, 1.0)
    }
}

impl<L: Launcher> CudaSpectralPoolPlan<L> {
    fn scratch(&self, device: &L, batch: usize) -> Result<(Scratch<L>, Scratch<L>)> {
        let spectra = |transform: &RealTransform<L>| {
            Scratch::new(device, transform.spectra_len(self.sizes.channels, batch))
        };
        Ok((spectra(&self.large)?, spectra(&self.small)?))
    }

    /// 1/(HW) of the larger grid, in both directions: values are kept, not sums.
    fn scale(&self) -> f32 {
        (1.0 / (self.sizes.height * self.sizes.width) as f64) as f32
    }
}
