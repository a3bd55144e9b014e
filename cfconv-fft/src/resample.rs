//! Half spectra of one image size from those of another: interpolation and low-pass by trigonometric
//! polynomials.

use ndarray::{Array, Array2, ArrayView, ArrayView2, ArrayViewMut2, Dimension, Zip, s};

use crate::error::check_sizes;
use crate::planes::{zeros_with_planes, zip_planes};
use crate::spectrum::{check_half_spectrum, hermitian_project_column};
use crate::{Complex, FftNorm, Real, Result, half_width};

/// Turns the half spectrum of an image `[H, W]` into that of the same image on a grid `[H2, W2]`.
///
/// Signed frequencies that both grids have are copied, the others are dropped or filled with zeros, each
/// axis by itself, so one axis may shrink while the other grows. Then
/// `irfft2(resample_spectrum(rfft2(x)))` is the trigonometric interpolation of x on the new grid, low-passed
/// where the grid has become coarser. `norm` says in which norm the spectrum is (and stays): values of the
/// image keep their size, so `Backward` spectra are multiplied by H2·W2/(H·W), `Ortho` ones by its root.
///
/// A Nyquist frequency of an even size stands for two signed frequencies at once, +½ and −½ cycles per
/// sample. The result is the spectrum of a real image in every case:
/// * an axis that **grows** from an even size: half of the Nyquist bin goes to each of the two frequencies,
///   which are separate bins now (for columns, the Hermitian part of it, the only part `irfft2` would use);
/// * an axis that **shrinks** to an even size: the two frequencies add up in the new Nyquist bin, as the
///   samples of the low-passed image make them do;
/// * a size that stays the same: bins are only copied.
///
/// # Shapes
/// `half_spectrum` `[.., H, width/2 + 1]`, result `[.., new_height, new_width/2 + 1]`.
///
/// # Errors
/// Fewer than two axes, a size of zero, or a number of columns that does not belong to `width`.
///
/// # Source
/// The treatment of Nyquist is that of `scipy.signal.resample`, applied to each axis.
///
/// # Examples
/// ```
/// use cfconv_fft::{FftNorm, irfft2, resample_spectrum, rfft2};
/// use ndarray::array;
///
/// // A cosine of one cycle: 4 samples of it become 8.
/// let spectrum = rfft2(array![[1.0, 0.0, -1.0, 0.0]].view(), FftNorm::Backward)?;
/// let finer = resample_spectrum(spectrum.view(), 4, 1, 8, FftNorm::Backward)?;
/// let image = irfft2(finer.view(), 8, FftNorm::Backward)?;
/// assert!((image[[0, 1]] - 0.5_f64.sqrt()).abs() < 1e-15);
/// # Ok::<(), cfconv_fft::FftError>(())
/// ```
pub fn resample_spectrum<T: Real, D: Dimension>(
    half_spectrum: ArrayView<'_, Complex<T>, D>,
    width: usize,
    new_height: usize,
    new_width: usize,
    norm: FftNorm,
) -> Result<Array<Complex<T>, D>> {
    let op = "resample_spectrum";
    let height = check_half_spectrum(op, "half_spectrum", half_spectrum.shape(), width)?;
    check_sizes(op, &[("new_height", new_height), ("new_width", new_width)])?;
    let map = ResampleMap { height, width, new_height, new_width };
    let mut output = zeros_with_planes(&half_spectrum, [new_height, half_width(new_width)]);
    zip_planes(half_spectrum, output.view_mut(), |input, output| map.apply(input, output, map.scale(norm)));
    Ok(output)
}

/// The adjoint of [`resample_spectrum`]: a gradient `[H2, W2]` becomes one `[H, W]`.
///
/// In the inner product of docs/conventions.md, over stored bins. Sizes and norm are those of the forward
/// call; what was dropped there is zero here.
///
/// # Shapes
/// `grad_output` `[.., H2, new_width/2 + 1]`, result `[.., height, width/2 + 1]`.
///
/// # Errors
/// As [`resample_spectrum`].
///
/// # Source
/// docs/derivations/fft-adjoints.md.
///
/// # Examples
/// ```
/// use cfconv_fft::{Complex, FftNorm, resample_spectrum_adjoint};
/// use ndarray::array;
///
/// // Shrinking 4 columns to 2 keeps dc, and makes the new Nyquist bin of column 1 and its mirror.
/// let one = Complex::new(1.0, 0.0);
/// let grad = resample_spectrum_adjoint(array![[one, one]].view(), 2, 1, 4, FftNorm::Forward)?;
/// assert_eq!(grad, array![[one, one * 2.0, one * 0.0]]);
/// # Ok::<(), cfconv_fft::FftError>(())
/// ```
pub fn resample_spectrum_adjoint<T: Real, D: Dimension>(
    grad_output: ArrayView<'_, Complex<T>, D>,
    new_width: usize,
    height: usize,
    width: usize,
    norm: FftNorm,
) -> Result<Array<Complex<T>, D>> {
    let op = "resample_spectrum_adjoint";
    let new_height = check_half_spectrum(op, "grad_output", grad_output.shape(), new_width)?;
    check_sizes(op, &[("height", height), ("width", width)])?;
    let map = ResampleMap { height, width, new_height, new_width };
    let mut grad_input = zeros_with_planes(&grad_output, [height, half_width(width)]);
    zip_planes(grad_output, grad_input.view_mut(), |grad_output, grad_input| {
        map.apply_adjoint(grad_output, grad_input, map.scale(norm));
    });
    Ok(grad_input)
}

/// Sizes of a resampling.
#[derive(Clone, Copy)]
struct ResampleMap {
    height: usize,
    width: usize,
    new_height: usize,
    new_width: usize,
}

