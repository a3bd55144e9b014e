//! Spatial convolution on the CUDA device.

use super::{Conv2dOp, Conv2dPlan, Conv2dSizes};
use crate::device::Result;
use crate::device::cuda::{Convolution, Launcher, SpatialConvolution};
use crate::nn::{Backward, Forward};

impl<L: Launcher> Conv2dOp for L {
    type PreparedConv2d = Convolution;

    fn conv2d_scratch_bytes(&self, _plan: &Conv2dPlan<Self>) -> usize {
        0
    }

    fn conv2d_planned_bytes(&self, plan: &Conv2dPlan<Self>) -> usize {
        plan.prepared.planned_bytes()
    }

    fn prepare_conv2d(&self, sizes: &Conv2dSizes) -> Result<Convolution> {
        Ok(Convolution(sizes.conv))
    }

    fn conv2d_kernel(&self, plan: &Conv2dPlan<Self>, io: Forward<'_, Self>) -> Result<()> {
        plan.prepared.layer_forward(self, io)
    }

    fn conv2d_vjp_kernel(&self, plan: &Conv2dPlan<Self>, io: Backward<'_, Self>) -> Result<()> {
        plan.prepared.layer_backward(self, io)
    }
}
