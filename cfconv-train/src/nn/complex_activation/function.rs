//! The functions themselves, written so that loops over them become vector code.

use cfconv_fft::Real;
use cfconv_fft::simd::Isa;

use crate::nn::activation::function::sigmoid;

/// What is added to re² + im² before the root.
const SQUARED_FLOOR: f64 = 1e-12;

/// A function of a complex value, `[re, im]`, with K parameters of its channel.
pub(super) trait ComplexFunction<T: Real, const K: usize>: Copy + Send + Sync {
    /// Reads the parameters of channel `c` from `params` `[K, channels]`.
    fn of_channel(params: &[T], channels: usize, c: usize) -> Self;

    fn value<I: Isa>(self, isa: I, z: [T; 2]) -> [T; 2];

    /// The gradients of z and of the parameters, from the gradient of the value.
    fn vjp<I: Isa>(self, isa: I, z: [T; 2], grad: [T; 2]) -> ([T; 2], [T; K]);
}

/// 1/|z|.
#[inline(always)]
fn inverse_modulus<T: Real, I: Isa>(isa: I, [re, im]: [T; 2]) -> T {
    isa.mul_add(re, re, isa.mul_add(im, im, T::cast(SQUARED_FLOOR))).sqrt().recip()
}

/// Re(conj(a)·b).
#[inline(always)]
fn inner<T: Real, I: Isa>(isa: I, a: [T; 2], b: [T; 2]) -> T {
    isa.mul_add(a[0], b[0], a[1] * b[1])
}

#[derive(Clone, Copy)]
pub(super) struct Modrelu<T> {
    bias: T,
}

impl<T: Real> ComplexFunction<T, 1> for Modrelu<T> {
    fn of_channel(params: &[T], _channels: usize, c: usize) -> Self {
        Self { bias: params[c] }
    }

    #[inline(always)]
    fn value<I: Isa>(self, isa: I, z: [T; 2]) -> [T; 2] {
        let factor = isa.mul_add(self.bias, inverse_modulus(isa, z), T::ONE);
        // Written so that NaN stays NaN.
        let factor = if factor < T::ZERO { T::ZERO } else { factor };
        z.map(|part| factor * part)
    }

    /// With f = max(0, 1 + b/r), where f > 0: dz = f·dy − b/r³·Re(conj(z)·dy)·z and db = Re(conj(z)·dy)/r.
    #[inline(always)]
    fn vjp<I: Isa>(self, isa: I, z: [T; 2], grad: [T; 2]) -> ([T; 2], [T; 1]) {
        let inverse = inverse_modulus(isa, z);
        let factor = isa.mul_add(self.bias, inverse, T::ONE);
        let passes = if factor > T::ZERO { T::ONE } else { T::ZERO };
        let radial = passes * inner(isa, z, grad) * inverse;
        let (along_grad, along_z) = (passes * factor, -self.bias * radial * inverse * inverse);
        let gradient = |part: usize| isa.mul_add(along_grad, grad[part], along_z * z[part]);
        ([gradient(0), gradient(1)], [radial])
    }
}

#[derive(Clone, Copy)]
pub(super) struct Crelu;

impl<T: Real> ComplexFunction<T, 0> for Crelu {
    fn of_channel(_params: &[T], _channels: usize, _c: usize) -> Self {
        Self
    }

    #[inline(always)]
    fn value<I: Isa>(self, _isa: I, z: [T; 2]) -> [T; 2] {
        z.map(|part| if part < T::ZERO { T::ZERO } else { part })
    }

    #[inline(always)]
    fn vjp<I: Isa>(self, _isa: I, z: [T; 2], grad: [T; 2]) -> ([T; 2], [T; 0]) {
        let gradient = |part: usize| if z[part] > T::ZERO { grad[part] } else { T::ZERO };
        ([gradient(0), gradient(1)], [])
    }
}

#[derive(Clone, Copy)]
pub(super) struct Zrelu;

impl<T: Real> ComplexFunction<T, 0> for Zrelu {
    fn of_channel(_params: &[T], _channels: usize, _c: usize) -> Self {
        Self
    }

    #[inline(always)]
    fn value<I: Isa>(self, _isa: I, [re, im]: [T; 2]) -> [T; 2] {
        let stopped = (re < T::ZERO) | (im < T::ZERO);
        [re, im].map(|part| if stopped { T::ZERO } else { part })
    }

    #[inline(always)]
    fn vjp<I: Isa>(self, _isa: I, [re, im]: [T; 2], grad: [T; 2]) -> ([T; 2], [T; 0]) {
        let stopped = (re < T::ZERO) | (im < T::ZERO);
        (grad.map(|part| if stopped { T::ZERO } else { part }), [])
    }
}

#[derive(Clone, Copy)]
pub(super) struct Cardioid;

