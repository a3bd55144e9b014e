//! Convolution through the FFT against its defining sums.

use crate::common::{assert_adjoint, assert_close, random_real};
use cfconv_fft::{
    Boundary, ConvolutionKind, ConvolutionOptions, ConvolutionPlan, Extent, FftNorm, circular_convolution,
    circular_cross_correlation, convolve, convolve2d, cross_correlate2d, depthwise_convolve, irfft2,
    linear_convolution, linear_cross_correlation, naive, rfft2,
};
use ndarray::{Array4, Axis, Zip, s};
use proptest::prelude::*;

const TOLERANCE: f64 = 1e-13;

fn options() -> impl Strategy<Value = ConvolutionOptions> {
    let kind = prop_oneof![Just(ConvolutionKind::Convolution), Just(ConvolutionKind::CrossCorrelation)];
    let boundary = prop_oneof![
        Just(Boundary::Linear(Extent::Full)),
        Just(Boundary::Linear(Extent::Same)),
        Just(Boundary::Linear(Extent::Valid)),
        [0_usize..12, 0_usize..12].prop_map(|origin| Boundary::Circular { origin }),
    ];
    (kind, boundary, 1_usize..4).prop_map(|(kind, boundary, groups)| ConvolutionOptions {
        kind,
        boundary,
        groups,
    })
}

/// Sizes of image and kernel; the kernel may be larger, except where only complete overlaps count.
fn sizes(options: ConvolutionOptions, image: [usize; 2], kernel: [usize; 2]) -> ([usize; 2], [usize; 2]) {
    if options.boundary == Boundary::Linear(Extent::Valid) {
        return ([image[0].max(kernel[0]), image[1].max(kernel[1])], kernel);
    }
    (image, kernel)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_form_equals_its_defining_sum(
        options in options(), image in [1_usize..9, 1_usize..9], kernel in [1_usize..12, 1_usize..12],
        channels in [1_usize..3, 1_usize..3], seed: u64,
    ) {
        let (image, kernel) = sizes(options, image, kernel);
        let groups = options.groups;
        let images = random_real::<f64, _>((2, groups * channels[0], image[0], image[1]), seed);
        let kernels = random_real::<f64, _>((groups * channels[1], channels[0], kernel[0], kernel[1]), seed ^ 1);
        let output = convolve(images.view(), kernels.view(), options).unwrap();
        let expected = naive::convolution(images.view(), kernels.view(), options);
        assert_close(output.view(), expected.view(), TOLERANCE);
    }

    #[test]
    fn gradients_pass_dot_test(
        options in options(), image in [1_usize..9, 1_usize..9], kernel in [1_usize..12, 1_usize..12],
        channels in [1_usize..3, 1_usize..3], seed: u64,
    ) {
        let (image, kernel) = sizes(options, image, kernel);
        let groups = options.groups;
        let images = random_real::<f64, _>((2, groups * channels[0], image[0], image[1]), seed);
        let kernels = random_real::<f64, _>((groups * channels[1], channels[0], kernel[0], kernel[1]), seed ^ 1);
        let plan = ConvolutionPlan::try_new(image, kernel, options).unwrap();
        let output = plan.apply(images.view(), kernels.view()).unwrap();
        prop_assert_eq!([output.dim().2, output.dim().3], plan.output_size());
        let grad = random_real::<f64, _>(output.dim(), seed ^ 2);
        let grad_images = plan.grad_images(grad.view(), kernels.view()).unwrap();
        assert_adjoint(images.view(), output.view(), grad.view(), grad_images.view());
        let grad_kernels = plan.grad_kernels(grad.view(), images.view()).unwrap();
        assert_adjoint(kernels.view(), output.view(), grad.view(), grad_kernels.view());
    }

    #[test]
    fn spectrum_of_a_circular_convolution_is_the_product_of_spectra(
        [height, width] in crate::common::plane_size(), seed: u64,
    ) {
        let image = random_real::<f64, _>((1, 1, height, width), seed);
        let kernel = random_real::<f64, _>((1, 1, height, width), seed ^ 1);
        let options = ConvolutionOptions {
            boundary: Boundary::Circular { origin: [0, 0] },
            ..ConvolutionOptions::default()
        };
        let direct = naive::convolution(image.view(), kernel.view(), options);
        let spectrum = |plane: &Array4<f64>| rfft2(plane.view(), FftNorm::Backward).unwrap();
        let product = spectrum(&image) * spectrum(&kernel);
        assert_close(spectrum(&direct).view(), product.view(), TOLERANCE);
        let through_fft = irfft2(product.view(), width, FftNorm::Backward).unwrap();
        assert_close(through_fft.view(), direct.view(), TOLERANCE);
    }

    #[test]
    fn convolution_is_bilinear(a in -2.0..2.0_f64, seed: u64) {
        let images = random_real::<f64, _>((2, 2, 6, 5), seed);
        let more = random_real::<f64, _>((2, 2, 6, 5), seed ^ 1);
        let kernels = random_real::<f64, _>((3, 2, 3, 4), seed ^ 2);
        let convolved = |images: &Array4<f64>| linear_convolution(images.view(), kernels.view(), Extent::Full).unwrap();
        let together = convolved(&(&images * a + &more));
        assert_close(together.view(), (convolved(&images) * a + convolved(&more)).view(), TOLERANCE);
    }
}

