//! One-shot transforms of whole arrays of any rank, built on ndrustfft.
//!
//! Each call plans, allocates and sweeps the whole array once along each of the last two axes, in parallel
//! over lines. That suits a transform now and then and a few large planes; for many planes of one size
//! [`Rfft2Plan`](crate::Rfft2Plan) keeps each plane in cache and is faster. The two share no code above the
//! one-dimensional transforms, and the tests hold them against each other.

use ndarray::{Array, ArrayView, Dimension};

use crate::backend::Direction;
use crate::error::check_sizes;
use crate::planes::{plane_shape, zeros_with_planes};
use crate::spectrum::check_half_spectrum;
use crate::{Complex, FftNorm, Real, Result, half_width};

/// Transforms complex planes: `X[p, q] = s·Σ_{h,w} x[h, w]·exp(−2πi(ph/H + qw/W))`.
///
/// # Shapes
/// `input` and the result `[.., H, W]`.
///
/// # Errors
/// Fewer than two axes, or a height or width of zero.
///
/// # Examples
/// ```
/// use cfconv_fft::{Complex, FftNorm, fft2};
/// use ndarray::array;
///
/// let i = Complex::<f64>::i();
/// let spectrum = fft2(array![[i, i], [i, i]].view(), FftNorm::Forward)?;
/// assert_eq!(spectrum[[0, 0]], i); // the mean
/// assert_eq!(spectrum[[1, 1]], i * 0.0);
/// # Ok::<(), cfconv_fft::FftError>(())
/// ```
pub fn fft2<T: Real, D: Dimension>(
    input: ArrayView<'_, Complex<T>, D>,
    norm: FftNorm,
) -> Result<Array<Complex<T>, D>> {
    let [height, width] = complex_plane_shape("fft2", input.shape())?;
    let (columns, rows) = plane_axes(&input);
    let mut partial = Array::zeros(input.raw_dim());
    let mut output = Array::zeros(input.raw_dim());
    T::sweep_complex(input.into_dyn(), partial.view_mut().into_dyn(), rows, Direction::Forward);
    T::sweep_complex(partial.view().into_dyn(), output.view_mut().into_dyn(), columns, Direction::Forward);
    Ok(scaled(output, norm.forward_scale(height * width)))
}

/// Transforms complex spectra back: `x[h, w] = s·Σ_{p,q} X[p, q]·exp(+2πi(ph/H + qw/W))`.
///
/// # Shapes
/// `spectrum` and the result `[.., H, W]`.
///
/// # Errors
/// As [`fft2`].
///
/// # Examples
/// ```
/// use cfconv_fft::{Complex, FftNorm, ifft2};
/// use ndarray::array;
///
/// let one = Complex::new(1.0, 0.0);
/// let plane = ifft2(array![[one], [one]].view(), FftNorm::Backward)?;
/// assert_eq!(plane, array![[one], [one * 0.0]]); // all frequencies together are an impulse
/// # Ok::<(), cfconv_fft::FftError>(())
/// ```
pub fn ifft2<T: Real, D: Dimension>(
    spectrum: ArrayView<'_, Complex<T>, D>,
    norm: FftNorm,
) -> Result<Array<Complex<T>, D>> {
    let [height, width] = complex_plane_shape("ifft2", spectrum.shape())?;
    let (columns, rows) = plane_axes(&spectrum);
    let mut partial = Array::zeros(spectrum.raw_dim());
    let mut output = Array::zeros(spectrum.raw_dim());
    T::sweep_complex(spectrum.into_dyn(), partial.view_mut().into_dyn(), columns, Direction::Inverse);
    T::sweep_complex(partial.view().into_dyn(), output.view_mut().into_dyn(), rows, Direction::Inverse);
    Ok(scaled(output, norm.inverse_scale(height * width)))
}

