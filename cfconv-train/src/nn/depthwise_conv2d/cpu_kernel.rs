//! Depthwise convolution on the processor: that of `cfconv-core`.

use cfconv_core::engine::{DepthwiseConv, DepthwiseConvSizes};

use super::{DepthwiseConv2dOp, DepthwiseConv2dSizes};
use crate::device::{Cpu, DeviceError, Result, Span, SpanMut};

/// A depthwise convolution and its sizes.
#[derive(Clone, Debug)]
pub struct CpuDepthwiseConv2dPlan {
    sizes: DepthwiseConv2dSizes,
    conv: DepthwiseConv,
}

impl DepthwiseConv2dOp for Cpu {
    type DepthwiseConv2dPlan = CpuDepthwiseConv2dPlan;

    fn plan_depthwise_conv2d(&self, sizes: &DepthwiseConv2dSizes) -> Result<CpuDepthwiseConv2dPlan> {
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
        let conv = DepthwiseConv::new(DepthwiseConvSizes { channels, height, width, kernel_size, padding });
        Ok(CpuDepthwiseConv2dPlan { sizes: *sizes, conv })
    }

    fn depthwise_conv2d(
        &self,
        plan: &CpuDepthwiseConv2dPlan,
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
        let (weight, bias) = params.as_slice().split_at(sizes.num_weights());
        plan.conv.forward(batch, input.as_slice(), weight, sizes.bias.then_some(bias), output.into_slice());
        Ok(())
    }

    fn depthwise_conv2d_vjp(
        &self,
        plan: &CpuDepthwiseConv2dPlan,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        grad_output: Span<'_, Self>,
        grad_input: Option<SpanMut<'_, Self>>,
        grad_params: SpanMut<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "depthwise_conv2d_vjp";
        let sizes = &plan.sizes;
        input.expect_len(OP, "input", sizes.len(batch))?;
        params.expect_len(OP, "params", sizes.num_parameters())?;
        grad_output.expect_len(OP, "grad_output", sizes.len(batch))?;
        grad_params.expect_len(OP, "grad_params", sizes.num_parameters())?;
        let grad_output = grad_output.as_slice();
        let (grad_weight, grad_bias) = grad_params.into_slice().split_at_mut(sizes.num_weights());
        let grad_bias = sizes.bias.then_some(grad_bias);
        plan.conv.backward_weight(batch, input.as_slice(), grad_output, grad_weight, grad_bias);
        if let Some(grad_input) = grad_input {
            grad_input.expect_len(OP, "grad_input", sizes.len(batch))?;
            let weight = &params.as_slice()[..sizes.num_weights()];
            plan.conv.backward_input(batch, grad_output, weight, grad_input.into_slice());
        }
        Ok(())
    }
}
