//! Images to tokens: non-overlapping patches, each times one matrix.

mod cpu_kernel;
mod cuda_kernel;

use super::operands::expect_positive;
use super::{Backward, Forward, OpPlan, OpSizes};
use crate::device::{DeviceError, Memory, Result, SpanMut};

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
}

/// Embeddings of given sizes, prepared on a device.
pub type PatchEmbedPlan<D> = OpPlan<PatchEmbedSizes, <D as PatchEmbedOp>::PreparedPatchEmbed>;

impl OpSizes for PatchEmbedSizes {
    const BACKWARD_READS_INPUT: bool = true;

    fn validate(&self, op: &'static str) -> Result<()> {
        let Self { in_channels, out_channels, height, width, size, .. } = *self;
        expect_positive(
            op,
            &[
                ("in_channels", in_channels),
                ("out_channels", out_channels),
                ("height", height),
                ("width", width),
                ("size", size),
            ],
        )?;
        for (name, got) in [("height", height), ("width", width)] {
            if !got.is_multiple_of(size) {
                let expected = "a multiple of the size of a patch";
                return Err(DeviceError::UnsupportedSize { op, name, expected, got });
            }
        }
        Ok(())
    }

    fn input_len(&self, batch: usize) -> usize {
        self.in_channels * self.height * self.width * batch
    }

    fn output_len(&self, batch: usize) -> usize {
        self.out_channels * self.output_height() * self.output_width() * batch
    }

    fn num_parameters(&self) -> usize {
        self.num_weights() + if self.bias { self.out_channels } else { 0 }
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
    type PreparedPatchEmbed: std::fmt::Debug + Send + Sync;

    /// Prepares embeddings of these sizes.
    ///
    /// # Errors
    /// [`DeviceError::UnsupportedSize`] if a size is zero or the image is not a whole number of patches.
    fn plan_patch_embed(&self, sizes: &PatchEmbedSizes) -> Result<PatchEmbedPlan<Self>> {
        OpPlan::try_new("patch_embed", sizes, |sizes| self.prepare_patch_embed(sizes))
    }

    /// Computes the output.
    ///
    /// # Errors
    /// As for [`Forward::check`], and if the scratch has a wrong length.
    fn patch_embed(
        &self,
        plan: &PatchEmbedPlan<Self>,
        scratch: SpanMut<'_, Self>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "patch_embed";
        io.check(OP, &plan.sizes)?;
        scratch.expect_len(OP, "scratch", plan.sizes.input_len(io.batch))?;
        self.patch_embed_kernel(plan, scratch, io)
    }

    /// Computes the gradient of the input and adds those of the parameters.
    ///
    /// # Errors
    /// As for [`Backward::check`], and if the scratch has a wrong length.
    fn patch_embed_vjp(
        &self,
        plan: &PatchEmbedPlan<Self>,
        scratch: SpanMut<'_, Self>,
        io: Backward<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "patch_embed_vjp";
        io.check(OP, &plan.sizes)?;
        scratch.expect_len(OP, "scratch", plan.sizes.input_len(io.batch))?;
        self.patch_embed_vjp_kernel(plan, scratch, io)
    }

    /// Bytes of working memory that a plan holds.
    fn patch_embed_scratch_bytes(&self, plan: &PatchEmbedPlan<Self>) -> usize;

    /// Bytes of working memory that a plan grows to.
    fn patch_embed_planned_bytes(&self, plan: &PatchEmbedPlan<Self>) -> usize;

    /// [`plan_patch_embed`](Self::plan_patch_embed) of checked sizes.
    fn prepare_patch_embed(&self, sizes: &PatchEmbedSizes) -> Result<Self::PreparedPatchEmbed>;

    /// [`patch_embed`](Self::patch_embed) of checked operands.
    fn patch_embed_kernel(
        &self,
        plan: &PatchEmbedPlan<Self>,
        scratch: SpanMut<'_, Self>,
        io: Forward<'_, Self>,
    ) -> Result<()>;

    /// [`patch_embed_vjp`](Self::patch_embed_vjp) of checked operands.
    fn patch_embed_vjp_kernel(
        &self,
        plan: &PatchEmbedPlan<Self>,
        scratch: SpanMut<'_, Self>,
        io: Backward<'_, Self>,
    ) -> Result<()>;
}
