//! [`LANES`] values held in the registers of one instruction set.

use super::LANES;
#[cfg(target_arch = "aarch64")]
use super::neon;
#[cfg(target_arch = "x86_64")]
use super::x86;

/// `LANES` values in the registers of the instruction set with the token `I`. The operations are those of
/// [`Isa`](super::Isa); each takes a token, as proof that the processor can do it.
pub trait Block<T, I>: Copy {
    /// The same value in each lane.
    fn splat(isa: I, value: T) -> Self;
    /// Reads from memory.
    fn load(isa: I, values: &[T; LANES]) -> Self;
    /// Writes to memory.
    fn store(isa: I, block: Self, values: &mut [T; LANES]);
    /// `a + b`.
    fn add(isa: I, a: Self, b: Self) -> Self;
    /// `a − b`.
    fn sub(isa: I, a: Self, b: Self) -> Self;
    /// `a·b`.
    fn mul(isa: I, a: Self, b: Self) -> Self;
    /// `a·b + c`.
    fn fma(isa: I, a: Self, b: Self, c: Self) -> Self;
    /// `−x` in each lane where the last bit of `mantissa` is set.
    fn negate_where_odd(isa: I, x: Self, mantissa: Self) -> Self;
    /// The sum of all lanes: those a half apart are added, then a quarter, and so on.
    fn sum(isa: I, x: Self) -> T;
    /// Transposes `LANES` rows of `LANES` values, each a step after the other.
    fn transpose(isa: I, source: (&[T], usize), target: (&mut [T], usize));
}

/// Panics unless [`LANES`] rows of [`LANES`] values, a step apart, lie within `source` and within `target`.
#[inline(always)]
pub(super) fn assert_rows_within<T>(source: (&[T], usize), target: (&[T], usize)) {
    assert!(holds_rows(source), "a row is not within the source");
    assert!(holds_rows(target), "a row is not within the target");
}

/// Nothing overflows.
#[inline(always)]
const fn holds_rows<T>((values, step): (&[T], usize)) -> bool {
    values.len() >= LANES && (values.len() - LANES) / (LANES - 1) >= step
}

/// The registers of each instruction set for one scalar type. Only this crate implements it.
pub trait Blocks: Sized {
    /// Two or four 256-bit registers.
    #[cfg(target_arch = "x86_64")]
    type Avx2: Block<Self, x86::Avx2>;
    /// One or two 512-bit registers.
    #[cfg(target_arch = "x86_64")]
    type Avx512: Block<Self, x86::Avx512>;
    /// Four or eight 128-bit registers.
    #[cfg(target_arch = "aarch64")]
    type Neon: Block<Self, neon::Neon>;

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
