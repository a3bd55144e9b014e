//! Two-dimensional real FFTs, their adjoints, and convolution through the FFT, on ndarray.
//!
//! The crate has two floors:
//! * **The toolkit** is everything at the top level: transforms, convolution, padding and resampling of images
//!   `[batch, channels, height, width]` with any strides, any height and any width, in `f32` or `f64`. Every linear map
//!   comes with its adjoint, which is what a gradient written by hand needs.
//! * **The ground floor** is [`simd`] and [`lanes`]: the choice of an instruction set at run time, and transforms of
//!   many images side by side with the batch as the innermost axis. The other crates of the workspace stand on it, and
//!   so do parts of the toolkit. It works on plain slices: use it when batches are large and copies count.
//!
//! # Convolving an image
//! Blur an image with a Gaussian kernel of 31×31 taps. It takes no longer than one of 3×3 taps:
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
//! # Changing a spectrum
//! Blur a batch of images by scaling their half spectra:
//! ```
//! use cfconv_fft::{FftNorm, Rfft2Plan, col_frequencies, row_frequencies};
//! use ndarray::Array4;
//!
//! let (height, width) = (45, 60);
//! let plan = Rfft2Plan::<f32>::try_new(height, width)?;
//! let mut image = Array4::<f32>::zeros((1, 3, height, width));
//! image[[0, 1, 20, 30]] = 1.0;
//!
//! let mut spectrum = plan.rfft2(image.view(), FftNorm::Backward)?;
//! let (rows, columns) = (row_frequencies::<f32>(height), col_frequencies::<f32>(width));
//! for ((_, _, p, q), value) in spectrum.indexed_iter_mut() {
//!     *value *= (-40.0 * (rows[p].powi(2) + columns[q].powi(2))).exp();
//! }
//! let blurred = plan.irfft2(spectrum.view(), FftNorm::Backward)?;
//!
//! assert!((blurred.sum() - 1.0).abs() < 1e-4); // a blur keeps the mean
//! assert!(blurred[[0, 1, 20, 30]] < 0.1 && blurred[[0, 1, 21, 30]] > 0.0);
//! # Ok::<(), cfconv_fft::FftError>(())
//! ```
//!
//! # What is here
//! | to do | use |
//! |---|---|
//! | transform many batches of one size | [`Rfft2Plan`] with [`Rfft2Scratch`]: no allocation |
//! | transform an array of any rank once | [`rfft2`], [`irfft2`], [`fft2`], [`ifft2`] |
//! | convolve or correlate | [`convolve2d`], [`linear_convolution`], [`circular_convolution`], [`convolve`], … |
//! | convolve many batches of one size, or take gradients | [`ConvolutionPlan`] |
//! | know what a bin means | [`row_frequencies`], [`col_frequencies`], [`multiplicity`], [`signed_index`] |
//! | turn any half spectrum into one of a real image | [`hermitian_project`] |
//! | resize or low-pass an image through its spectrum | [`resample_spectrum`] |
//! | pad and crop | [`pad`], [`crop`], [`next_fast_len`] |
//! | check any of it | [`naive`] |
//! | transform a large batch `[H, W, batch]`, one image in each SIMD lane | [`lanes`] |
//! | write a kernel of your own for every instruction set | [`simd`] |
//!
//! # Half spectra
//! A real image `[H, W]` has a half spectrum `[H, W/2 + 1]`. Column 0 is its own mirror, and so is the last
//! column when W is even: there X(−p) is the conjugate of X(p). Inverse transforms accept *every* half
//! spectrum. In these columns they use the Hermitian part and discard the rest, on every path. [`FftNorm`]
//! says which transform carries 1/(HW).
//!
//! # Choosing a size
//! Every size works in O(N log N), primes too. Sizes with small prime factors are fastest
//! ([`next_fast_len`]). An even width is faster than an odd one, and much faster where planes are transformed
//! [one by one](Rfft2Plan#groups-of-planes).
//!
//! # Threads and instruction sets
//! The threads of the current rayon pool share the planes. Results do not depend on the number of threads. The
//! program chooses vector instructions when it runs.
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