/// Transforms real planes into half spectra; see [`Rfft2Plan::rfft2_into`](crate::Rfft2Plan::rfft2_into).
///
/// # Shapes
/// `input` `[.., H, W]`, result `[.., H, W/2 + 1]`.
///
/// # Errors
/// Fewer than two axes, or a height or width of zero.
///
/// # Examples
/// ```
/// use cfconv_fft::{FftNorm, rfft2};
/// use ndarray::array;
///
/// let spectrum = rfft2(array![[1.0, 2.0, 3.0, 4.0]].view(), FftNorm::Backward)?;
/// assert_eq!(spectrum.mapv(|bin| (bin.re, bin.im)), array![[(10.0, 0.0), (-2.0, 2.0), (-2.0, 0.0)]]);
/// # Ok::<(), cfconv_fft::FftError>(())
/// ```
pub fn rfft2<T: Real, D: Dimension>(
    input: ArrayView<'_, T, D>,
    norm: FftNorm,
) -> Result<Array<Complex<T>, D>> {
    let [height, width] = plane_shape("rfft2", "input", input.shape())?;
    check_sizes("rfft2", &[("height", height), ("width", width)])?;
    let (columns, rows) = plane_axes(&input);
    let mut partial: Array<Complex<T>, D> = zeros_with_planes(&input, [height, half_width(width)]);
    let mut output = Array::zeros(partial.raw_dim());
    T::sweep_real(input.into_dyn(), partial.view_mut().into_dyn(), rows);
    T::sweep_complex(partial.view().into_dyn(), output.view_mut().into_dyn(), columns, Direction::Forward);
    Ok(scaled(output, norm.forward_scale(height * width)))
}

/// Transforms half spectra into real planes `width` wide; see
/// [`Rfft2Plan::irfft2_into`](crate::Rfft2Plan::irfft2_into) for what becomes of spectra without Hermitian
/// symmetry.
///
/// # Shapes
/// `half_spectrum` `[.., H, width/2 + 1]`, result `[.., H, width]`.
///
/// # Errors
/// Fewer than two axes, a height or width of zero, or a number of columns that does not belong to `width`.
///
/// # Examples
/// ```
/// use cfconv_fft::{FftNorm, irfft2, rfft2};
/// use ndarray::array;
///
/// let image = array![[3.0, 1.0, 4.0], [1.0, 5.0, 9.0]];
/// let spectrum = rfft2(image.view(), FftNorm::Ortho)?;
/// let again = irfft2(spectrum.view(), 3, FftNorm::Ortho)?;
/// assert!((again - image).iter().all(|error: &f64| error.abs() < 1e-14));
/// # Ok::<(), cfconv_fft::FftError>(())
/// ```
pub fn irfft2<T: Real, D: Dimension>(
    half_spectrum: ArrayView<'_, Complex<T>, D>,
    width: usize,
    norm: FftNorm,
) -> Result<Array<T, D>> {
    let height = check_half_spectrum("irfft2", "half_spectrum", half_spectrum.shape(), width)?;
    let (columns, rows) = plane_axes(&half_spectrum);
    let mut partial = Array::zeros(half_spectrum.raw_dim());
    let mut output: Array<T, D> = zeros_with_planes(&half_spectrum, [height, width]);
    T::sweep_complex(half_spectrum.into_dyn(), partial.view_mut().into_dyn(), columns, Direction::Inverse);
    // Imaginary parts of dc and Nyquist are dropped here, as the definition asks.
    T::sweep_real_inverse(partial.view().into_dyn(), output.view_mut().into_dyn(), rows);
    let scale: T = norm.inverse_scale(height * width);
    output.par_mapv_inplace(|value| value * scale);
    Ok(output)
}

/// The axes along which columns and rows run.
fn plane_axes<A, D: Dimension>(array: &ArrayView<'_, A, D>) -> (usize, usize) {
    (array.ndim() - 2, array.ndim() - 1)
}

fn complex_plane_shape(op: &'static str, shape: &[usize]) -> Result<[usize; 2]> {
    let [height, width] = plane_shape(op, "input", shape)?;
    check_sizes(op, &[("height", height), ("width", width)])?;
    Ok([height, width])
}

fn scaled<T: Real, D: Dimension>(mut array: Array<Complex<T>, D>, scale: T) -> Array<Complex<T>, D> {
    array.par_mapv_inplace(|value| value * scale);
    array
}