/// What becomes of the Nyquist frequency of the smaller of two sizes.
#[derive(Clone, Copy, PartialEq)]
enum Nyquist {
    /// The smaller size is odd, or both are equal: there is nothing to treat.
    None,
    /// The axis grows: the bin is halved and split.
    Split(usize),
    /// The axis shrinks: two bins are added.
    Merge(usize),
}

impl Nyquist {
    fn of(old: usize, new: usize) -> Self {
        let smaller = old.min(new);
        match old.cmp(&new) {
            std::cmp::Ordering::Less if smaller.is_multiple_of(2) => Self::Split(smaller / 2),
            std::cmp::Ordering::Greater if smaller.is_multiple_of(2) => Self::Merge(smaller / 2),
            _ => Self::None,
        }
    }
}

impl ResampleMap {
    fn scale<T: Real>(self, norm: FftNorm) -> T {
        let points = self.height * self.width;
        let new_points = self.new_height * self.new_width;
        // Amplitudes of harmonics (`Forward`) stay; the other norms hold multiples of them.
        T::cast(
            norm.forward_scale::<f64>(new_points) * new_points as f64
                / (norm.forward_scale::<f64>(points) * points as f64),
        )
    }

    /// `[H, Wr]` to `[H2, Wr2]`; `output` is zero.
    fn apply<T: Real>(
        self,
        input: ArrayView2<'_, Complex<T>>,
        mut output: ArrayViewMut2<'_, Complex<T>>,
        scale: T,
    ) {
        let rows = self.rows_resampled(input);
        let kept = half_width(self.width.min(self.new_width));
        Zip::from(output.slice_mut(s![.., ..kept])).and(rows.slice(s![.., ..kept])).for_each(
            |output, &input| {
                *output = input * scale;
            },
        );
        self.treat_nyquist_column(output);
    }

    /// `[H2, Wr2]` to `[H, Wr]`; `grad_input` is zero.
    fn apply_adjoint<T: Real>(
        self,
        grad_output: ArrayView2<'_, Complex<T>>,
        mut grad_input: ArrayViewMut2<'_, Complex<T>>,
        scale: T,
    ) {
        // Rows and columns commute: rows hold real weights that do not change with the sign of p.
        let rows = self.rows_resampled_adjoint(grad_output);
        let kept = half_width(self.width.min(self.new_width));
        Zip::from(grad_input.slice_mut(s![.., ..kept])).and(rows.slice(s![.., ..kept])).for_each(
            |grad_input, &grad_output| {
                *grad_input = grad_output * scale;
            },
        );
        self.treat_nyquist_column(grad_input);
    }

    /// The factor times the Hermitian projection, which is its own adjoint, of the column at the smaller
    /// width's Nyquist frequency: ½ where it is split, 2 where it is the sum of a column and its mirror.
    fn treat_nyquist_column<T: Real>(self, mut plane: ArrayViewMut2<'_, Complex<T>>) {
        let (column, factor) = match Nyquist::of(self.width, self.new_width) {
            Nyquist::None => return,
            Nyquist::Split(column) => (column, T::cast(0.5)),
            Nyquist::Merge(column) => (column, T::cast(2.0)),
        };
        let mut column = plane.column_mut(column);
        hermitian_project_column(column.view_mut());
        column.mapv_inplace(|bin| bin * factor);
    }

    /// `[H, Wr]` to `[H2, Wr]`.
    fn rows_resampled<T: Real>(self, input: ArrayView2<'_, Complex<T>>) -> Array2<Complex<T>> {
        let mut output = self.rows_copied(input, self.height, self.new_height);
        match Nyquist::of(self.height, self.new_height) {
            Nyquist::None => {}
            Nyquist::Split(row) => {
                let half = input.row(row).mapv(|bin| bin * T::cast(0.5));
                output.row_mut(self.new_height - row).assign(&half);
                output.row_mut(row).assign(&half);
            }
            Nyquist::Merge(row) => {
                output.row_mut(row).assign(&(&input.row(row) + &input.row(self.height - row)));
            }
        }
        output
    }

    /// `[H2, Wr2]` to `[H, Wr2]`.
    fn rows_resampled_adjoint<T: Real>(self, grad_output: ArrayView2<'_, Complex<T>>) -> Array2<Complex<T>> {
        let mut grad_input = self.rows_copied(grad_output, self.new_height, self.height);
        match Nyquist::of(self.height, self.new_height) {
            Nyquist::None => {}
            Nyquist::Split(row) => {
                let both = &grad_output.row(row) + &grad_output.row(self.new_height - row);
                grad_input.row_mut(row).assign(&both.mapv(|bin| bin * T::cast(0.5)));
            }
            Nyquist::Merge(row) => {
                grad_input.row_mut(row).assign(&grad_output.row(row));
                grad_input.row_mut(self.height - row).assign(&grad_output.row(row));
            }
        }
        grad_input
    }

    /// Copies the rows whose signed frequency is below that of the smaller size's Nyquist (all rows if the
    /// sizes are equal).
    fn rows_copied<T: Real>(
        self,
        input: ArrayView2<'_, Complex<T>>,
        from: usize,
        to: usize,
    ) -> Array2<Complex<T>> {
        if from == to {
            return input.to_owned();
        }
        let smaller = from.min(to);
        let positive = smaller.div_ceil(2);
        let negative = smaller.div_ceil(2) - 1;
        let mut output = Array2::zeros((to, input.ncols()));
        output.slice_mut(s![..positive, ..]).assign(&input.slice(s![..positive, ..]));
        output.slice_mut(s![to - negative.., ..]).assign(&input.slice(s![from - negative.., ..]));
        output
    }
}
