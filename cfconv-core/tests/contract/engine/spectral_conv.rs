//! `engine::SpectralConv` against explicit sums, adjoint identities, and itself.

use super::support::{complex_dot, complex_noise, dot, flatten, noise, relative_error};
use cfconv_core::engine::{SavedSpectrum, SpectralConv, SpectralConvSizes, SpectralWorkspace};
use cfconv_fft::{Complex, Real};

/// (in, out, height, width, kernel_height, kernel_width, batch)
const SHAPES: [[usize; 7]; 11] = [
    [1, 1, 1, 1, 1, 1, 1],
    [2, 3, 1, 5, 1, 5, 2],
    [3, 2, 4, 1, 4, 1, 17],
    [2, 5, 4, 6, 4, 6, 3],
    [3, 2, 5, 7, 5, 7, 16],
    [7, 6, 2, 2, 2, 2, 1],
    [2, 2, 8, 5, 8, 5, 33],
    [2, 3, 4, 5, 8, 9, 2],
    [1, 2, 3, 3, 5, 6, 18],
    [2, 1, 5, 4, 9, 7, 1],
    [17, 22, 2, 3, 2, 3, 19],
];

fn sizes(shape: [usize; 7]) -> (SpectralConvSizes, usize) {
    let [in_channels, out_channels, height, width, kernel_height, kernel_width, batch] = shape;
    (SpectralConvSizes { in_channels, out_channels, height, width, kernel_height, kernel_width }, batch)
}

/// Real taps of channel pair (i, o): irfft2 of the kernel, with the real part taken of every bin's wave.
fn taps(sizes: &SpectralConvSizes, kernel: &[Complex<f64>], i: usize, o: usize) -> Vec<f64> {
    let (height, width, half_width) = (sizes.kernel_height, sizes.kernel_width, sizes.half_width());
    let mut taps = vec![0.0; height * width];
    for h in 0..height {
        for w in 0..width {
            for p in 0..height {
                for q in 0..half_width {
                    let multiplicity = if q == 0 || 2 * q == width { 1.0 } else { 2.0 };
                    let turns =
                        (p * h % height) as f64 / height as f64 + (q * w % width) as f64 / width as f64;
                    let bin = kernel[((p * half_width + q) * sizes.in_channels + i) * sizes.out_channels + o];
                    taps[h * width + w] += multiplicity / (height * width) as f64
                        * (bin * Complex::from_polar(1.0, 2.0 * std::f64::consts::PI * turns)).re;
                }
            }
        }
    }
    taps
}

/// The layer by explicit sums over taps on the kernel's torus, zeros outside the image.
fn naive_forward(
    sizes: &SpectralConvSizes,
    batch: usize,
    input: &[f64],
    kernel: &[Complex<f64>],
    bias: &[f64],
) -> Vec<f64> {
    let SpectralConvSizes { in_channels, out_channels, height, width, kernel_height, kernel_width } = *sizes;
    let mut output = vec![0.0; out_channels * height * width * batch];
    for o in 0..out_channels {
        for i in 0..in_channels {
            let taps = taps(sizes, kernel, i, o);
            for h in 0..height {
                for w in 0..width {
                    for y in 0..height {
                        for x in 0..width {
                            let dh = (h + kernel_height - y) % kernel_height;
                            let dw = (w + kernel_width - x) % kernel_width;
                            for b in 0..batch {
                                output[((o * height + h) * width + w) * batch + b] += taps
                                    [dh * kernel_width + dw]
                                    * input[((i * height + y) * width + x) * batch + b];
                            }
                        }
                    }
                }
            }
        }
        for value in &mut output[o * height * width * batch..][..height * width * batch] {
            *value += bias[o];
        }
    }
    output
}

struct Run<T: Real> {
    output: Vec<T>,
    grad_input: Vec<T>,
    grad_kernel: Vec<Complex<T>>,
}

/// One forward and backward pass from the same noise in either precision.
fn run<T: Real>(shape: [usize; 7], positions: Option<&[u32]>) -> Run<T> {
    let (sizes, batch) = sizes(shape);
    let image = sizes.height * sizes.width * batch;
    let plan = SpectralConv::<T>::new(sizes);
    let input = noise::<T>(1, sizes.in_channels * image);
    let kernel = complex_noise::<T>(2, sizes.num_positions());
    let bias = noise::<T>(3, sizes.out_channels);
    let grad_output = noise::<T>(4, sizes.out_channels * image);
    let nan = T::cast(f64::NAN);
    let (mut saved, mut workspace) = (SavedSpectrum::default(), SpectralWorkspace::default());
    let mut output = vec![nan; sizes.out_channels * image];
    plan.forward(batch, &input, &kernel, Some(&bias), &mut output, &mut saved, &mut workspace);
    let mut grad_input = vec![nan; sizes.in_channels * image];
    let count = positions.map_or(sizes.num_positions(), <[u32]>::len);
    let mut grad_kernel = vec![Complex::new(nan, nan); count];
    plan.backward(
        batch,
        &grad_output,
        &kernel,
        &saved,
        positions,
        T::ONE,
        &mut grad_kernel,
        Some(&mut grad_input),
        &mut workspace,
    );
    Run { output, grad_input, grad_kernel }
}

