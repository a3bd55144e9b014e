//! Multi-head self-attention over the pixels of an image as tokens.

mod cpu_kernel;
mod cuda_kernel;
mod head;
mod lane_product;

use crate::device::{Memory, Result, Span, SpanMut};

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

    /// Number of parameters: weights, then biases `[3·C]` and `[C]` if there are any.
    pub fn num_parameters(&self) -> usize {
        self.num_weights() + if self.bias { 4 * self.channels } else { 0 }
    }

    /// Values of input or output of a batch.
    pub fn len(&self, batch: usize) -> usize {
        self.channels * self.tokens() * batch
    }

    /// Values of the scratch of a batch: queries, keys and values.
    pub fn scratch_len(&self, batch: usize) -> usize {
        3 * self.len(batch)
    }
}

/// Multi-head scaled dot-product self-attention on a device. For each image, with tokens t and d = C/heads:
///
/// ```text
/// (q, k, v)[t] = W_qkv·x[t] + b_qkv                       q: channels 0 … C − 1, then k, then v; head n has n·d …
/// P[t, s] = softmax_s(q[t]·k[s]/√d)                       for each head
/// y[t] = W_out·(Σ_s P[t, s]·v[s], heads side by side) + b_out
/// ```
///
/// No array of T×T probabilities outlives a tile of queries: the vector-Jacobian product computes them anew. What
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
    type SelfAttentionPlan: std::fmt::Debug + Send + Sync;

    /// Prepares attention of these sizes.
    ///
    /// # Errors
    /// [`DeviceError::UnsupportedSize`](crate::device::DeviceError::UnsupportedSize) if a size is zero or the heads
    /// do not divide the channels.
    fn plan_self_attention(&self, sizes: &SelfAttentionSizes) -> Result<Self::SelfAttentionPlan>;

    /// Values that a batch keeps from the forward pass for the backward pass.
    fn self_attention_saved_len(&self, plan: &Self::SelfAttentionPlan, batch: usize) -> usize;

    /// Bytes of working memory that a plan holds.
    fn self_attention_scratch_bytes(&self, plan: &Self::SelfAttentionPlan) -> usize;

    /// Bytes of working memory that a plan grows to.
    fn self_attention_planned_bytes(&self, plan: &Self::SelfAttentionPlan) -> usize;

    /// Computes the output and what [`self_attention_vjp`](Self::self_attention_vjp) reads.
    ///
    /// # Errors
    /// If a length is wrong.
    fn self_attention(
        &self,
        plan: &Self::SelfAttentionPlan,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        saved: SpanMut<'_, Self>,
        scratch: SpanMut<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()>;

    /// Computes the gradient of the input and adds those of the parameters; overwrites `saved`, so that each forward
    /// pass serves one backward pass.
    ///
    /// # Errors
    /// If a length is wrong.
    fn self_attention_vjp(
        &self,
        plan: &Self::SelfAttentionPlan,
        batch: usize,
        input: Span<'_, Self>,
        params: Span<'_, Self>,
        saved: SpanMut<'_, Self>,
        scratch: SpanMut<'_, Self>,
        grad_output: Span<'_, Self>,
        grad_input: Option<SpanMut<'_, Self>>,
        grad_params: SpanMut<'_, Self>,
    ) -> Result<()>;
}
