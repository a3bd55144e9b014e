//! `engine::DirectConv` against explicit sums, adjoint identities, and itself.

use super::support::{dot, noise, relative_error};
use cfconv_core::engine::{DirectConv, DirectConvSizes, PaddingMode};
use cfconv_fft::Real;

/// (in, out, height, width, kernel_size, batch)
const SHAPES: [[usize; 6]; 9] = [
    [1, 1, 1, 1, 1, 1],
    [1, 1, 1, 1, 3, 2],
    [2, 3, 4, 5, 3, 3],
    [3, 5, 7, 4, 5, 17],
    [4, 4, 9, 6, 1, 16],
    [5, 9, 2, 3, 3, 33],
    [2, 4, 3, 2, 7, 5],
    [6, 2, 13, 8, 3, 1],
    [1, 6, 5, 11, 9, 4],
];

fn all_sizes() -> impl Iterator<Item = (DirectConvSizes, usize)> {
    SHAPES.into_iter().flat_map(|[in_channels, out_channels, height, width, kernel_size, batch]| {
        [PaddingMode::Circular, PaddingMode::Zeros].map(|padding| {
            (DirectConvSizes { in_channels, out_channels, height, width, kernel_size, padding }, batch)
        })
    })
}

fn naive_forward(
    sizes: &DirectConvSizes,
    batch: usize,
    input: &[f64],
    weight: &[f64],
    bias: &[f64],
) -> Vec<f64> {
    let DirectConvSizes { in_channels, out_channels, height, width, kernel_size: k, padding } = *sizes;
    let radius = (k / 2) as isize;
    let mut output = vec![0.0; out_channels * height * width * batch];
    for o in 0..out_channels {
        for h in 0..height {
            for w in 0..width {
                for b in 0..batch {
                    let mut sum = bias[o];
                    for i in 0..in_channels {
                        for p in 0..k {
                            for q in 0..k {
                                let mut y = h as isize + p as isize - radius;
                                let mut x = w as isize + q as isize - radius;
                                match padding {
                                    PaddingMode::Circular => {
                                        y = y.rem_euclid(height as isize);
                                        x = x.rem_euclid(width as isize);
                                    }
                                    PaddingMode::Zeros => {
                                        if y < 0 || x < 0 || y >= height as isize || x >= width as isize {
                                            continue;
                                        }
                                    }
                                }
                                sum += weight[((o * in_channels + i) * k + p) * k + q]
                                    * input[((i * height + y as usize) * width + x as usize) * batch + b];
                            }
                        }
                    }
                    output[((o * height + h) * width + w) * batch + b] = sum;
                }
            }
        }
    }
    output
}

struct Run<T> {
    output: Vec<T>,
    grad_input: Vec<T>,
    grad_weight: Vec<T>,
    grad_bias: Vec<T>,
}

fn run<T: Real>(sizes: DirectConvSizes, batch: usize) -> Run<T> {
    let image = sizes.height * sizes.width * batch;
    let plan = DirectConv::<T>::new(sizes);
    let input = noise::<T>(1, sizes.in_channels * image);
    let weight = noise::<T>(2, sizes.num_weights());
    let bias = noise::<T>(3, sizes.out_channels);
    let grad_output = noise::<T>(4, sizes.out_channels * image);
    let nan = T::cast(f64::NAN);
    let mut output = vec![nan; sizes.out_channels * image];
    plan.forward(batch, &input, &weight, Some(&bias), &mut output);
    let mut grad_input = vec![nan; sizes.in_channels * image];
    plan.backward_input(batch, &grad_output, &weight, &mut grad_input);
    let mut grad_weight = vec![T::ZERO; sizes.num_weights()];
    let mut grad_bias = vec![T::ZERO; sizes.out_channels];
    plan.backward_weight(batch, &input, &grad_output, &mut grad_weight, Some(&mut grad_bias));
    Run { output, grad_input, grad_weight, grad_bias }
}

