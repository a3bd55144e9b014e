//! Images to tokens: non-overlapping patches, each times one matrix.

mod cpu_kernel;
mod cuda_kernel;

use crate::device::{Memory, Result, Span, SpanMut};

/// Sizes of a patch embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatchEmbedSizes {
    /// Input channels.
    pub in_channels: usize,
    /// Output channels.
    pub out_channels: usize,
    /// Rows of the image, a multiple of `size`.
    pub height: usize,
    /// Columns of the image, a multiple of `size`.
    pub width: usize,
    /// Rows and columns of a patch.
    pub size: usize,
    /// Whether a learned constant is added to each output channel.
    pub bias: bool,
}

impl PatchEmbedSizes {
    /// Values of a patch.
    pub fn patch_len(&self) -> usize {
        self.in_channels * self.size * self.size
    }

    /// Rows of the output.
    pub fn output_height(&self) -> usize {
        self.height / self.size
    }

    /// Columns of the output.
    pub fn output_width(&self) -> usize {
        self.width / self.size
    }

    /// Number of weights, `[out_channels, in_channels, size, size]`.
    pub fn num_weights(&self) -> usize {
        self.out_channels * self.patch_len()
    }

    /// Number of parameters: weights, then biases if there are any.
    pub fn num_parameters(&self) -> usize {
        self.num_weights() + if self.bias { self.out_channels } else { 0 }
    }

    /// Values of the input of a batch, and of the scratch.
    pub fn input_len(&self, batch: usize) -> usize {
        self.in_channels * self.height * self.width * batch
    }

    /// Values of the output of a batch.
    pub fn output_len(&self, batch: usize) -> usize {
        self.out_channels * self.output_height() * self.output_width() * batch
    }
}

/// Patch embedding on a device, with s = `size`:
/// `y[o, h, w] = bias[o] + Σ_{i,p,q} weight[o, i, p, q]·x[i, s·h + p, s·w + q]`.
///
/// # Shapes
/// Input `[Cin, H, W, B]`, output `[Cout, H/s, W/s, B]`, `params`: weights `[Cout, Cin, s, s]`, then biases `[Cout]`
/// if there are any; `scratch` as many values as the input, of any content.
///
/// # Source
/// Dosovitskiy et al., "An image is worth 16x16 words", 2021, eq. 1; without a class token.
pub trait PatchEmbedOp: Memory {
    /// What the device prepares once for given sizes, with its working memory.
    type PatchEmbedPlan: std::fmt::Debug + Send + Sync;

    /// Prepares embeddings of these sizes.
    ///
    /// # Errors
    /// [`DeviceError::UnsupportedSize`](crate::device::DeviceError::UnsupportedSize) if a size is zero or the image
    /// not a whole number of patches.
    fn plan_patch_embed(&self, sizes: &PatchEmbedSizes) -> Result<Self::PatchEmbedPlan>;

    /// Bytes of working memory that a plan holds.
    fn patch_embed_scratch_bytes(&self, plan: &Self::PatchEmbedPlan) -> usize;

    /// Bytes of working memory that a plan grows to.
    fn patch_embed_planned_bytes(&self, plan: &Self::PatchEmbedPlan) -> usize;

    /// Computes the output.
    ///
    /// # Errors
    /// If a length is wrong.
    fn patch_embed(
        &self,
        plan: &Self::PatchEmbedPlan,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        scratch: SpanMut<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()>;

    /// Computes the gradient of the input and adds those of the parameters.
    ///
    /// # Errors
    /// If a length is wrong.
    fn patch_embed_vjp(
        &self,
        plan: &Self::PatchEmbedPlan,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        scratch: SpanMut<'_, Self>,
        grad_output: Span<'_, Self>,
        grad_input: Option<SpanMut<'_, Self>>,
        grad_params: SpanMut<'_, Self>,
    ) -> Result<()>;
}
