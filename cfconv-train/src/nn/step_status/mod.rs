//! Whether a training step counts: found on the device, obeyed by the operations behind it, read by the host later.
//!
//! A loss or a gradient that is not a number must not reach parameters, moments, averages and states. A host that
//! looks at every loss before it goes on waits for the device in each step. So the device checks: once a step has
//! failed, that step and all later ones change nothing, until the host has seen it ([`StepMonitor::sync`]).

mod cpu_kernel;
mod cuda_kernel;
mod monitor;

pub(crate) use cpu_kernel::gradient_factor;
pub use monitor::StepMonitor;

use crate::device::{Memory, Result, Span, SpanMut};

/// Values of a step status: whether a step has failed (found-inf, 1 or 0), and the factor for gradients.
pub const STEP_STATUS_LEN: usize = 2;

/// The sums of one training step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StepSums {
    /// Sum of the images' losses.
    pub loss: f64,
    /// Sum of their squares.
    pub loss_squares: f64,
    /// Number of images whose label has the largest logit.
    pub correct: f64,
    /// Sum of the squares of all gradients.
    pub grad_squares: f64,
}

impl StepSums {
    /// Values of a device's buffer that hold the sums: four doubles, each as two floats, low half first.
    pub const LEN: usize = 8;

    /// The Euclidean norm of all gradients.
    pub fn grad_norm(&self) -> f64 {
        self.grad_squares.sqrt()
    }

    /// Whether the step counts: its loss and its gradients are finite.
    pub fn is_finite(&self) -> bool {
        self.loss.is_finite() && self.grad_squares.is_finite()
    }

    fn from_values(values: &[f32; Self::LEN]) -> Self {
        let double = |at: usize| {
            let [low, high] = [values[2 * at], values[2 * at + 1]].map(|half| u64::from(half.to_bits()));
            f64::from_bits(low | high << 32)
        };
        Self { loss: double(0), loss_squares: double(1), correct: double(2), grad_squares: double(3) }
    }
}

/// Checks of training steps on a device, as in a gradient scaler.
///
/// # Shapes
/// `sums` [`StepSums::LEN`] values that begin at an even place of their buffer, `step_status` [`STEP_STATUS_LEN`].
pub trait StepStatusOp: Memory {
    /// Writes the sum of `losses`, of their squares and of `correct`, each `[B]`, to `sums`.
    ///
    /// # Errors
    /// If a length is wrong.
    fn sum_losses(
        &self,
        losses: Span<'_, Self>,
        correct: Span<'_, Self>,
        sums: SpanMut<'_, Self>,
    ) -> Result<()> {
        correct.expect_len("sum_losses", "correct", losses.len())?;
        sums.expect_len("sum_losses", "sums", StepSums::LEN)?;
        self.sum_losses_kernel(losses, correct, sums)
    }

    /// Writes the sum of the squares of `grads` to `sums`, in `f64`, so that it is finite if and only if every value
    /// is. Sets `step_status` to failed if that sum or the loss of `sums` is not finite, and never back. The factor is
    /// `clip_norm` over the norm where that is larger than a `clip_norm` above 0, else 1.
    ///
    /// # Errors
    /// If a length is wrong.
    fn check_finite(
        &self,
        clip_norm: f64,
        grads: Span<'_, Self>,
        sums: SpanMut<'_, Self>,
        step_status: SpanMut<'_, Self>,
    ) -> Result<()> {
        sums.expect_len("check_finite", "sums", StepSums::LEN)?;
        step_status.expect_len("check_finite", "step_status", STEP_STATUS_LEN)?;
        self.check_finite_kernel(clip_norm, grads, sums, step_status)
    }

    /// Copies between buffers if a step has failed.
    ///
    /// # Errors
    /// If the lengths differ.
    fn copy_if_failed(
        &self,
        step_status: Span<'_, Self>,
        source: Span<'_, Self>,
        target: SpanMut<'_, Self>,
    ) -> Result<()> {
        step_status.expect_len("copy_if_failed", "step_status", STEP_STATUS_LEN)?;
        target.expect_len("copy_if_failed", "target", source.len())?;
        self.copy_if_failed_kernel(step_status, source, target)
    }

    /// [`sum_losses`](Self::sum_losses) of checked operands.
    fn sum_losses_kernel(
        &self,
        losses: Span<'_, Self>,
        correct: Span<'_, Self>,
        sums: SpanMut<'_, Self>,
    ) -> Result<()>;

    /// [`check_finite`](Self::check_finite) of checked operands.
    fn check_finite_kernel(
        &self,
        clip_norm: f64,
        grads: Span<'_, Self>,
        sums: SpanMut<'_, Self>,
        step_status: SpanMut<'_, Self>,
    ) -> Result<()>;

    /// [`copy_if_failed`](Self::copy_if_failed) of checked operands.
    fn copy_if_failed_kernel(
        &self,
        step_status: Span<'_, Self>,
        source: Span<'_, Self>,
        target: SpanMut<'_, Self>,
    ) -> Result<()>;
}

/// What gradients of this norm are multiplied by.
pub(crate) fn clip_factor(clip_norm: f64, norm: f64) -> f64 {
    if clip_norm > 0.0 && norm > clip_norm { clip_norm / norm } else { 1.0 }
}
