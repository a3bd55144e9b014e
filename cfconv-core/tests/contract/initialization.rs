//! The initial output variance is that of a He-initialised convolution.

use cfconv_core::engine::PaddingMode;
use cfconv_core::{CfConv2dConfig, ConvAlgorithm, NumPositions, SamplerConfig};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::common::{PARAMETERIZATIONS, engine, forward, input_len, numbers, seed, small_config, small_mlp};

/// Mean square of the output for Gaussian white noise.
pub(crate) fn output_variance(config: &CfConv2dConfig, batch: usize) -> f64 {
    let config = CfConv2dConfig { bias: false, ..config.clone() };
    let (mut engine, params) = engine::<f64>(&config);
    engine.begin_evaluation(&params).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let input: Vec<f64> = (0..input_len(&config, batch)).map(|_| StandardNormal.sample(&mut rng)).collect();
    let output = forward(&mut engine, &params, batch, &input);
    output.iter().map(|y| y * y).sum::<f64>() / output.len() as f64
}

#[test]
fn output_variance_on_white_noise_is_twice_the_input_variance() {
    let num_positions = NumPositions::Count(500);
    let samplers = [
        SamplerConfig::Uniform { num_positions, replacement: false },
        SamplerConfig::Lattice { size: 5 },
        SamplerConfig::All {},
    ];
    for sampler in samplers {
        let lattice = matches!(sampler, SamplerConfig::Lattice { .. });
        for (padding, padding_share) in
            [(PaddingMode::Circular, 1.0), (PaddingMode::Zeros, 1.0), (PaddingMode::Zeros, 0.25)]
        {
            if lattice && padding_share < 1.0 {
                continue;
            }
            for parameterization in PARAMETERIZATIONS {
                let config = CfConv2dConfig {
                    padding,
                    padding_share,
                    mlp: small_mlp(parameterization),
                    ..small_config((9, 8, 4, 6), sampler.clone())
                };
                let variance = output_variance(&config, 256);
                // 6·256 outputs of some tens of effective degrees of freedom: about 1 % standard error.
                let label = format!("{sampler:?} {padding:?} {padding_share} {parameterization:?}");
                assert!((variance - 2.0).abs() < 0.1, "{label}: {variance}");
            }
        }
    }
}

#[test]
fn output_scale_is_the_parseval_sum_for_circular_padding() {
    let config = small_config((6, 8, 2, 3), SamplerConfig::All {});
    let (engine, _) = engine::<f64>(&config);
    // Σ over bins of m·|K|², with the Hermitian part on the self-conjugate columns.
    let kernel = engine.kernel_state();
    let at = |p: usize, q: usize, pair: usize| kernel[(p * 5 + q) * 6 + pair];
    let mut sum = 0.0;
    for pair in 0..6 {
        for p in 0..6 {
            for q in 0..5 {
                sum += if q == 0 || q == 4 {
                    (0.5 * (at(p, q, pair) + at((6 - p) % 6, q, pair).conj())).norm_sqr()
                } else {
                    2.0 * at(p, q, pair).norm_sqr()
                };
            }
        }
    }
    let variance = sum / 48.0 / 3.0;
    assert!((variance - 2.0).abs() < 1e-12, "{variance}");
}

#[test]
fn initialization_is_reproducible_and_differs_between_layers_and_seeds() {
    let config = small_config((4, 4, 2, 2), SamplerConfig::All {});
    let params = |run_seed, layer| {
        let mut engine = cfconv_core::engine::CfConv2dEngine::<f64>::try_new(&config).unwrap();
        let mut params = vec![f64::NAN; engine.num_parameters()];
        engine.initialize(cfconv_core::StepSeed { run_seed, layer, step: 0 }, &mut params).unwrap();
        (params, engine.output_scale())
    };
    assert_eq!(params(1, 0), params(1, 0));
    assert_ne!(params(1, 0).0, params(1, 1).0);
    assert_ne!(params(1, 0).0, params(2, 0).0);
    let (params, _) = params(1, 0);
    assert!(params[params.len() - 2..].iter().all(|&bias| bias == 0.0));
}

#[test]
fn segments_name_every_parameter_once() {
    let config = small_config((4, 4, 2, 3), SamplerConfig::All {});
    let (engine, params) = engine::<f64>(&config);
    let segments = engine.parameter_segments();
    let mut end = 0;
    for segment in segments {
        assert_eq!(segment.range.start, end);
        assert_eq!(segment.range.len(), segment.shape.iter().product::<usize>());
        end = segment.range.end;
    }
    assert_eq!((end, params.len()), (engine.num_parameters(), end));
    assert_eq!(segments.first().unwrap().name, "mlp.layer0.weight");
    assert_eq!(segments.last().unwrap().name, "bias");
    assert_eq!(segments.last().unwrap().shape, [3]);
}

#[test]
fn both_forms_of_the_lattice_start_with_the_same_kernel() {
    let outputs = [ConvAlgorithm::Direct, ConvAlgorithm::Fft].map(|algorithm| {
        let config = CfConv2dConfig {
            algorithm,
            padding: PaddingMode::Zeros,
            ..small_config((6, 6, 2, 3), SamplerConfig::Lattice { size: 3 })
        };
        let (mut engine, params) = engine::<f64>(&config);
        engine.begin_step(&params, seed(0), &mut Default::default()).unwrap();
        (engine.output_scale(), forward(&mut engine, &params, 2, &numbers(1, input_len(&config, 2))).len())
    });
    assert_eq!(outputs[0], outputs[1]);
}
