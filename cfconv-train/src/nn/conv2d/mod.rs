//! Spatial convolution layers: cross-correlation with k×k weights, stride 1, output as large as the input.

mod cpu_kernel;
mod cuda_kernel;

pub use cfconv_core::engine::PaddingMode;

use crate::device::{Memory, Result, Span, SpanMut};

/// Sizes of a spatial convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dSizes {
    /// Input channels.
    pub in_channels: usize,
    /// Output channels.
    pub out_channels: usize,
    /// Rows of the image.
    pub height: usize,
    /// Columns of the image.
    pub width: usize,
    /// Rows and columns of the kernel; odd.
    pub kernel_size: usize,
    /// What lies beyond the edge.
    pub padding: PaddingMode,
    /// Whether a learned constant is added to each output channel.
    pub bias: bool,
}

impl Conv2dSizes {
    /// Number of weights, `[out_channels, in_channels, k, k]`.
    pub fn num_weights(&self) -> usize {
        self.out_channels * self.in_channels * self.kernel_size * self.kernel_size
    }

    /// Number of parameters: weights, then biases if there are any.
    pub fn num_parameters(&self) -> usize {
        self.num_weights() + if self.bias { self.out_channels } else { 0 }
    }

    /// Values of the input of a batch.
    pub fn input_len(&self, batch: usize) -> usize {
        self.in_channels * self.height * self.width * batch
    }

    /// Values of the output of a batch.
    pub fn output_len(&self, batch: usize) -> usize {
        self.out_channels * self.height * self.width * batch
    }
}

/// Spatial convolution on a device:
/// `y[o, h, w] = bias[o] + Σ_{i,p,q} weight[o, i, p, q]·x[i, h + p − (k−1)/2, w + q − (k−1)/2]`.
///
/// # Shapes
/// Input `[Cin, H, W, B]`, output `[Cout, H, W, B]`, `params`: weights `[Cout, Cin, k, k]`, then biases `[Cout]`
/// if there are any.
pub trait Conv2dOp: Memory {
    /// What the device prepares once for given sizes, with its working memory.
    type Conv2dPlan: std::fmt::Debug + Send + Sync;

    /// Prepares convolutions of these sizes.
    ///
    /// # Errors
    /// [`DeviceError::UnsupportedSize`](crate::device::DeviceError::UnsupportedSize) if a size is zero or the
    /// kernel's size even.
    fn plan_conv2d(&self, sizes: &Conv2dSizes) -> Result<Self::Conv2dPlan>;

    /// Bytes of working memory that a plan holds.
    fn conv2d_scratch_bytes(&self, plan: &Self::Conv2dPlan) -> usize;

    /// Bytes of working memory that a plan grows to.
    fn conv2d_planned_bytes(&self, plan: &Self::Conv2dPlan) -> usize;

    /// Computes the output.
    ///
    /// # Errors
    /// If a length is wrong.
    fn conv2d(
        &self,
        plan: &Self::Conv2dPlan,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()>;

    /// Computes the gradient of the input and adds those of the parameters.
    ///
    /// # Errors
    /// If a length is wrong.
    fn conv2d_vjp(
        &self,
        plan: &Self::Conv2dPlan,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        grad_output: Span<'_, Self>,
        grad_input: Option<SpanMut<'_, Self>>,
        grad_params: SpanMut<'_, Self>,
    ) -> Result<()>;
}