#[test]
fn an_impulse_reproduces_the_kernel() {
    let kernels = random_real::<f64, _>((1, 1, 3, 4), 1);
    let impulse = Array4::from_elem((1, 1, 1, 1), 1.0);
    let response = linear_convolution(impulse.view(), kernels.view(), Extent::Full).unwrap();
    assert_close(response.view(), kernels.view(), TOLERANCE);
    let response = linear_cross_correlation(impulse.view(), kernels.view(), Extent::Full).unwrap();
    assert_close(response.view(), kernels.slice(s![.., .., ..;-1, ..;-1]), TOLERANCE);
}

#[test]
fn same_cross_correlation_is_that_of_neural_networks_also_for_even_kernels() {
    // y[h] = Σ_s w[s]·x[h + s − (k−1)/2], zeros outside.
    let (image, kernel) = (random_real::<f64, _>((6, 5), 2), random_real::<f64, _>((4, 2), 3));
    let output = cross_correlate2d(image.view(), kernel.view(), Extent::Same).unwrap();
    let padded =
        cfconv_fft::pad(image.view(), cfconv_fft::Padding2d::uniform(4), Default::default()).unwrap();
    let expected = ndarray::Array2::from_shape_fn((6, 5), |(h, w)| {
        let window = padded.slice(s![h + 3..h + 7, w + 4..w + 6]);
        (&window * &kernel).sum()
    });
    assert_close(output.view(), expected.view(), TOLERANCE);
}

#[test]
fn short_forms_are_what_they_say() {
    let images = random_real::<f64, _>((2, 3, 7, 6), 4);
    let kernels = random_real::<f64, _>((2, 3, 3, 2), 5);
    let form = |kind, boundary| {
        naive::convolution(images.view(), kernels.view(), ConvolutionOptions { kind, boundary, groups: 1 })
    };
    let (convolution, correlation) = (ConvolutionKind::Convolution, ConvolutionKind::CrossCorrelation);
    let (circular, linear) = (Boundary::Circular { origin: [2, 1] }, Boundary::Linear(Extent::Valid));
    let close = |output: cfconv_fft::Result<Array4<f64>>, expected: Array4<f64>| {
        assert_close(output.unwrap().view(), expected.view(), TOLERANCE);
    };
    close(circular_convolution(images.view(), kernels.view(), [2, 1]), form(convolution, circular));
    close(circular_cross_correlation(images.view(), kernels.view(), [2, 1]), form(correlation, circular));
    close(linear_convolution(images.view(), kernels.view(), Extent::Valid), form(convolution, linear));
    close(linear_cross_correlation(images.view(), kernels.view(), Extent::Valid), form(correlation, linear));

    let depthwise_kernels = kernels.index_axis(Axis(0), 1);
    let output = depthwise_convolve(images.view(), depthwise_kernels, ConvolutionOptions::default()).unwrap();
    for c in 0..3 {
        let kernel = depthwise_kernels.index_axis(Axis(0), c);
        let expected = convolve2d(images.slice(s![1, c, .., ..]), kernel, Extent::Same).unwrap();
        assert_close(output.slice(s![1, c, .., ..]), expected.view(), TOLERANCE);
    }
}

