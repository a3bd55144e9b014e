//! Helpers of the contract tests.

use cfconv_core::engine::{CfConv2dEngine, CfConvWorkspace};
use cfconv_core::{CfConv2dConfig, NumPositions, SamplerConfig, StepSeed};
use cfconv_fft::{Complex, Real};
use cfconv_mlp::{KernelMlpConfig, Parameterization};
use ndarray::{Array4, ArrayView4};
use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};

pub(crate) const PARAMETERIZATIONS: [Parameterization; 4] = Parameterization::ALL;

/// Every kind of sampler, with sizes for kernels of some tens of positions.
pub(crate) fn samplers() -> Vec<SamplerConfig> {
    let mut all = drawing_samplers(NumPositions::Count(17)).to_vec();
    all.extend([SamplerConfig::Lattice { size: 3 }, SamplerConfig::All {}]);
    all
}

/// Every kind of sampler that draws positions, the second with replacement.
pub(crate) fn drawing_samplers(num_positions: NumPositions) -> [SamplerConfig; 7] {
    [
        SamplerConfig::Uniform { num_positions, replacement: false },
        SamplerConfig::Uniform { num_positions, replacement: true },
        SamplerConfig::Stratified { num_positions },
        SamplerConfig::LowDiscrepancy { num_positions },
        SamplerConfig::GapWeighted { num_positions },
        SamplerConfig::FrequencyBlocks { num_positions },
        SamplerConfig::ChannelBlocks { num_positions },
    ]
}

/// Images sizes and channels: 1, odd, even, prime, non-square, more channels than bins.
pub(crate) const SHAPES: [(usize, usize, usize, usize, usize); 9] = [
    // height, width, in_channels, out_channels, batch
    (1, 1, 1, 1, 1),
    (1, 1, 5, 4, 17),
    (2, 2, 7, 6, 2),
    (1, 6, 2, 3, 3),
    (5, 1, 3, 2, 1),
    (4, 6, 2, 3, 16),
    (5, 3, 3, 1, 17),
    (7, 11, 1, 2, 3),
    (8, 8, 2, 2, 33),
];

/// A small kernel network.
pub(crate) fn small_mlp(parameterization: Parameterization) -> KernelMlpConfig {
    KernelMlpConfig {
        parameterization,
        hidden_width: 5,
        omega_frequency: 3.0,
        omega_channel: 4.0,
        basis_size: 2,
        ..Default::default()
    }
}

/// A configuration with a small kernel network.
pub(crate) fn small_config(shape: (usize, usize, usize, usize), sampler: SamplerConfig) -> CfConv2dConfig {
    let (height, width, in_channels, out_channels) = shape;
    CfConv2dConfig {
        mlp: small_mlp(Parameterization::HwCinCout),
        sampler,
        ..CfConv2dConfig::new(in_channels, out_channels, height, width)
    }
}

pub(crate) fn seed(step: u64) -> StepSeed {
    StepSeed { run_seed: 11, layer: 3, step }
}

/// Numbers uniform in ±0.5 from a stream of their own.
pub(crate) fn numbers<T: Real>(stream: u64, len: usize) -> Vec<T> {
    let mut rng = ChaCha8Rng::seed_from_u64(stream);
    // Multiples of 2^-24 are exact in f32: both types get the same numbers.
    (0..len).map(|_| T::cast(f64::from(rng.next_u32() >> 8) / f64::from(1 << 24) - 0.5)).collect()
}

/// An engine with initial parameters that include a bias.
pub(crate) fn engine<T: Real>(config: &CfConv2dConfig) -> (CfConv2dEngine<T>, Vec<T>) {
    let mut engine = CfConv2dEngine::try_new(config).unwrap();
    let mut params = vec![T::nan(); engine.num_parameters()];
    engine.initialize(seed(0), &mut params).unwrap();
    if config.bias {
        let at = params.len() - config.out_channels;
        params[at..].copy_from_slice(&numbers(5, config.out_channels));
    }
    (engine, params)
}

pub(crate) fn input_len(config: &CfConv2dConfig, batch: usize) -> usize {
    config.in_channels * config.height * config.width * batch
}

pub(crate) fn output_len(config: &CfConv2dConfig, batch: usize) -> usize {
    config.out_channels * config.height * config.width * batch
}

/// The output of a forward pass in the engine's layout.
pub(crate) fn forward<T: Real>(
    engine: &mut CfConv2dEngine<T>,
    params: &[T],
    batch: usize,
    input: &[T],
) -> Vec<T> {
    let mut output = vec![T::nan(); output_len(engine.config(), batch)];
    engine.forward(params, batch, input, &mut output, &mut CfConvWorkspace::default()).unwrap();
    output
}

/// `[C, H, W, B]` → `[B, C, H, W]` in f64.
pub(crate) fn to_nchw<T: Real>(lanes: &[T], shape: (usize, usize, usize), batch: usize) -> Array4<f64> {
    let lanes = lanes.iter().map(|x| x.as_f64()).collect();
    let lanes = Array4::from_shape_vec((shape.0, shape.1, shape.2, batch), lanes).unwrap();
    lanes.permuted_axes([3, 0, 1, 2]).as_standard_layout().into_owned()
}

/// `[B, C, H, W]` → `[C, H, W, B]`.
pub(crate) fn to_lanes(images: ArrayView4<f64>) -> Vec<f64> {
    images.permuted_axes([1, 2, 3, 0]).iter().copied().collect()
}

/// ‖a − b‖/‖b‖; ‖a − b‖ if b is zero.
pub(crate) fn relative_error(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>();
    let difference = square(&mut a.iter().zip(b).map(|(a, b)| a - b)).sqrt();
    let norm = square(&mut b.iter().copied()).sqrt();
    if norm == 0.0 { difference } else { difference / norm }
}

/// Real and imaginary parts as one list.
pub(crate) fn parts(values: &[Complex<f64>]) -> Vec<f64> {
    values.iter().flat_map(|z| [z.re, z.im]).collect()
}
