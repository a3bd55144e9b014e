//! From images to half spectra and back.

mod cpu_kernel;
mod cuda_kernel;

use super::{Backward, Forward, OpPlan, OpSizes, SpectrumSizes};
use crate::device::{Memory, Result};

/// Sizes of the transform to half spectra.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToSpectrumSizes(pub SpectrumSizes);

/// Sizes of the transform to images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToImageSizes(pub SpectrumSizes);

/// Transforms of given sizes in both directions, prepared on a device.
pub type SpectrumTransformPlan<D> =
    OpPlan<ToSpectrumSizes, <D as SpectrumTransformOp>::PreparedSpectrumTransform>;

impl OpSizes for ToSpectrumSizes {
    const BACKWARD_READS_INPUT: bool = false;

    fn validate(&self, op: &'static str) -> Result<()> {
        self.0.validate(op)
    }

    fn input_len(&self, batch: usize) -> usize {
        self.0.image_len(batch)
    }

    fn output_len(&self, batch: usize) -> usize {
        self.0.len(batch)
    }
}

impl OpSizes for ToImageSizes {
    const BACKWARD_READS_INPUT: bool = false;

    fn validate(&self, op: &'static str) -> Result<()> {
        self.0.validate(op)
    }

    fn input_len(&self, batch: usize) -> usize {
        self.0.len(batch)
    }

    fn output_len(&self, batch: usize) -> usize {
        self.0.image_len(batch)
    }
}

/// Orthonormal real transforms on a device: the ends of a part of a network that stays in the frequency domain.
///
/// `to_spectrum` is `rfft2`, `to_image` is `irfft2`, both with 1/√(H·W). Layers between the two may leave the
/// self-conjugate columns (q = 0 and, W even, q = W/2) without Hermitian symmetry; `to_image` uses their Hermitian
/// part and discards the rest.
///
/// # Shapes
/// Images `[C, H, W, B]`, half spectra `[C, H, Wr, 2, B]`.
///
/// # Source
/// Adjoints: docs/derivations/fft-adjoints.md.
pub trait SpectrumTransformOp: Memory {
    /// What the device prepares once for given sizes.
    type PreparedSpectrumTransform: std::fmt::Debug + Send + Sync;

    /// Prepares transforms of these sizes.
    ///
    /// # Errors
    /// [`DeviceError::UnsupportedSize`](crate::device::DeviceError::UnsupportedSize) if a size is zero.
    fn plan_spectrum_transform(&self, sizes: &SpectrumSizes) -> Result<SpectrumTransformPlan<Self>> {
        let sizes = ToSpectrumSizes(*sizes);
        OpPlan::try_new("spectrum_transform", &sizes, |sizes| self.prepare_spectrum_transform(&sizes.0))
    }

    /// Computes the half spectra of images.
    ///
    /// # Errors
    /// As for [`Forward::check`].
    fn to_spectrum(&self, plan: &SpectrumTransformPlan<Self>, io: Forward<'_, Self>) -> Result<()> {
        io.check("to_spectrum", &plan.sizes)?;
        self.to_spectrum_kernel(plan, io)
    }

    /// Computes the gradient of images from that of their half spectra: the adjoint.
    ///
    /// # Errors
    /// As for [`Backward::check`].
    fn to_spectrum_adjoint(&self, plan: &SpectrumTransformPlan<Self>, io: Backward<'_, Self>) -> Result<()> {
        io.check("to_spectrum_adjoint", &plan.sizes)?;
        let Some(io) = io.into_adjoint() else { return Ok(()) };
        self.to_spectrum_adjoint_kernel(plan, io)
    }

    /// Computes the images of half spectra.
    ///
    /// # Errors
    /// As for [`Forward::check`].
    fn to_image(&self, plan: &SpectrumTransformPlan<Self>, io: Forward<'_, Self>) -> Result<()> {
        io.check("to_image", &ToImageSizes(plan.sizes.0))?;
        self.to_image_kernel(plan, io)
    }

    /// Computes the gradient of half spectra from that of their images: the adjoint.
    ///
    /// # Errors
    /// As for [`Backward::check`].
    fn to_image_adjoint(&self, plan: &SpectrumTransformPlan<Self>, io: Backward<'_, Self>) -> Result<()> {
        io.check("to_image_adjoint", &ToImageSizes(plan.sizes.0))?;
        let Some(io) = io.into_adjoint() else { return Ok(()) };
        self.to_image_adjoint_kernel(plan, io)
    }

    /// [`plan_spectrum_transform`](Self::plan_spectrum_transform) of checked sizes.
    fn prepare_spectrum_transform(&self, sizes: &SpectrumSizes) -> Result<Self::PreparedSpectrumTransform>;

    /// [`to_spectrum`](Self::to_spectrum) of checked operands.
    fn to_spectrum_kernel(&self, plan: &SpectrumTransformPlan<Self>, io: Forward<'_, Self>) -> Result<()>;

    /// [`to_spectrum_adjoint`](Self::to_spectrum_adjoint) of checked operands: from the gradient of the output to that
    /// of the input.
    fn to_spectrum_adjoint_kernel(
        &self,
        plan: &SpectrumTransformPlan<Self>,
        io: Forward<'_, Self>,
    ) -> Result<()>;

    /// [`to_image`](Self::to_image) of checked operands.
    fn to_image_kernel(&self, plan: &SpectrumTransformPlan<Self>, io: Forward<'_, Self>) -> Result<()>;

    /// [`to_image_adjoint`](Self::to_image_adjoint) of checked operands: from the gradient of the output to that of the
    /// input.
    fn to_image_adjoint_kernel(
        &self,
        plan: &SpectrumTransformPlan<Self>,
        io: Forward<'_, Self>,
    ) -> Result<()>;
}
