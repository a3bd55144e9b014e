//! The macros that make an instruction set of its intrinsics: a token, and a [`Block`](super::block::Block) of
//! registers for each scalar type.

/// A function of its own with `$body`, compiled with the instruction set of a token that the caller holds, and its
/// result for arguments of the same names. In it, intrinsics are safe.
///
/// Bodies have loops in place of closures: functions of the standard library that would call a closure are at times
/// not inlined, and are compiled without the instruction set.
macro_rules! compiled {
    ($features:literal, ($($argument:ident: $type:ty),*) -> $result:ty $body:block) => {{
        #[inline]
        #[target_feature(enable = $features)]
        fn compiled($($argument: $type),*) -> $result $body
        // SAFETY: `declare_isa` uses this macro in functions that are given a token, and a token exists only on
        // processors with its features.
        unsafe { compiled($($argument),*) }
    }};
}

/// An intrinsic on each register of some blocks.
macro_rules! each_register {
    ($features:literal, $block:ident, $intrinsic:ident($first:ident $(, $other:ident)*)) => {
        $crate::simd::registers::compiled!($features, ($first: $block $(, $other: $block)*) -> $block {
            let mut result = $first;
            for r in 0..result.0.len() {
                result.0[r] = $intrinsic($first.0[r] $(, $other.0[r])*);
            }
            result
        })
    };
}

/// Declares the token of an instruction set, and the registers that hold [`LANES`](super::LANES) values of a scalar
/// type, by the intrinsics that differ. The module that calls the macro alone can make tokens, and may do so only where
/// it has found the features on this processor.
macro_rules! declare_isa {
    (
        $(#[$doc:meta])*
        $token:ident: $features:literal, WIDE = $wide:literal, Lanes = $lanes:ident;
        $($block:ident: [$register:ty; $count:literal] of $scalar:ident {
            splat: $splat:ident, load: $load:ident, store: $store:ident, add: $add:ident, sub: $sub:ident,
            mul: $mul:ident, fma: $fma:ident, negate_where_odd: $negate_where_odd:ident, sum: $sum:ident,
            transpose: $transpose:ident
        })+
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub struct $token(());

        impl $token {
            /// Runs a kernel that is compiled with this instruction set.
            pub(super) fn run<K: $crate::simd::Kernel>(self, kernel: K) -> K::Output {
                #[target_feature(enable = $features)]
                fn compiled<K: $crate::simd::Kernel>(isa: $token, kernel: K) -> K::Output {
                    kernel.run(isa)
                }
                // SAFETY: a token exists only on processors with its features.
                unsafe { compiled(self, kernel) }
            }
        }

        impl $crate::simd::Isa for $token {
            type Lanes<T: $crate::Real> = T::$lanes;
            const WIDE: bool = $wide;
        }

        $(
            /// Lanes in vector registers.
            #[derive(Clone, Copy, Debug)]
            pub struct $block([$register; $count]);

            impl $crate::simd::block::Block<$scalar, $token> for $block {
                #[inline(always)]
                fn splat(_: $token, value: $scalar) -> Self {
                    compiled!($features, (value: $scalar) -> $block { $block([$splat(value); $count]) })
                }
                #[inline(always)]
                fn load(_: $token, values: &[$scalar; LANES]) -> Self {
                    compiled!($features, (values: &[$scalar; LANES]) -> $block {
                        let mut registers = [$splat(0.0); $count];
                        for (r, register) in registers.iter_mut().enumerate() {
                            // SAFETY: the registers hold the LANES values together; loads may be unaligned.
                            *register = unsafe { $load(values.as_ptr().add(r * (LANES / $count))) };
                        }
                        $block(registers)
                    })
                }
                #[inline(always)]
                fn store(_: $token, block: Self, values: &mut [$scalar; LANES]) {
                    compiled!($features, (block: $block, values: &mut [$scalar; LANES]) -> () {
                        for (r, register) in block.0.into_iter().enumerate() {
                            // SAFETY: the registers hold the LANES values together; stores may be unaligned.
                            unsafe { $store(values.as_mut_ptr().add(r * (LANES / $count)), register) };
                        }
                    })
                }
                #[inline(always)]
                fn add(_: $token, a: Self, b: Self) -> Self {
                    each_register!($features, $block, $add(a, b))
                }
                #[inline(always)]
                fn sub(_: $token, a: Self, b: Self) -> Self {
                    each_register!($features, $block, $sub(a, b))
                }
                #[inline(always)]
                fn mul(_: $token, a: Self, b: Self) -> Self {
                    each_register!($features, $block, $mul(a, b))
                }
                #[inline(always)]
                fn fma(_: $token, a: Self, b: Self, c: Self) -> Self {
                    each_register!($features, $block, $fma(a, b, c))
                }
                #[inline(always)]
                fn negate_where_odd(_: $token, x: Self, mantissa: Self) -> Self {
                    each_register!($features, $block, $negate_where_odd(x, mantissa))
                }
                #[inline(always)]
                fn sum(_: $token, x: Self) -> $scalar {
                    compiled!($features, (x: $block) -> $scalar { $sum(x.0) })
                }
                #[inline(always)]
                fn transpose(_: $token, source: (&[$scalar], usize), target: (&mut [$scalar], usize)) {
                    compiled!($features, (source: (&[$scalar], usize), target: (&mut [$scalar], usize)) -> () {
                        $transpose(source, target)
                    })
                }
            }
        )+
    };
}

pub(super) use {compiled, declare_isa, each_register};
