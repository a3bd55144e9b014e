//! Two-dimensional real FFTs and FFT convolution on ndarray.

mod error;
pub mod lanes;
mod real;
pub mod simd;

pub use error::{FftError, Result};
pub use num_complex::Complex;
pub use real::Real;
