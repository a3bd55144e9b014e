//! Spatial convolution on the processor: the direct convolution of `cfconv-core`.

use cfconv_core::engine::DirectConv;

use super::{Conv2dOp, Conv2dPlan, Conv2dSizes};
use crate::device::{Cpu, Result};
use crate::nn::slices::{BackwardSlices, ForwardSlices};
use crate::nn::{Backward, Forward};

impl Conv2dOp for Cpu {
    type PreparedConv2d = DirectConv<f32>;

    fn conv2d_scratch_bytes(&self, plan: &Conv2dPlan<Self>) -> usize {
        plan.prepared.scratch_bytes()
    }

    fn conv2d_planned_bytes(&self, plan: &Conv2dPlan<Self>) -> usize {
        plan.prepared.planned_scratch_bytes(rayon::current_num_threads())
    }

    fn prepare_conv2d(&self, sizes: &Conv2dSizes) -> Result<DirectConv<f32>> {
        Ok(DirectConv::new(sizes.conv))
    }

    fn conv2d_kernel(&self, plan: &Conv2dPlan<Self>, io: Forward<'_, Self>) -> Result<()> {
        let ForwardSlices { batch, input, params, output } = io.into_slices();
        let (weight, bias) = params.split_at(plan.sizes.conv.num_weights());
        plan.prepared.forward(batch, input, weight, plan.sizes.bias.then_some(bias), output);
        Ok(())
    }

    fn conv2d_vjp_kernel(&self, plan: &Conv2dPlan<Self>, io: Backward<'_, Self>) -> Result<()> {
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
