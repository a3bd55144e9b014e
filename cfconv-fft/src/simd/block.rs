//! [`LANES`] values held in the registers of one instruction set.

use super::LANES;
use crate::Real;

/// `LANES` values in registers.
///
/// # Safety
/// Every function may be called only where the processor has the instruction set of the implementing type.
pub trait Block<T>: Copy {
    /// The same value in each lane.
    unsafe fn splat(value: T) -> Self;
    /// Reads from memory.
    unsafe fn load(values: &[T; LANES]) -> Self;
    /// Writes to memory.
    unsafe fn store(self, values: &mut [T; LANES]);
    /// `self + other`.
    unsafe fn add(self, other: Self) -> Self;
    /// `self − other`.
    unsafe fn sub(self, other: Self) -> Self;
    /// `self·other`.
    unsafe fn mul(self, other: Self) -> Self;
    /// `self·b + c`.
    unsafe fn mul_add(self, b: Self, c: Self) -> Self;
}

/// The registers of each instruction set for one scalar type. Only this crate implements it.
pub trait Blocks: Sized {
    /// Eight 256-bit registers' worth at most.
    #[cfg(target_arch = "x86_64")]
    type Avx2: Block<Self>;
    /// One or two 512-bit registers.
    #[cfg(target_arch = "x86_64")]
    type Avx512: Block<Self>;
}

/// Plain arrays: what the compiler makes of loops without a wider instruction set, and the reference.
macro_rules! array_block {
    ($name:ident, $mul_add:expr) => {
        /// An array of lanes.
        #[derive(Clone, Copy, Debug)]
        pub struct $name<T>([T; LANES]);

        impl<T: Real> Block<T> for $name<T> {
            #[inline(always)]
            unsafe fn splat(value: T) -> Self {
                Self([value; LANES])
            }
            #[inline(always)]
            unsafe fn load(values: &[T; LANES]) -> Self {
                Self(*values)
            }
            #[inline(always)]
            unsafe fn store(self, values: &mut [T; LANES]) {
                *values = self.0;
            }
            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                Self(std::array::from_fn(|l| self.0[l] + other.0[l]))
            }
            #[inline(always)]
            unsafe fn sub(self, other: Self) -> Self {
                Self(std::array::from_fn(|l| self.0[l] - other.0[l]))
            }
            #[inline(always)]
            unsafe fn mul(self, other: Self) -> Self {
                Self(std::array::from_fn(|l| self.0[l] * other.0[l]))
            }
            #[inline(always)]
            unsafe fn mul_add(self, b: Self, c: Self) -> Self {
                Self(std::array::from_fn(|l| $mul_add(self.0[l], b.0[l], c.0[l])))
            }
        }
    };
}

array_block!(RoundedTwice, |a: T, b: T, c: T| a * b + c);
#[cfg(target_arch = "aarch64")]
array_block!(RoundedOnce, |a: T, b: T, c: T| num_traits::Float::mul_add(a, b, c));

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Block, Blocks, LANES};

    macro_rules! register_block {
        ($name:ident, $scalar:ty, $register:ty, $width:literal, $splat:ident, $load:ident, $store:ident,
         $add:ident, $sub:ident, $mul:ident, $mul_add:ident) => {
            /// Lanes in vector registers.
            #[derive(Clone, Copy, Debug)]
            pub struct $name([$register; LANES / $width]);

            // SAFETY (of every intrinsic): the caller of each function vouches for the instruction set;
            // loads and stores are unaligned and stay within the array of LANES values.
            impl Block<$scalar> for $name {
                #[inline(always)]
                unsafe fn splat(value: $scalar) -> Self {
                    // SAFETY: see above.
                    Self([unsafe { $splat(value) }; LANES / $width])
                }
                #[inline(always)]
                unsafe fn load(values: &[$scalar; LANES]) -> Self {
                    // SAFETY: see above.
                    Self(std::array::from_fn(|r| unsafe { $load(values.as_ptr().add(r * $width)) }))
                }
                #[inline(always)]
                unsafe fn store(self, values: &mut [$scalar; LANES]) {
                    for (r, register) in self.0.into_iter().enumerate() {
                        // SAFETY: see above.
                        unsafe { $store(values.as_mut_ptr().add(r * $width), register) };
                    }
                }
                #[inline(always)]
                unsafe fn add(self, other: Self) -> Self {
                    // SAFETY: see above.
                    Self(std::array::from_fn(|r| unsafe { $add(self.0[r], other.0[r]) }))
                }
                #[inline(always)]
                unsafe fn sub(self, other: Self) -> Self {
                    // SAFETY: see above.
                    Self(std::array::from_fn(|r| unsafe { $sub(self.0[r], other.0[r]) }))
                }
                #[inline(always)]
                unsafe fn mul(self, other: Self) -> Self {
                    // SAFETY: see above.
                    Self(std::array::from_fn(|r| unsafe { $mul(self.0[r], other.0[r]) }))
                }
                #[inline(always)]
                unsafe fn mul_add(self, b: Self, c: Self) -> Self {
                    // SAFETY: see above.
                    Self(std::array::from_fn(|r| unsafe { $mul_add(self.0[r], b.0[r], c.0[r]) }))
                }
            }
        };
    }

    register_block!(
        Avx2F32,
        f32,
        __m256,
        8,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_add_ps,
        _mm256_sub_ps,
        _mm256_mul_ps,
        _mm256_fmadd_ps
    );
    register_block!(
        Avx2F64,
        f64,
        __m256d,
        4,
        _mm256_set1_pd,
        _mm256_loadu_pd,
        _mm256_storeu_pd,
        _mm256_add_pd,
        _mm256_sub_pd,
        _mm256_mul_pd,
        _mm256_fmadd_pd
    );
    register_block!(
        Avx512F32,
        f32,
        __m512,
        16,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_add_ps,
        _mm512_sub_ps,
        _mm512_mul_ps,
        _mm512_fmadd_ps
    );
    register_block!(
        Avx512F64,
        f64,
        __m512d,
        8,
        _mm512_set1_pd,
        _mm512_loadu_pd,
        _mm512_storeu_pd,
        _mm512_add_pd,
        _mm512_sub_pd,
        _mm512_mul_pd,
        _mm512_fmadd_pd
    );

    impl Blocks for f32 {
        type Avx2 = Avx2F32;
        type Avx512 = Avx512F32;
    }

    impl Blocks for f64 {
        type Avx2 = Avx2F64;
        type Avx512 = Avx512F64;
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod other {
    impl super::Blocks for f32 {}
    impl super::Blocks for f64 {}
}
