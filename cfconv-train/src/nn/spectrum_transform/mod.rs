//! From images to half spectra and back.

mod cpu_kernel;
mod cuda_kernel;

use super::SpectrumSizes;
use crate::device::{Memory, Result, Span, SpanMut};

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
    type SpectrumTransformPlan: std::fmt::Debug + Send + Sync;

    /// Prepares transforms of these sizes.
    ///
    /// # Errors
    /// [`DeviceError::Fft`](crate::device::DeviceError::Fft) if a size is zero.
    fn plan_spectrum_transform(&self, sizes: &SpectrumSizes) -> Result<Self::SpectrumTransformPlan>;

    /// Computes the half spectra of images.
    ///
    /// # Errors
    /// If a length is wrong.
    fn to_spectrum(
        &self,
        plan: &Self::SpectrumTransformPlan,
        batch: usize,
        images: Span<'_, Self>,
        spectra: SpanMut<'_, Self>,
    ) -> Result<()>;

    /// Computes the gradient of images from that of their half spectra: the adjoint.
    ///
    /// # Errors
    /// If a length is wrong.
    fn to_spectrum_adjoint(
        &self,
        plan: &Self::SpectrumTransformPlan,
        batch: usize,
        grad_spectra: Span<'_, Self>,
        grad_images: SpanMut<'_, Self>,
    ) -> Result<()>;

    /// Computes the images of half spectra.
    ///
    /// # Errors
    /// If a length is wrong.
    fn to_image(
        &self,
        plan: &Self::SpectrumTransformPlan,
        batch: usize,
        spectra: Span<'_, Self>,
        images: SpanMut<'_, Self>,
    ) -> Result<()>;

    /// Computes the gradient of half spectra from that of their images: the adjoint.
    ///
    /// # Errors
    /// If a length is wrong.
    fn to_image_adjoint(
        &self,
        plan: &Self::SpectrumTransformPlan,
        batch: usize,
        grad_images: Span<'_, Self>,
        grad_spectra: SpanMut<'_, Self>,
    ) -> Result<()>;
}
