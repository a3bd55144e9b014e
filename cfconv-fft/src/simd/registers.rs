//! Macros that make an instruction set from its intrinsics: a token, and a [`Block`](super::block::Block) of
//! registers for each scalar type.

/// Runs `$body` as a function that is compiled with an instruction set: in it, intrinsics are safe to call. Its
/// arguments are variables of the caller with the same names.
///
/// Bodies use loops, not closures: the standard library's functions that call closures are compiled without the
/// instruction set, and are not always inlined.
macro_rules! compiled {
    ($features:literal, ($($argument:ident: $type:ty),*) -> $result:ty $body:block) => {{
        #[inline]
        #[target_feature(enable = $features)]
        fn compiled($($argument: $type),*) -> $result $body
        // SAFETY: `declare_isa`, the only user, has a token wherever it writes this, and a token exists only on
        // processors with its features.
        unsafe { compiled($($argument),*) }
    }};
}

/// Applies an intrinsic to each register of one, two or three blocks.
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

/// Declares an instruction set: its token and, for each scalar type, the registers that hold
/// [`LANES`](super::LANES) values, by the intrinsics that differ.
///
/// Only the module that calls this macro can make tokens. It must make them only where it has found the features on
/// this processor: the `unsafe` below relies on it.
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
            /// Runs `kernel`, compiled with this instruction set. It is inlined, since one more call would copy the
            /// kernel once more.
            #[inline(always)]
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
                    compiled!(
                        $features,
                        (source: (&[$scalar], usize), target: (&mut [$scalar], usize)) -> () { $transpose(source, target) }
                    )
                }
            }
        )+
    };
}

pub(super) use {compiled, declare_isa, each_register};
