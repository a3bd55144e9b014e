//! Batch normalisation, with the activation behind it in the same pass.

mod cpu_kernel;
mod cuda_kernel;

use super::operands::expect_positive;
use super::{Activation, Backward, Forward, OpSizes};
use crate::device::{Memory, Result, Span, SpanMut};

/// Sizes and settings of a batch normalisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormSizes {
    /// Channels.
    pub channels: usize,
    /// Pixels of a channel of one image, H·W.
    pub pixels: usize,
    /// What is added to the variance.
    pub epsilon: f32,
    /// Weight of the new value in the running statistics.
    pub momentum: f32,
    /// The function applied to the normalised values, if any.
    pub activation: Option<Activation>,
}

impl BatchNormSizes {
    /// Number of running statistics, and of saved ones.
    pub fn num_statistics(&self) -> usize {
        2 * self.channels
    }
}

impl OpSizes for BatchNormSizes {
    const BACKWARD_READS_INPUT: bool = true;

    fn validate(&self, op: &'static str) -> Result<()> {
        expect_positive(op, &[("channels", self.channels), ("pixels", self.pixels)])
    }

    fn input_len(&self, batch: usize) -> usize {
        self.channels * self.pixels * batch
    }

    fn num_parameters(&self) -> usize {
        2 * self.channels
    }
}

/// What a normalisation in training writes besides its output.
#[derive(Debug)]
pub struct BatchStatistics<'a, D: Memory> {
    /// The running statistics, which move towards those of the batch.
    pub running: SpanMut<'a, D>,
    /// What the backward pass reads; overwritten.
    pub saved: SpanMut<'a, D>,
}

/// Batch normalisation on a device: per channel,
/// `y = f(γ·(x − μ)/√(σ² + ε) + β)` over the batch and all pixels.
///
/// # Shapes
/// Values `[C, H, W, B]`; `params` `[2, C]`: γ, then β; `running` `[2, C]`: means, then variances; `saved`
/// `[2, C]`: means, then 1/√(σ² + ε) of this batch.
///
/// # Source
/// Ioffe and Szegedy, 2015. As in PyTorch the running variance is the unbiased one (of a single value, the
/// biased one), normalisation uses the biased one.
pub trait BatchNormOp: Memory {
    /// Normalises with the statistics of the batch and updates the running ones.
    ///
    /// # Errors
    /// As for [`Forward::check`], and if the statistics have wrong lengths.
    fn batch_norm_train(
        &self,
        sizes: &BatchNormSizes,
        statistics: BatchStatistics<'_, Self>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "batch_norm_train";
        io.check(OP, sizes)?;
        statistics.running.expect_len(OP, "running", sizes.num_statistics())?;
        statistics.saved.expect_len(OP, "saved", sizes.num_statistics())?;
        self.batch_norm_train_kernel(sizes, statistics, io)
    }

    /// Computes the gradients of [`batch_norm_train`](Self::batch_norm_train) from its input and `saved`.
    ///
    /// # Errors
    /// As for [`Backward::check`], and if `saved` has a wrong length.
    fn batch_norm_vjp(
        &self,
        sizes: &BatchNormSizes,
        saved: Span<'_, Self>,
        io: Backward<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "batch_norm_vjp";
        io.check(OP, sizes)?;
        saved.expect_len(OP, "saved", sizes.num_statistics())?;
        self.batch_norm_vjp_kernel(sizes, saved, io)
    }

    /// Normalises with the running statistics.
    ///
    /// # Errors
    /// As for [`Forward::check`], and if `running` has a wrong length.
    fn batch_norm_eval(
        &self,
        sizes: &BatchNormSizes,
        running: Span<'_, Self>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "batch_norm_eval";
        io.check(OP, sizes)?;
        running.expect_len(OP, "running", sizes.num_statistics())?;
        self.batch_norm_eval_kernel(sizes, running, io)
    }

    /// [`batch_norm_train`](Self::batch_norm_train) of checked operands.
    fn batch_norm_train_kernel(
        &self,
        sizes: &BatchNormSizes,
        statistics: BatchStatistics<'_, Self>,
        io: Forward<'_, Self>,
    ) -> Result<()>;

    /// [`batch_norm_vjp`](Self::batch_norm_vjp) of checked operands.
    fn batch_norm_vjp_kernel(
        &self,
        sizes: &BatchNormSizes,
        saved: Span<'_, Self>,
        io: Backward<'_, Self>,
    ) -> Result<()>;

    /// [`batch_norm_eval`](Self::batch_norm_eval) of checked operands.
    fn batch_norm_eval_kernel(
        &self,
        sizes: &BatchNormSizes,
        running: Span<'_, Self>,
        io: Forward<'_, Self>,
    ) -> Result<()>;
}
