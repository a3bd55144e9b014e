//! Spatial convolution on the processor: the direct convolution of `cfconv-core`.

use cfconv_core::engine::{DirectConv, DirectConvSizes};

use super::{Conv2dOp, Conv2dSizes};
use crate::device::{Cpu, DeviceError, Result, Span, SpanMut};

/// A direct convolution and its sizes.
#[derive(Clone, Debug)]
pub struct CpuConv2dPlan {
    sizes: Conv2dSizes,
    conv: DirectConv<f32>,
}

impl Conv2dOp for Cpu {
    type Conv2dPlan = CpuConv2dPlan;

    fn plan_conv2d(&self, sizes: &Conv2dSizes) -> Result<CpuConv2dPlan> {
        const OP: &str = "conv2d";
        for (name, got) in [
            ("in_channels", sizes.in_channels),
            ("out_channels", sizes.out_channels),
            ("height", sizes.height),
            ("width", sizes.width),
        ] {
            if got == 0 {
                return Err(DeviceError::UnsupportedSize { op: OP, name, expected: "at least 1", got });
            }
        }
        if sizes.kernel_size.is_multiple_of(2) {
            let (name, got) = ("kernel_size", sizes.kernel_size);
            return Err(DeviceError::UnsupportedSize { op: OP, name, expected: "an odd size", got });
        }
        let conv = DirectConv::new(DirectConvSizes {
            in_channels: sizes.in_channels,
            out_channels: sizes.out_channels,
            height: sizes.height,
            width: sizes.width,
            kernel_size: sizes.kernel_size,
            padding: sizes.padding,
        });
        Ok(CpuConv2dPlan { sizes: *sizes, conv })
    }

    fn conv2d_scratch_bytes(&self, plan: &CpuConv2dPlan) -> usize {
        plan.conv.scratch_bytes()
    }

    fn conv2d_planned_bytes(&self, plan: &CpuConv2dPlan) -> usize {
        plan.conv.planned_scratch_bytes(rayon::current_num_threads())
    }

    fn conv2d(
        &self,
        plan: &CpuConv2dPlan,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()> {
        let sizes = &plan.sizes;
        input.expect_len("conv2d", "input", sizes.input_len(batch))?;
        params.expect_len("conv2d", "params", sizes.num_parameters())?;
        output.expect_len("conv2d", "output", sizes.output_len(batch))?;
        let (weight, bias) = params.as_slice().split_at(sizes.num_weights());
        plan.conv.forward(batch, input.as_slice(), weight, sizes.bias.then_some(bias), output.into_slice());
        Ok(())
    }

    fn conv2d_vjp(
        &self,
        plan: &CpuConv2dPlan,
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
        let (grad_weight, grad_bias) = grad_params.into_slice().split_at_mut(sizes.num_weights());
        plan.conv.backward_weight(
            batch,
            input.as_slice(),
            grad_output.as_slice(),
            grad_weight,
            sizes.bias.then_some(grad_bias),
        );
        if let Some(grad_input) = grad_input {
            grad_input.expect_len(OP, "grad_input", sizes.input_len(batch))?;
            let weight = &params.as_slice()[..sizes.num_weights()];
            plan.conv.backward_input(batch, grad_output.as_slice(), weight, grad_input.into_slice());
        }
        Ok(())
    }
}
