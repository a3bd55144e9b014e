//! Slow truths: transforms and convolutions by their definitions, in f64 whatever the input.
//!
//! Every fast path of the workspace is held against these. They share no code with it.

use std::f64::consts::TAU;

use ndarray::{Array2, ArrayView2};

use crate::{Complex, FftNorm, Real, half_width, is_self_conjugate_column};

/// The half spectrum of one plane by the defining sum, O((HW)²).
///
/// `X[p, q] = s·Σ_{h,w} x[h, w]·exp(−2πi(ph/H + qw/W))`; the angles are reduced in integers, so that the
/// result is good to f64 rounding for any size.
///
/// # Shapes
/// `plane` `[H, W]`, result `[H, W/2 + 1]`.
///
/// # Examples
/// ```
/// use cfconv_fft::{FftNorm, naive};
/// use ndarray::array;
///
/// let spectrum = naive::rfft2(array![[1.0_f32, 2.0], [3.0, 4.0]].view(), FftNorm::Forward);
/// assert_eq!(spectrum[[0, 0]].re, 2.5);
/// ```
pub fn rfft2<T: Real>(plane: ArrayView2<'_, T>, norm: FftNorm) -> Array2<Complex<f64>> {
    let full = fft2(plane.mapv(|x| Complex::new(x.as_f64(), 0.0)).view(), norm);
    full.slice_move(ndarray::s![.., ..half_width(plane.ncols())])
}

/// One complex plane by the defining sum, O((HW)²).
///
/// # Shapes
/// `plane` and result `[H, W]`.
pub fn fft2<T: Real>(plane: ArrayView2<'_, Complex<T>>, norm: FftNorm) -> Array2<Complex<f64>> {
    let (height, width) = plane.dim();
    let (row_roots, column_roots) = (roots_of_unity(height), roots_of_unity(width));
    let scale = norm.forward_scale::<f64>(height * width);
    Array2::from_shape_fn((height, width), |(p, q)| {
        let terms = plane.indexed_iter().map(|((h, w), x)| {
            let x = Complex::new(x.re.as_f64(), x.im.as_f64());
            x * row_roots[p * h % height] * column_roots[q * w % width]
        });
        terms.sum::<Complex<f64>>() * scale
    })
}

/// One real plane from a half spectrum by the defining sum, O((HW)²).
///
/// `y[h, w] = s·Σ_{p,q} m[q]·Re(Y[p, q]·exp(+2πi(ph/H + qw/W)))`, for any half spectrum, Hermitian or not.
///
/// # Shapes
/// `half_spectrum` `[H, width/2 + 1]`, result `[H, width]`.
///
/// # Panics
/// If the columns of `half_spectrum` do not belong to `width`.
///
/// # Examples
/// ```
/// use cfconv_fft::{Complex, FftNorm, naive};
/// use ndarray::array;
///
/// // The anti-Hermitian part of dc, here all of it, contributes nothing.
/// let plane = naive::irfft2(array![[Complex::new(0.0, 7.0)]].view(), 1, FftNorm::Backward);
/// assert_eq!(plane, array![[0.0]]);
/// ```
pub fn irfft2<T: Real>(
    half_spectrum: ArrayView2<'_, Complex<T>>,
    width: usize,
    norm: FftNorm,
) -> Array2<f64> {
    let (height, columns) = half_spectrum.dim();
    assert_eq!(columns, half_width(width), "columns of a half spectrum of planes {width} wide");
    let (row_roots, column_roots) = (roots_of_unity(height), roots_of_unity(width));
    let scale = norm.inverse_scale::<f64>(height * width);
    Array2::from_shape_fn((height, width), |(h, w)| {
        let terms = half_spectrum.indexed_iter().map(|((p, q), bin)| {
            let bin = Complex::new(bin.re.as_f64(), bin.im.as_f64());
            let multiplicity = if is_self_conjugate_column(q, width) { 1.0 } else { 2.0 };
            // The inverse turns the other way: conjugate roots.
            let root = (row_roots[p * h % height] * column_roots[q * w % width]).conj();
            multiplicity * (bin * root).re
        });
        terms.sum::<f64>() * scale
    })
}

/// `exp(−2πi·k/length)` for k < `length`, each computed by its own sine and cosine.
fn roots_of_unity(length: usize) -> Vec<Complex<f64>> {
    (0..length).map(|k| Complex::from_polar(1.0, -TAU * k as f64 / length as f64)).collect()
}
