//! The channel mix between half spectra: against explicit sums, adjoint identities, and the layer on images.

use super::support::{complex_dot, complex_noise, dot, noise, relative_error};
use cfconv_core::engine::{
    CfConv2dEngine, CfConvWorkspace, SavedSpectrum, SpectralConv, SpectralConvSizes, SpectralWorkspace,
};
use cfconv_core::{CfConv2dConfig, ConvAlgorithm, NumPositions, PaddingMode, SamplerConfig, StepSeed};
use cfconv_fft::lanes::LanesRfft2;
use cfconv_fft::{Complex, Real, multiplicity};

/// (in, out, height, width, batch)
const SHAPES: [[usize; 5]; 7] = [
    [1, 1, 1, 1, 1],
    [2, 3, 1, 5, 2],
    [3, 2, 4, 1, 17],
    [2, 5, 4, 6, 3],
    [7, 6, 2, 2, 1],
    [3, 2, 5, 7, 16],
    [2, 17, 8, 5, 33],
];

fn sizes([in_channels, out_channels, height, width, _]: [usize; 5]) -> SpectralConvSizes {
    SpectralConvSizes { in_channels, out_channels, height, width, kernel_height: height, kernel_width: width }
}

/// Values `[C, bins, 2, B]` as complex numbers `[C, bins, B]`.
fn complex(values: &[f64], batch: usize) -> Vec<Complex<f64>> {
    values
        .chunks(2 * batch)
        .flat_map(|bin| (0..batch).map(|b| Complex::new(bin[b], bin[batch + b])).collect::<Vec<_>>())
        .collect()
}

#[test]
fn mix_equals_explicit_sums() {
    for shape in SHAPES {
        let (sizes, batch) = (sizes(shape), shape[4]);
        let bins = sizes.kernel_height * sizes.half_width();
        let kernel = complex_noise::<f64>(1, sizes.num_positions());
        let bias: Vec<f64> = noise(2, sizes.out_channels);
        let input: Vec<f64> = noise(3, 2 * sizes.in_channels * bins * batch);
        let plan = SpectralConv::between_spectra(sizes);
        let (mut saved, mut workspace) = (SavedSpectrum::default(), SpectralWorkspace::default());
        let mut output = vec![f64::NAN; 2 * sizes.out_channels * bins * batch];
        plan.forward(batch, &input, &kernel, Some(&bias), &mut output, &mut saved, &mut workspace);
        let (x, y) = (complex(&input, batch), complex(&output, batch));
        for (at, &got) in y.iter().enumerate() {
            let (b, bin, o) = (at % batch, at / batch % bins, at / batch / bins);
            let mut expected = Complex::new(0.0, 0.0);
            for i in 0..sizes.in_channels {
                expected += x[(i * bins + bin) * batch + b]
                    * kernel[(bin * sizes.in_channels + i) * sizes.out_channels + o];
            }
            if bin == 0 {
                expected += bias[o] * ((sizes.height * sizes.width) as f64).sqrt();
            }
            assert!((got - expected).norm() < 1e-13 * 10.0, "{shape:?} at {at}: {got} ≠ {expected}");
        }
        let mut inferred = vec![f64::NAN; output.len()];
        plan.infer(batch, &input, &kernel, Some(&bias), &mut inferred, &mut workspace);
        assert_eq!(inferred, output);
    }
}

#[test]
fn gradients_of_the_mix_are_adjoint() {
    for shape in SHAPES {
        let (sizes, batch) = (sizes(shape), shape[4]);
        let bins = sizes.kernel_height * sizes.half_width();
        let kernel = complex_noise::<f64>(1, sizes.num_positions());
        let input: Vec<f64> = noise(3, 2 * sizes.in_channels * bins * batch);
        let grad_output: Vec<f64> = noise(4, 2 * sizes.out_channels * bins * batch);
        let plan = SpectralConv::between_spectra(sizes);
        let (mut saved, mut workspace) = (SavedSpectrum::default(), SpectralWorkspace::default());
        let mut output = vec![f64::NAN; grad_output.len()];
        plan.forward(batch, &input, &kernel, None, &mut output, &mut saved, &mut workspace);
        let expected = dot(&output, &grad_output);
        let some: Vec<u32> = (0..sizes.num_positions() as u32).step_by(3).collect();
        let mut dense = Vec::new();
        for positions in [None, Some(&some[..])] {
            let mut grad_kernel =
                vec![Complex::new(f64::NAN, 0.0); positions.map_or(kernel.len(), <[u32]>::len)];
            let mut grad_input = vec![f64::NAN; input.len()];
            plan.backward(
                batch,
                &grad_output,
                &kernel,
                &saved,
                positions,
                0.5,
                &mut grad_kernel,
                Some(&mut grad_input),
                &mut workspace,
            );
            let tolerance = 1e-12 * (1.0 + expected.abs());
            // Bilinear: both derivatives along the operands themselves give the product.
            assert!((dot(&input, &grad_input) - expected).abs() < tolerance, "{shape:?}");
            match positions {
                None => {
                    let along = complex_dot(&kernel, &grad_kernel);
                    assert!((along - 0.5 * expected).abs() < tolerance, "{shape:?}: {along} {expected}");
                    dense = grad_kernel;
                }
                Some(list) => {
                    for (&position, got) in list.iter().zip(&grad_kernel) {
                        assert!((got - dense[position as usize]).norm() < 1e-12, "{shape:?}");
                    }
                }
            }
        }
    }
}

