//! Depthwise convolution on the CUDA device.

use super::{DepthwiseConv2dOp, DepthwiseConv2dPlan, DepthwiseConv2dSizes};
use crate::device::Result;
use crate::device::cuda::{DepthwiseConvolution, Launcher, SpatialConvolution};
use crate::nn::{Backward, Forward};

impl<L: Launcher> DepthwiseConv2dOp for L {
    type PreparedDepthwiseConv2d = DepthwiseConvolution;

    fn prepare_depthwise_conv2d(&self, sizes: &DepthwiseConv2dSizes) -> Result<DepthwiseConvolution> {
        Ok(DepthwiseConvolution(sizes.conv))
    }

    fn depthwise_conv2d_kernel(&self, plan: &DepthwiseConv2dPlan<Self>, io: Forward<'_, Self>) -> Result<()> {
        plan.prepared.layer_forward(self, io)
    }

    fn depthwise_conv2d_vjp_kernel(
        &self,
        plan: &DepthwiseConv2dPlan<Self>,
        io: Backward<'_, Self>,
    ) -> Result<()> {
        plan.prepared.layer_backward(self, io)
    }
}
