//! Runtime choice of an instruction set for kernels that work on lanes.
//!
//! A [`Kernel`] is compiled once for each instruction set and the best one the processor has is called. It is
//! written once, over [`Isa`]: loops on memory that the compiler turns into vector code, or, where values
//! must stay in registers, explicit operations on [`Isa::Lanes`], [`LANES`] values at a time. What differs
//! between the sets is only the registers and whether `a·b + c` is rounded once (everywhere but on the
//! portable one, where a fused operation would be a library call). Results are therefore bit-identical for
//! any number of threads on one instruction set, and agree to rounding between sets.

mod array;
mod block;
mod lane_vec;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod registers;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::fmt;
use std::sync::OnceLock;

use array::Array;
use block::Block;
#[cfg(target_arch = "aarch64")]
use neon::Neon;
#[cfg(target_arch = "x86_64")]
use x86::{Avx2, Avx512};

use crate::Real;

pub(crate) use block::Blocks;
pub use lane_vec::{AlignedLanes, LaneVec};

/// Number of contiguous values a kernel handles together: one 512-bit or two 256-bit registers of `f32`.
pub const LANES: usize = 16;

/// An instruction set, as a kernel sees it.
///
/// A value of such a type is a token: it exists only on processors that have the instruction set, so its operations
/// are safe. [`dispatch`] hands tokens to kernels.
pub trait Isa: Copy + Send + Sync {
    /// [`LANES`] values in registers.
    type Lanes<T: Real>: Block<T, Self>;

    /// Whether there are 32 registers and `Lanes<f32>` take one each: a loop of multiplications and additions can then
    /// hold 24 sums, and needs more than eight to hide the latency of an addition. Elsewhere they take two of 16
    /// registers, and six sums are enough and all that fit.
    const WIDE: bool;

    /// Returns `a·b + c` for scalars.
    #[inline(always)]
    fn mul_add<T: Real>(self, a: T, b: T, c: T) -> T {
        num_traits::Float::mul_add(a, b, c)
    }

    /// The same value in each lane.
    #[inline(always)]
    fn splat<T: Real>(self, value: T) -> Self::Lanes<T> {
        Block::splat(self, value)
    }

    /// Reads lanes from memory.
    #[inline(always)]
    fn load<T: Real>(self, values: &[T; LANES]) -> Self::Lanes<T> {
        Block::load(self, values)
    }

    /// Writes lanes to memory.
    #[inline(always)]
    fn store<T: Real>(self, lanes: Self::Lanes<T>, values: &mut [T; LANES]) {
        Block::store(self, lanes, values);
    }

    /// `a + b` in each lane.
    #[inline(always)]
    fn add<T: Real>(self, a: Self::Lanes<T>, b: Self::Lanes<T>) -> Self::Lanes<T> {
        Block::add(self, a, b)
    }

    /// `a − b` in each lane.
    #[inline(always)]
    fn sub<T: Real>(self, a: Self::Lanes<T>, b: Self::Lanes<T>) -> Self::Lanes<T> {
        Block::sub(self, a, b)
    }

    /// `a·b` in each lane.
    #[inline(always)]
    fn mul<T: Real>(self, a: Self::Lanes<T>, b: Self::Lanes<T>) -> Self::Lanes<T> {
        Block::mul(self, a, b)
    }

    /// `a·b + c` in each lane.
    #[inline(always)]
    fn fma<T: Real>(self, a: Self::Lanes<T>, b: Self::Lanes<T>, c: Self::Lanes<T>) -> Self::Lanes<T> {
        Block::fma(self, a, b, c)
    }

    /// `−x` in each lane where the last bit of `mantissa` is set: where n is odd, for `mantissa = n + 1.5·2^23`
    /// (`1.5·2^52` in `f64`).
    #[inline(always)]
    fn negate_where_odd<T: Real>(self, x: Self::Lanes<T>, mantissa: Self::Lanes<T>) -> Self::Lanes<T> {
        Block::negate_where_odd(self, x, mantissa)
    }

    /// The sum of all lanes; the same order of additions on every instruction set.
    #[inline(always)]
    fn sum<T: Real>(self, x: Self::Lanes<T>) -> T {
        Block::sum(self, x)
    }

    /// Transposes [`LANES`] rows of [`LANES`] values: `target[c·target_step + r] = source[r·source_step + c]`.
    ///
    /// # Panics
    /// If a row does not lie within its slice.
    #[inline(always)]
    fn transpose<T: Real>(self, source: (&[T], usize), target: (&mut [T], usize)) {
        <Self::Lanes<T> as Block<T, Self>>::transpose(self, source, target);
    }
}

