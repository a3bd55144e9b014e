//! Sizes of pooling windows.

use super::OpSizes;
use super::operands::expect_positive;
use crate::device::{DeviceError, Result};

/// Sizes of a pooling operation: windows of `size`×`size` pixels, `stride` apart, all inside the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSizes {
    /// Channels.
    pub channels: usize,
    /// Rows of the input.
    pub height: usize,
    /// Columns of the input.
    pub width: usize,
    /// Rows and columns of a window, at most those of the input.
    pub size: usize,
    /// Rows and columns from one window to the next.
    pub stride: usize,
}

impl PoolSizes {
    /// Rows of the output, ⌊(H − size)/stride⌋ + 1: rows that fill no window are left out.
    pub fn output_height(&self) -> usize {
        (self.height - self.size) / self.stride + 1
    }

    /// Columns of the output.
    pub fn output_width(&self) -> usize {
        (self.width - self.size) / self.stride + 1
    }

    /// Values of one channel of the input of a batch.
    pub(crate) fn input_plane(&self, batch: usize) -> usize {
        self.height * self.width * batch
    }

    /// Values of one channel of the output of a batch.
    pub(crate) fn output_plane(&self, batch: usize) -> usize {
        self.output_height() * self.output_width() * batch
    }

    /// Whether two windows share a pixel.
    pub(crate) fn overlaps(&self) -> bool {
        self.size > self.stride
    }
}

impl OpSizes for PoolSizes {
    const BACKWARD_READS_INPUT: bool = false;

    fn validate(&self, op: &'static str) -> Result<()> {
        let Self { channels, height, width, size, stride } = *self;
        expect_positive(op, &[("channels", channels), ("size", size), ("stride", stride)])?;
        if size > height.min(width) {
            let expected = "at most the rows and columns of the image";
            return Err(DeviceError::UnsupportedSize { op, name: "size", expected, got: size });
        }
        Ok(())
    }

    fn input_len(&self, batch: usize) -> usize {
        self.channels * self.input_plane(batch)
    }

    fn output_len(&self, batch: usize) -> usize {
        self.channels * self.output_plane(batch)
    }
}
