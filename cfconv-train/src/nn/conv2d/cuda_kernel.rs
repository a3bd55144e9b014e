//! Spatial convolution on the CUDA device.

use super::{Conv2dOp, Conv2dSizes, PaddingMode};
use crate::device::cuda::{Convolution, Launcher, part};
use crate::device::{DeviceError, Result, Span, SpanMut};

/// A convolution and its sizes. Working memory is taken while an operation runs.
#[derive(Clone, Copy, Debug)]
pub struct CudaConv2dPlan {
    sizes: Conv2dSizes,
    conv: Convolution,
}

impl<L: Launcher> Conv2dOp for L {
    type Conv2dPlan = CudaConv2dPlan;

    fn plan_conv2d(&self, sizes: &Conv2dSizes) -> Result<CudaConv2dPlan> {
        const OP: &str = "conv2d";
        let Conv2dSizes { in_channels, out_channels, height, width, kernel_size, padding, .. } = *sizes;
        for (name, got) in [
            ("in_channels", in_channels),
            ("out_channels", out_channels),
            ("height", height),
            ("width", width),
        ] {
            if got == 0 {
                return Err(DeviceError::UnsupportedSize { op: OP, name, expected: "at least 1", got });
            }
        }
        if kernel_size.is_multiple_of(2) {
            let (name, got) = ("kernel_size", kernel_size);
            return Err(DeviceError::UnsupportedSize { op: OP, name, expected: "an odd size", got });
        }
        let circular = padding == PaddingMode::Circular;
        let conv = Convolution { in_channels, out_channels, height, width, kernel_size, circular };
        Ok(CudaConv2dPlan { sizes: *sizes, conv })
    }

    fn conv2d_scratch_bytes(&self, _plan: &CudaConv2dPlan) -> usize {
        0
    }

    fn conv2d_planned_bytes(&self, plan: &CudaConv2dPlan) -> usize {
        plan.conv.planned_bytes()
    }

    fn conv2d(
        &self,
        plan: &CudaConv2dPlan,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()> {
        let sizes = &plan.sizes;
        input.expect_len("conv2d", "input", sizes.input_len(batch))?;
        params.expect_len("conv2d", "params", sizes.num_parameters())?;
        output.expect_len("conv2d", "output", sizes.output_len(batch))?;
        let weights = sizes.num_weights();
        let bias = sizes.bias.then(|| part(params, weights..params.len()));
        plan.conv.forward(self, batch, input, part(params, 0..weights), bias, output)
    }

    fn conv2d_vjp(
        &self,
        plan: &CudaConv2dPlan,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        grad_output: Span<'_, Self>,
        grad_input: Option<SpanMut<'_, Self>>,
        grad_params: SpanMut<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "conv2d_vjp";
        let sizes = &plan.sizes;
        input.expect_len(OP, "input", sizes.input_len(batch))?;
        params.expect_len(OP, "params", sizes.num_parameters())?;
        grad_output.expect_len(OP, "grad_output", sizes.output_len(batch))?;
        grad_params.expect_len(OP, "grad_params", sizes.num_parameters())?;
        plan.conv.backward_params(self, batch, input, grad_output, grad_params)?;
        if let Some(grad_input) = grad_input {
            grad_input.expect_len(OP, "grad_input", sizes.input_len(batch))?;
            plan.conv.backward_input(
                self,
                batch,
                grad_output,
                part(params, 0..sizes.num_weights()),
                grad_input,
            )?;
        }
        Ok(())
    }
}
