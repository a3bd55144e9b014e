//! [`LANES`] values held in the registers of one instruction set.

use super::LANES;
#[cfg(target_arch = "aarch64")]
use super::neon;
#[cfg(target_arch = "x86_64")]
use super::x86;

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
    /// Two or four 256-bit registers.
    #[cfg(target_arch = "x86_64")]
    type Avx2: Block<Self>;
    /// One or two 512-bit registers.
    #[cfg(target_arch = "x86_64")]
    type Avx512: Block<Self>;
    /// Four or eight 128-bit registers.
    #[cfg(target_arch = "aarch64")]
    type Neon: Block<Self>;

    /// `−self` if the last bit of `mantissa` is set.
    fn negate_if_odd(self, mantissa: Self) -> Self;
}

impl Blocks for f32 {
    #[cfg(target_arch = "x86_64")]
    type Avx2 = x86::Avx2F32;
    #[cfg(target_arch = "x86_64")]
    type Avx512 = x86::Avx512F32;
    #[cfg(target_arch = "aarch64")]
    type Neon = neon::NeonF32;

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
    #[cfg(target_arch = "aarch64")]
    type Neon = neon::NeonF64;

    #[inline(always)]
    fn negate_if_odd(self, mantissa: Self) -> Self {
        Self::from_bits(self.to_bits() ^ (mantissa.to_bits() << 63))
    }
}
