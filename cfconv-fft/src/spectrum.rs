//! What the bins of a half spectrum mean: frequencies, multiplicity, Hermitian symmetry.

use ndarray::{ArrayView, ArrayViewMut, ArrayViewMut1, Dimension};

use crate::error::{check_shape, check_sizes};
use crate::planes::{for_each_plane_mut, plane_shape};
use crate::{Complex, Real, Result};

/// Number of columns of the half spectrum of planes `width` wide: `width / 2 + 1`.
///
/// # Examples
/// ```
/// assert_eq!(cfconv_fft::half_width(8), 5);
/// assert_eq!(cfconv_fft::half_width(7), 4);
/// ```
#[inline]
pub const fn half_width(width: usize) -> usize {
    width / 2 + 1
}

/// The signed number of cycles per plane of row `index` of `length`, in fftfreq order.
///
/// 0, 1, …, then from `−⌊length/2⌋` up to −1; of an even length, the Nyquist row is negative.
///
/// # Examples
/// ```
/// use cfconv_fft::signed_index;
///
/// assert_eq!((0..5).map(|p| signed_index(p, 5)).collect::<Vec<_>>(), [0, 1, 2, -2, -1]);
/// assert_eq!((0..4).map(|p| signed_index(p, 4)).collect::<Vec<_>>(), [0, 1, -2, -1]);
/// ```
#[inline]
pub const fn signed_index(index: usize, length: usize) -> isize {
    if index < length.div_ceil(2) { index as isize } else { index as isize - length as isize }
}

/// Frequencies of the rows of a spectrum, signed, in fftfreq order.
///
/// # Units
/// Cycles per sample, [−0.5, 0.5).
///
/// # Examples
/// ```
/// assert_eq!(cfconv_fft::row_frequencies::<f64>(4), [0.0, 0.25, -0.5, -0.25]);
/// ```
pub fn row_frequencies<T: Real>(height: usize) -> Vec<T> {
    (0..height).map(|row| T::cast(signed_index(row, height) as f64 / height as f64)).collect()
}

/// Frequencies of the columns of a half spectrum.
///
/// # Units
/// Cycles per sample, [0, 0.5].
///
/// # Examples
/// ```
/// assert_eq!(cfconv_fft::col_frequencies::<f64>(4), [0.0, 0.25, 0.5]);
/// assert_eq!(cfconv_fft::col_frequencies::<f64>(5), [0.0, 0.2, 0.4]);
/// ```
pub fn col_frequencies<T: Real>(width: usize) -> Vec<T> {
    (0..half_width(width)).map(|column| T::cast(column as f64 / width as f64)).collect()
}

/// Whether a column of a half spectrum is its own mirror: dc, and Nyquist of an even width.
///
/// # Examples
/// ```
/// use cfconv_fft::is_self_conjugate_column;
///
/// assert_eq!((0..3).map(|q| is_self_conjugate_column(q, 4)).collect::<Vec<_>>(), [true, false, true]);
/// assert_eq!((0..3).map(|q| is_self_conjugate_column(q, 5)).collect::<Vec<_>>(), [true, false, false]);
/// ```
#[inline]
pub const fn is_self_conjugate_column(column: usize, width: usize) -> bool {
    column == 0 || 2 * column == width
}

/// How many bins of the full spectrum a column of the half spectrum stands for: 1 or 2.
///
/// # Examples
/// ```
/// // The multiplicities of the half spectrum add up to the full width.
/// assert_eq!((0..4).map(|q| cfconv_fft::multiplicity(q, 6)).sum::<usize>(), 6);
/// assert_eq!((0..4).map(|q| cfconv_fft::multiplicity(q, 7)).sum::<usize>(), 7);
/// ```
#[inline]
pub const fn multiplicity(column: usize, width: usize) -> usize {
    if is_self_conjugate_column(column, width) { 1 } else { 2 }
}

