//! Batch normalisation of complex values.

mod cpu_kernel;
mod cuda_kernel;
mod whitening;

use serde::{Deserialize, Serialize};

use super::{Backward, BatchStatistics, Forward, OpSizes, SpectrumSizes};
use crate::device::{Memory, Result, Span};

/// The values that share a mean and a covariance, always within a channel and over the batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpectrumStatistics {
    /// All stored bins. Spectra of images fall off steeply, so that the zero frequency and its neighbours sync
    /// the covariance, and the falloff stays as it is.
    #[default]
    Channel,
    /// Bins of about the same distance from the zero frequency, in rings one cycle per image wide; the last, at the
    /// Nyquist frequency, holds the corners too. The falloff is levelled out.
    Radial,
}

/// Sizes and settings of a complex batch normalisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ComplexBatchNormSizes {
    /// The values.
    pub spectrum: SpectrumSizes,
    /// The values that share a mean and a covariance.
    pub statistics: SpectrumStatistics,
    /// What is added to both variances.
    pub epsilon: f32,
    /// Weight of the new value in the running statistics.
    pub momentum: f32,
}

impl ComplexBatchNormSizes {
    /// Parameters of a channel: γ_rr, γ_ii, γ_ri, β_r, β_i.
    pub const PARAMETERS: usize = 5;

    /// Statistics of a ring: the means of both parts, their variances, their covariance.
    pub const STATISTICS: usize = 5;

    /// Number of rings of a channel.
    ///
    /// # Examples
    /// ```
    /// use cfconv_train::nn::{ComplexBatchNormSizes, SpectrumSizes, SpectrumStatistics};
    ///
    /// let spectrum = SpectrumSizes { channels: 1, height: 8, width: 6 };
    /// let sizes = |statistics| ComplexBatchNormSizes { spectrum, statistics, epsilon: 1e-5, momentum: 0.1 };
    /// assert_eq!(sizes(SpectrumStatistics::Channel).rings(), 1);
    /// // 0, 1, 2 and 3 cycles, and whatever lies beyond.
    /// assert_eq!(sizes(SpectrumStatistics::Radial).rings(), 4);
    /// ```
    pub fn rings(&self) -> usize {
        match self.statistics {
            SpectrumStatistics::Channel => 1,
            SpectrumStatistics::Radial => self.spectrum.height.min(self.spectrum.width) / 2 + 1,
        }
    }

    /// Number of running statistics.
    pub fn num_statistics(&self) -> usize {
        Self::STATISTICS * self.spectrum.channels * self.rings()
    }

    /// The ring of each stored bin.
    pub(crate) fn ring_of_bins(&self) -> Vec<usize> {
        let SpectrumSizes { height, width, .. } = self.spectrum;
        let side = height.min(width) as f64;
        let last = self.rings() - 1;
        let half_width = self.spectrum.half_width();
        (0..height * half_width)
            .map(|bin| {
                let (p, q) = (bin / half_width, bin % half_width);
                let row = p.min(height - p) as f64 / height as f64;
                let cycles = (side * row.hypot(q as f64 / width as f64)).round();
                (cycles as usize).min(last)
            })
            .collect()
    }
}

impl OpSizes for ComplexBatchNormSizes {
    const BACKWARD_READS_INPUT: bool = true;

    fn validate(&self, op: &'static str) -> Result<()> {
        self.spectrum.validate(op)
    }

    fn input_len(&self, batch: usize) -> usize {
        self.spectrum.len(batch)
    }

    fn num_parameters(&self) -> usize {
        Self::PARAMETERS * self.spectrum.channels
    }
}

/// Complex batch normalisation on a device: with z as a vector (re, im), for each channel and ring
/// `y = Γ·V^(−1/2)·(z − μ) + β`, where μ is the mean and V the 2×2 covariance of re and im over the batch and the
/// ring's stored bins, with ε added to its diagonal.
///
/// After the whitening V^(−1/2) both parts have the variance 1 and no correlation. Γ = [[γ_rr, γ_ri], [γ_ri, γ_ii]]
/// and β are learned for each channel.
///
/// # Shapes
/// Values `[C, H, Wr, 2, B]`; `params` `[5, C]`: γ_rr, γ_ii, γ_ri, β_r, β_i; `running` and `saved` `[5, C, R]` for R
/// rings: means of re, of im, variances of re, of im, covariances; `saved` without ε.
///
/// # Source
/// Trabelsi et al., "Deep complex networks", 2018, section 3.5. As in [`BatchNormOp`](super::BatchNormOp) the running
/// covariance is the unbiased one, and normalisation uses the biased one. The paper's means run over an image's
/// pixels; here they run over frequencies. Gradients: docs/derivations/complex-activations.md.
pub trait ComplexBatchNormOp: Memory {
    /// Normalises with the statistics of the batch and updates the running ones.
    ///
    /// # Errors
    /// As for [`Forward::check`], and if the statistics have wrong lengths.
    fn complex_batch_norm_train(
        &self,
        sizes: &ComplexBatchNormSizes,
        statistics: BatchStatistics<'_, Self>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "complex_batch_norm_train";
        io.check(OP, sizes)?;
        statistics.running.expect_len(OP, "running", sizes.num_statistics())?;
        statistics.saved.expect_len(OP, "saved", sizes.num_statistics())?;
        self.complex_batch_norm_train_kernel(sizes, statistics, io)
    }

    /// Computes the gradients of [`complex_batch_norm_train`](Self::complex_batch_norm_train) from its input and
    /// `saved`.
    ///
    /// # Errors
    /// As for [`Backward::check`], and if `saved` has a wrong length.
    fn complex_batch_norm_vjp(
        &self,
        sizes: &ComplexBatchNormSizes,
        saved: Span<'_, Self>,
        io: Backward<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "complex_batch_norm_vjp";
        io.check(OP, sizes)?;
        saved.expect_len(OP, "saved", sizes.num_statistics())?;
        self.complex_batch_norm_vjp_kernel(sizes, saved, io)
    }

    /// Normalises with the running statistics.
    ///
    /// # Errors
    /// As for [`Forward::check`], and if `running` has a wrong length.
    fn complex_batch_norm_eval(
        &self,
        sizes: &ComplexBatchNormSizes,
        running: Span<'_, Self>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        const OP: &str = "complex_batch_norm_eval";
        io.check(OP, sizes)?;
        running.expect_len(OP, "running", sizes.num_statistics())?;
        self.complex_batch_norm_eval_kernel(sizes, running, io)
    }

    /// [`complex_batch_norm_train`](Self::complex_batch_norm_train) of checked operands.
    fn complex_batch_norm_train_kernel(
        &self,
        sizes: &ComplexBatchNormSizes,
        statistics: BatchStatistics<'_, Self>,
        io: Forward<'_, Self>,
    ) -> Result<()>;

    /// [`complex_batch_norm_vjp`](Self::complex_batch_norm_vjp) of checked operands.
    fn complex_batch_norm_vjp_kernel(
        &self,
        sizes: &ComplexBatchNormSizes,
        saved: Span<'_, Self>,
        io: Backward<'_, Self>,
    ) -> Result<()>;

    /// [`complex_batch_norm_eval`](Self::complex_batch_norm_eval) of checked operands.
    fn complex_batch_norm_eval_kernel(
        &self,
        sizes: &ComplexBatchNormSizes,
        running: Span<'_, Self>,
        io: Forward<'_, Self>,
    ) -> Result<()>;
}
