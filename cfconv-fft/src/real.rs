//! The floating-point types of the workspace: `f32` for work, `f64` for proofs.

use num_traits::{ConstOne, ConstZero, Float, FloatConst};

mod sealed {
    pub trait Sealed: crate::backend::Backend + crate::simd::Blocks {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// A real scalar: `f32` or `f64`.
///
/// Numeric code of the workspace is written once over this trait, so that every fast `f32` path can be
/// checked against the same code in `f64`, and every hand-derived gradient against central differences.
/// The trait is sealed: kernels may rely on there being exactly these two types.
///
/// `num_traits::Float` and `num_traits::Signed` (required by rustfft) both offer `abs` and `signum`; call
/// them as `Float::abs(x)` in generic code.
///
/// # Examples
/// ```
/// use cfconv_fft::Real;
///
/// fn mean<T: Real>(values: &[T]) -> T {
///     values.iter().copied().sum::<T>() / T::cast(values.len() as f64)
/// }
/// assert_eq!(mean(&[1.0_f32, 2.0, 6.0]), 3.0);
/// ```
pub trait Real:
    sealed::Sealed
    + Float
    + FloatConst
    + ConstZero
    + ConstOne
    + ndarray::NdFloat
    + rustfft::FftNum
    + bytemuck::Pod
    + std::iter::Sum
    + Default
{
    /// Rounds `value` to this type.
    fn cast(value: f64) -> Self;

    /// Widens to `f64`; exact.
    fn as_f64(self) -> f64;
}

impl Real for f32 {
    #[inline(always)]
    fn cast(value: f64) -> Self {
        value as Self
    }

    #[inline(always)]
    fn as_f64(self) -> f64 {
        f64::from(self)
    }
}

impl Real for f64 {
    #[inline(always)]
    fn cast(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn as_f64(self) -> f64 {
        self
    }
}
