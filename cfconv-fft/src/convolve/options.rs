//! The forms of convolution.

/// Convolution or cross-correlation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ConvolutionKind {
    /// The kernel runs against the image: `k[s]` meets `x[h − s]`.
    #[default]
    Convolution,
    /// The kernel runs with the image, as in the layers of neural networks: `k[s]` meets `x[h + s]`.
    CrossCorrelation,
}

/// Which part of a linear convolution is wanted; sizes are those of one axis, image n and kernel k.
///
/// | extent | output | convolution | cross-correlation |
/// |---|---|---|---|
/// | `Full` | n + k − 1 | `Σ k[s]·x[h − s]` | `Σ k[s]·x[h + s − (k − 1)]` |
/// | `Same` | n | `Σ k[s]·x[h − s + (k−1)/2]` | `Σ k[s]·x[h + s − (k−1)/2]` |
/// | `Valid` | n − k + 1 | `Σ k[s]·x[h − s + k − 1]` | `Σ k[s]·x[h + s]` |
///
/// (k−1)/2 is rounded down. `Same` is `scipy.signal.convolve2d` for a convolution and PyTorch's
/// `padding="same"` for a cross-correlation (SciPy's `correlate2d` takes the other middle of an even kernel).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Extent {
    /// Every position where kernel and image overlap.
    Full,
    /// The middle, as large as the image.
    #[default]
    Same,
    /// Positions where the kernel lies within the image.
    Valid,
}

/// What lies beyond the edge of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Boundary {
    /// The image again, periodically; the output is as large as the image, whatever the size of the kernel.
    ///
    /// Convolution: `y[h] = Σ_s k[s]·x[(h − s + origin) mod H]`; cross-correlation:
    /// `y[h] = Σ_s k[s]·x[(h + s − origin) mod H]`, and so for columns.
    Circular {
        /// `[row, column]` of the tap that meets `x[h]` itself: `[0, 0]` is the convolution of spectral
        /// layers, [`centered_origin`] leaves an image where it is.
        origin: [usize; 2],
    },
    /// Zeros.
    Linear(Extent),
}

impl Default for Boundary {
    fn default() -> Self {
        Self::Linear(Extent::Same)
    }
}

/// The middle tap of a kernel `[kh, kw]`: `[(kh − 1)/2, (kw − 1)/2]`, rounded down.
///
/// # Examples
/// ```
/// assert_eq!(cfconv_fft::centered_origin([5, 4]), [2, 1]);
/// ```
pub const fn centered_origin([kernel_height, kernel_width]: [usize; 2]) -> [usize; 2] {
    [kernel_height.saturating_sub(1) / 2, kernel_width.saturating_sub(1) / 2]
}

/// A form of convolution: what [`ConvolutionPlan`](crate::ConvolutionPlan) computes.
///
/// # Examples
/// ```
/// use cfconv_fft::{Boundary, ConvolutionKind, ConvolutionOptions, Extent};
///
/// // What a 3×3 layer of a neural network does.
/// let layer = ConvolutionOptions { kind: ConvolutionKind::CrossCorrelation, ..Default::default() };
/// assert_eq!(layer.boundary, Boundary::Linear(Extent::Same));
/// assert_eq!(layer.groups, 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvolutionOptions {
    /// Convolution or cross-correlation.
    pub kind: ConvolutionKind,
    /// Circular, or linear and which part.
    pub boundary: Boundary,
    /// Input and output channels are cut into this many groups that do not see each other: 1 connects all,
    /// as many as input channels is a depthwise convolution.
    pub groups: usize,
}

impl Default for ConvolutionOptions {
    fn default() -> Self {
        Self { kind: ConvolutionKind::default(), boundary: Boundary::default(), groups: 1 }
    }
}
