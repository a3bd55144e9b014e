//! Transforms of many images side by side, against their definition.

use cfconv_fft::Complex;
use cfconv_fft::lanes::{ComplexLanes, LANES, LanesRfft2};

use crate::common::random_real;

/// Points of scratch that nobody may read before writing.
const NAN: ComplexLanes<f64> = ComplexLanes { re: [f64::NAN; LANES], im: [f64::NAN; LANES] };

fn noise(count: usize) -> Vec<f64> {
    random_real([count], 17).to_vec()
}

/// Σ x·exp(−2πi(ph/H + qw/W)) in f64, for image `b` of a plane `[H, W, B]`.
fn naive_bin(plane: &[f64], shape: (usize, usize, usize), b: usize, p: usize, q: usize) -> Complex<f64> {
    let (height, width, batch) = shape;
    let mut sum = Complex::new(0.0, 0.0);
    for h in 0..height {
        for w in 0..width {
            let turns = (p * h % height) as f64 / height as f64 + (q * w % width) as f64 / width as f64;
            sum += plane[(h * width + w) * batch + b]
                * Complex::from_polar(1.0, -2.0 * std::f64::consts::PI * turns);
        }
    }
    sum
}

const SHAPES: [(usize, usize, usize); 12] = [
    (1, 1, 1),
    (1, 8, 3),
    (9, 1, 2),
    (2, 2, 17),
    (4, 6, 16),
    (5, 7, 1),
    (8, 16, 33),
    (13, 12, 5),
    (31, 11, 2),
    (37, 6, 2),
    (10, 41, 3),
    (64, 47, 1),
];

#[test]
fn forward_equals_naive_dft() {
    for (height, width, batch) in SHAPES {
        let plan = LanesRfft2::<f64>::try_new(height, width).unwrap();
        let plane = noise(height * width * batch);
        let half_width = plan.half_width();
        let mut spectrum = vec![f64::NAN; height * half_width * 2 * batch];
        let mut scratch = plan.scratch();
        scratch.fill(NAN);
        plan.forward(batch, &plane, &mut spectrum, 1.0, &mut scratch);
        for p in 0..height {
            for q in 0..half_width {
                for b in 0..batch {
                    let expected = naive_bin(&plane, (height, width, batch), b, p, q);
                    let at = (p * half_width + q) * 2 * batch + b;
                    let got = Complex::new(spectrum[at], spectrum[at + batch]);
                    assert!(
                        (got - expected).norm() < 1e-12 * (height * width) as f64,
                        "{height}×{width}, batch {batch}, bin ({p}, {q}): {got} ≠ {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn inverse_undoes_forward_and_ignores_anti_hermitian_parts() {
    for (height, width, batch) in SHAPES {
        let plan = LanesRfft2::<f64>::try_new(height, width).unwrap();
        let plane = noise(height * width * batch);
        let half_width = plan.half_width();
        let mut spectrum = vec![f64::NAN; height * half_width * 2 * batch];
        let mut scratch = plan.scratch();
        plan.forward(batch, &plane, &mut spectrum, 1.0, &mut scratch);
        // An anti-Hermitian addition on the self-conjugate columns: i·(value even in p).
        for p in 0..height {
            for q in [Some(0), width.is_multiple_of(2).then_some(width / 2)].into_iter().flatten() {
                let even = (p.min(height - p) % height) as f64 + 0.5;
                for b in 0..batch {
                    spectrum[((p * half_width + q) * 2 + 1) * batch + b] += even;
                }
            }
        }
        let mut back = vec![f64::NAN; plane.len()];
        scratch.fill(NAN);
        let scale = 1.0 / (height * width) as f64;
        plan.inverse(batch, &spectrum, &mut back, scale, &mut scratch);
        for (got, expected) in back.iter().zip(&plane) {
            assert!((got - expected).abs() < 1e-12, "{height}×{width}: {got} ≠ {expected}");
        }
    }
}

#[test]
fn f32_error_stays_within_the_bounds_of_the_design() {
    // Relative L2 error under 0.5·ε·√log₂N for composite sizes, 0.8 for prime ones.
    for (height, width, factor) in [
        (64, 64, 0.5),
        (32, 32, 0.5),
        (60, 60, 0.5),
        (96, 96, 0.5),
        (150, 150, 0.5),
        (128, 64, 0.5),
        (31, 31, 0.8),
        (13, 17, 0.8),
        (37, 37, 0.8),
        (61, 67, 0.8),
        (127, 127, 0.8),
    ] {
        let exact_plan = LanesRfft2::<f64>::try_new(height, width).unwrap();
        let plan = LanesRfft2::<f32>::try_new(height, width).unwrap();
        let plane32: Vec<f32> = noise(height * width).iter().map(|&x| x as f32).collect();
        let plane64: Vec<f64> = plane32.iter().map(|&x| f64::from(x)).collect();
        let len = height * plan.half_width() * 2;
        let (mut got, mut exact) = (vec![0.0_f32; len], vec![0.0_f64; len]);
        plan.forward(1, &plane32, &mut got, 1.0, &mut plan.scratch());
        exact_plan.forward(1, &plane64, &mut exact, 1.0, &mut exact_plan.scratch());
        let norm = exact.iter().map(|x| x * x).sum::<f64>().sqrt();
        let error =
            got.iter().zip(&exact).map(|(&a, b)| (f64::from(a) - b).powi(2)).sum::<f64>().sqrt() / norm;
        let bound = factor * f64::from(f32::EPSILON) * ((height * width) as f64).log2().sqrt();
        assert!(error < bound, "{height}×{width}: {error:e} ≥ {bound:e}");
    }
}