/// Orthonormal half spectra `[C, H, Wr, 2, B]` of images, columns times `factor(q)`.
fn spectra<T: Real>(plan: &LanesRfft2<T>, batch: usize, images: &[T], factor: impl Fn(usize) -> T) -> Vec<T> {
    let (height, width, half_width) = (plan.height(), plan.width(), plan.half_width());
    let scale = T::one() / T::cast((height * width) as f64).sqrt();
    let mut spectra = Vec::new();
    for image in images.chunks(height * width * batch) {
        let mut spectrum = vec![T::zero(); height * half_width * 2 * batch];
        plan.forward(batch, image, &mut spectrum, scale, &mut plan.scratch());
        for (bin, values) in spectrum.chunks_mut(2 * batch).enumerate() {
            values.iter_mut().for_each(|value| *value *= factor(bin % half_width));
        }
        spectra.extend(spectrum);
    }
    spectra
}

/// The images of orthonormal half spectra whose columns are first multiplied by `factor(q)`.
fn images<T: Real>(plan: &LanesRfft2<T>, batch: usize, spectra: &[T], factor: impl Fn(usize) -> T) -> Vec<T> {
    let (height, width, half_width) = (plan.height(), plan.width(), plan.half_width());
    let scale = T::one() / T::cast((height * width) as f64).sqrt();
    let mut images = Vec::new();
    for spectrum in spectra.chunks(height * half_width * 2 * batch) {
        let mut weighted = spectrum.to_vec();
        for (bin, values) in weighted.chunks_mut(2 * batch).enumerate() {
            values.iter_mut().for_each(|value| *value *= factor(bin % half_width));
        }
        let mut image = vec![T::zero(); height * width * batch];
        plan.inverse(batch, &weighted, &mut image, scale, &mut plan.scratch());
        images.extend(image);
    }
    images
}

