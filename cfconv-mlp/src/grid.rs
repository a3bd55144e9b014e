//! The grid of kernel values and the numbering of its positions.

use crate::{MlpError, Result};

/// Sizes of a kernel spectrum K of shape `[height, width/2 + 1, in_channels, out_channels]`.
///
/// A *position* names one value of K by its index in that layout:
/// `u = ((h·Wr + w)·Cin + i)·Cout + o`, with `Wr = width/2 + 1`.
///
/// # Examples
/// ```
/// use cfconv_mlp::{GridPoint, KernelGrid};
///
/// let grid = KernelGrid { height: 4, width: 6, in_channels: 2, out_channels: 3 };
/// assert_eq!(grid.half_width(), 4);
/// assert_eq!(grid.num_positions(), 4 * 4 * 2 * 3);
/// let point = GridPoint { h: 1, w: 2, i: 1, o: 0 };
/// let position = grid.encode(point);
/// assert_eq!(position, ((1 * 4 + 2) * 2 + 1) * 3);
/// assert_eq!(grid.decode(position), point);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KernelGrid {
    /// Rows of the image and of its spectrum, H.
    pub height: usize,
    /// Columns of the image, W; the half spectrum has `W/2 + 1`.
    pub width: usize,
    /// Input channels, Cin.
    pub in_channels: usize,
    /// Output channels, Cout.
    pub out_channels: usize,
}

/// One place of a [`KernelGrid`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GridPoint {
    /// Row of the spectrum, in fftfreq order.
    pub h: usize,
    /// Column of the half spectrum.
    pub w: usize,
    /// Input channel.
    pub i: usize,
    /// Output channel.
    pub o: usize,
}

/// Decodes positions that mostly lie near the one before: divisions only where the frequency or the input channel
/// changes.
pub(crate) struct Cursor {
    grid: KernelGrid,
    point: GridPoint,
    /// The first position of the current frequency and input channel.
    frequency_start: u32,
    channel_start: u32,
}

impl Cursor {
    /// The place of `position`, as [`KernelGrid::decode`] gives it.
    #[inline(always)]
    pub(crate) fn decode(&mut self, position: u32) -> GridPoint {
        let KernelGrid { in_channels, out_channels, .. } = self.grid;
        let in_channel = position.wrapping_sub(self.channel_start);
        if in_channel < out_channels as u32 {
            self.point.o = in_channel as usize;
            return self.point;
        }
        let in_frequency = position.wrapping_sub(self.frequency_start);
        if in_frequency < (in_channels * out_channels) as u32 {
            self.point.i = (in_frequency / out_channels as u32) as usize;
            self.point.o = (in_frequency % out_channels as u32) as usize;
        } else {
            self.point = self.grid.decode(position);
            self.frequency_start = position - (self.point.i * out_channels + self.point.o) as u32;
        }
        self.channel_start = position - self.point.o as u32;
        self.point
    }
}

impl KernelGrid {
    /// Decodes positions one after the other.
    pub(crate) fn cursor(self) -> Cursor {
        let point = GridPoint { h: 0, w: 0, i: 0, o: 0 };
        Cursor { grid: self, point, frequency_start: 0, channel_start: 0 }
    }

    /// Columns of the half spectrum, `Wr = width/2 + 1`.
    pub fn half_width(&self) -> usize {
        self.width / 2 + 1
    }

    /// Frequencies of the half spectrum, `H·Wr`.
    pub fn num_frequencies(&self) -> usize {
        self.height * self.half_width()
    }

    /// Channel pairs, `Cin·Cout`.
    pub fn num_channel_pairs(&self) -> usize {
        self.in_channels * self.out_channels
    }

    /// Values of K, `H·Wr·Cin·Cout`.
    pub fn num_positions(&self) -> usize {
        self.num_frequencies() * self.num_channel_pairs()
    }

    /// The position of a point. The point must lie on the grid.
    #[inline]
    pub fn encode(&self, point: GridPoint) -> u32 {
        let GridPoint { h, w, i, o } = point;
        debug_assert!(
            h < self.height && w < self.half_width() && i < self.in_channels && o < self.out_channels
        );
        (((h * self.half_width() + w) * self.in_channels + i) * self.out_channels + o) as u32
    }

