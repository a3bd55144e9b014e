//! The functions themselves, written so that loops over them become vector code.

use cfconv_fft::Real;
use cfconv_fft::simd::Isa;

/// A function of one value that knows its derivative.
pub(crate) trait Function: Copy + Send + Sync {
    fn value<T: Real, I: Isa>(self, isa: I, z: T) -> T;

    fn derivative<T: Real, I: Isa>(self, isa: I, z: T) -> T;
}

/// z itself: stands for the absence of an activation in fused operations.
#[derive(Clone, Copy)]
pub(crate) struct Identity;
#[derive(Clone, Copy)]
pub(crate) struct Relu;
#[derive(Clone, Copy)]
pub(crate) struct Gelu;
#[derive(Clone, Copy)]
pub(crate) struct Silu;
#[derive(Clone, Copy)]
pub(crate) struct Tanh;

impl Function for Identity {
    #[inline(always)]
    fn value<T: Real, I: Isa>(self, _isa: I, z: T) -> T {
        z
    }

    #[inline(always)]
    fn derivative<T: Real, I: Isa>(self, _isa: I, _z: T) -> T {
        T::ONE
    }
}

impl Function for Relu {
    #[inline(always)]
    fn value<T: Real, I: Isa>(self, _isa: I, z: T) -> T {
        // Written so that NaN stays NaN.
        if z < T::ZERO { T::ZERO } else { z }
    }

    #[inline(always)]
    fn derivative<T: Real, I: Isa>(self, _isa: I, z: T) -> T {
        if z > T::ZERO { T::ONE } else { T::ZERO }
    }
}

/// √(8/π): GELU's tanh form is z·σ(u) with u = √(8/π)·(z + 0.044715·z³).
const GELU_SCALE: f64 = 1.595_769_121_605_730_8;
const GELU_CUBE: f64 = 0.044_715 * GELU_SCALE;

impl Function for Gelu {
    #[inline(always)]
    fn value<T: Real, I: Isa>(self, isa: I, z: T) -> T {
        let u = z * isa.mul_add(T::cast(GELU_CUBE), z * z, T::cast(GELU_SCALE));
        z * sigmoid(isa, u)
    }

    #[inline(always)]
    fn derivative<T: Real, I: Isa>(self, isa: I, z: T) -> T {
        let u = z * isa.mul_add(T::cast(GELU_CUBE), z * z, T::cast(GELU_SCALE));
        let slope = isa.mul_add(T::cast(3.0 * GELU_CUBE), z * z, T::cast(GELU_SCALE));
        let s = sigmoid(isa, u);
        isa.mul_add(z * slope * s, T::ONE - s, s)
    }
}

impl Function for Silu {
    #[inline(always)]
    fn value<T: Real, I: Isa>(self, isa: I, z: T) -> T {
        z * sigmoid(isa, z)
    }

    #[inline(always)]
    fn derivative<T: Real, I: Isa>(self, isa: I, z: T) -> T {
        let s = sigmoid(isa, z);
        isa.mul_add(z * s, T::ONE - s, s)
    }
}

impl Function for Tanh {
    #[inline(always)]
    fn value<T: Real, I: Isa>(self, isa: I, z: T) -> T {
        let s = sigmoid(isa, z + z);
        s + s - T::ONE
    }

    #[inline(always)]
    fn derivative<T: Real, I: Isa>(self, isa: I, z: T) -> T {
        let t = self.value(isa, z);
        isa.mul_add(-t, t, T::ONE)
    }
}

/// Calls a generic expression with the function that an `Option<Activation>` names.
macro_rules! with_function {
    ($activation:expr, $f:ident => $body:expr) => {
        match $activation {
            None => {
                let $f = $crate::nn::activation::function::Identity;
                $body
            }
            Some($crate::nn::Activation::Relu) => {
                let $f = $crate::nn::activation::function::Relu;
                $body
            }
            Some($crate::nn::Activation::Gelu) => {
                let $f = $crate::nn::activation::function::Gelu;
                $body
            }
            Some($crate::nn::Activation::Silu) => {
                let $f = $crate::nn::activation::function::Silu;
                $body
            }
            Some($crate::nn::Activation::Tanh) => {
                let $f = $crate::nn::activation::function::Tanh;
                $body
            }
        }
    };
}
pub(crate) use with_function;