/// A step of the layer on images, and one of the mix between transforms and their adjoints, with the same
/// parameters: output, gradients of input and parameters, and the output of an evaluation of both.
#[test]
fn mix_between_transforms_equals_the_layer_on_images() {
    for (sampler, batch) in [
        (SamplerConfig::All {}, 5),
        (SamplerConfig::Lattice { size: 3 }, 17),
        (SamplerConfig::Uniform { num_positions: NumPositions::Count(40), replacement: false }, 16),
    ] {
        for (height, width) in [(6, 5), (5, 8), (1, 4)] {
            let mut config = CfConv2dConfig::new(3, 4, height, width);
            config.mlp.hidden_width = 8;
            config.sampler = sampler.clone();
            config.ema_alpha = 0.7;
            let mut on_images = CfConv2dEngine::<f64>::try_new(&config).unwrap();
            let mut between = CfConv2dEngine::<f64>::try_between_spectra(&config, 2.0).unwrap();
            let seed = |step| StepSeed { run_seed: 5, layer: 1, step };
            let mut params = vec![f64::NAN; on_images.num_parameters()];
            between.initialize(seed(0), &mut params).unwrap();
            let other = params.clone();
            on_images.initialize(seed(0), &mut params).unwrap();
            assert_eq!(params, other);
            let bias_at = params.len() - 4;
            params[bias_at..].copy_from_slice(&[0.5, -0.25, 1.0, 0.125]);

            let plan = LanesRfft2::<f64>::try_new(height, width).unwrap();
            let m = |q: usize| multiplicity(q, width) as f64;
            let x: Vec<f64> = noise(1, 3 * height * width * batch);
            let g: Vec<f64> = noise(2, 4 * height * width * batch);
            let mut workspace = CfConvWorkspace::default();
            let (mut y, mut dx) = (vec![f64::NAN; g.len()], vec![f64::NAN; x.len()]);
            let mut dp = vec![0.0; params.len()];
            on_images.begin_step(&params, seed(1), &mut workspace).unwrap();
            on_images.forward(&params, batch, &x, &mut y, &mut workspace).unwrap();
            on_images.backward(&params, batch, &g, Some(&mut dx), &mut dp, &mut workspace).unwrap();

            let spectrum_x = spectra(&plan, batch, &x, |_| 1.0);
            // The adjoint of the orthonormal irfft2.
            let spectrum_g = spectra(&plan, batch, &g, m);
            let mut spectrum_y = vec![f64::NAN; spectrum_g.len()];
            let mut spectrum_dx = vec![f64::NAN; spectrum_x.len()];
            let mut dp_between = vec![0.0; params.len()];
            between.begin_step(&params, seed(1), &mut workspace).unwrap();
            between.forward(&params, batch, &spectrum_x, &mut spectrum_y, &mut workspace).unwrap();
            between
                .backward(
                    &params,
                    batch,
                    &spectrum_g,
                    Some(&mut spectrum_dx),
                    &mut dp_between,
                    &mut workspace,
                )
                .unwrap();
            let back = |spectra: &[f64]| images(&plan, batch, spectra, |_| 1.0);
            assert!(relative_error(&back(&spectrum_y), &y) < 1e-13, "{config:?}");
            // The adjoint of the orthonormal rfft2.
            let dx_between = images(&plan, batch, &spectrum_dx, |q| 1.0 / m(q));
            assert!(relative_error(&dx_between, &dx) < 1e-13, "{config:?}");
            assert!(relative_error(&dp_between, &dp) < 1e-12, "{config:?}");

            on_images.begin_evaluation(&params).unwrap();
            on_images.forward(&params, batch, &x, &mut y, &mut workspace).unwrap();
            between.begin_evaluation(&params).unwrap();
            between.forward(&params, batch, &spectrum_x, &mut spectrum_y, &mut workspace).unwrap();
            assert!(relative_error(&back(&spectrum_y), &y) < 1e-13, "{config:?}");
        }
    }
}

#[test]
fn initial_variance_is_the_one_asked_for() {
    let batch = 33;
    for variance in [1.0, 2.0, 4.0] {
        let mut config = CfConv2dConfig::new(8, 24, 16, 15);
        config.bias = false;
        config.sampler = SamplerConfig::All {};
        let mut engine = CfConv2dEngine::<f64>::try_between_spectra(&config, variance).unwrap();
        let seed = StepSeed { run_seed: 3, layer: 0, step: 0 };
        let mut params = vec![0.0; engine.num_parameters()];
        engine.initialize(seed, &mut params).unwrap();
        let plan = LanesRfft2::<f64>::try_new(16, 15).unwrap();
        let mut workspace = CfConvWorkspace::default();
        engine.begin_step(&params, seed, &mut workspace).unwrap();
        let x = noise::<f64>(1, 8 * 16 * 15 * batch);
        let x = spectra(&plan, batch, &x, |_| 3.0_f64.sqrt());
        let mut y = vec![f64::NAN; 24 * 16 * 8 * 2 * batch];
        engine.forward(&params, batch, &x, &mut y, &mut workspace).unwrap();
        let y = images(&plan, batch, &y, |_| 1.0);
        let found = y.iter().map(|y| y * y).sum::<f64>() / y.len() as f64;
        assert!((found / variance - 1.0).abs() < 0.03, "{found} ≠ {variance}");
    }
}

#[test]
fn what_needs_images_is_refused_between_spectra() {
    let message = |change: fn(&mut CfConv2dConfig), variance: f64| {
        let mut config = CfConv2dConfig::new(2, 2, 4, 4);
        config.sampler = SamplerConfig::Lattice { size: 3 };
        change(&mut config);
        CfConv2dEngine::<f32>::try_between_spectra(&config, variance).unwrap_err().to_string()
    };
    assert_eq!(
        message(|config| config.padding = PaddingMode::Zeros, 1.0),
        "padding = zeros is not allowed: expected circular between half spectra"
    );
    assert_eq!(
        message(|config| config.algorithm = ConvAlgorithm::Direct, 1.0),
        "application = direct is not allowed: expected auto or fft between half spectra"
    );
    assert_eq!(message(|_| {}, 0.0), "initial_variance = 0 is not allowed: expected finite and above 0");
}
