//! Softmax and its cross-entropy with labels.

mod cpu_kernel;
mod cuda_kernel;

use crate::device::{IndexBuffer, Memory, Result, Span, SpanMut};

/// Softmax and cross-entropy on a device.
///
/// # Shapes
/// `logits` `[classes, B]`, `labels` at least B indices below `classes`.
pub trait CrossEntropyOp: Memory {
    /// Computes each image's loss `−Σ_c q_c·ln p_c`, with p the softmax of its logits and
    /// `q_c = (1 − smoothing)·[c = label] + smoothing/classes`, and whether its largest logit is the label's.
    ///
    /// `losses` `[B]`; `correct` `[B]`, 1 or 0 (of equal logits the first counts as the largest);
    /// `grad_logits` `[classes, B]`, the gradient of the *mean* loss.
    ///
    /// # Source
    /// Label smoothing: Szegedy et al., 2016, section 7.
    ///
    /// # Errors
    /// If a length is wrong.
    fn cross_entropy(
        &self,
        batch: usize,
        smoothing: f32,
        logits: Span<'_, Self>,
        labels: &IndexBuffer<Self>,
        losses: SpanMut<'_, Self>,
        correct: SpanMut<'_, Self>,
        grad_logits: Option<SpanMut<'_, Self>>,
    ) -> Result<()>;

    /// Computes the softmax over classes of each image.
    ///
    /// # Errors
    /// If the lengths differ.
    fn softmax(&self, batch: usize, logits: Span<'_, Self>, probabilities: SpanMut<'_, Self>) -> Result<()>;
}