    /// The point at a position. The position must be below [`num_positions`](Self::num_positions).
    #[inline]
    pub fn decode(&self, position: u32) -> GridPoint {
        let (in_channels, out_channels) = (self.in_channels as u32, self.out_channels as u32);
        let half_width = self.half_width() as u32;
        let (row, o) = (position / out_channels, position % out_channels);
        let (frequency, i) = (row / in_channels, row % in_channels);
        let (h, w) = (frequency / half_width, frequency % half_width);
        GridPoint { h: h as usize, w: w as usize, i: i as usize, o: o as usize }
    }

    /// The grid with the same channels for images of another size.
    pub fn with_size(self, height: usize, width: usize) -> Self {
        Self { height, width, ..self }
    }

    /// Checks that every size is at least one and every position fits a `u32`.
    pub(crate) fn validate(&self) -> Result<()> {
        let sizes = [
            ("height", self.height),
            ("width", self.width),
            ("in_channels", self.in_channels),
            ("out_channels", self.out_channels),
        ];
        for (name, size) in sizes {
            if size == 0 {
                return Err(MlpError::ZeroSize { name });
            }
        }
        let num_positions = [self.height, self.half_width(), self.in_channels, self.out_channels]
            .iter()
            .fold(1_u128, |product, &size| product.saturating_mul(size as u128));
        let max = u64::from(u32::MAX);
        if num_positions > u128::from(max) {
            return Err(MlpError::TooManyPositions { num_positions, max });
        }
        Ok(())
    }
}

/// Which values of K to evaluate.
#[derive(Clone, Copy, Debug)]
pub enum Positions<'a> {
    /// Every position, in order.
    All,
    /// These positions, strictly increasing.
    List(&'a [u32]),
}

impl Positions<'_> {
    /// Number of positions on `grid`.
    pub fn len(&self, grid: &KernelGrid) -> usize {
        match self {
            Self::All => grid.num_positions(),
            Self::List(list) => list.len(),
        }
    }

    /// Whether there is nothing to evaluate.
    pub fn is_empty(&self, grid: &KernelGrid) -> bool {
        self.len(grid) == 0
    }

    /// The position at `index`.
    #[inline(always)]
    pub(crate) fn at(&self, index: usize) -> u32 {
        match self {
            Self::All => index as u32,
            Self::List(list) => list[index],
        }
    }

    /// Checks that a list is strictly increasing and lies on `grid`.
    pub(crate) fn validate(&self, grid: &KernelGrid, op: &'static str) -> Result<()> {
        let Self::List(list) = self else { return Ok(()) };
        for (index, pair) in list.windows(2).enumerate() {
            if pair[0] >= pair[1] {
                let (previous, position) = (pair[0], pair[1]);
                return Err(MlpError::PositionsNotIncreasing { op, index: index + 1, previous, position });
            }
        }
        match list.last() {
            Some(&position) if position as usize >= grid.num_positions() => {
                Err(MlpError::PositionOutOfRange { op, position, num_positions: grid.num_positions() })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_decodes_like_the_grid_in_any_order() {
        let grid = KernelGrid { height: 3, width: 4, in_channels: 2, out_channels: 5 };
        let last = grid.num_positions() as u32 - 1;
        let mut cursor = grid.cursor();
        let jumps = (0..=last).map(|n| n * 37 % (last + 1));
        for position in (0..=last).chain((0..=last).rev()).chain(jumps) {
            assert_eq!(cursor.decode(position), grid.decode(position), "position {position}");
        }
    }

    #[test]
    fn decode_inverts_encode_on_every_position() {
        for (height, width, in_channels, out_channels) in [(1, 1, 1, 1), (3, 5, 2, 7), (4, 6, 3, 1)] {
            let grid = KernelGrid { height, width, in_channels, out_channels };
            for position in 0..grid.num_positions() as u32 {
                assert_eq!(grid.encode(grid.decode(position)), position);
            }
        }
    }

    #[test]
    fn sizes_are_checked() {
        let grid = KernelGrid { height: 4, width: 0, in_channels: 1, out_channels: 1 };
        assert_eq!(grid.validate().unwrap_err().to_string(), "kernel grid: width must be at least 1, got 0");
        let grid = KernelGrid { height: 1 << 20, width: 1 << 20, in_channels: 9, out_channels: 9 };
        assert!(matches!(grid.validate(), Err(MlpError::TooManyPositions { .. })));
        let grid = KernelGrid { height: usize::MAX, width: usize::MAX, in_channels: 9, out_channels: 9 };
        assert!(matches!(grid.validate(), Err(MlpError::TooManyPositions { .. })));
    }
}
