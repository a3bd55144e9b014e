//! One [`Block`](super::block::Block) for each set of vector registers, by the intrinsics that differ.

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
        impl $crate::simd::block::Block<$scalar> for $name {
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
                $crate::simd::registers::each!(register, r, self => $add(register, other.0[r]))
            }
            #[inline(always)]
            unsafe fn sub(self, other: Self) -> Self {
                $crate::simd::registers::each!(register, r, self => $sub(register, other.0[r]))
            }
            #[inline(always)]
            unsafe fn mul(self, other: Self) -> Self {
                $crate::simd::registers::each!(register, r, self => $mul(register, other.0[r]))
            }
            #[inline(always)]
            unsafe fn mul_add(self, b: Self, c: Self) -> Self {
                $crate::simd::registers::each!(register, r, self => $mul_add(register, b.0[r], c.0[r]))
            }
            #[inline(always)]
            unsafe fn negate_where_odd(self, mantissa: Self) -> Self {
                $crate::simd::registers::each!(register, r, self => $negate_where_odd(register, mantissa.0[r]))
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

pub(super) use {each, register_block};
