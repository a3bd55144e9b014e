//! [`LANES`] values held in the registers of one instruction set.

use super::{LANES, transpose};
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
    /// `−self` in each lane where the last bit of `mantissa` is set.
    unsafe fn negate_where_odd(self, mantissa: Self) -> Self;
    /// The sum of all lanes: those a half apart are added, then a quarter, and so on.
    unsafe fn sum(self) -> T;
    /// Transposes `LANES` rows of `LANES` values, each a step after the other, which can be read from `source`
    /// and written to `target`.
    unsafe fn transpose(source: (*const T, usize), target: (*mut T, usize));
}

/// The registers of each instruction set for one scalar type. Only this crate implements it.
pub trait Blocks: Sized {
    /// Eight 256-bit registers' worth at most.
    #[cfg(target_arch = "x86_64")]
    type Avx2: Block<Self>;
    /// One or two 512-bit registers.
    #[cfg(target_arch = "x86_64")]
    type Avx512: Block<Self>;

    /// `−self` if the last bit of `mantissa` is set.
    fn negate_if_odd(self, mantissa: Self) -> Self;
}

impl Blocks for f32 {
    #[cfg(target_arch = "x86_64")]
    type Avx2 = x86::Avx2F32;
    #[cfg(target_arch = "x86_64")]
    type Avx512 = x86::Avx512F32;

    #[inline(always)]
    fn negate_if_odd(self, mantissa: Self) -> Self {
        Self::from_bits(self.to_bits() ^ (mantissa.to_bits() << 31))
    }
}

impl Blocks for f64 {
    #[cfg(target_arch = "x86_64")]
    type Avx2 = x86::Avx2F64;
    #[cfg(target_arch = "x86_64")]
    type Avx512 = x86::Avx512F64;