/// Projects the self-conjugate columns of half spectra onto Hermitian symmetry, in place.
///
/// `Z[p, q] ← (Z[p, q] + conj Z[−p mod H, q]) / 2` for q = 0 and, `width` even, q = `width`/2; all other
/// columns stay as they are. Afterwards the bins are exactly the half spectrum of a real plane. The map is
/// the orthogonal projection in the inner product of docs/conventions.md, hence its own adjoint, and
/// [`irfft2`](crate::Rfft2Plan::irfft2_into) gives the same plane before and after it.
///
/// # Shapes
/// `half_spectrum` `[.., H, width/2 + 1]`.
///
/// # Errors
/// Fewer than two axes, no rows, or a number of columns that does not belong to `width`.
///
/// # Examples
/// ```
/// use cfconv_fft::{Complex, hermitian_project};
/// use ndarray::array;
///
/// let mut column = array![[Complex::new(1.0, 5.0)], [Complex::new(2.0, 1.0)], [Complex::new(4.0, 3.0)]];
/// hermitian_project(column.view_mut(), 1)?;
/// assert_eq!(column, array![[Complex::new(1.0, 0.0)], [Complex::new(3.0, -1.0)], [Complex::new(3.0, 1.0)]]);
/// # Ok::<(), cfconv_fft::FftError>(())
/// ```
pub fn hermitian_project<T: Real, D: Dimension>(
    half_spectrum: ArrayViewMut<'_, Complex<T>, D>,
    width: usize,
) -> Result<()> {
    check_half_spectrum("hermitian_project", "half_spectrum", half_spectrum.shape(), width)?;
    for_each_plane_mut(half_spectrum, |mut plane| {
        hermitian_project_column(plane.column_mut(0));
        if width > 1 && width.is_multiple_of(2) {
            hermitian_project_column(plane.column_mut(width / 2));
        }
    });
    Ok(())
}

/// Projects one column, `[H]`.
pub(crate) fn hermitian_project_column<T: Real>(mut column: ArrayViewMut1<'_, Complex<T>>) {
    let height = column.len();
    let half = T::cast(0.5);
    for p in 0..=height / 2 {
        let mirror = (height - p) % height;
        let projected = (column[p] + column[mirror].conj()) * half;
        column[p] = projected;
        column[mirror] = projected.conj();
    }
}

/// The energy Σ|x|² of the planes behind half spectra, by Parseval's identity, in f64.
///
/// `Σ_{p,q} m[q]·|X[p, q]|²` with m the multiplicity. For spectra in `Ortho` norm it equals the energy of the
/// images; in `Backward` norm it is H·W times as much, in `Forward` norm H·W times less. Self-conjugate
/// columns are taken as they are: project them first if they may not be Hermitian.
///
/// # Shapes
/// `half_spectrum` `[.., H, width/2 + 1]`.
///
/// # Errors
/// As [`hermitian_project`].
///
/// # Examples
/// ```
/// use cfconv_fft::{FftNorm, rfft2, spectral_energy};
/// use ndarray::array;
///
/// let image = array![[1.0, 2.0, -2.0], [0.0, 4.0, 0.0]]; // energy 25
/// let spectrum = rfft2(image.view(), FftNorm::Ortho)?;
/// assert!((spectral_energy(spectrum.view(), 3)? - 25.0).abs() < 1e-12);
/// # Ok::<(), cfconv_fft::FftError>(())
/// ```
pub fn spectral_energy<T: Real, D: Dimension>(
    half_spectrum: ArrayView<'_, Complex<T>, D>,
    width: usize,
) -> Result<f64> {
    check_half_spectrum("spectral_energy", "half_spectrum", half_spectrum.shape(), width)?;
    let energy_of_row = |row: ndarray::ArrayView1<'_, Complex<T>>| -> f64 {
        let bins = row.iter().enumerate();
        bins.map(|(column, bin)| {
            multiplicity(column, width) as f64 * (bin.re.as_f64().powi(2) + bin.im.as_f64().powi(2))
        })
        .sum()
    };
    Ok(half_spectrum.rows().into_iter().map(energy_of_row).sum())
}

/// Fails unless `shape` is `[.., H, width/2 + 1]` with H and `width` at least 1; returns H.
pub(crate) fn check_half_spectrum(
    op: &'static str,
    operand: &'static str,
    shape: &[usize],
    width: usize,
) -> Result<usize> {
    let [height, columns] = plane_shape(op, operand, shape)?;
    check_sizes(op, &[("width", width), ("height", height)])?;
    if columns != half_width(width) {
        let mut expected = shape.to_vec();
        expected[shape.len() - 1] = half_width(width);
        check_shape(op, operand, &expected, shape)?;
    }
    Ok(height)
}
