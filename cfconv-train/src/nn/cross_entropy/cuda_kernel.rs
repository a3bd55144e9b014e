//! Cross-entropy on the CUDA device.

use dfdx::tensor::Storage;

use super::CrossEntropyOp;
use crate::device::cuda::{Argument, Grid, Launcher, count, launch};
use crate::device::{IndexBuffer, Result, Span, SpanMut, check_len};

impl<L: Launcher> CrossEntropyOp for L {
    fn cross_entropy(
        &self,
        batch: usize,
        smoothing: f32,
        logits: Span<'_, Self>,
        labels: &IndexBuffer<Self>,
        losses: SpanMut<'_, Self>,
        correct: SpanMut<'_, Self>,
        grad_logits: Option<SpanMut<'_, Self>>,
    ) -> Result<()> {
        const OP: &str = "cross_entropy";
        check_len(OP, "labels", batch, Storage::<u32>::len(self, labels).min(batch))?;
        losses.expect_len(OP, "losses", batch)?;
        correct.expect_len(OP, "correct", batch)?;
        if let Some(grad_logits) = &grad_logits {
            grad_logits.expect_len(OP, "grad_logits", logits.len())?;
        }
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

    fn softmax(&self, batch: usize, logits: Span<'_, Self>, probabilities: SpanMut<'_, Self>) -> Result<()> {
        probabilities.expect_len("softmax", "probabilities", logits.len())?;
        let (grid, classes) = (Grid::over(count(batch), L::THREADS), logits.len() / batch);
        launch!(self, "softmax", grid, logits, probabilities, classes, batch)
    }
}
