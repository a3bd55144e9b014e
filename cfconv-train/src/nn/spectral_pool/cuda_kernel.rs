//! Spectral pooling on the CUDA device: transform, crop, transform back.

use super::{SpectralPoolOp, SpectralPoolPlan, SpectralPoolSizes};
use crate::device::Result;
use crate::device::cuda::{Launcher, RealTransform, Scratch, SpectrumCrop};
use crate::nn::Forward;

/// Transforms of both sizes.
#[derive(Debug)]
pub struct CudaSpectralPool<L: Launcher> {
    large: RealTransform<L>,
    small: RealTransform<L>,
    crop: SpectrumCrop,
}

impl<L: Launcher> SpectralPoolOp for L {
    type PreparedSpectralPool = CudaSpectralPool<L>;

    fn prepare_spectral_pool(&self, sizes: &SpectralPoolSizes) -> Result<CudaSpectralPool<L>> {
        let (large, small) = ((sizes.height, sizes.width), (sizes.output_height, sizes.output_width));
        // The inverse takes the Hermitian part of the smaller grid's Nyquist column.
        let crop = SpectrumCrop { channels: sizes.channels, large, small, scale: 1.0, hermitian: false };
        Ok(CudaSpectralPool {
            large: RealTransform::new(self, "spectral_pool", large, large)?,
            small: RealTransform::new(self, "spectral_pool", small, small)?,
            crop,
        })
    }

    fn spectral_pool_kernel(&self, plan: &SpectralPoolPlan<Self>, io: Forward<'_, Self>) -> Result<()> {
        let Forward { batch, input, output, .. } = io;
        let plan = &plan.prepared;
        let (mut large, mut small) = plan.scratch(self, batch)?;
        plan.large.forward(self, batch, input, large.all_mut(), plan.scale(), 1.0)?;
        plan.crop.forward(self, batch, large.all(), small.all_mut())?;
        plan.small.inverse(self, batch, small.all(), output, None, 1.0, 1.0)
    }

    fn spectral_pool_adjoint_kernel(
        &self,
        plan: &SpectralPoolPlan<Self>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        let Forward { batch, input: grad_output, output: grad_input, .. } = io;
        let plan = &plan.prepared;
        let (mut large, mut small) = plan.scratch(self, batch)?;
        plan.small.forward(self, batch, grad_output, small.all_mut(), plan.scale(), 1.0)?;
        // The smaller grid's Nyquist column stands for two of the larger one.
        let nyquist = if SpectrumCrop::shares_a_column(plan.crop.large, plan.crop.small) { 0.5 } else { 1.0 };
        plan.crop.adjoint(self, batch, small.all(), large.all_mut(), nyquist)?;
        plan.large.inverse(self, batch, large.all(), grad_input, None, 1.0, 1.0)
    }
}

impl<L: Launcher> CudaSpectralPool<L> {
    fn scratch(&self, device: &L, batch: usize) -> Result<(Scratch<L>, Scratch<L>)> {
        let spectra = |transform: &RealTransform<L>| {
            Scratch::new(device, transform.spectra_len(self.crop.channels, batch))
        };
        Ok((spectra(&self.large)?, spectra(&self.small)?))
    }

    /// 1/(HW) of the larger grid, in both directions: values are kept, not sums.
    fn scale(&self) -> f32 {
        (1.0 / (self.crop.large.0 * self.crop.large.1) as f64) as f32
    }
}