/// σ(z) = 1/(1 + exp(−z)).
#[inline(always)]
pub(crate) fn sigmoid<T: Real, I: Isa>(isa: I, z: T) -> T {
    (T::ONE + exp(isa, -z)).recip()
}

/// exp(x); for `f32` without a library call, so that it vectorises.
#[inline(always)]
pub(crate) fn exp<T: Real, I: Isa>(isa: I, x: T) -> T {
    if size_of::<T>() == size_of::<f32>() {
        // T is f32: the conversions are the identity.
        T::cast(f64::from(exp_f32(isa, x.as_f64() as f32)))
    } else {
        num_traits::Float::exp(x)
    }
}

/// exp(x) to 2 units in the last place for −87 ≤ x ≤ 88, constant outside.
///
/// # Source
/// Cephes `expf` (Moshier): x = n·ln 2 + r with |r| ≤ ln 2/2, a polynomial in r, 2ⁿ from its bits. Here n comes
/// from the low bits of a sum with 1.5·2²³ in place of a conversion.
#[inline(always)]
fn exp_f32<I: Isa>(isa: I, x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let biased = isa.mul_add(x, std::f32::consts::LOG2_E, ROUND);
    let n = biased - ROUND;
    let r = isa.mul_add(n, -LN_2_HIGH, x);
    let r = isa.mul_add(n, -LN_2_LOW, r);
    let mut p = 1.987_569_1e-4;
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5e-1] {
        p = isa.mul_add(p, r, coefficient);
    }
    let y = isa.mul_add(p, r * r, r + 1.0);
    y * f32::from_bits(0x3f80_0000_u32.wrapping_add(biased.to_bits() << 23))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cfconv_fft::simd::Portable;

    #[test]
    fn exp_f32_is_accurate() {
        let mut x = -87.0_f32;
        while x <= 88.0 {
            let exact = f64::from(x).exp();
            let error = (f64::from(exp_f32(Portable, x)) - exact).abs() / exact;
            assert!(error < 2.0 * f64::from(f32::EPSILON), "exp({x}): relative error {error:e}");
            x += 0.013;
        }
        assert!(exp_f32(Portable, f32::NAN).is_nan());
    }

    #[test]
    fn derivatives_match_central_differences() {
        fn check<F: Function>(function: F) {
            for z in [-4.0, -1.3, -0.2, 0.4, 1.0, 3.7] {
                let h = 1e-5;
                let numeric = (function.value(Portable, z + h) - function.value(Portable, z - h)) / (2.0 * h);
                let analytic: f64 = function.derivative(Portable, z);
                assert!((numeric - analytic).abs() < 1e-9, "at {z}: {numeric} ≠ {analytic}");
            }
        }
        check(Identity);
        check(Relu);
        check(Gelu);
        check(Silu);
        check(Tanh);
    }

    #[test]
    fn values_match_their_definitions() {
        for z in [-20.0, -3.0, -0.5, 0.0, 1e-3, 0.7, 2.5, 20.0_f64] {
            let gelu =
                0.5 * z * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (z + 0.044_715 * z.powi(3))).tanh());
            for (got, got_f32, expected) in [
                (Relu.value(Portable, z), Relu.value(Portable, z as f32), z.max(0.0)),
                (Gelu.value(Portable, z), Gelu.value(Portable, z as f32), gelu),
                (Silu.value(Portable, z), Silu.value(Portable, z as f32), z / (1.0 + (-z).exp())),
                (Tanh.value(Portable, z), Tanh.value(Portable, z as f32), z.tanh()),
            ] {
                assert!((got - expected).abs() < 1e-14 * (1.0 + expected.abs()), "{z}: {got} ≠ {expected}");
                let error = (f64::from(got_f32) - expected).abs();
                assert!(error < 3e-7 * (1.0 + expected.abs()), "{z} in f32: {got_f32} ≠ {expected}");
            }
        }
        assert!(Relu.value(Portable, f32::NAN).is_nan() && Tanh.value(Portable, f32::NAN).is_nan());
    }
}
