//! Transforms between images and half spectra on the CUDA device.

use super::{SpectrumTransformOp, SpectrumTransformPlan, ToSpectrumSizes};
use crate::device::Result;
use crate::device::cuda::{Launcher, RealTransform};
use crate::nn::{Forward, SpectrumSizes};

impl<L: Launcher> SpectrumTransformOp for L {
    type PreparedSpectrumTransform = RealTransform<L>;

    fn prepare_spectrum_transform(&self, sizes: &SpectrumSizes) -> Result<RealTransform<L>> {
        let size = (sizes.height, sizes.width);
        RealTransform::new(self, "spectrum_transform", size, size)
    }

    fn to_spectrum_kernel(&self, plan: &SpectrumTransformPlan<Self>, io: Forward<'_, Self>) -> Result<()> {
        let Forward { batch, input, output, .. } = io;
        plan.prepared.forward(self, batch, input, output, scale(&plan.sizes), 1.0)
    }

    fn to_spectrum_adjoint_kernel(
        &self,
        plan: &SpectrumTransformPlan<Self>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        let Forward { batch, input, output, .. } = io;
        plan.prepared.inverse(self, batch, input, output, None, scale(&plan.sizes), 0.5)
    }

    fn to_image_kernel(&self, plan: &SpectrumTransformPlan<Self>, io: Forward<'_, Self>) -> Result<()> {
        let Forward { batch, input, output, .. } = io;
        plan.prepared.inverse(self, batch, input, output, None, scale(&plan.sizes), 1.0)
    }

    fn to_image_adjoint_kernel(
        &self,
        plan: &SpectrumTransformPlan<Self>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        let Forward { batch, input, output, .. } = io;
        plan.prepared.forward(self, batch, input, output, scale(&plan.sizes), 2.0)
    }
}

/// 1/√(H·W).
fn scale(sizes: &ToSpectrumSizes) -> f32 {
    let SpectrumSizes { height, width, .. } = sizes.0;
    (1.0 / ((height * width) as f64).sqrt()) as f32
}