    #[inline(always)]
    fn negate_if_odd(self, mantissa: Self) -> Self {
        Self::from_bits(self.to_bits() ^ (mantissa.to_bits() << 63))
    }
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
            #[inline(always)]
            unsafe fn negate_where_odd(self, mantissa: Self) -> Self {
                Self(std::array::from_fn(|l| self.0[l].negate_if_odd(mantissa.0[l])))
            }
            #[inline(always)]
            unsafe fn sum(self) -> T {
                let mut lanes = self.0;
                let mut width = LANES;
                while width > 1 {
                    width /= 2;
                    for lane in 0..width {
                        lanes[lane] += lanes[lane + width];
                    }
                }
                lanes[0]
            }
            #[inline(always)]
            unsafe fn transpose(source: (*const T, usize), target: (*mut T, usize)) {
                // SAFETY: the caller vouches for the rows.
                unsafe { transpose::transpose_values(source, target) }
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

    use super::transpose::{transpose_pd256, transpose_ps256};
    use super::{Block, LANES};

    /// An operation on each register. A loop and no closure: closures in functions of the standard library are at
    /// times not inlined, and compiled without the instruction set.
    macro_rules! each {
        ($register:ident, $r:ident, $block:expr => $operation:expr) => {{
            let mut registers = $block.0;
            for $r in 0..registers.len() {
                let $register = registers[$r];
                // SAFETY: the caller vouches for the instruction set.
                registers[$r] = unsafe { $operation };
            }
            Self(registers)
        }};
    }

    macro_rules! register_block {
        ($name:ident, $scalar:ty, $register:ty, $width:literal, $splat:ident, $load:ident, $store:ident,
         $add:ident, $sub:ident, $mul:ident, $mul_add:ident, $negate_where_odd:ident, $sum:ident, $transpose:ident) => {
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
                    let mut registers = unsafe { Self::splat(0.0) }.0;
                    for (r, register) in registers.iter_mut().enumerate() {
                        // SAFETY: see above.
                        *register = unsafe { $load(values.as_ptr().add(r * $width)) };
                    }
                    Self(registers)
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
                    each!(register, r, self => $add(register, other.0[r]))
                }
                #[inline(always)]
                unsafe fn sub(self, other: Self) -> Self {
                    each!(register, r, self => $sub(register, other.0[r]))
                }
                #[inline(always)]
                unsafe fn mul(self, other: Self) -> Self {
                    each!(register, r, self => $mul(register, other.0[r]))
                }
                #[inline(always)]
                unsafe fn mul_add(self, b: Self, c: Self) -> Self {
                    each!(register, r, self => $mul_add(register, b.0[r], c.0[r]))
                }
                #[inline(always)]
                unsafe fn negate_where_odd(self, mantissa: Self) -> Self {
                    each!(register, r, self => $negate_where_odd(register, mantissa.0[r]))
                }
                #[inline(always)]
                unsafe fn sum(self) -> $scalar {
                    // SAFETY: see above.
                    unsafe { $sum(self.0) }
                }
                #[inline(always)]
                unsafe fn transpose(source: (*const $scalar, usize), target: (*mut $scalar, usize)) {
                    // SAFETY: see above; the caller vouches for the rows too.
                    unsafe { $transpose(source, target) }
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
        _mm256_fmadd_ps,
        negate_where_odd_ps256,
        sum_ps256,
        transpose_ps256
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
        _mm256_fmadd_pd,
        negate_where_odd_pd256,
        sum_pd256,
        transpose_pd256
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
        _mm512_fmadd_ps,
        negate_where_odd_ps512,
        sum_ps512,
        transpose_ps256
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
        _mm512_fmadd_pd,
        negate_where_odd_pd512,
        sum_pd512,
        transpose_pd256
    );

    // SAFETY (of all of these): callers have the instruction set, as everywhere in this module.

    #[inline(always)]
    unsafe fn negate_where_odd_ps256(x: __m256, mantissa: __m256) -> __m256 {
        // SAFETY: see above.
        unsafe {
            let sign = _mm256_slli_epi32::<31>(_mm256_castps_si256(mantissa));
            _mm256_xor_ps(x, _mm256_castsi256_ps(sign))
        }
    }

    #[inline(always)]
    unsafe fn negate_where_odd_pd256(x: __m256d, mantissa: __m256d) -> __m256d {
        // SAFETY: see above.
        unsafe {
            let sign = _mm256_slli_epi64::<63>(_mm256_castpd_si256(mantissa));
            _mm256_xor_pd(x, _mm256_castsi256_pd(sign))
        }
    }

    #[inline(always)]
    unsafe fn negate_where_odd_ps512(x: __m512, mantissa: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe {
            let sign = _mm512_slli_epi32::<31>(_mm512_castps_si512(mantissa));
            _mm512_xor_ps(x, _mm512_castsi512_ps(sign))
        }
    }

    #[inline(always)]
    unsafe fn negate_where_odd_pd512(x: __m512d, mantissa: __m512d) -> __m512d {
        // SAFETY: see above.
        unsafe {
            let sign = _mm512_slli_epi64::<63>(_mm512_castpd_si512(mantissa));
            _mm512_xor_pd(x, _mm512_castsi512_pd(sign))
        }
    }

    #[inline(always)]
    unsafe fn sum_ps256([low, high]: [__m256; 2]) -> f32 {
        // SAFETY: see above.
        unsafe {
            let eight = _mm256_add_ps(low, high);
            let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }

    #[inline(always)]
    unsafe fn sum_pd256([a, b, c, d]: [__m256d; 4]) -> f64 {
        // SAFETY: see above.
        unsafe {
            let four = _mm256_add_pd(_mm256_add_pd(a, c), _mm256_add_pd(b, d));
            let two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd::<1>(four));
            _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)))
        }
    }

    #[inline(always)]
    unsafe fn sum_ps512([lanes]: [__m512; 1]) -> f32 {
        // SAFETY: see above.
        unsafe { sum_ps256([_mm512_castps512_ps256(lanes), _mm512_extractf32x8_ps::<1>(lanes)]) }
    }

    #[inline(always)]
    unsafe fn sum_pd512([low, high]: [__m512d; 2]) -> f64 {
        // SAFETY: see above.
        unsafe {
            let eight = _mm512_add_pd(low, high);
            let four = _mm256_add_pd(_mm512_castpd512_pd256(eight), _mm512_extractf64x4_pd::<1>(eight));
            let two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd::<1>(four));
            _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)))
        }
    }
}
