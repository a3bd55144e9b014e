//! One axis of a convolution through the FFT: where taps go, how long the transform is.

use super::{Boundary, ConvolutionKind, Extent};
use crate::{next_fast_even_len, next_fast_len};

/// The plan of one axis.
///
/// Every form is brought to `y[h] = Σ_s k'[s]·x[(h − s + shift) mod fft]` for h < `output`, k' being the
/// kernel, reversed for a cross-correlation. Tap s is placed at `(s − shift) mod fft`; then the wanted part
/// of the product starts at 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct AxisPlan {
    pub(super) image: usize,
    pub(super) kernel: usize,
    pub(super) output: usize,
    pub(super) fft: usize,
    shift: usize,
    reversed: bool,
}

impl AxisPlan {
    /// Plans an axis; `None` if the kernel has no complete overlap where only such count. `even` asks for an
    /// even transform where its length can be chosen.
    pub(super) fn new(
        image: usize,
        kernel: usize,
        kind: ConvolutionKind,
        boundary: Boundary,
        axis: usize,
        even: bool,
    ) -> Option<Self> {
        let reversed = kind == ConvolutionKind::CrossCorrelation;
        let full = image + kernel - 1;
        let (output, shift, fft) = match boundary {
            Boundary::Circular { origin } => {
                let origin = origin[axis] % image;
                // k[s]·x[h + s − origin] with s = kernel − 1 − s'.
                let shift = if reversed { (kernel - 1) % image + image - origin } else { origin };
                (image, shift, image)
            }
            Boundary::Linear(extent) => {
                let (output, shift) = match extent {
                    Extent::Full => (full, 0),
                    Extent::Same if reversed => (image, kernel / 2),
                    Extent::Same => (image, (kernel - 1) / 2),
                    Extent::Valid => ((image + 1).checked_sub(kernel).filter(|&n| n > 0)?, kernel - 1),
                };
                // Entry n of the full product also receives entries n ± fft: for every wanted n, from shift
                // to shift + output, these must lie outside of 0..full.
                let needed = image.max(full - shift).max(shift + output);
                (output, shift, if even { next_fast_even_len(needed) } else { next_fast_len(needed) })
            }
        };
        Some(Self { image, kernel, output, fft, shift: shift % fft, reversed })
    }

    /// Where tap `s` is placed.
    pub(super) fn tap(&self, s: usize) -> usize {
        let s = if self.reversed { self.kernel - 1 - s } else { s };
        (s % self.fft + self.fft - self.shift) % self.fft
    }
}
