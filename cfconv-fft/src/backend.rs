//! What is taken from the FFT libraries, behind one trait that is implemented for each scalar.
//!
//! rustfft, realfft and ndrustfft are generic over the scalar, so code that is generic itself would have
//! them compiled again in every crate and test that uses it (a minute each). Methods of concrete types are
//! compiled once, here.

use std::sync::Arc;

use ndarray::{ArrayViewD, ArrayViewMutD};
use ndrustfft::{
    FftHandler, Normalization, R2cFftHandler, ndfft_par, ndfft_r2c_par, ndifft_par, ndifft_r2c_par,
};
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftPlanner};

use crate::{Complex, Real};

/// One-dimensional plans of a plane's rows and columns.
#[derive(Clone)]
pub struct LinePlans<T> {
    pub(crate) rows_forward: Arc<dyn RealToComplex<T>>,
    pub(crate) rows_inverse: Arc<dyn ComplexToReal<T>>,
    pub(crate) columns_forward: Arc<dyn Fft<T>>,
    pub(crate) columns_inverse: Arc<dyn Fft<T>>,
}

/// The direction of a complex transform.
#[derive(Clone, Copy, Debug)]
pub enum Direction {
    /// exp(−2πi…).
    Forward,
    /// exp(+2πi…).
    Inverse,
}

/// Transforms of a scalar. None of them is normalised.
pub trait Backend: Sized {
    /// Plans for real rows of length `width` and complex columns of length `height`.
    fn plan_lines(height: usize, width: usize) -> LinePlans<Self>;

    /// Transforms every line of a complex array along `axis`.
    fn sweep_complex(
        input: ArrayViewD<'_, Complex<Self>>,
        output: ArrayViewMutD<'_, Complex<Self>>,
        axis: usize,
        direction: Direction,
    );

    /// Transforms every line of a real array along `axis` into its half spectrum.
    fn sweep_real(input: ArrayViewD<'_, Self>, output: ArrayViewMutD<'_, Complex<Self>>, axis: usize);

    /// Transforms every half spectrum along `axis` into a real line; drops the imaginary parts of dc and
    /// Nyquist.
    fn sweep_real_inverse(input: ArrayViewD<'_, Complex<Self>>, output: ArrayViewMutD<'_, Self>, axis: usize);
}

macro_rules! implement_backend {
    ($($scalar:ty),*) => {$(
        impl Backend for $scalar {
            fn plan_lines(height: usize, width: usize) -> LinePlans<Self> {
                plan_lines(height, width)
            }

            fn sweep_complex(
                input: ArrayViewD<'_, Complex<Self>>,
                output: ArrayViewMutD<'_, Complex<Self>>,
                axis: usize,
                direction: Direction,
            ) {
                sweep_complex(input, output, axis, direction);
            }

            fn sweep_real(
                input: ArrayViewD<'_, Self>,
                output: ArrayViewMutD<'_, Complex<Self>>,
                axis: usize,
            ) {
                sweep_real(input, output, axis);
            }

            fn sweep_real_inverse(
                input: ArrayViewD<'_, Complex<Self>>,
                output: ArrayViewMutD<'_, Self>,
                axis: usize,
            ) {
                sweep_real_inverse(input, output, axis);
            }
        }
    )*};
}

implement_backend!(f32, f64);

fn plan_lines<T: Real>(height: usize, width: usize) -> LinePlans<T> {
    let mut rows = RealFftPlanner::new();
    let mut columns = FftPlanner::new();
    LinePlans {
        rows_forward: rows.plan_fft_forward(width),
        rows_inverse: rows.plan_fft_inverse(width),
        columns_forward: columns.plan_fft_forward(height),
        columns_inverse: columns.plan_fft_inverse(height),
    }
}

fn sweep_complex<T: Real>(
    input: ArrayViewD<'_, Complex<T>>,
    mut output: ArrayViewMutD<'_, Complex<T>>,
    axis: usize,
    direction: Direction,
) {
    let handler = FftHandler::new(input.shape()[axis]).normalization(Normalization::None);
    match direction {
        Direction::Forward => ndfft_par(&input, &mut output, &handler, axis),
        Direction::Inverse => ndifft_par(&input, &mut output, &handler, axis),
    }
}

fn sweep_real<T: Real>(input: ArrayViewD<'_, T>, mut output: ArrayViewMutD<'_, Complex<T>>, axis: usize) {
    let handler = R2cFftHandler::new(input.shape()[axis]).normalization(Normalization::None);
    ndfft_r2c_par(&input, &mut output, &handler, axis);
}

fn sweep_real_inverse<T: Real>(
    input: ArrayViewD<'_, Complex<T>>,
    mut output: ArrayViewMutD<'_, T>,
    axis: usize,
) {
    let handler = R2cFftHandler::new(output.shape()[axis]).normalization(Normalization::None);
    ndifft_r2c_par(&input, &mut output, &handler, axis);
}
