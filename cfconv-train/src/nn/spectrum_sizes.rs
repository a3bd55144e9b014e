//! Sizes of half spectra between layers.

use cfconv_fft::half_width;

use super::operands::expect_positive;
use crate::device::Result;

/// Sizes of the half spectra of a batch of images, `[C, H, Wr, 2, B]` with Wr = W/2 + 1: for each bin B real parts,
/// then B imaginary parts.
///
/// They are orthonormal ([`FftNorm::Ortho`](cfconv_fft::FftNorm::Ortho)), so that white noise has the same variance
/// in an image and in each bin of its spectrum (half of it in each of the two parts).
///
/// # Examples
/// ```
/// use cfconv_train::nn::SpectrumSizes;
///
/// let sizes = SpectrumSizes { channels: 3, height: 4, width: 6 };
/// assert_eq!(sizes.half_width(), 4);
/// assert_eq!(sizes.len(5), 3 * 4 * 4 * 2 * 5);
/// assert_eq!(sizes.image_len(5), 3 * 4 * 6 * 5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpectrumSizes {
    /// Channels.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns of the image; the half spectrum has W/2 + 1.
    pub width: usize,
}

impl SpectrumSizes {
    /// Columns of the half spectrum.
    pub fn half_width(&self) -> usize {
        half_width(self.width)
    }

    /// Values of the half spectra of a batch.
    pub fn len(&self, batch: usize) -> usize {
        self.channels * self.plane_len(batch)
    }

    /// Values of the images of a batch.
    pub fn image_len(&self, batch: usize) -> usize {
        self.channels * self.height * self.width * batch
    }

    /// Refuses sizes of zero.
    pub(crate) fn validate(&self, op: &'static str) -> Result<()> {
        let Self { channels, height, width } = *self;
        expect_positive(op, &[("channels", channels), ("height", height), ("width", width)])
    }

    /// Values of one channel of the half spectra of a batch.
    pub(crate) fn plane_len(&self, batch: usize) -> usize {
        self.height * self.half_width() * 2 * batch
    }
}
