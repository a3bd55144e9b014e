//! Margins around planes: padding, cropping and their adjoints.

use ndarray::{Array, ArrayView, Dimension, s};
use num_traits::Zero;

use crate::error::check_sizes;
use crate::planes::{plane_shape, zeros_with_planes, zip_planes};
use crate::{FftError, Result};

/// Numbers of rows and columns around a plane.
///
/// # Examples
/// ```
/// use cfconv_fft::Padding2d;
///
/// let padding = Padding2d { top: 1, bottom: 2, left: 0, right: 3 };
/// assert_eq!(padding.padded([10, 10]), [13, 13]);
/// assert_eq!(Padding2d::uniform(2).padded([3, 4]), [7, 8]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Padding2d {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns on the left.
    pub left: usize,
    /// Columns on the right.
    pub right: usize,
}

impl Padding2d {
    /// The same margin on every side.
    pub const fn uniform(margin: usize) -> Self {
        Self { top: margin, bottom: margin, left: margin, right: margin }
    }

    /// Size of a plane `[H, W]` with these margins.
    pub const fn padded(self, [height, width]: [usize; 2]) -> [usize; 2] {
        [self.top + height + self.bottom, self.left + width + self.right]
    }
}

/// What margins are filled with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PaddingMode {
    /// Zeros.
    #[default]
    Zeros,
    /// The plane continued periodically.
    Circular,
    /// The plane mirrored at its first and last samples, which are not repeated.
    Reflect,
    /// The nearest sample of the plane.
    Replicate,
}

impl PaddingMode {
    /// Every mode, for tests that go through all of them.
    pub const ALL: [Self; 4] = [Self::Zeros, Self::Circular, Self::Reflect, Self::Replicate];

    /// The sample, of `length`, that stands at `index`, which may lie outside; `None` is a zero.
    fn source(self, index: isize, length: usize) -> Option<usize> {
        let inside = 0 <= index && index < length as isize;
        let last = length as isize - 1;
        match self {
            Self::Zeros => inside.then_some(index as usize),
            Self::Circular => Some(index.rem_euclid(length as isize) as usize),
            Self::Reflect if last == 0 => Some(0),
            Self::Reflect => {
                let phase = index.rem_euclid(2 * last);
                Some(phase.min(2 * last - phase) as usize)
            }
            Self::Replicate => Some(index.clamp(0, last) as usize),
        }
    }

    /// The sources of `before + length + after` samples.
    fn sources(self, before: usize, length: usize, after: usize) -> Vec<Option<usize>> {
        let indices = (0..before + length + after).map(|index| index as isize - before as isize);
        indices.map(|index| self.source(index, length)).collect()
    }
}