/// Whatever the target guarantees, multiply and add rounded separately: the reference of the other sets.
#[derive(Clone, Copy, Debug)]
pub struct Portable;

impl Isa for Portable {
    type Lanes<T: Real> = Array<T>;
    const WIDE: bool = false;

    #[inline(always)]
    fn mul_add<T: Real>(self, a: T, b: T, c: T) -> T {
        a * b + c
    }
}

/// A computation that [`dispatch`] compiles for every instruction set.
///
/// Mark `run`, and every function it calls in its inner loops, `#[inline(always)]`: only inlined code is
/// compiled with the wider registers.
pub trait Kernel {
    /// What the computation returns.
    type Output;

    /// Does the work.
    fn run<I: Isa>(self, isa: I) -> Self::Output;
}

/// Runs `kernel` on the best instruction set of this processor.
///
/// # Examples
/// ```
/// use cfconv_fft::simd::{Isa, Kernel, dispatch};
///
/// struct Axpy<'a> {
///     a: f32,
///     x: &'a [f32],
///     y: &'a mut [f32],
/// }
/// impl Kernel for Axpy<'_> {
///     type Output = ();
///     #[inline(always)]
///     fn run<I: Isa>(self, isa: I) {
///         for (y, &x) in self.y.iter_mut().zip(self.x) {
///             *y = isa.mul_add(self.a, x, *y);
///         }
///     }
/// }
/// let mut y = [1.0, 2.0];
/// dispatch(Axpy { a: 2.0, x: &[10.0, 20.0], y: &mut y });
/// assert_eq!(y, [21.0, 42.0]);
/// ```
#[inline]
pub fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    match InstructionSet::detect() {
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512(isa) => isa.run(kernel),
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2(isa) => isa.run(kernel),
        #[cfg(target_arch = "aarch64")]
        InstructionSet::Neon(isa) => isa.run(kernel),
        InstructionSet::Portable => kernel.run(Portable),
    }
}

/// An instruction set that kernels are compiled for, with the token that proves that this processor has it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum InstructionSet {
    /// AVX-512 F, BW, DQ, VL with FMA.
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    /// AVX2 with FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    /// NEON, which every 64-bit Arm processor has.
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
    /// Whatever the target guarantees.
    Portable,
}

impl InstructionSet {
    /// The set that [`dispatch`] uses on this processor; looked up once.
    ///
    /// The environment variable `CFCONV_ISA` (`avx512`, `avx2`, `portable`), read at the first call, can ask
    /// for a smaller set than the processor offers, to test or to compare; a set it does not offer is never
    /// chosen.
    pub fn detect() -> Self {
        static DETECTED: OnceLock<InstructionSet> = OnceLock::new();
        *DETECTED.get_or_init(|| Self::choose(std::env::var("CFCONV_ISA").ok().as_deref()))
    }

    /// The largest set of this processor, but none larger than `wanted`.
    fn choose(wanted: Option<&str>) -> Self {
        if wanted == Some("portable") { Self::Portable } else { Self::largest(wanted != Some("avx2")) }
    }

    #[cfg(target_arch = "x86_64")]
    fn largest(avx512: bool) -> Self {
        match (Avx512::detect(), Avx2::detect()) {
            (Some(isa), _) if avx512 => Self::Avx512(isa),
            (_, Some(isa)) => Self::Avx2(isa),
            _ => Self::Portable,
        }
    }

    #[cfg(target_arch = "aarch64")]
    fn largest(_avx512: bool) -> Self {
        Self::Neon(Neon::detect())
    }

    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    fn largest(_avx512: bool) -> Self {
        Self::Portable
    }
}

