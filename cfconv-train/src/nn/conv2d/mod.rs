//! Spatial convolution layers: cross-correlation with k×k weights, stride 1, output as large as the input.

mod cpu_kernel;
mod cuda_kernel;

pub use cfconv_core::engine::{DirectConvSizes, PaddingMode};

use super::operands::expect_positive;
use super::{Backward, Forward, OpPlan, OpSizes};
use crate::device::{DeviceError, Memory, Result};

/// Sizes of a spatial convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dSizes {
    /// Sizes of images and kernels.
    pub conv: DirectConvSizes,
    /// Whether a learned constant is added to each output channel.
    pub bias: bool,
}

/// Convolutions of given sizes, prepared on a device.
pub type Conv2dPlan<D> = OpPlan<Conv2dSizes, <D as Conv2dOp>::PreparedConv2d>;

impl OpSizes for Conv2dSizes {
    const BACKWARD_READS_INPUT: bool = true;

    fn validate(&self, op: &'static str) -> Result<()> {
        let DirectConvSizes { in_channels, out_channels, height, width, kernel_size, .. } = self.conv;
        expect_positive(
            op,
            &[
                ("in_channels", in_channels),
                ("out_channels", out_channels),
                ("height", height),
                ("width", width),
            ],
        )?;
        expect_odd_kernel(op, kernel_size)
    }

    fn input_len(&self, batch: usize) -> usize {
        self.conv.in_channels * self.conv.height * self.conv.width * batch
    }

    fn output_len(&self, batch: usize) -> usize {
        self.conv.out_channels * self.conv.height * self.conv.width * batch
    }

    fn num_parameters(&self) -> usize {
        self.conv.num_weights() + if self.bias { self.conv.out_channels } else { 0 }
    }
}

/// Refuses kernels without a middle.
pub(super) fn expect_odd_kernel(op: &'static str, kernel_size: usize) -> Result<()> {
    if kernel_size.is_multiple_of(2) {
        let (name, got) = ("kernel_size", kernel_size);
        return Err(DeviceError::UnsupportedSize { op, name, expected: "an odd size", got });
    }
    Ok(())
}

/// Spatial convolution on a device:
/// `y[o, h, w] = bias[o] + Σ_{i,p,q} weight[o, i, p, q]·x[i, h + p − (k−1)/2, w + q − (k−1)/2]`.
///
/// # Shapes
/// Input `[Cin, H, W, B]`, output `[Cout, H, W, B]`, `params`: weights `[Cout, Cin, k, k]`, then biases `[Cout]`
/// if there are any.
pub trait Conv2dOp: Memory {
    /// What the device prepares once for given sizes, with its working memory.
    type PreparedConv2d: std::fmt::Debug + Send + Sync;

    /// Prepares convolutions of these sizes.
    ///
    /// # Errors
    /// [`DeviceError::UnsupportedSize`] if a size is zero or the kernel's size even.
    fn plan_conv2d(&self, sizes: &Conv2dSizes) -> Result<Conv2dPlan<Self>> {
        OpPlan::try_new("conv2d", sizes, |sizes| self.prepare_conv2d(sizes))
    }

    /// Computes the output.
    ///
    /// # Errors
    /// As for [`Forward::check`].
    fn conv2d(&self, plan: &Conv2dPlan<Self>, io: Forward<'_, Self>) -> Result<()> {
        io.check("conv2d", &plan.sizes)?;
        self.conv2d_kernel(plan, io)
    }

    /// Computes the gradient of the input and adds those of the parameters.
    ///
    /// # Errors
    /// As for [`Backward::check`].
    fn conv2d_vjp(&self, plan: &Conv2dPlan<Self>, io: Backward<'_, Self>) -> Result<()> {
        io.check("conv2d_vjp", &plan.sizes)?;
        self.conv2d_vjp_kernel(plan, io)
    }

    /// Bytes of working memory that a plan holds.
    fn conv2d_scratch_bytes(&self, plan: &Conv2dPlan<Self>) -> usize;

    /// Bytes of working memory that a plan grows to.
    fn conv2d_planned_bytes(&self, plan: &Conv2dPlan<Self>) -> usize;

    /// [`plan_conv2d`](Self::plan_conv2d) of checked sizes.
    fn prepare_conv2d(&self, sizes: &Conv2dSizes) -> Result<Self::PreparedConv2d>;

    /// [`conv2d`](Self::conv2d) of checked operands.
    fn conv2d_kernel(&self, plan: &Conv2dPlan<Self>, io: Forward<'_, Self>) -> Result<()>;

    /// [`conv2d_vjp`](Self::conv2d_vjp) of checked operands.
    fn conv2d_vjp_kernel(&self, plan: &Conv2dPlan<Self>, io: Backward<'_, Self>) -> Result<()>;
}