/// Puts margins around planes.
///
/// Margins may be wider than the plane: `Circular` and `Reflect` go on periodically.
///
/// # Shapes
/// `input` `[.., H, W]`, result `[.., top + H + bottom, left + W + right]`.
///
/// # Errors
/// Fewer than two axes, or a height or width of zero.
///
/// # Examples
/// ```
/// use cfconv_fft::{Padding2d, PaddingMode, pad};
/// use ndarray::array;
///
/// let sides = Padding2d { left: 2, right: 1, ..Padding2d::default() };
/// let row = array![[1, 2, 3]];
/// assert_eq!(pad(row.view(), sides, PaddingMode::Zeros)?, array![[0, 0, 1, 2, 3, 0]]);
/// assert_eq!(pad(row.view(), sides, PaddingMode::Circular)?, array![[2, 3, 1, 2, 3, 1]]);
/// assert_eq!(pad(row.view(), sides, PaddingMode::Reflect)?, array![[3, 2, 1, 2, 3, 2]]);
/// assert_eq!(pad(row.view(), sides, PaddingMode::Replicate)?, array![[1, 1, 1, 2, 3, 3]]);
/// # Ok::<(), cfconv_fft::FftError>(())
/// ```
pub fn pad<T, D>(input: ArrayView<'_, T, D>, padding: Padding2d, mode: PaddingMode) -> Result<Array<T, D>>
where
    T: Copy + Zero + Send + Sync,
    D: Dimension,
{
    let [height, width] = plane_shape("pad", "input", input.shape())?;
    check_sizes("pad", &[("height", height), ("width", width)])?;
    let rows = mode.sources(padding.top, height, padding.bottom);
    let columns = mode.sources(padding.left, width, padding.right);
    let mut output = zeros_with_planes(&input, padding.padded([height, width]));
    zip_planes(input, output.view_mut(), |input, mut output| {
        for (mut output, row) in output.rows_mut().into_iter().zip(&rows) {
            let Some(row) = *row else { continue };
            let input = input.row(row);
            output.slice_mut(s![padding.left..padding.left + width]).assign(&input);
            for margin in [0..padding.left, padding.left + width..columns.len()] {
                for column in margin {
                    output[column] = columns[column].map_or_else(T::zero, |source| input[source]);
                }
            }
        }
    });
    Ok(output)
}

/// The adjoint of [`pad`]: each gradient goes to the sample its place was filled from, and adds up there.
///
/// # Shapes
/// `grad_output` `[.., top + H + bottom, left + W + right]`, result `[.., H, W]`.
///
/// # Errors
/// As [`crop`].
///
/// # Examples
/// ```
/// use cfconv_fft::{Padding2d, PaddingMode, pad_adjoint};
/// use ndarray::array;
///
/// let sides = Padding2d { left: 2, right: 1, ..Padding2d::default() };
/// let grad = array![[1, 1, 1, 1, 1, 1]];
/// assert_eq!(pad_adjoint(grad.view(), sides, PaddingMode::Replicate)?, array![[3, 1, 2]]);
/// # Ok::<(), cfconv_fft::FftError>(())
/// ```
pub fn pad_adjoint<T, D>(
    grad_output: ArrayView<'_, T, D>,
    padding: Padding2d,
    mode: PaddingMode,
) -> Result<Array<T, D>>
where
    T: Copy + Zero + Send + Sync,
    D: Dimension,
{
    let [height, width] = inner_shape("pad_adjoint", "grad_output", grad_output.shape(), padding)?;
    let rows = mode.sources(padding.top, height, padding.bottom);
    let columns = mode.sources(padding.left, width, padding.right);
    let mut grad_input = zeros_with_planes(&grad_output, [height, width]);
    zip_planes(grad_output, grad_input.view_mut(), |grad_output, mut grad_input| {
        for (grad_output, row) in grad_output.rows().into_iter().zip(&rows) {
            let Some(row) = *row else { continue };
            for (&grad, column) in grad_output.iter().zip(&columns) {
                if let Some(column) = *column {
                    let sum = &mut grad_input[[row, column]];
                    *sum = *sum + grad;
                }
            }
        }
    });
    Ok(grad_input)
}

/// Cuts margins off planes: the inverse of [`pad`].
///
/// # Shapes
/// `input` `[.., top + H + bottom, left + W + right]`, result `[.., H, W]`.
///
/// # Errors
/// Fewer than two axes, or margins that leave nothing.
///
/// # Examples
/// ```
/// use cfconv_fft::{Padding2d, crop};
/// use ndarray::array;
///
/// let sides = Padding2d { left: 1, right: 2, ..Padding2d::default() };
/// assert_eq!(crop(array![[1, 2, 3, 4, 5]].view(), sides)?, array![[2, 3]]);
/// # Ok::<(), cfconv_fft::FftError>(())
/// ```
pub fn crop<T, D>(input: ArrayView<'_, T, D>, padding: Padding2d) -> Result<Array<T, D>>
where
    T: Copy + Zero + Send + Sync,
    D: Dimension,
{
    let [height, width] = inner_shape("crop", "input", input.shape(), padding)?;
    let Padding2d { top, left, .. } = padding;
    let mut output = zeros_with_planes(&input, [height, width]);
    zip_planes(input, output.view_mut(), |input, mut output| {
        output.assign(&input.slice(s![top..top + height, left..left + width]));
    });
    Ok(output)
}

/// The adjoint of [`crop`]: zeros where it has cut.
///
/// # Shapes
/// `grad_output` `[.., H, W]`, result `[.., top + H + bottom, left + W + right]`.
///
/// # Errors
/// As [`pad`].
pub fn crop_adjoint<T, D>(grad_output: ArrayView<'_, T, D>, padding: Padding2d) -> Result<Array<T, D>>
where
    T: Copy + Zero + Send + Sync,
    D: Dimension,
{
    pad(grad_output, padding, PaddingMode::Zeros)
}

/// What is left of planes of `shape` without their margins; at least one row and one column.
fn inner_shape(
    op: &'static str,
    operand: &'static str,
    shape: &[usize],
    padding: Padding2d,
) -> Result<[usize; 2]> {
    let [rows, columns] = plane_shape(op, operand, shape)?;
    let inner = |axis, size: usize, before: usize, after: usize| match size.checked_sub(before + after) {
        None | Some(0) => Err(FftError::MarginsTooWide { op, axis, before, after, size }),
        Some(inner) => Ok(inner),
    };
    Ok([
        inner("rows", rows, padding.top, padding.bottom)?,
        inner("columns", columns, padding.left, padding.right)?,
    ])
}
