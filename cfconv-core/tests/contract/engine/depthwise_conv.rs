//! `engine::DepthwiseConv` against explicit sums, adjoint identities, and itself.

use cfconv_core::engine::{DepthwiseConv, DepthwiseConvSizes, PaddingMode};
use cfconv_core::naive;
use cfconv_fft::Real;
use ndarray::{Array4, ArrayView1};

use super::support::{dot, noise, relative_error};

/// (channels, height, width, kernel_size, batch)
const SHAPES: [[usize; 5]; 9] = [
    [1, 1, 1, 1, 1],
    [1, 1, 1, 3, 2],
    [3, 4, 5, 3, 3],
    [5, 7, 4, 5, 17],
    [4, 9, 6, 1, 16],
    [2, 2, 3, 7, 5],
    [3, 13, 8, 3, 1],
    [2, 5, 11, 9, 4],
    [2, 3, 9, 3, 70],
];

fn all_sizes() -> impl Iterator<Item = (DepthwiseConvSizes, usize)> {
    SHAPES.into_iter().flat_map(|[channels, height, width, kernel_size, batch]| {
        [PaddingMode::Circular, PaddingMode::Zeros]
            .map(|padding| (DepthwiseConvSizes { channels, height, width, kernel_size, padding }, batch))
    })
}

/// Cross-correlation is convolution with mirrored taps.
fn oracle(sizes: &DepthwiseConvSizes, batch: usize, input: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
    let DepthwiseConvSizes { channels, height, width, kernel_size: k, padding } = *sizes;
    let taps = Array4::from_shape_fn((k, k, channels, 1), |(p, q, c, _)| {
        weight[(c * k + k - 1 - p) * k + k - 1 - q]
    });
    let images = Array4::from_shape_vec((channels, height, width, batch), input.to_vec()).unwrap();
    let images = images.permuted_axes([3, 0, 1, 2]);
    let taps = naive::without_mixing(taps.view());
    let output =
        naive::spatial_convolution(images.view(), taps.view(), padding, Some(ArrayView1::from(bias)));
    output.permuted_axes([1, 2, 3, 0]).iter().copied().collect()
}

struct Results<T> {
    output: Vec<T>,
    grad_input: Vec<T>,
    grad_weight: Vec<T>,
    grad_bias: Vec<T>,
}

/// Gradients of parameters start at 1.
fn run<T: Real>(sizes: DepthwiseConvSizes, batch: usize) -> Results<T> {
    let len = sizes.channels * sizes.height * sizes.width * batch;
    let plan = DepthwiseConv::new(sizes);
    let (input, weight) = (noise::<T>(1, len), noise::<T>(2, sizes.num_weights()));
    let (bias, grad_output) = (noise::<T>(3, sizes.channels), noise::<T>(4, len));
    let nan = T::cast(f64::NAN);
    let (mut output, mut grad_input) = (vec![nan; len], vec![nan; len]);
    plan.forward(batch, &input, &weight, Some(&bias), &mut output);
    plan.backward_input(batch, &grad_output, &weight, &mut grad_input);
    let (mut grad_weight, mut grad_bias) = (vec![T::ONE; weight.len()], vec![T::ONE; sizes.channels]);
    plan.backward_weight(batch, &input, &grad_output, &mut grad_weight, Some(&mut grad_bias));
    Results { output, grad_input, grad_weight, grad_bias }
}

#[test]
fn forward_equals_explicit_sums() {
    for (sizes, batch) in all_sizes() {
        let len = sizes.channels * sizes.height * sizes.width * batch;
        let (weight, bias) = (noise(2, sizes.num_weights()), noise(3, sizes.channels));
        let expected = oracle(&sizes, batch, &noise(1, len), &weight, &bias);
        let error = relative_error(&run::<f64>(sizes, batch).output, &expected);
        assert!(error < 1e-14, "{sizes:?}: {error:e}");
    }
}

#[test]
fn backward_passes_dot_tests_and_accumulates() {
    for (sizes, batch) in all_sizes() {
        let len = sizes.channels * sizes.height * sizes.width * batch;
        let results = run::<f64>(sizes, batch);
        let (input, weight) = (noise(1, len), noise(2, sizes.num_weights()));
        let (grad_output, no_bias) = (noise(4, len), vec![0.0; sizes.channels]);
        let close = |left: f64, right: f64| (left - right).abs() < 1e-11 * (1.0 + left.abs());
        let direction = noise(5, len);
        let left = dot(&grad_output, &oracle(&sizes, batch, &direction, &weight, &no_bias));
        assert!(close(left, dot(&results.grad_input, &direction)), "{sizes:?} input");

        let added = |values: &[f64]| values.iter().map(|g| g - 1.0).collect::<Vec<_>>();
        let direction = noise(6, weight.len());
        let left = dot(&grad_output, &oracle(&sizes, batch, &input, &direction, &no_bias));
        assert!(close(left, dot(&added(&results.grad_weight), &direction)), "{sizes:?} weight");

        let direction: Vec<f64> = noise(7, sizes.channels);
        let left = dot(&grad_output, &oracle(&sizes, batch, &vec![0.0; len], &weight, &direction));
        assert!(close(left, dot(&added(&results.grad_bias), &direction)), "{sizes:?} bias");
    }
}

#[test]
fn single_precision_agrees_with_double_for_any_number_of_threads() {
    for (sizes, batch) in all_sizes() {
        let with_threads = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run::<f32>(sizes, batch))
        };
        let (single, again, double) = (with_threads(1), with_threads(3), run::<f64>(sizes, batch));
        for (single, again, double) in [
            (single.output, again.output, double.output),
            (single.grad_input, again.grad_input, double.grad_input),
            (single.grad_weight, again.grad_weight, double.grad_weight),
            (single.grad_bias, again.grad_bias, double.grad_bias),
        ] {
            let error = relative_error(&single, &double);
            assert!(error < 2e-6, "{sizes:?}: {error:e}");
            assert_eq!(single, again, "{sizes:?}");
        }
    }
}
