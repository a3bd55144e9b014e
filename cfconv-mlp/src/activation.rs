//! Hidden activations, one value at a time and many at once.

use std::any::TypeId;

use cfconv_fft::Real;
use cfconv_fft::simd::{Isa, Kernel, dispatch};

use crate::config::Activation;
use crate::sincos;

impl Activation {
    /// The activation and its derivative at `z`.
    ///
    /// # Examples
    /// ```
    /// use cfconv_mlp::Activation;
    ///
    /// assert_eq!(Activation::Relu.value_and_derivative(3.0_f64), (3.0, 1.0));
    /// assert_eq!(Activation::Sine.value_and_derivative(0.0_f64), (0.0, 1.0));
    /// assert_eq!(Activation::Gabor.value_and_derivative(0.0_f64), (1.0, 0.0));
    /// ```
    pub fn value_and_derivative<T: Real>(self, z: T) -> (T, T) {
        let (one, zero) = (T::one(), T::zero());
        match self {
            Self::Sine => num_traits::Float::sin_cos(z),
            Self::Relu => (if z < zero { zero } else { z }, if z > zero { one } else { zero }),
            Self::Tanh => {
                let t = num_traits::Float::tanh(z);
                (t, one - t * t)
            }
            Self::Gelu => {
                let (a, b) = (T::cast(GELU_LINEAR), T::cast(GELU_CUBIC));
                let sigmoid = one / (one + num_traits::Float::exp(-z * (a + b * z * z)));
                let slope = a + T::cast(3.0) * b * z * z;
                (z * sigmoid, sigmoid + z * sigmoid * (one - sigmoid) * slope)
            }
            Self::Gabor => {
                let window = num_traits::Float::exp(-z * z / T::cast(8.0));
                let (sine, cosine) = num_traits::Float::sin_cos(z);
                (cosine * window, -(sine + z * cosine / T::cast(4.0)) * window)
            }
        }
    }

    /// The mean of the squared activation when z is normal with standard deviation `sigma`.
    ///
    /// Trapezoid sums of a smooth integrand over ±8 sigma converge faster than any power of the step.
    pub(crate) fn second_moment(self, sigma: f64) -> f64 {
        const HALF_STEPS: i32 = 2000;
        let (mut sum, mut weights) = (0.0, 0.0);
        for step in -HALF_STEPS..=HALF_STEPS {
            let t = 8.0 * f64::from(step) / f64::from(HALF_STEPS);
            let weight = (-0.5 * t * t).exp();
            let value = self.value_and_derivative(sigma * t).0;
            sum += weight * value * value;
            weights += weight;
        }
        sum / weights
    }
}

/// √(8/π): GELU is z·σ(a·z + b·z³).
const GELU_LINEAR: f64 = 1.595_769_121_605_730_8;
const GELU_CUBIC: f64 = GELU_LINEAR * 0.044_715;

/// Replaces each pre-activation in `z` by its activation; with `GRAD`, writes derivatives to `derivative`
/// (same length; unused and may be empty without `GRAD`).
pub(crate) fn activate<T: Real, const GRAD: bool>(activation: Activation, z: &mut [T], derivative: &mut [T]) {
    debug_assert!(!GRAD || z.len() == derivative.len());
    dispatch(Activate::<T, GRAD> { activation, z, derivative });
}

struct Activate<'a, T, const GRAD: bool> {
    activation: Activation,
    z: &'a mut [T],
    derivative: &'a mut [T],
}

impl<T: Real, const GRAD: bool> Kernel for Activate<'_, T, GRAD> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { activation, z, derivative } = self;
        if TypeId::of::<T>() == TypeId::of::<f32>() {
            let z: &mut [f32] = bytemuck::cast_slice_mut(z);
            let derivative: &mut [f32] = bytemuck::cast_slice_mut(derivative);
            activate_f32::<I, GRAD>(isa, activation, z, derivative);
        } else if GRAD {
            for (z, derivative) in z.iter_mut().zip(derivative) {
                (*z, *derivative) = activation.value_and_derivative(*z);
            }
        } else {
            for z in z {
                *z = activation.value_and_derivative(*z).0;
            }
        }
    }
}

/// Applies `f` to every value; `f` gives the activation and its derivative.
#[inline(always)]
fn map<const GRAD: bool>(z: &mut [f32], derivative: &mut [f32], f: impl Fn(f32) -> (f32, f32)) {
    if GRAD {
        for (z, derivative) in z.iter_mut().zip(derivative) {
            (*z, *derivative) = f(*z);
        }
    } else {
        for z in z {
            *z = f(*z).0;
        }
    }
}

