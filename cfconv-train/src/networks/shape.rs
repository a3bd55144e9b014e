//! Shapes of the values between layers, for one image.

use std::fmt;

use cfconv_fft::half_width;

use crate::nn::SpectrumSizes;

/// The images a network takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputShape {
    /// Channels.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// What one image has become at some place of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `[C, H, W]`.
    Image {
        /// Channels.
        channels: usize,
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// The half spectrum of an image, `[C, H, Wr, 2]` with Wr = W/2 + 1: for each bin its real and its imaginary
    /// part, orthonormal.
    Spectrum {
        /// Channels.
        channels: usize,
        /// Rows.
        height: usize,
        /// Columns of the image.
        width: usize,
    },
    /// `[F]`.
    Features(usize),
}

impl Shape {
    /// Number of values.
    pub fn len(self) -> usize {
        match self {
            Self::Image { channels, height, width } => channels * height * width,
            Self::Spectrum { channels, height, width } => SpectrumSizes { channels, height, width }.len(1),
            Self::Features(features) => features,
        }
    }

    /// Whether there are no values.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl From<InputShape> for Shape {
    fn from(input: InputShape) -> Self {
        Self::Image { channels: input.channels, height: input.height, width: input.width }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image { channels, height, width } => f.pad(&format!("{channels}×{height}×{width}")),
            Self::Spectrum { channels, height, width } => {
                f.pad(&format!("{channels}×{height}×{}×2", half_width(*width)))
            }
            Self::Features(features) => f.pad(&features.to_string()),
        }
    }
}
