//! Sizes of pooling windows.

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

    /// Values of the input of a batch.
    pub fn input_len(&self, batch: usize) -> usize {
        self.channels * self.height * self.width * batch
    }

    /// Values of the output of a batch.
    pub fn output_len(&self, batch: usize) -> usize {
        self.channels * self.output_height() * self.output_width() * batch
    }

    /// Whether two windows share a pixel.
    pub(crate) fn overlaps(&self) -> bool {
        self.size > self.stride
    }
}