#[test]
fn output_channels_beyond_one_block_of_kernel_spectra_are_right() {
    // 2^22 bins hold the spectra of 3 of these kernels; 7 take three rounds.
    let images = random_real::<f32, _>((1, 2, 1024, 1100), 6);
    let kernels = random_real::<f32, _>((7, 2, 2, 2), 7);
    let plan = ConvolutionPlan::try_new([1024, 1100], [2, 2], ConvolutionOptions::default()).unwrap();
    let [height, width] = plan.fft_size();
    assert_eq!((1 << 22) / (2 * height * (width / 2 + 1)), 3);
    let output = plan.apply(images.view(), kernels.view()).unwrap();
    let corner = images.slice(s![.., .., ..5, ..5]);
    let expected = naive::convolution(corner, kernels.view(), ConvolutionOptions::default());
    // Taps reach one sample ahead at most: the corner's first 4×4 outputs do not see its edge.
    let inner = s![.., .., ..4, ..4];
    assert_close(output.slice(inner), expected.slice(inner), 1e-5);
    let mut energy = 0.0;
    Zip::from(&output).for_each(|&y| energy += f64::from(y) * f64::from(y));
    let grad_images = plan.grad_images(output.view(), kernels.view()).unwrap();
    let product = crate::common::dot(images.view(), grad_images.view());
    assert!((product - energy).abs() < 1e-5 * energy, "⟨x, Aᵀ A x⟩ = {product}, ‖A x‖² = {energy}");
    let grad_kernels = plan.grad_kernels(output.view(), images.view()).unwrap();
    let product = crate::common::dot(kernels.view(), grad_kernels.view());
    assert!((product - energy).abs() < 1e-5 * energy, "⟨k, Aᵀ A k⟩ = {product}, ‖A k‖² = {energy}");
}

#[test]
fn linear_convolutions_use_fast_lengths() {
    let plan = ConvolutionPlan::<f32>::try_new([61, 67], [31, 31], ConvolutionOptions::default()).unwrap();
    assert_eq!(plan.fft_size(), [80, 84]); // ≥ 61 + 15 and 67 + 15
    assert_eq!(plan.output_size(), [61, 67]);
    let circular =
        ConvolutionOptions { boundary: Boundary::Circular { origin: [0, 0] }, ..Default::default() };
    let plan = ConvolutionPlan::<f32>::try_new([61, 67], [31, 31], circular).unwrap();
    assert_eq!(plan.fft_size(), [61, 67]);
}

#[test]
fn views_with_any_strides_are_convolved() {
    let (images, kernels) = (random_real::<f64, _>((2, 3, 7, 9), 8), random_real::<f64, _>((2, 2, 5, 5), 9));
    let images = images.slice(s![.., ..;-2, ..;-1, ..;3]);
    let kernels = kernels.slice(s![..;-1, .., ..3, ..;-2]);
    let output = convolve(images, kernels, ConvolutionOptions::default()).unwrap();
    let expected = naive::convolution(images, kernels, ConvolutionOptions::default());
    assert_close(output.view(), expected.view(), TOLERANCE);
}

#[test]
fn errors_name_what_does_not_fit() {
    let images = Array4::<f64>::zeros((1, 3, 4, 4));
    let message = |kernels: (usize, usize, usize, usize), options| {
        convolve(images.view(), Array4::zeros(kernels).view(), options).unwrap_err().to_string()
    };
    let valid = ConvolutionOptions { boundary: Boundary::Linear(Extent::Valid), ..Default::default() };
    assert_eq!(
        message((1, 3, 5, 2), valid),
        "ConvolutionPlan: a kernel of [5, 2] has no complete overlap with an image of [4, 4]"
    );
    assert_eq!(
        message((1, 2, 3, 3), ConvolutionOptions::default()),
        "apply: kernels has shape [1, 2, 3, 3], expected [1, 3, 3, 3]"
    );
    let groups = |groups| ConvolutionOptions { groups, ..Default::default() };
    assert_eq!(message((2, 1, 3, 3), groups(2)), "apply: 3 in_channels cannot be divided into 2 groups");
    assert_eq!(message((4, 1, 3, 3), groups(3)), "apply: 4 out_channels cannot be divided into 3 groups");
    assert_eq!(message((3, 1, 3, 3), groups(0)), "ConvolutionPlan: groups must be at least 1, got 0");
    assert_eq!(
        message((1, 3, 0, 3), ConvolutionOptions::default()),
        "ConvolutionPlan: kernel_height must be at least 1, got 0"
    );

    let plan = ConvolutionPlan::<f64>::try_new([4, 4], [3, 3], ConvolutionOptions::default()).unwrap();
    let wrong = Array4::zeros((1, 3, 4, 5));
    let error = plan.apply(wrong.view(), Array4::zeros((1, 3, 3, 3)).view()).unwrap_err();
    assert_eq!(error.to_string(), "apply: images has shape [1, 3, 4, 5], expected [1, 3, 4, 4]");
    let error = plan.grad_kernels(Array4::zeros((2, 1, 4, 4)).view(), images.view()).unwrap_err();
    assert_eq!(error.to_string(), "grad_kernels: images has shape [1, 3, 4, 4], expected [2, 3, 4, 4]");
    let error = plan.grad_images(wrong.view(), Array4::zeros((3, 2, 3, 3)).view()).unwrap_err();
    assert_eq!(error.to_string(), "grad_images: grad_output has shape [1, 3, 4, 5], expected [1, 3, 4, 4]");
}