#[inline(always)]
fn activate_f32<I: Isa, const GRAD: bool>(
    isa: I,
    activation: Activation,
    z: &mut [f32],
    derivative: &mut [f32],
) {
    match activation {
        Activation::Sine => sincos::sine_in_place::<I, GRAD>(isa, z, derivative),
        Activation::Relu => {
            map::<GRAD>(z, derivative, |z| (if z < 0.0 { 0.0 } else { z }, if z > 0.0 { 1.0 } else { 0.0 }))
        }
        Activation::Tanh => map::<GRAD>(z, derivative, |z| {
            // 1 − 2/(exp(2z) + 1): absolute error within a few roundings of 1, also near 0.
            let t = 1.0 - 2.0 / (sincos::exp(isa, 2.0 * z) + 1.0);
            (t, isa.mul_add(-t, t, 1.0))
        }),
        Activation::Gelu => map::<GRAD>(z, derivative, |z| {
            let (a, b) = (GELU_LINEAR as f32, GELU_CUBIC as f32);
            let z2 = z * z;
            let sigmoid = 1.0 / (1.0 + sincos::exp(isa, -z * isa.mul_add(b, z2, a)));
            let slope = isa.mul_add(3.0 * b, z2, a);
            let value = z * sigmoid;
            (value, isa.mul_add(value * (1.0 - sigmoid), slope, sigmoid))
        }),
        Activation::Gabor => gabor_f32::<I, GRAD>(isa, z, derivative),
    }
}

/// Values of one pass of [`gabor_f32`]; they live on the stack.
const GABOR_BLOCK: usize = 128;

#[inline(always)]
fn gabor_f32<I: Isa, const GRAD: bool>(isa: I, z: &mut [f32], derivative: &mut [f32]) {
    let (mut sine, mut cosine) = ([0.0; GABOR_BLOCK], [0.0; GABOR_BLOCK]);
    for (block, z) in z.chunks_mut(GABOR_BLOCK).enumerate() {
        let (sine, cosine) = (&mut sine[..z.len()], &mut cosine[..z.len()]);
        sine.copy_from_slice(z);
        sincos::sine_in_place::<I, true>(isa, sine, cosine);
        if GRAD {
            let derivative = &mut derivative[block * GABOR_BLOCK..][..z.len()];
            for (((z, d), &s), &c) in z.iter_mut().zip(derivative).zip(&*sine).zip(&*cosine) {
                let window = sincos::exp(isa, *z * *z * -0.125);
                *d = -isa.mul_add(0.25 * *z, c, s) * window;
                *z = c * window;
            }
        } else {
            for (z, &c) in z.iter_mut().zip(&*cosine) {
                *z = c * sincos::exp(isa, *z * *z * -0.125);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) const ALL: [Activation; 5] =
        [Activation::Sine, Activation::Gelu, Activation::Relu, Activation::Tanh, Activation::Gabor];

    #[test]
    fn derivatives_equal_central_differences() {
        for activation in ALL {
            for step in -40..40 {
                let z = f64::from(step) * 0.21 + 0.013;
                let h = 1e-5;
                let up = activation.value_and_derivative(z + h).0;
                let down = activation.value_and_derivative(z - h).0;
                let (_, derivative) = activation.value_and_derivative(z);
                assert!(((up - down) / (2.0 * h) - derivative).abs() < 1e-9, "{activation:?} at {z}");
            }
        }
    }

    #[test]
    fn fast_f32_equals_f64_to_rounding() {
        let z: Vec<f32> = (0..4001).map(|n| (n as f32 - 2000.0) * 0.02).collect();
        for activation in ALL {
            let (mut value, mut derivative) = (z.clone(), vec![f32::NAN; z.len()]);
            activate::<f32, true>(activation, &mut value, &mut derivative);
            let mut value_only = z.clone();
            activate::<f32, false>(activation, &mut value_only, &mut []);
            for (index, &z) in z.iter().enumerate() {
                let (exact, exact_derivative) = activation.value_and_derivative(f64::from(z));
                // A few roundings of the largest intermediate: 1, or |z| for the unbounded ones.
                let tolerance = 6.0e-7 * (1.0 + f64::from(z.abs()));
                assert!((f64::from(value[index]) - exact).abs() < tolerance, "{activation:?}({z})");
                assert!(
                    (f64::from(derivative[index]) - exact_derivative).abs() < tolerance,
                    "{activation:?}'({z}) = {} not {exact_derivative}",
                    derivative[index]
                );
                assert_eq!(value[index], value_only[index], "{activation:?}({z})");
            }
        }
    }

    #[test]
    fn extreme_arguments_stay_finite_and_nan_propagates() {
        for activation in ALL {
            let mut z = [1.0e4_f32, -1.0e4, 1.0e18, -1.0e18, f32::NAN];
            let mut derivative = [f32::INFINITY; 5];
            activate::<f32, true>(activation, &mut z, &mut derivative);
            assert!(z[..4].iter().all(|v| v.is_finite()), "{activation:?}: {z:?}");
            assert!(z[4].is_nan(), "{activation:?}");
        }
    }

    #[test]
    fn second_moments_equal_closed_forms() {
        let sine = (1.0 - (-2.0_f64).exp()) / 2.0;
        assert!((Activation::Sine.second_moment(1.0) - sine).abs() < 1e-9);
        assert!((Activation::Relu.second_moment(2.0) - 2.0).abs() < 1e-9);
    }
}
