//! The k×k lattice: exactness, both forms, adjoints, limits.

use cfconv_core::engine::{CfConvWorkspace, PaddingMode, PlannedAlgorithm};
use cfconv_core::{CfConv2dConfig, ConvAlgorithm, Lattice, SamplerConfig, naive};
use cfconv_fft::Complex;
use cfconv_fft::lanes::LanesRfft2;
use ndarray::ArrayView4;
use proptest::prelude::*;

use crate::common::{
    engine, forward, input_len, numbers, output_len, parts, relative_error, seed, small_config,
};

fn complex_numbers(stream: u64, len: usize) -> Vec<Complex<f64>> {
    numbers::<f64>(stream, 2 * len).chunks(2).map(|z| Complex::new(z[0], z[1])).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn taps_equal_the_inverse_sum() {
    for size in [1, 3, 5, 7] {
        let lattice = Lattice::<f64>::try_new(size, 2, 9).unwrap();
        let values = complex_numbers(1, lattice.num_values());
        let mut taps = vec![f64::NAN; lattice.num_taps()];
        lattice.taps(&values, &mut taps).unwrap();
        let kernel = ArrayView4::from_shape((size, size / 2 + 1, 2, 9), &values).unwrap();
        let centred = naive::centred_taps(kernel, size);
        for ((r, s, i, o), expected) in centred.indexed_iter() {
            let (a, b) = ((r + size - size / 2) % size, (s + size - size / 2) % size);
            let tap = taps[((a * size + b) * 2 + i) * 9 + o];
            assert!((tap - expected).abs() < 1e-14, "{size}: ({r}, {s}, {i}, {o})");
        }
    }
}

#[test]
fn spectrum_is_that_of_the_zero_padded_spatial_kernel() {
    let (size, in_channels, out_channels) = (3, 2, 3);
    let lattice = Lattice::<f64>::try_new(size, in_channels, out_channels).unwrap();
    let taps = numbers::<f64>(1, lattice.num_taps());
    for (height, width) in [(3, 3), (4, 6), (7, 5), (8, 8), (2, 1), (1, 1)] {
        let torus = LanesRfft2::try_new(height, width).unwrap();
        let half_width = width / 2 + 1;
        let mut kernel = vec![Complex::new(f64::NAN, f64::NAN); height * half_width * 6];
        lattice.spectrum(&torus, &taps, &mut kernel).unwrap();
        for i in 0..in_channels {
            for o in 0..out_channels {
                let mut plane = ndarray::Array2::<f64>::zeros((height, width));
                for a in 0..size {
                    for b in 0..size {
                        // Residues 0, 1, 2 are the offsets 0, 1, −1.
                        let offset = |residue: usize| if residue == 2 { -1 } else { residue as isize };
                        let h = offset(a).rem_euclid(height as isize) as usize;
                        let w = offset(b).rem_euclid(width as isize) as usize;
                        plane[[h, w]] += taps[((a * size + b) * in_channels + i) * out_channels + o];
                    }
                }
                let spectrum = cfconv_fft::naive::rfft2(plane.view(), cfconv_fft::FftNorm::Backward);
                for ((p, q), expected) in spectrum.indexed_iter() {
                    let got = kernel[((p * half_width + q) * in_channels + i) * out_channels + o];
                    assert!((got - expected).norm() < 1e-13, "{height}×{width}, bin ({p}, {q})");
                }
            }
        }
    }
}

#[test]
fn direct_and_spectral_forms_agree_with_all_gradients() {
    for padding in [PaddingMode::Circular, PaddingMode::Zeros] {
        for (shape, size) in [((6, 8, 3, 4), 3), ((5, 7, 2, 2), 5), ((3, 2, 2, 3), 7), ((8, 8, 5, 1), 1)] {
            let mut results = Vec::new();
            for (algorithm, form) in [
                (ConvAlgorithm::Direct, PlannedAlgorithm::LatticeDirect),
                (ConvAlgorithm::Fft, PlannedAlgorithm::LatticeFft),
            ] {
                let config = CfConv2dConfig {
                    algorithm,
                    padding,
                    ..small_config(shape, SamplerConfig::Lattice { size })
                };
                let (mut engine, params) = engine::<f64>(&config);
                assert_eq!(engine.plan().algorithm, form);
                let mut workspace = CfConvWorkspace::default();
                engine.begin_step(&params, seed(0), &mut workspace).unwrap();
                let output = forward(&mut engine, &params, 3, &numbers(1, input_len(&config, 3)));
                let grad_output = numbers(2, output_len(&config, 3));
                let mut grad_input = vec![f64::NAN; input_len(&config, 3)];
                let mut grad_params = vec![0.0; params.len()];
                let wanted = Some(&mut grad_input[..]);
                engine.backward(&params, 3, &grad_output, wanted, &mut grad_params, &mut workspace).unwrap();
                results.push([output, grad_input, grad_params]);
            }
            for (direct, spectral) in results[0].iter().zip(&results[1]) {
                let error = relative_error(direct, spectral);
                assert!(error < 1e-12, "{shape:?}, k = {size}, {padding:?}: {error:e}");
            }
        }
    }
}

#[test]
fn lattice_of_the_image_size_is_the_dense_kernel() {
    let dense = small_config((5, 5, 2, 3), SamplerConfig::All {});
    let lattice = small_config((5, 5, 2, 3), SamplerConfig::Lattice { size: 5 });
    let (mut dense, params) = engine::<f64>(&dense);
    let input = numbers(1, input_len(dense.config(), 2));
    dense.begin_evaluation(&params).unwrap();
    let expected = forward(&mut dense, &params, 2, &input);
    for algorithm in [ConvAlgorithm::Direct, ConvAlgorithm::Fft] {
        let (mut lattice, lattice_params) = engine::<f64>(&CfConv2dConfig { algorithm, ..lattice.clone() });
        assert_eq!(lattice_params, params);
        lattice.begin_evaluation(&params).unwrap();
        assert!(relative_error(&forward(&mut lattice, &params, 2, &input), &expected) < 1e-12);
    }
}

#[test]
fn small_lattices_of_few_channels_are_applied_directly_and_others_by_spectra() {
    let form = |channels, size| {
        let config = small_config((64, 64, channels, channels), SamplerConfig::Lattice { size });
        engine::<f32>(&config).0.plan().algorithm
    };
    assert_eq!(form(8, 3), PlannedAlgorithm::LatticeDirect);
    assert_eq!(form(32, 3), PlannedAlgorithm::LatticeFft);
    assert_eq!(form(8, 31), PlannedAlgorithm::LatticeFft);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn adjoints_pass_the_dot_test(
        radius in 0_usize..4, in_channels in 1_usize..4, out_channels in 1_usize..7,
        height in 1_usize..9, width in 1_usize..9, stream in 0_u64..1000,
    ) {
        let size = 2 * radius + 1;
        let lattice = Lattice::<f64>::try_new(size, in_channels, out_channels).unwrap();
        // ⟨taps(v), t⟩ = ⟨v, taps_adjoint(t)⟩.
        let values = complex_numbers(stream, lattice.num_values());
        let cotaps = numbers::<f64>(stream + 1, lattice.num_taps());
        let mut taps = vec![f64::NAN; cotaps.len()];
        lattice.taps(&values, &mut taps).unwrap();
        let mut covalues = vec![Complex::new(f64::NAN, f64::NAN); values.len()];
        lattice.taps_adjoint(&cotaps, &mut covalues).unwrap();
        let (left, right) = (dot(&taps, &cotaps), dot(&parts(&values), &parts(&covalues)));
        prop_assert!((left - right).abs() < 1e-12, "{left} ≠ {right}");
        // The same for the spectrum on a torus, also one smaller than the support.
        let torus = LanesRfft2::try_new(height, width).unwrap();
        let len = height * (width / 2 + 1) * in_channels * out_channels;
        let mut kernel = vec![Complex::new(f64::NAN, f64::NAN); len];
        lattice.spectrum(&torus, &taps, &mut kernel).unwrap();
        let cokernel = complex_numbers(stream + 2, len);
        let mut back = vec![f64::NAN; taps.len()];
        lattice.spectrum_adjoint(&torus, &cokernel, &mut back).unwrap();
        let (left, right) = (dot(&parts(&kernel), &parts(&cokernel)), dot(&taps, &back));
        prop_assert!((left - right).abs() < 1e-10 * (1.0 + left.abs()), "{left} ≠ {right}");
        // Weights are a permutation of the taps.
        let mut weights = vec![f64::NAN; taps.len()];
        lattice.weights(&taps, &mut weights).unwrap();
        let mut again = vec![f64::NAN; taps.len()];
        lattice.weights_adjoint(&weights, &mut again).unwrap();
        prop_assert_eq!(again, taps);
    }
}

#[test]
fn wrong_lengths_and_even_sizes_are_refused() {
    assert!(Lattice::<f64>::try_new(4, 1, 1).is_err());
    assert!(Lattice::<f64>::try_new(0, 1, 1).is_err());
    let lattice = Lattice::<f64>::try_new(3, 1, 1).unwrap();
    let message = lattice.taps(&[], &mut []).unwrap_err().to_string();
    assert_eq!(message, "Lattice::taps: values has shape [0], expected [6]");
}
