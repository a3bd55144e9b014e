//! Depthwise convolution on the processor: that of `cfconv-core`.

use cfconv_core::engine::DepthwiseConv;

use super::{DepthwiseConv2dOp, DepthwiseConv2dPlan, DepthwiseConv2dSizes};
use crate::device::{Cpu, Result};
use crate::nn::slices::{BackwardSlices, ForwardSlices};
use crate::nn::{Backward, Forward};

impl DepthwiseConv2dOp for Cpu {
    type PreparedDepthwiseConv2d = DepthwiseConv;

    fn prepare_depthwise_conv2d(&self, sizes: &DepthwiseConv2dSizes) -> Result<DepthwiseConv> {
        Ok(DepthwiseConv::new(sizes.conv))
    }

    fn depthwise_conv2d_kernel(&self, plan: &DepthwiseConv2dPlan<Self>, io: Forward<'_, Self>) -> Result<()> {
        let ForwardSlices { batch, input, params, output } = io.into_slices();
        let (weight, bias) = params.split_at(plan.sizes.conv.num_weights());
        plan.prepared.forward(batch, input, weight, plan.sizes.bias.then_some(bias), output);
        Ok(())
    }

    fn depthwise_conv2d_vjp_kernel(
        &self,
        plan: &DepthwiseConv2dPlan<Self>,
        io: Backward<'_, Self>,
    ) -> Result<()> {
        let BackwardSlices { batch, input, params, grad_output, grad_input, grad_params } = io.into_slices();
        let weights = plan.sizes.conv.num_weights();
        let (grad_weight, grad_bias) = grad_params.split_at_mut(weights);
        let grad_bias = plan.sizes.bias.then_some(grad_bias);
        plan.prepared.backward_weight(batch, input, grad_output, grad_weight, grad_bias);
        if let Some(grad_input) = grad_input {
            plan.prepared.backward_input(batch, grad_output, &params[..weights], grad_input);
        }
        Ok(())
    }
}
