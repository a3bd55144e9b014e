//! Cross-entropy on the CUDA device.

use super::{CrossEntropy, CrossEntropyOp};
use crate::device::cuda::{Argument, Grid, Launcher, count, launch};
use crate::device::{Result, Span, SpanMut};

impl<L: Launcher> CrossEntropyOp for L {
    fn cross_entropy_kernel(&self, operands: CrossEntropy<'_, Self>) -> Result<()> {
        let CrossEntropy { batch, smoothing, logits, labels, losses, correct, grad_logits } = operands;
        let (grid, classes) = (Grid::over(count(batch), L::THREADS), logits.len() / batch);
        let labels = Argument::ReadIndices(labels);
        launch!(
            self,
            "cross_entropy",
            grid,
            logits,
            labels,
            losses,
            correct,
            grad_logits,
            classes,
            batch,
            smoothing
        )
    }

    fn softmax_kernel(
        &self,
        batch: usize,
        logits: Span<'_, Self>,
        probabilities: SpanMut<'_, Self>,
    ) -> Result<()> {
        let (grid, classes) = (Grid::over(count(batch), L::THREADS), logits.len() / batch);
        launch!(self, "softmax", grid, logits, probabilities, classes, batch)
    }
}
