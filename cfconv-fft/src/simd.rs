//! Runtime choice of an instruction set for kernels written as plain loops over lanes.
//!
//! A [`Kernel`] is compiled once for each instruction set and the best one the processor has is called.
//! The kernels hold no intrinsics: they are loops over [`LANES`] contiguous values that the compiler turns
//! into vector code, so there is one text to read and to prove. What differs between the sets is only
//! whether `a·b + c` is rounded once ([`Fused`]) or twice ([`Portable`], where a fused operation would be a
//! library call). Results are therefore bit-identical for any number of threads on one instruction set, and
//! agree to rounding between sets.

use std::sync::OnceLock;

use crate::Real;

/// Number of contiguous values a kernel handles together: one 512-bit or two 256-bit registers of `f32`.
pub const LANES: usize = 16;

/// How `a·b + c` is computed on an instruction set.
pub trait Isa: Copy + Send + Sync {
    /// Returns `a·b + c`.
    fn mul_add<T: Real>(self, a: T, b: T, c: T) -> T;
}

/// Instruction sets with a fused multiply-add: one rounding.
#[derive(Clone, Copy, Debug)]
pub struct Fused;

/// Instruction sets without one: two roundings.
#[derive(Clone, Copy, Debug)]
pub struct Portable;

impl Isa for Fused {
    #[inline(always)]
    fn mul_add<T: Real>(self, a: T, b: T, c: T) -> T {
        num_traits::Float::mul_add(a, b, c)
    }
}

impl Isa for Portable {
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
        // SAFETY: `detect` found AVX-512 F, BW, DQ, VL and FMA on this processor.
        InstructionSet::Avx512 => unsafe { run_avx512(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `detect` found AVX2 and FMA on this processor.
        InstructionSet::Avx2 => unsafe { run_avx2(kernel) },
        #[cfg(target_arch = "aarch64")]
        InstructionSet::Neon => kernel.run(Fused),
        InstructionSet::Portable => kernel.run(Portable),
    }
}

/// The instruction sets that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// AVX-512 F, BW, DQ, VL with FMA.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2 with FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// NEON, which every 64-bit Arm processor has.
    #[cfg(target_arch = "aarch64")]
    Neon,
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

    #[cfg(target_arch = "x86_64")]
    fn choose(wanted: Option<&str>) -> Self {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = avx2
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        match wanted {
            Some("portable") => Self::Portable,
            Some("avx2") if avx2 => Self::Avx2,
            _ if avx512 => Self::Avx512,
            _ if avx2 => Self::Avx2,
            _ => Self::Portable,
        }
    }

    #[cfg(target_arch = "aarch64")]
    fn choose(wanted: Option<&str>) -> Self {
        if wanted == Some("portable") { Self::Portable } else { Self::Neon }
    }

    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    fn choose(_wanted: Option<&str>) -> Self {
        Self::Portable
    }
}

/// # Safety
/// The processor must have AVX-512 F, BW, DQ and VL, AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Fused)
}

/// # Safety
/// The processor must have AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Fused)
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

    #[test]
    fn a_smaller_instruction_set_can_be_chosen() {
        assert_eq!(InstructionSet::choose(Some("portable")), InstructionSet::Portable);
    }
}
