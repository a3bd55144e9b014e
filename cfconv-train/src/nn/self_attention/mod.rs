//! Multi-head self-attention over the pixels of an image as tokens.

mod cpu_kernel;
mod cuda_kernel;
mod head;
mod lane_product;

use super::operands::expect_positive;
use super::{Backward, Forward, OpPlan, OpSizes};
use crate::device::{DeviceError, Memory, Result, SpanMut};

/// Sizes of a self-attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelfAttentionSizes {
    /// Channels of input and output, a multiple of `heads`.
    pub channels: usize,
    /// Rows of the image.
    pub height: usize,
    /// Columns of the image.
    pub width: usize,
    /// Heads.
    pub heads: usize,
    /// Whether learned constants are added behind both projections.
    pub bias: bool,
}

impl SelfAttentionSizes {
    /// Tokens of an image.
    pub fn tokens(&self) -> usize {
        self.height * self.width
    }

    /// Channels of a head.
    pub fn head_channels(&self) -> usize {
        self.channels / self.heads
    }

    /// Number of weights: `[3·C, C]` of the projection to queries, keys and values, `[C, C]` of that behind.
    pub fn num_weights(&self) -> usize {
        4 * self.channels * self.channels
    }

    /// Values of the scratch of a batch: queries, keys and values.
    pub fn scratch_len(&self, batch: usize) -> usize {
        3 * self.input_len(batch)
    }
}

/// Attention of given sizes, prepared on a device.
pub type SelfAttentionPlan<D> = OpPlan<SelfAttentionSizes, <D as SelfAttentionOp>::PreparedSelfAttention>;

impl OpSizes for SelfAttentionSizes {
    const BACKWARD_READS_INPUT: bool = true;

    fn validate(&self, op: &'static str) -> Result<()> {
        let Self { channels, height, width, heads, .. } = *self;
        expect_positive(
            op,
            &[("channels", channels), ("height", height), ("width", width), ("heads", heads)],
        )?;
        if !channels.is_multiple_of(heads) {
            let (name, expected) = ("heads", "a divisor of the number of channels");
            return Err(DeviceError::UnsupportedSize { op, name, expected, got: heads });
        }
        Ok(())
    }

    fn input_len(&self, batch: usize) -> usize {
        self.channels * self.tokens() * batch
    }

    fn num_parameters(&self) -> usize {
        self.num_weights() + if self.bias { 4 * self.channels } else { 0 }
    }
}

/// Memory that a self-attention uses besides its operands.
#[derive(Debug)]
pub struct SelfAttentionMemory<'a, D: Memory> {
    /// What the forward pass keeps for the backward pass, which overwrites it.
    pub saved: SpanMut<'a, D>,
    /// Room of any content.
    pub scratch: SpanMut<'a, D>,
}

/// Multi-head scaled dot-product self-attention on a device. For each image, with tokens t and d = C/heads:
///
/// ```text
/// (q, k, v)[t] = W_qkv·x[t] + b_qkv                       q: channels 0 … C − 1, then k, then v; head n has n·d …
/// P[t, s] = softmax_s(q[t]·k[s]/√d)                       for each head
/// y[t] = W_out·(Σ_s P[t, s]·v[s], heads side by side) + b_out
/// ```
///
/// No array of T×T probabilities outlives a tile of queries: the vector-Jacobian product computes them again. What
/// is kept from the forward pass are queries, keys, values and the heads' outputs, 4·C·T numbers an image.
///
/// # Shapes
/// Input and output `[C, H, W, B]`; `params`: W_qkv `[3·C, C]`, W_out `[C, C]`, b_qkv `[3·C]`, b_out `[C]`; `saved`
/// as [`self_attention_saved_len`](Self::self_attention_saved_len) says, `scratch`
/// [`scratch_len`](SelfAttentionSizes::scratch_len) values of any content.
///
/// # Source
/// Vaswani et al., "Attention is all you need", 2017, section 3.2. Gradients: docs/derivations/self-attention.md.
pub trait SelfAttentionOp: Memory {
    /// What the device prepares once for given sizes, with its working memory.
    type PreparedSelfAttention: std::fmt::Debug + Send + Sync;

    /// Prepares attention of these sizes.
    ///
    /// # Errors
    /// [`DeviceError::UnsupportedSize`] if a size is zero or the heads do not divide the channels.
    fn plan_self_attention(&self, sizes: &SelfAttentionSizes) -> Result<SelfAttentionPlan<Self>> {
        OpPlan::try_new("self_attention", sizes, |sizes| self.prepare_self_attention(sizes))
    }

    /// Computes the output and what [`self_attention_vjp`](Self::self_attention_vjp) reads.
    ///
    /// # Errors
    /// As for [`Forward::check`], and if the memory has wrong lengths.
    fn self_attention(
        &self,
        plan: &SelfAttentionPlan<Self>,
        memory: SelfAttentionMemory<'_, Self>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "self_attention";
        io.check(OP, &plan.sizes)?;
        memory.saved.expect_len(OP, "saved", self.self_attention_saved_len(plan, io.batch))?;
        memory.scratch.expect_len(OP, "scratch", plan.sizes.scratch_len(io.batch))?;
        self.self_attention_kernel(plan, memory, io)
    }

    /// Computes the gradient of the input and adds those of the parameters. It overwrites what was saved, so that each
    /// forward pass serves one backward pass.
    ///
    /// # Errors
    /// As for [`Backward::check`], and if the memory has wrong lengths.
    fn self_attention_vjp(
        &self,
        plan: &SelfAttentionPlan<Self>,
        memory: SelfAttentionMemory<'_, Self>,
        io: Backward<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "self_attention_vjp";
        io.check(OP, &plan.sizes)?;
        memory.saved.expect_len(OP, "saved", self.self_attention_saved_len(plan, io.batch))?;
        memory.scratch.expect_len(OP, "scratch", plan.sizes.scratch_len(io.batch))?;
        self.self_attention_vjp_kernel(plan, memory, io)
    }

    /// Values that a batch keeps from the forward pass for the backward pass.
    fn self_attention_saved_len(&self, plan: &SelfAttentionPlan<Self>, batch: usize) -> usize;

    /// Bytes of working memory that a plan holds.
    fn self_attention_scratch_bytes(&self, plan: &SelfAttentionPlan<Self>) -> usize;

    /// Bytes of working memory that a plan grows to.
    fn self_attention_planned_bytes(&self, plan: &SelfAttentionPlan<Self>) -> usize;

    /// [`plan_self_attention`](Self::plan_self_attention) of checked sizes.
    fn prepare_self_attention(&self, sizes: &SelfAttentionSizes) -> Result<Self::PreparedSelfAttention>;

    /// [`self_attention`](Self::self_attention) of checked operands.
    fn self_attention_kernel(
        &self,
        plan: &SelfAttentionPlan<Self>,
        memory: SelfAttentionMemory<'_, Self>,
        io: Forward<'_, Self>,
    ) -> Result<()>;

    /// [`self_attention_vjp`](Self::self_attention_vjp) of checked operands.
    fn self_attention_vjp_kernel(
        &self,
        plan: &SelfAttentionPlan<Self>,
        memory: SelfAttentionMemory<'_, Self>,
        io: Backward<'_, Self>,
    ) -> Result<()>;
}
