//! Depthwise convolution on the CUDA device.

use super::{DepthwiseConv2dOp, DepthwiseConv2dSizes};
use crate::device::cuda::{DepthwiseConvolution, Launcher, add_channel_sums, part, part_mut};
use crate::device::{DeviceError, Result, Span, SpanMut};
use crate::nn::conv2d::PaddingMode;

/// A depthwise convolution and its sizes.
#[derive(Clone, Copy, Debug)]
pub struct CudaDepthwiseConv2dPlan {
    sizes: DepthwiseConv2dSizes,
    conv: DepthwiseConvolution,
}

impl<L: Launcher> DepthwiseConv2dOp for L {
    type DepthwiseConv2dPlan = CudaDepthwiseConv2dPlan;

    fn plan_depthwise_conv2d(&self, sizes: &DepthwiseConv2dSizes) -> Result<CudaDepthwiseConv2dPlan> {
        const OP: &str = "depthwise_conv2d";
        let DepthwiseConv2dSizes { channels, height, width, kernel_size, padding, .. } = *sizes;
        for (name, got) in [("channels", channels), ("height", height), ("width", width)] {
            if got == 0 {
                return Err(DeviceError::UnsupportedSize { op: OP, name, expected: "at least 1", got });
            }
        }
        if kernel_size.is_multiple_of(2) {
            let (name, got) = ("kernel_size", kernel_size);
            return Err(DeviceError::UnsupportedSize { op: OP, name, expected: "an odd size", got });
        }
        let circular = padding == PaddingMode::Circular;
        let conv = DepthwiseConvolution { channels, height, width, kernel_size, circular };
        Ok(CudaDepthwiseConv2dPlan { sizes: *sizes, conv })
    }

    fn depthwise_conv2d(
        &self,
        plan: &CudaDepthwiseConv2dPlan,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "depthwise_conv2d";
        let sizes = &plan.sizes;
        input.expect_len(OP, "input", sizes.len(batch))?;
        params.expect_len(OP, "params", sizes.num_parameters())?;
        output.expect_len(OP, "output", sizes.len(batch))?;
        let weights = sizes.num_weights();
        let bias = sizes.bias.then(|| part(params, weights..params.len()));
        plan.conv.forward(self, batch, input, part(params, 0..weights), bias, output)
    }

    fn depthwise_conv2d_vjp(
        &self,
        plan: &CudaDepthwiseConv2dPlan,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        grad_output: Span<'_, Self>,
        grad_input: Option<SpanMut<'_, Self>>,
        mut grad_params: SpanMut<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "depthwise_conv2d_vjp";
        let sizes = &plan.sizes;
        input.expect_len(OP, "input", sizes.len(batch))?;
        params.expect_len(OP, "params", sizes.num_parameters())?;
        grad_output.expect_len(OP, "grad_output", sizes.len(batch))?;
        grad_params.expect_len(OP, "grad_params", sizes.num_parameters())?;
        let (weights, len) = (sizes.num_weights(), grad_params.len());
        let grad_weight = part_mut(&mut grad_params, 0..weights);
        plan.conv.backward_weight(self, batch, input, grad_output, grad_weight)?;
        if sizes.bias {
            let plane = sizes.height * sizes.width * batch;
            add_channel_sums(self, grad_output, plane, part_mut(&mut grad_params, weights..len))?;
        }
        if let Some(grad_input) = grad_input {
            grad_input.expect_len(OP, "grad_input", sizes.len(batch))?;
            plan.conv.backward_input(self, batch, grad_output, part(params, 0..weights), grad_input)?;
        }
        Ok(())
    }
}