impl fmt::Debug for InstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "Avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "Avx2",
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_) => "Neon",
            Self::Portable => "Portable",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Dot<'a>(&'a [f64], &'a [f64]);

    impl Kernel for Dot<'_> {
        type Output = f64;

        #[inline(always)]
        fn run<I: Isa>(self, isa: I) -> f64 {
            self.0.iter().zip(self.1).fold(0.0, |sum, (&a, &b)| isa.mul_add(a, b, sum))
        }
    }

    #[test]
    fn dispatched_kernel_equals_portable_kernel() {
        let a: Vec<f64> = (0..37).map(|i| f64::from(i) * 0.25 - 3.0).collect();
        let b: Vec<f64> = (0..37).map(|i| f64::from(i % 5) - 1.5).collect();
        // Quarter-integers: every product and sum is exact, so one or two roundings give the same bits.
        assert_eq!(dispatch(Dot(&a, &b)), Dot(&a, &b).run(Portable));
    }

    /// Every operation on lanes, one after the other.
    struct LaneOperations<'a, T>(&'a [T; LANES], &'a [T; LANES]);

    impl<T: Real> Kernel for LaneOperations<'_, T> {
        type Output = Vec<[T; LANES]>;

        #[inline(always)]
        fn run<I: Isa>(self, isa: I) -> Self::Output {
            let (a, b) = (isa.load(self.0), isa.load(self.1));
            // Adding it to an integer leaves the integer in the last bits.
            let magic = isa.splat(T::cast(1.5) / T::epsilon());
            [
                isa.add(a, b),
                isa.sub(a, b),
                isa.mul(a, b),
                isa.fma(a, b, isa.splat(T::cast(0.25))),
                isa.negate_where_odd(a, isa.add(isa.add(b, isa.splat(T::cast(1.5))), magic)),
                isa.splat(isa.sum(a)),
            ]
            .map(|lanes| {
                let mut values = [T::cast(f64::NAN); LANES];
                isa.store(lanes, &mut values);
                values
            })
            .to_vec()
        }
    }

    fn lane_operations_equal_scalar_ones<T: Real>() {
        let a: [T; LANES] = std::array::from_fn(|l| T::cast(l as f64 * 0.5 - 3.0));
        let b: [T; LANES] = std::array::from_fn(|l| T::cast((l % 5) as f64 - 1.5));
        let expected: Vec<[T; LANES]> = vec![
            std::array::from_fn(|l| a[l] + b[l]),
            std::array::from_fn(|l| a[l] - b[l]),
            std::array::from_fn(|l| a[l] * b[l]),
            std::array::from_fn(|l| a[l] * b[l] + T::cast(0.25)),
            std::array::from_fn(|l| if l % 5 % 2 == 1 { -a[l] } else { a[l] }),
            // Σ_l (l/2 − 3), exactly.
            [T::cast(12.0); LANES],
        ];
        assert_eq!(dispatch(LaneOperations(&a, &b)), expected);
        assert_eq!(LaneOperations(&a, &b).run(Portable), expected);
        #[cfg(target_arch = "x86_64")]
        if let Some(isa) = Avx2::detect() {
            assert_eq!(isa.run(LaneOperations(&a, &b)), expected);
        }
    }

    #[test]
    fn lane_operations_equal_scalar_ones_in_both_precisions() {
        lane_operations_equal_scalar_ones::<f32>();
        lane_operations_equal_scalar_ones::<f64>();
    }

    /// Sixteen rows of one slice, a step apart, to sixteen of another.
    struct Transposition<T>(Vec<T>, Vec<T>);

    const STEPS: [usize; 2] = [LANES + 3, LANES + 7];

    impl<T: Real> Kernel for Transposition<T> {
        type Output = Vec<T>;

        #[inline(always)]
        fn run<I: Isa>(mut self, isa: I) -> Vec<T> {
            isa.transpose((&self.0, STEPS[0]), (&mut self.1, STEPS[1]));
            self.1
        }
    }

    fn transpose_moves_each_value_and_no_other<T: Real>() {
        let lengths = STEPS.map(|step| (LANES - 1) * step + LANES);
        let source: Vec<T> = (0..lengths[0]).map(|n| T::cast(n as f64)).collect();
        let untouched = vec![T::cast(-1.0); lengths[1]];
        let mut expected = untouched.clone();
        for r in 0..LANES {
            for c in 0..LANES {
                expected[c * STEPS[1] + r] = source[r * STEPS[0] + c];
            }
        }
        let kernel = || Transposition(source.clone(), untouched.clone());
        assert_eq!(dispatch(kernel()), expected);
        assert_eq!(kernel().run(Portable), expected);
        #[cfg(target_arch = "x86_64")]
        if let Some(isa) = Avx2::detect() {
            assert_eq!(isa.run(kernel()), expected);
        }
    }

    #[test]
    fn transpose_moves_each_value_and_no_other_in_both_precisions() {
        transpose_moves_each_value_and_no_other::<f32>();
        transpose_moves_each_value_and_no_other::<f64>();
    }

    #[test]
    #[should_panic(expected = "a row is not within the source")]
    fn transpose_refuses_a_source_without_the_last_row() {
        let short = Transposition(vec![0.0_f32; (LANES - 1) * STEPS[0] + LANES - 1], vec![0.0; 1024]);
        short.run(Portable);
    }

    #[test]
    fn a_smaller_instruction_set_can_be_chosen() {
        assert_eq!(InstructionSet::choose(Some("portable")), InstructionSet::Portable);
    }
}