/// Channels on both sides of a block of lanes, batches on both sides of what counts as few images.
#[test]
fn inference_equals_the_training_pass() {
    let many_channels = [[16, 17, 4, 5, 4, 5, 1], [33, 16, 3, 4, 6, 5, 2], [17, 40, 5, 3, 5, 3, 9]];
    for shape in SHAPES.into_iter().chain(many_channels) {
        let (sizes, _) = sizes(shape);
        let plan = SpectralConv::<f64>::new(sizes);
        let kernel = complex_noise::<f64>(2, sizes.num_positions());
        let bias = noise::<f64>(3, sizes.out_channels);
        for batch in [1, 2, 7, 8, 9] {
            let image = sizes.height * sizes.width * batch;
            let input = noise::<f64>(1, sizes.in_channels * image);
            let mut workspace = SpectralWorkspace::default();
            for bias in [None, Some(&bias[..])] {
                let mut expected = vec![f64::NAN; sizes.out_channels * image];
                let mut saved = SavedSpectrum::default();
                plan.forward(batch, &input, &kernel, bias, &mut expected, &mut saved, &mut workspace);
                let mut output = vec![f64::NAN; expected.len()];
                plan.infer(batch, &input, &kernel, bias, &mut output, &mut workspace);
                let error = relative_error(&output, &expected);
                assert!(error < 1e-13, "{sizes:?}, {batch} images: {error:e}");
            }
        }
    }
}

#[test]
fn forward_equals_explicit_sums() {
    for shape in SHAPES {
        let (sizes, batch) = sizes(shape);
        let image = sizes.height * sizes.width * batch;
        let expected = naive_forward(
            &sizes,
            batch,
            &noise(1, sizes.in_channels * image),
            &complex_noise(2, sizes.num_positions()),
            &noise(3, sizes.out_channels),
        );
        let error = relative_error(&run::<f64>(shape, None).output, &expected);
        assert!(error < 1e-13, "{shape:?}: {error:e}");
    }
}

#[test]
fn backward_passes_dot_tests() {
    // The output is linear in the input and in the kernel, so for any other input x' and kernel K':
    // ⟨g, y(x', K)⟩ = ⟨grad_input, x'⟩ and ⟨g, y(x, K')⟩ = ⟨grad_kernel, K'⟩.
    for shape in SHAPES {
        let (sizes, batch) = sizes(shape);
        let image = sizes.height * sizes.width * batch;
        let gradients = run::<f64>(shape, None);
        let no_bias = vec![0.0; sizes.out_channels];
        let input = noise(1, sizes.in_channels * image);
        let kernel = complex_noise(2, sizes.num_positions());
        let grad_output = noise(4, sizes.out_channels * image);

        let other_input = noise(5, sizes.in_channels * image);
        let left = dot(&grad_output, &naive_forward(&sizes, batch, &other_input, &kernel, &no_bias));
        let right = dot(&gradients.grad_input, &other_input);
        assert!((left - right).abs() < 1e-11 * (1.0 + left.abs()), "{shape:?}: {left} ≠ {right}");

        let other_kernel = complex_noise(6, sizes.num_positions());
        let left = dot(&grad_output, &naive_forward(&sizes, batch, &input, &other_kernel, &no_bias));
        let right = complex_dot(&gradients.grad_kernel, &other_kernel);
        assert!((left - right).abs() < 1e-11 * (1.0 + left.abs()), "{shape:?}: {left} ≠ {right}");
    }
}

#[test]
fn sampled_kernel_gradient_equals_dense_gradient_at_the_positions() {
    for shape in SHAPES {
        let (sizes, _) = sizes(shape);
        let dense = run::<f64>(shape, None).grad_kernel;
        for step in [1, 2, 7] {
            let positions: Vec<u32> =
                (0..sizes.num_positions() as u32).filter(|u| (u * 31 + 5) % 7 < 7 / step as u32).collect();
            let sampled = run::<f64>(shape, Some(&positions));
            let expected: Vec<_> = positions.iter().map(|&u| dense[u as usize]).collect();
            // One position at a time or a whole frequency: sums in another order.
            for (got, expected) in sampled.grad_kernel.iter().zip(&expected) {
                assert!((got - expected).norm() <= 1e-13 * (1.0 + expected.norm()), "{shape:?}");
            }
        }
    }
}

#[test]
fn single_precision_agrees_with_double() {
    for shape in SHAPES {
        let (single, double) = (run::<f32>(shape, None), run::<f64>(shape, None));
        for (name, error) in [
            ("output", relative_error(&single.output, &double.output)),
            ("grad_input", relative_error(&single.grad_input, &double.grad_input)),
            ("grad_kernel", relative_error(&flatten(&single.grad_kernel), &flatten(&double.grad_kernel))),
        ] {
            assert!(error < 1e-6, "{shape:?} {name}: {error:e}");
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let with_threads = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run::<f32>([5, 7, 12, 10, 12, 10, 20], None))
    };
    let (one, three) = (with_threads(1), with_threads(3));
    assert_eq!(one.output, three.output);
    assert_eq!(one.grad_input, three.grad_input);
    assert_eq!(one.grad_kernel, three.grad_kernel);
}

#[test]
fn a_workspace_serves_layers_of_different_sizes_and_batches() {
    let mut workspace = SpectralWorkspace::default();
    let mut saved = SavedSpectrum::default();
    for shape in [SHAPES[6], SHAPES[0], SHAPES[8], SHAPES[3]] {
        let (sizes, batch) = sizes(shape);
        let image = sizes.height * sizes.width * batch;
        let mut output = vec![f64::NAN; sizes.out_channels * image];
        SpectralConv::new(sizes).forward(
            batch,
            &noise(1, sizes.in_channels * image),
            &complex_noise(2, sizes.num_positions()),
            Some(&noise(3, sizes.out_channels)),
            &mut output,
            &mut saved,
            &mut workspace,
        );
        assert_eq!(output, run::<f64>(shape, None).output);
    }
}
