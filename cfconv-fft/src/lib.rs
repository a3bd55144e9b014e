//! Two-dimensional real FFTs, their adjoints, and convolution through the FFT, on ndarray.
//!
//! The crate has two rooms:
//! * **The toolkit**, everything at the top level: transforms, convolution, padding and resampling of images
//!   `[batch, channels, height, width]` (any strides), of any height and width of at least 1, in `f32` or `f64`.
//!   Everything linear comes with its adjoint, so that gradients can be written by hand.
//! * **The ground floor**, [`simd`] and [`lanes`]: the choice of an instruction set at run time, and transforms of
//!   many images side by side with the batch as the innermost axis. The other crates of the workspace stand on it,
//!   and so do parts of the toolkit. It works on plain slices: go there when batches are large and copies count.
//!
//! # Convolving an image
//! A Gaussian blur with a 31×31 kernel, which takes no longer than one with 3×3 taps:
//! ```
//! use cfconv_fft::{Extent, convolve2d};
//! use ndarray::Array2;
//!
//! // A white square on black.
//! let image = Array2::from_shape_fn((96, 128), |(h, w)| {
//!     if (32..64).contains(&h) && (48..80).contains(&w) { 1.0_f32 } else { 0.0 }
//! });
//! let mut gaussian = Array2::from_shape_fn((31, 31), |(s, t)| {
//!     let (dy, dx) = (s as f32 - 15.0, t as f32 - 15.0);
//!     (-(dy * dy + dx * dx) / 18.0).exp()
//! });
//! gaussian /= gaussian.sum();
//!
//! let blurred = convolve2d(image.view(), gaussian.view(), Extent::Same)?;
//! assert_eq!(blurred.dim(), image.dim());
//! assert!((blurred[[48, 64]] - 1.0).abs() < 1e-5); // far inside
//! assert!((blurred[[31, 64]] + blurred[[32, 64]] - 1.0).abs() < 1e-5); // across the edge
//! assert!((blurred.sum() - 1024.0).abs() < 0.1); // light is kept
//! # Ok::<(), cfconv_fft::FftError>(())
//! ```
//!
//! # What is here
//! | to do | use |
//! |---|---|
//! | transform batches of one size again and again | [`Rfft2Plan`] with [`Rfft2Scratch`]: no allocation |
//! | transform an array of any rank once | [`rfft2`], [`irfft2`], [`fft2`], [`ifft2`] |
//! | convolve or correlate | [`convolve2d`], [`linear_convolution`], [`circular_convolution`], [`convolve`], … |
//! | the same again and again, or its gradients | [`ConvolutionPlan`] |
//! | know what a bin means | [`row_frequencies`], [`col_frequencies`], [`multiplicity`], [`signed_index`] |
//! | make a half spectrum that of a real image | [`hermitian_project`] |
//! | interpolate or low-pass an image by its spectrum | [`resample_spectrum`] |
//! | pad and crop | [`pad`], [`crop`], [`next_fast_len`] |
//! | check any of it | [`naive`] |
//! | transform a large batch `[H, W, batch]`, one image in each SIMD lane | [`lanes`] |
//! | write a kernel of your own for every instruction set | [`simd`] |
//!
//! # Half spectra
//! A real image `[H, W]` has a half spectrum `[H, W/2 + 1]`. Its column 0 and, W even, its last column are
//! their own mirrors: there X(−p) must be the conjugate of X(p). Inverse transforms define the result for
//! *every* half spectrum: of these columns they use the Hermitian part only and discard the rest, always and
//! on every path. [`FftNorm`] says which transform carries 1/(HW).
//!
//! # Choosing a size
//! Every size works, primes too, in O(N log N). Sizes with small prime factors are fastest
//! ([`next_fast_len`]); an even width is faster than an odd one, by far where planes are transformed
//! [one by one](Rfft2Plan#groups-of-planes).
//!
//! # Threads and instruction sets
//! Planes are shared out over the current rayon pool. Results do not depend on the number of threads. Vector
//! instructions are chosen at run time.
//!
//! # Features
//! None.

mod backend;
mod convolve;
mod error;
mod fast_len;
mod irfft2;
pub mod lanes;
pub mod naive;
mod norm;
mod pad;
mod plan;
mod plane_iter;
mod planes;
mod real;
mod resample;
mod rfft2;
pub mod simd;
mod spectrum;
mod whole_array;

pub use convolve::{
    Boundary, ConvolutionKind, ConvolutionOptions, ConvolutionPlan, Extent, centered_origin,
    circular_convolution, circular_cross_correlation, convolve, convolve2d, cross_correlate2d,
    depthwise_convolve, linear_convolution, linear_cross_correlation,
};
pub use error::{FftError, Result};
pub use fast_len::{next_fast_even_len, next_fast_len};
pub use norm::FftNorm;
pub use num_complex::Complex;
pub use pad::{Padding2d, PaddingMode, crop, crop_adjoint, pad, pad_adjoint};
pub use plan::{Rfft2Plan, Rfft2Scratch};
pub use real::Real;
pub use resample::{resample_spectrum, resample_spectrum_adjoint};
pub use spectrum::{
    col_frequencies, half_width, hermitian_project, is_self_conjugate_column, multiplicity, row_frequencies,
    signed_index, spectral_energy,
};
pub use whole_array::{fft2, ifft2, irfft2, rfft2};
