//! Two-dimensional real FFTs and FFT convolution on ndarray.

mod backend;
mod error;
mod irfft2;
pub mod lanes;
pub mod naive;
mod norm;
mod plan;
mod planes;
mod real;
mod resample;
mod rfft2;
pub mod simd;
mod spectrum;
mod whole_array;

pub use error::{FftError, Result};
pub use norm::FftNorm;
pub use num_complex::Complex;
pub use plan::{Rfft2Plan, Rfft2Scratch};
pub use real::Real;
pub use resample::{resample_spectrum, resample_spectrum_adjoint};
pub use spectrum::{
    col_frequencies, half_width, hermitian_project, is_self_conjugate_column, multiplicity, row_frequencies,
    signed_index, spectral_energy,
};
pub use whole_array::{fft2, ifft2, irfft2, rfft2};