impl<T: Real> ComplexFunction<T, 0> for Cardioid {
    fn of_channel(_params: &[T], _channels: usize, _c: usize) -> Self {
        Self
    }

    #[inline(always)]
    fn value<I: Isa>(self, isa: I, z: [T; 2]) -> [T; 2] {
        let half = T::cast(0.5);
        let factor = isa.mul_add(half * z[0], inverse_modulus(isa, z), half);
        z.map(|part| factor * part)
    }

    /// With f = (1 + re/r)/2: dz = f·dy + Re(conj(z)·dy)/2·∇(re/r).
    #[inline(always)]
    fn vjp<I: Isa>(self, isa: I, z: [T; 2], grad: [T; 2]) -> ([T; 2], [T; 0]) {
        let half = T::cast(0.5);
        let inverse = inverse_modulus(isa, z);
        let factor = isa.mul_add(half * z[0], inverse, half);
        let slope = half * inner(isa, z, grad);
        let cosine = cosine_gradient(isa, z, [T::ONE, T::ZERO], inverse);
        let gradient = |part: usize| isa.mul_add(factor, grad[part], slope * cosine[part]);
        ([gradient(0), gradient(1)], [])
    }
}

/// ∇(⟨d, z⟩/r) = d/r − ⟨d, z⟩/r³·z.
#[inline(always)]
fn cosine_gradient<T: Real, I: Isa>(isa: I, z: [T; 2], direction: [T; 2], inverse: T) -> [T; 2] {
    let along_z = inner(isa, direction, z) * inverse * inverse;
    let gradient = |part: usize| inverse * isa.mul_add(-along_z, z[part], direction[part]);
    [gradient(0), gradient(1)]
}

#[derive(Clone, Copy)]
pub(super) struct PhaseGate<T> {
    /// exp(iθ).
    direction: [T; 2],
    slope: T,
    bias: T,
}

impl<T: Real> ComplexFunction<T, 3> for PhaseGate<T> {
    fn of_channel(params: &[T], channels: usize, c: usize) -> Self {
        let (sin, cos) = params[c].sin_cos();
        Self { direction: [cos, sin], slope: params[channels + c], bias: params[2 * channels + c] }
    }

    #[inline(always)]
    fn value<I: Isa>(self, isa: I, z: [T; 2]) -> [T; 2] {
        let cosine = inner(isa, self.direction, z) * inverse_modulus(isa, z);
        let gate = sigmoid(isa, isa.mul_add(self.slope, cosine, self.bias));
        z.map(|part| gate * part)
    }