#[test]
fn forward_equals_explicit_sums() {
    for (sizes, batch) in all_sizes() {
        let image = sizes.height * sizes.width * batch;
        let expected = naive_forward(
            &sizes,
            batch,
            &noise(1, sizes.in_channels * image),
            &noise(2, sizes.num_weights()),
            &noise(3, sizes.out_channels),
        );
        let error = relative_error(&run::<f64>(sizes, batch).output, &expected);
        assert!(error < 1e-14, "{sizes:?}: {error:e}");
    }
}

#[test]
fn backward_passes_dot_tests() {
    for (sizes, batch) in all_sizes() {
        let image = sizes.height * sizes.width * batch;
        let gradients = run::<f64>(sizes, batch);
        let input = noise(1, sizes.in_channels * image);
        let weight = noise(2, sizes.num_weights());
        let grad_output = noise(4, sizes.out_channels * image);
        let no_bias = vec![0.0; sizes.out_channels];
        let close = |left: f64, right: f64| (left - right).abs() < 1e-11 * (1.0 + left.abs());

        let other_input = noise(5, sizes.in_channels * image);
        let left = dot(&grad_output, &naive_forward(&sizes, batch, &other_input, &weight, &no_bias));
        assert!(close(left, dot(&gradients.grad_input, &other_input)), "{sizes:?} input");

        let other_weight = noise(6, sizes.num_weights());
        let left = dot(&grad_output, &naive_forward(&sizes, batch, &input, &other_weight, &no_bias));
        assert!(close(left, dot(&gradients.grad_weight, &other_weight)), "{sizes:?} weight");

        let other_bias: Vec<f64> = noise(7, sizes.out_channels);
        let left: f64 = grad_output
            .chunks(image)
            .zip(&other_bias)
            .map(|(plane, bias)| bias * plane.iter().sum::<f64>())
            .sum();
        assert!(close(left, dot(&gradients.grad_bias, &other_bias)), "{sizes:?} bias");
    }
}

#[test]
fn parameter_gradients_accumulate() {
    let (sizes, batch) = all_sizes().nth(4).unwrap();
    let image = sizes.height * sizes.width * batch;
    let plan = DirectConv::<f64>::new(sizes);
    let input = noise(1, sizes.in_channels * image);
    let grad_output = noise(4, sizes.out_channels * image);
    let mut grad_weight = vec![1.0; sizes.num_weights()];
    let mut grad_bias = vec![2.0; sizes.out_channels];
    plan.backward_weight(batch, &input, &grad_output, &mut grad_weight, Some(&mut grad_bias));
    let once = run::<f64>(sizes, batch);
    let added: Vec<f64> = once.grad_weight.iter().map(|g| g + 1.0).collect();
    assert!(relative_error(&grad_weight, &added) < 1e-14);
    let added: Vec<f64> = once.grad_bias.iter().map(|g| g + 2.0).collect();
    assert!(relative_error(&grad_bias, &added) < 1e-14);
}

#[test]
fn single_precision_agrees_with_double() {
    for (sizes, batch) in all_sizes() {
        let (single, double) = (run::<f32>(sizes, batch), run::<f64>(sizes, batch));
        for error in [
            relative_error(&single.output, &double.output),
            relative_error(&single.grad_input, &double.grad_input),
            relative_error(&single.grad_weight, &double.grad_weight),
            relative_error(&single.grad_bias, &double.grad_bias),
        ] {
            assert!(error < 2e-6, "{sizes:?}: {error:e}");
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let sizes = DirectConvSizes {
        in_channels: 5,
        out_channels: 7,
        height: 23,
        width: 9,
        kernel_size: 3,
        padding: PaddingMode::Zeros,
    };
    let with_threads = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run::<f32>(sizes, 20))
    };
    let (one, three) = (with_threads(1), with_threads(3));
    assert_eq!(one.output, three.output);
    assert_eq!(one.grad_input, three.grad_input);
    assert_eq!(one.grad_weight, three.grad_weight);
    assert_eq!(one.grad_bias, three.grad_bias);
}
