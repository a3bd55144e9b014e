//! Softmax and its cross-entropy with labels.

mod cpu_kernel;
mod cuda_kernel;

use super::operands::{expect_indices, expect_positive};
use crate::device::{IndexBuffer, Memory, Result, Span, SpanMut};

/// The operands of a cross-entropy.
#[derive(Debug)]
pub struct CrossEntropy<'a, D: Memory> {
    /// Images in the batch.
    pub batch: usize,
    /// Share of the target that is spread over all classes.
    pub smoothing: f32,
    /// `[classes, B]`
    pub logits: Span<'a, D>,
    /// At least B indices below the number of classes.
    pub labels: &'a IndexBuffer<D>,
    /// `[B]`; overwritten.
    pub losses: SpanMut<'a, D>,
    /// `[B]`, 1 or 0 (of equal logits the first counts as the largest); overwritten.
    pub correct: SpanMut<'a, D>,
    /// `[classes, B]`, the gradient of the *mean* loss, if it is wanted; overwritten.
    pub grad_logits: Option<SpanMut<'a, D>>,
}

impl<D: Memory> CrossEntropy<'_, D> {
    fn check(&self, device: &D) -> Result<()> {
        const OP: &str = "cross_entropy";
        let Self { batch, logits, labels, losses, correct, grad_logits, .. } = self;
        expect_whole_columns(OP, *batch, *logits)?;
        expect_indices(device, OP, "labels", *batch, labels)?;
        losses.expect_len(OP, "losses", *batch)?;
        correct.expect_len(OP, "correct", *batch)?;
        match grad_logits {
            Some(grad_logits) => grad_logits.expect_len(OP, "grad_logits", logits.len()),
            None => Ok(()),
        }
    }
}

/// Checks that there is the same number of logits for each image.
fn expect_whole_columns<D: Memory>(op: &'static str, batch: usize, logits: Span<'_, D>) -> Result<()> {
    expect_positive(op, &[("batch", batch)])?;
    logits.expect_len(op, "logits", logits.len() / batch * batch)
}

/// Softmax and cross-entropy on a device.
pub trait CrossEntropyOp: Memory {
    /// Computes each image's loss `−Σ_c q_c·ln p_c`, with p the softmax of its logits and
    /// `q_c = (1 − smoothing)·[c = label] + smoothing/classes`, and whether its largest logit is the label's.
    ///
    /// # Source
    /// Label smoothing: Szegedy et al., 2016, section 7.
    ///
    /// # Errors
    /// If a length is wrong.
    fn cross_entropy(&self, operands: CrossEntropy<'_, Self>) -> Result<()> {
        operands.check(self)?;
        self.cross_entropy_kernel(operands)
    }

    /// Computes the softmax over the classes of each image, `[classes, B]`.
    ///
    /// # Errors
    /// If the lengths differ.
    fn softmax(&self, batch: usize, logits: Span<'_, Self>, probabilities: SpanMut<'_, Self>) -> Result<()> {
        expect_whole_columns("softmax", batch, logits)?;
        probabilities.expect_len("softmax", "probabilities", logits.len())?;
        self.softmax_kernel(batch, logits, probabilities)
    }

    /// [`cross_entropy`](Self::cross_entropy) of checked operands.
    fn cross_entropy_kernel(&self, operands: CrossEntropy<'_, Self>) -> Result<()>;

    /// [`softmax`](Self::softmax) of checked operands.
    fn softmax_kernel(
        &self,
        batch: usize,
        logits: Span<'_, Self>,
        probabilities: SpanMut<'_, Self>,
    ) -> Result<()>;
}