    /// With s = σ(t), t = a·c + b, c = ⟨d, z⟩/r, d = exp(iθ) and dt = s·(1 − s)·Re(conj(z)·dy):
    /// dz = s·dy + dt·a·∇c, da = dt·c, db = dt, dθ = dt·a·⟨i·d, z⟩/r.
    #[inline(always)]
    fn vjp<I: Isa>(self, isa: I, z: [T; 2], grad: [T; 2]) -> ([T; 2], [T; 3]) {
        let inverse = inverse_modulus(isa, z);
        let cosine = inner(isa, self.direction, z) * inverse;
        let gate = sigmoid(isa, isa.mul_add(self.slope, cosine, self.bias));
        let bias = gate * (T::ONE - gate) * inner(isa, z, grad);
        let along_cosine = bias * self.slope;
        let gradient = cosine_gradient(isa, z, self.direction, inverse);
        let part = |part: usize| isa.mul_add(gate, grad[part], along_cosine * gradient[part]);
        let sine = inner(isa, [-self.direction[1], self.direction[0]], z) * inverse;
        ([part(0), part(1)], [along_cosine * sine, bias * cosine, bias])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::assert_gradient;
    use cfconv_fft::Complex;
    use cfconv_fft::simd::Portable;

    const POINTS: [[f64; 2]; 8] = [
        [0.6, 0.8],
        [-0.3, 1.1],
        [-0.9, -0.4],
        [0.7, -1.3],
        [0.03, -0.05],
        [0.05, 0.02],
        [2.0, 1e-2],
        [-1.5, 1e-2],
    ];

    fn value<const K: usize, F: ComplexFunction<f64, K>>(params: &[f64], z: [f64; 2]) -> Complex<f64> {
        let [re, im] = F::of_channel(params, 1, 0).value(Portable, z);
        Complex::new(re, im)
    }

    /// Checks the vjp of z and the parameters by central differences of a linear function of the value.
    fn check_vjp<const K: usize, F: ComplexFunction<f64, K>>(params: [f64; K]) {
        let grad = [0.7, -1.2];
        for z in POINTS {
            let loss = |params: &[f64], z: [f64; 2]| {
                let y = value::<K, F>(params, z);
                grad[0] * y.re + grad[1] * y.im
            };
            let (dz, dp) = F::of_channel(&params, 1, 0).vjp(Portable, z, grad);
            assert_gradient(|z| loss(&params, [z[0], z[1]]), &z, &dz);
            assert_gradient(|params| loss(params, z), &params, &dp);
        }
    }

    #[test]
    fn vjps_match_central_differences() {
        for bias in [0.0, 0.25, -0.5] {
            check_vjp::<1, Modrelu<f64>>([bias]);
        }
        check_vjp::<0, Crelu>([]);
        check_vjp::<0, Zrelu>([]);
        check_vjp::<0, Cardioid>([]);
        for params in [[0.0, 2.0, 0.0], [1.2, -1.5, 0.3], [-2.5, 6.0, -1.0]] {
            check_vjp::<3, PhaseGate<f64>>(params);
        }
    }

    #[test]
    fn values_equal_their_polar_formulas() {
        for point in POINTS {
            let z = Complex::new(point[0], point[1]);
            let (r, angle) = z.to_polar();
            let polar = |modulus: f64| Complex::from_polar(modulus, angle);
            let sigmoid = |t: f64| 1.0 / (1.0 + (-t).exp());
            let quadrant = (0.0..=std::f64::consts::FRAC_PI_2).contains(&angle);
            for (name, got, expected) in [
                ("modrelu", value::<1, Modrelu<f64>>(&[-0.5], point), polar((r - 0.5).max(0.0))),
                ("modrelu", value::<1, Modrelu<f64>>(&[0.5], point), polar(r + 0.5)),
                ("crelu", value::<0, Crelu>(&[], point), Complex::new(z.re.max(0.0), z.im.max(0.0))),
                ("zrelu", value::<0, Zrelu>(&[], point), if quadrant { z } else { Complex::default() }),
                ("cardioid", value::<0, Cardioid>(&[], point), polar(r * (1.0 + angle.cos()) / 2.0)),
                (
                    "phase-gate",
                    value::<3, PhaseGate<f64>>(&[0.8, 3.0, -0.2], point),
                    polar(r * sigmoid(3.0 * (angle - 0.8).cos() - 0.2)),
                ),
            ] {
                // |z| has a floor of 1e-6, which changes the smallest modulus, 0.05, by 1e-11.
                assert!((got - expected).norm() < 1e-10, "{name} at {z}: {got} ≠ {expected}");
            }
        }
    }

    /// At and near 0 values are 0 or small and gradients finite, in both precisions.
    #[test]
    fn nothing_breaks_at_zero() {
        fn check<T: Real, const K: usize, F: ComplexFunction<T, K>>(params: [f64; K]) {
            let params = params.map(T::cast);
            let function = F::of_channel(&params, 1, 0);
            for z in [[0.0, 0.0], [-0.0, 0.0], [1e-30, 0.0], [0.0, -1e-20], [1e-8, 1e-8]] {
                let z = z.map(T::cast);
                let y = function.value(Portable, z);
                assert!(y.iter().all(|part| part.as_f64().abs() < 0.1), "{z:?}: {y:?}");
                if z == [T::ZERO; 2] {
                    assert_eq!(y, [T::ZERO; 2]);
                }
                let (dz, dp) = function.vjp(Portable, z, [T::ONE, -T::ONE]);
                assert!(dz.iter().chain(&dp).all(|gradient| gradient.is_finite()), "{z:?}: {dz:?}, {dp:?}");
            }
        }
        fn both<const K: usize, F: ComplexFunction<f32, K>, G: ComplexFunction<f64, K>>(params: [f64; K]) {
            check::<f32, K, F>(params);
            check::<f64, K, G>(params);
        }
        both::<1, Modrelu<f32>, Modrelu<f64>>([0.5]);
        both::<1, Modrelu<f32>, Modrelu<f64>>([-0.5]);
        both::<0, Crelu, Crelu>([]);
        both::<0, Zrelu, Zrelu>([]);
        both::<0, Cardioid, Cardioid>([]);
        both::<3, PhaseGate<f32>, PhaseGate<f64>>([0.4, 2.0, 0.1]);
        // Exactly at 0 the derivative of the smooth functions is the factor there.
        let (dz, _) = Cardioid.vjp(Portable, [0.0, 0.0], [1.0_f64, 3.0]);
        assert_eq!(dz, [0.5, 1.5]);
        let step = 1e-9;
        let at = |x: f64| value::<1, Modrelu<f64>>(&[0.25], [x, 0.0]).re;
        let (dz, _) = Modrelu { bias: 0.25 }.vjp(Portable, [0.0, 0.0], [1.0, 0.0]);
        let numeric = (at(step) - at(-step)) / (2.0 * step);
        assert!((numeric / dz[0] - 1.0).abs() < 1e-5, "{numeric} ≠ {}", dz[0]);
    }
}
