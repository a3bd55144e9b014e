//! Depthwise convolution layers: cross-correlation of each channel with its own k×k weights.

mod cpu_kernel;
mod cuda_kernel;

pub use cfconv_core::engine::DepthwiseConvSizes;

use super::conv2d::expect_odd_kernel;
use super::operands::expect_positive;
use super::{Backward, Forward, OpPlan, OpSizes};
use crate::device::{Memory, Result};

/// Sizes of a depthwise convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthwiseConv2dSizes {
    /// Sizes of images and kernels.
    pub conv: DepthwiseConvSizes,
    /// Whether a learned constant is added to each channel.
    pub bias: bool,
}

/// Depthwise convolutions of given sizes, prepared on a device.
pub type DepthwiseConv2dPlan<D> =
    OpPlan<DepthwiseConv2dSizes, <D as DepthwiseConv2dOp>::PreparedDepthwiseConv2d>;

impl OpSizes for DepthwiseConv2dSizes {
    const BACKWARD_READS_INPUT: bool = true;

    fn validate(&self, op: &'static str) -> Result<()> {
        let DepthwiseConvSizes { channels, height, width, kernel_size, .. } = self.conv;
        expect_positive(op, &[("channels", channels), ("height", height), ("width", width)])?;
        expect_odd_kernel(op, kernel_size)
    }

    fn input_len(&self, batch: usize) -> usize {
        self.conv.channels * self.conv.height * self.conv.width * batch
    }

    fn num_parameters(&self) -> usize {
        self.conv.num_weights() + if self.bias { self.conv.channels } else { 0 }
    }
}

/// Depthwise convolution on a device:
/// `y[c, h, w] = bias[c] + Σ_{p,q} weight[c, p, q]·x[c, h + p − (k−1)/2, w + q − (k−1)/2]`.
///
/// # Shapes
/// Input and output `[C, H, W, B]`, `params`: weights `[C, k, k]`, then biases `[C]` if there are any.
pub trait DepthwiseConv2dOp: Memory {
    /// What the device prepares once for given sizes.
    type PreparedDepthwiseConv2d: std::fmt::Debug + Send + Sync;

    /// Prepares convolutions of these sizes.
    ///
    /// # Errors
    /// [`DeviceError::UnsupportedSize`](crate::device::DeviceError::UnsupportedSize) if a size is zero or the
    /// kernels' size even.
    fn plan_depthwise_conv2d(&self, sizes: &DepthwiseConv2dSizes) -> Result<DepthwiseConv2dPlan<Self>> {
        OpPlan::try_new("depthwise_conv2d", sizes, |sizes| self.prepare_depthwise_conv2d(sizes))
    }

    /// Computes the output.
    ///
    /// # Errors
    /// As for [`Forward::check`].
    fn depthwise_conv2d(&self, plan: &DepthwiseConv2dPlan<Self>, io: Forward<'_, Self>) -> Result<()> {
        io.check("depthwise_conv2d", &plan.sizes)?;
        self.depthwise_conv2d_kernel(plan, io)
    }

    /// Computes the gradient of the input and adds those of the parameters.
    ///
    /// # Errors
    /// As for [`Backward::check`].
    fn depthwise_conv2d_vjp(&self, plan: &DepthwiseConv2dPlan<Self>, io: Backward<'_, Self>) -> Result<()> {
        io.check("depthwise_conv2d_vjp", &plan.sizes)?;
        self.depthwise_conv2d_vjp_kernel(plan, io)
    }

    /// [`plan_depthwise_conv2d`](Self::plan_depthwise_conv2d) of checked sizes.
    fn prepare_depthwise_conv2d(&self, sizes: &DepthwiseConv2dSizes)
    -> Result<Self::PreparedDepthwiseConv2d>;

    /// [`depthwise_conv2d`](Self::depthwise_conv2d) of checked operands.
    fn depthwise_conv2d_kernel(&self, plan: &DepthwiseConv2dPlan<Self>, io: Forward<'_, Self>) -> Result<()>;

    /// [`depthwise_conv2d_vjp`](Self::depthwise_conv2d_vjp) of checked operands.
    fn depthwise_conv2d_vjp_kernel(
        &self,
        plan: &DepthwiseConv2dPlan<Self>,
        io: Backward<'_, Self>,
    ) -> Result<()>;
}
