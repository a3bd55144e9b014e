//! Depthwise convolution layers: cross-correlation of each channel with its own k×k weights.

mod cpu_kernel;
mod cuda_kernel;

use super::conv2d::PaddingMode;
use crate::device::{Memory, Result, Span, SpanMut};

/// Sizes of a depthwise convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthwiseConv2dSizes {
    /// Channels of input and output.
    pub channels: usize,
    /// Rows of the image.
    pub height: usize,
    /// Columns of the image.
    pub width: usize,
    /// Rows and columns of the kernels; odd.
    pub kernel_size: usize,
    /// What lies beyond the edge.
    pub padding: PaddingMode,
    /// Whether a learned constant is added to each channel.
    pub bias: bool,
}

impl DepthwiseConv2dSizes {
    /// Number of weights, `[channels, k, k]`.
    pub fn num_weights(&self) -> usize {
        self.channels * self.kernel_size * self.kernel_size
    }

    /// Number of parameters: weights, then biases if there are any.
    pub fn num_parameters(&self) -> usize {
        self.num_weights() + if self.bias { self.channels } else { 0 }
    }

    /// Values of input or output of a batch.
    pub fn len(&self, batch: usize) -> usize {
        self.channels * self.height * self.width * batch
    }
}

/// Depthwise convolution on a device:
/// `y[c, h, w] = bias[c] + Σ_{p,q} weight[c, p, q]·x[c, h + p − (k−1)/2, w + q − (k−1)/2]`.
///
/// # Shapes
/// Input and output `[C, H, W, B]`, `params`: weights `[C, k, k]`, then biases `[C]` if there are any.
pub trait DepthwiseConv2dOp: Memory {
    /// What the device prepares once for given sizes.
    type DepthwiseConv2dPlan: std::fmt::Debug + Send + Sync;

    /// Prepares convolutions of these sizes.
    ///
    /// # Errors
    /// [`DeviceError::UnsupportedSize`](crate::device::DeviceError::UnsupportedSize) if a size is zero or the
    /// kernels' size even.
    fn plan_depthwise_conv2d(&self, sizes: &DepthwiseConv2dSizes) -> Result<Self::DepthwiseConv2dPlan>;

    /// Computes the output.
    ///
    /// # Errors
    /// If a length is wrong.
    fn depthwise_conv2d(
        &self,
        plan: &Self::DepthwiseConv2dPlan,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()>;

    /// Computes the gradient of the input and adds those of the parameters.
    ///
    /// # Errors
    /// If a length is wrong.
    fn depthwise_conv2d_vjp(
        &self,
        plan: &Self::DepthwiseConv2dPlan,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        grad_output: Span<'_, Self>,
        grad_input: Option<SpanMut<'_, Self>>,
        grad_params: SpanMut<'_, Self>,
    ) -> Result<()>;
}
