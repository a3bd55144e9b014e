//! Slow truths: transforms and convolutions by their definitions, in f64 whatever the input.
//!
//! Every fast path of the workspace is held against these. They share no code with it.

use std::f64::consts::TAU;

use ndarray::{Array2, Array4, ArrayView2, ArrayView4};

use crate::{
    Boundary, Complex, ConvolutionKind, ConvolutionOptions, Extent, FftNorm, Real, half_width,
    is_self_conjugate_column,
};

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

/// A convolution or cross-correlation by its defining sum, in any of its forms.
///
/// The formulas are those of [`Boundary`] and [`Extent`].
///
/// # Shapes
/// `images` `[B, Cin, H, W]`, `kernels` `[Cout, Cin/groups, kh, kw]`, result `[B, Cout, …]`.
///
/// # Panics
/// If the channels do not fit, or `Valid` leaves nothing.
///
/// # Examples
/// ```
/// use cfconv_fft::{Boundary, ConvolutionOptions, Extent, naive};
/// use ndarray::array;
///
/// let options = ConvolutionOptions { boundary: Boundary::Linear(Extent::Full), ..Default::default() };
/// let product = naive::convolution(array![[[[1.0, 2.0]]]].view(), array![[[[1.0, 3.0]]]].view(), options);
/// assert_eq!(product, array![[[[1.0, 5.0, 6.0]]]]);
/// ```
pub fn convolution<T: Real>(
    images: ArrayView4<'_, T>,
    kernels: ArrayView4<'_, T>,
    options: ConvolutionOptions,
) -> Array4<f64> {
    let (batch, in_channels, height, width) = images.dim();
    let (out_channels, group_inputs, kernel_height, kernel_width) = kernels.dim();
    assert_eq!(in_channels, group_inputs * options.groups, "input channels in groups");
    assert!(out_channels.is_multiple_of(options.groups), "output channels in groups");
    let rows = NaiveAxis::new(height, kernel_height, 0, options);
    let columns = NaiveAxis::new(width, kernel_width, 1, options);
    Array4::from_shape_fn((batch, out_channels, rows.output, columns.output), |(b, o, h, w)| {
        let first_input = o / (out_channels / options.groups) * group_inputs;
        let mut sum = 0.0;
        for i in 0..group_inputs {
            for s in 0..kernel_height {
                for t in 0..kernel_width {
                    if let (Some(y), Some(x)) = (rows.source(h, s), columns.source(w, t)) {
                        sum += kernels[[o, i, s, t]].as_f64() * images[[b, first_input + i, y, x]].as_f64();
                    }
                }
            }
        }
        sum
    })
}

/// Which sample a tap meets, along one axis.
struct NaiveAxis {
    image: isize,
    output: usize,
    kind: ConvolutionKind,
    circular: bool,
    /// Convolution: source = h − s + shift. Cross-correlation: source = h + s − shift.
    shift: isize,
}

impl NaiveAxis {
    fn new(image: usize, kernel: usize, axis: usize, options: ConvolutionOptions) -> Self {
        let centre = (kernel - 1) / 2;
        let (output, shift) = match (options.boundary, options.kind) {
            (Boundary::Circular { origin }, _) => (image, origin[axis]),
            (Boundary::Linear(Extent::Same), _) => (image, centre),
            (Boundary::Linear(Extent::Full), ConvolutionKind::Convolution) => (image + kernel - 1, 0),
            (Boundary::Linear(Extent::Full), ConvolutionKind::CrossCorrelation) => {
                (image + kernel - 1, kernel - 1)
            }
            (Boundary::Linear(Extent::Valid), ConvolutionKind::Convolution) => {
                (image + 1 - kernel, kernel - 1)
            }
            (Boundary::Linear(Extent::Valid), ConvolutionKind::CrossCorrelation) => (image + 1 - kernel, 0),
        };
        let circular = matches!(options.boundary, Boundary::Circular { .. });
        Self { image: image as isize, output, kind: options.kind, circular, shift: shift as isize }
    }

    fn source(&self, output: usize, tap: usize) -> Option<usize> {
        let (output, tap) = (output as isize, tap as isize);
        let source = match self.kind {
            ConvolutionKind::Convolution => output - tap + self.shift,
            ConvolutionKind::CrossCorrelation => output + tap - self.shift,
        };
        if self.circular {
            return Some(source.rem_euclid(self.image) as usize);
        }
        (0 <= source && source < self.image).then_some(source as usize)
    }
}

/// `exp(−2πi·k/length)` for k < `length`, each computed by its own sine and cosine.
fn roots_of_unity(length: usize) -> Vec<Complex<f64>> {
    (0..length).map(|k| Complex::from_polar(1.0, -TAU * k as f64 / length as f64)).collect()
}
