//! Group normalisation: over the channels of a group and all pixels of one image.

mod cpu_kernel;
mod cuda_kernel;

use super::operands::expect_positive;
use super::{Backward, Forward, OpSizes};
use crate::device::{DeviceError, Memory, Result};

/// Sizes and settings of a group normalisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupNormSizes {
    /// Channels, a multiple of `groups`.
    pub channels: usize,
    /// Pixels of a channel of one image, H·W.
    pub pixels: usize,
    /// Groups of adjacent channels.
    pub groups: usize,
    /// What is added to the variance.
    pub epsilon: f32,
}

impl GroupNormSizes {
    /// Channels of a group.
    pub fn group_channels(&self) -> usize {
        self.channels / self.groups
    }

    /// Values of one group of one image.
    pub(crate) fn group_len(&self) -> usize {
        self.group_channels() * self.pixels
    }
}

impl OpSizes for GroupNormSizes {
    const BACKWARD_READS_INPUT: bool = true;

    fn validate(&self, op: &'static str) -> Result<()> {
        expect_positive(
            op,
            &[("channels", self.channels), ("pixels", self.pixels), ("groups", self.groups)],
        )?;
        if !self.channels.is_multiple_of(self.groups) {
            let expected = "a divisor of the channels";
            return Err(DeviceError::UnsupportedSize { op, name: "groups", expected, got: self.groups });
        }
        Ok(())
    }

    fn input_len(&self, batch: usize) -> usize {
        self.channels * self.pixels * batch
    }

    fn output_len(&self, batch: usize) -> usize {
        self.input_len(batch)
    }

    fn num_parameters(&self) -> usize {
        2 * self.channels
    }
}

/// Group normalisation on a device: for each image and group, `y[c] = γ[c]·(x[c] − μ)/√(σ² + ε) + β[c]` with mean μ
/// and variance σ² over the channels of the group and all pixels.
///
/// Images do not influence each other, so training and evaluation compute the same. Nothing is kept from the forward
/// pass: the vector-Jacobian product computes μ and σ² again.
///
/// # Shapes
/// Values `[C, H, W, B]`; `params` `[2, C]`: γ, then β.
///
/// # Gradients
/// With n values in a group, x̂ = (x − μ)/√(σ² + ε) and g = γ·dy:
///
/// ```text
/// dβ[c] = Σ dy;   dγ[c] = Σ dy·x̂                            over pixels and images
/// dx = (g − Σ g/n − x̂·Σ g·x̂/n)/√(σ² + ε)                    sums over the group of one image
/// ```
///
/// # Source
/// Wu and He, "Group normalization", 2018. As in PyTorch the variance is the biased one.
pub trait GroupNormOp: Memory {
    /// Normalises.
    ///
    /// # Errors
    /// As for [`Forward::check`].
    fn group_norm(&self, sizes: &GroupNormSizes, io: Forward<'_, Self>) -> Result<()> {
        io.check("group_norm", sizes)?;
        self.group_norm_kernel(sizes, io)
    }

    /// Computes the gradient of the input and adds those of the parameters.
    ///
    /// # Errors
    /// As for [`Backward::check`].
    fn group_norm_vjp(&self, sizes: &GroupNormSizes, io: Backward<'_, Self>) -> Result<()> {
        io.check("group_norm_vjp", sizes)?;
        self.group_norm_vjp_kernel(sizes, io)
    }

    /// [`group_norm`](Self::group_norm) of checked operands.
    ///
    /// # Errors
    /// What the device reports.
    fn group_norm_kernel(&self, sizes: &GroupNormSizes, io: Forward<'_, Self>) -> Result<()>;

    /// [`group_norm_vjp`](Self::group_norm_vjp) of checked operands.
    ///
    /// # Errors
    /// What the device reports.
    fn group_norm_vjp_kernel(&self, sizes: &GroupNormSizes, io: Backward<'_, Self>) -> Result<()>;
}
