//! Hand-derived gradients against central differences in f64, through the whole chain
//! Θ → Φ → kernel state → spectra → loss.

use crate::common::{
    PARAMETERIZATIONS, SHAPES, engine, forward, input_len, numbers, output_len, relative_error, samplers,
    seed, small_config, small_mlp,
};
use cfconv_core::engine::{CfConv2dEngine, CfConvWorkspace, PaddingMode, PlannedAlgorithm};
use cfconv_core::{CfConv2dConfig, ConvAlgorithm, GradientScale, NumPositions, SamplerConfig};

/// The loss Σ c·y + ½·Σ y², its gradient c + y.
fn loss(output: &[f64], coefficients: &[f64]) -> f64 {
    output.iter().zip(coefficients).map(|(y, c)| c * y + 0.5 * y * y).sum()
}

/// A layer in the middle of training: its state is not Φ.
struct Problem {
    /// Before the step whose gradient is taken.
    before: CfConv2dEngine<f64>,
    params: Vec<f64>,
    batch: usize,
    input: Vec<f64>,
    coefficients: Vec<f64>,
}

impl Problem {
    fn new(config: &CfConv2dConfig, batch: usize) -> Self {
        let (mut before, mut params) = engine::<f64>(config);
        // The state is that of other parameters.
        before.begin_step(&params, seed(0), &mut CfConvWorkspace::default()).unwrap();
        for (param, change) in params.iter_mut().zip(numbers::<f64>(1, before.num_parameters())) {
            *param += 0.3 * change;
        }
        let input = numbers(2, input_len(config, batch));
        let coefficients = numbers(3, output_len(config, batch));
        Self { before, params, batch, input, coefficients }
    }

    /// The loss of a step that starts from the fixed state and draws fixed positions.
    fn loss(&self, params: &[f64], input: &[f64]) -> f64 {
        let mut engine = self.before.clone();
        engine.begin_step(params, seed(1), &mut CfConvWorkspace::default()).unwrap();
        loss(&forward(&mut engine, params, self.batch, input), &self.coefficients)
    }

    /// Gradients of parameters and input by the backward pass.
    fn gradients(&self) -> (Vec<f64>, Vec<f64>) {
        let mut engine = self.before.clone();
        let mut workspace = CfConvWorkspace::default();
        engine.begin_step(&self.params, seed(1), &mut workspace).unwrap();
        let mut output = vec![f64::NAN; self.coefficients.len()];
        engine.forward(&self.params, self.batch, &self.input, &mut output, &mut workspace).unwrap();
        let grad_output: Vec<_> = output.iter().zip(&self.coefficients).map(|(y, c)| y + c).collect();
        let mut grad_input = vec![f64::NAN; self.input.len()];
        let mut grad_params = vec![0.0; self.params.len()];
        let wanted = Some(&mut grad_input[..]);
        engine
            .backward(&self.params, self.batch, &grad_output, wanted, &mut grad_params, &mut workspace)
            .unwrap();
        (grad_params, grad_input)
    }
}

/// ∂f/∂x by central differences of fourth order: error h⁴·f⁗′/30 and ε·f/h.
fn central_differences(at: &[f64], mut function: impl FnMut(&[f64]) -> f64) -> Vec<f64> {
    const STEP: f64 = 5e-4;
    let mut x = at.to_vec();
    (0..at.len())
        .map(|index| {
            let mut value = |offset: f64| {
                x[index] = at[index] + offset * STEP;
                let value = function(&x);
                x[index] = at[index];
                value
            };
            (8.0 * (value(1.0) - value(-1.0)) - (value(2.0) - value(-2.0))) / (12.0 * STEP)
        })
        .collect()
}

/// Relative error that central differences must reach.
const TOLERANCE: f64 = 1e-6;

pub(crate) fn check(config: &CfConv2dConfig, batch: usize) {
    let problem = Problem::new(config, batch);
    let (grad_params, grad_input) = problem.gradients();
    let label = format!("{:?} {:?} {:?}", config.sampler, config.mlp.parameterization, config.padding);
    let expected = central_differences(&problem.params, |params| problem.loss(params, &problem.input));
    assert!(expected.iter().any(|g| g.abs() > 1e-3), "{label}: nothing to compare");
    let error = relative_error(&grad_params, &expected);
    assert!(error <= TOLERANCE, "{label}: parameters {error:e}");
    let expected = central_differences(&problem.input, |input| problem.loss(&problem.params, input));
    let error = relative_error(&grad_input, &expected);
    assert!(error <= TOLERANCE, "{label}: input {error:e}");
}

#[test]
fn gradients_equal_central_differences_for_every_sampler_parameterization_and_padding() {
    for sampler in samplers() {
        for parameterization in PARAMETERIZATIONS {
            for padding in [PaddingMode::Circular, PaddingMode::Zeros] {
                let config = CfConv2dConfig {
                    mlp: small_mlp(parameterization),
                    padding,
                    ema_alpha: 0.7,
                    ..small_config((3, 4, 2, 3), sampler.clone())
                };
                check(&config, 2);
            }
        }
    }
}

#[test]
fn gradients_equal_central_differences_for_awkward_shapes() {
    for (height, width, in_channels, out_channels, batch) in SHAPES {
        // Few values, or the differences of large sums drown in rounding.
        let batch = batch.min(3);
        let num_positions = NumPositions::Count(10);
        for sampler in
            [SamplerConfig::Uniform { num_positions, replacement: false }, SamplerConfig::Lattice { size: 3 }]
        {
            let config = small_config((height, width, in_channels, out_channels), sampler);
            check(&config, batch);
        }
    }
}

#[test]
fn gradients_equal_central_differences_with_a_share_of_zeros() {
    let config = CfConv2dConfig {
        padding: PaddingMode::Zeros,
        padding_share: 0.25,
        ..small_config((4, 5, 2, 2), SamplerConfig::All {})
    };
    check(&config, 2);
}

#[test]
fn gradients_equal_central_differences_in_both_forms_of_the_lattice() {
    for algorithm in [ConvAlgorithm::Direct, ConvAlgorithm::Fft] {
        for padding in [PaddingMode::Circular, PaddingMode::Zeros] {
            for (shape, size) in [((4, 5, 2, 2), 3), ((2, 6, 1, 3), 5), ((5, 5, 2, 1), 1)] {
                let config = CfConv2dConfig {
                    algorithm,
                    padding,
                    ..small_config(shape, SamplerConfig::Lattice { size })
                };
                let form = CfConv2dEngine::<f64>::try_new(&config).unwrap().plan().algorithm;
                assert_eq!(form == PlannedAlgorithm::LatticeDirect, algorithm == ConvAlgorithm::Direct);
                check(&config, 2);
            }
        }
    }
}

#[test]
fn straight_through_gradient_is_the_exact_one_over_alpha() {
    for sampler in samplers() {
        let config = CfConv2dConfig { ema_alpha: 0.25, ..small_config((3, 4, 2, 3), sampler) };
        let (exact, exact_input) = Problem::new(&config, 2).gradients();
        let config = CfConv2dConfig { gradient_scale: GradientScale::StraightThrough, ..config };
        let (straight, straight_input) = Problem::new(&config, 2).gradients();
        assert_eq!(exact_input, straight_input);
        let bias = exact.len() - config.out_channels;
        assert_eq!(exact[bias..], straight[bias..]);
        let scaled: Vec<_> = exact[..bias].iter().map(|gradient| gradient / 0.25).collect();
        assert!(relative_error(&straight[..bias], &scaled) < 1e-14);
    }
}

#[test]
fn parameter_gradients_accumulate_and_input_gradients_overwrite() {
    let config = small_config((3, 4, 2, 3), SamplerConfig::All {});
    let problem = Problem::new(&config, 2);
    let (expected, expected_input) = problem.gradients();
    let mut engine = problem.before.clone();
    let mut workspace = CfConvWorkspace::default();
    engine.begin_step(&problem.params, seed(1), &mut workspace).unwrap();
    let mut grad_params = vec![1.0; problem.params.len()];
    let mut grad_input = vec![f64::NAN; problem.input.len()];
    let mut output = vec![f64::NAN; problem.coefficients.len()];
    // Two passes of one step, as for a batch in two halves.
    for _ in 0..2 {
        engine.forward(&problem.params, 2, &problem.input, &mut output, &mut workspace).unwrap();
        let grad_output: Vec<_> = output.iter().zip(&problem.coefficients).map(|(y, c)| y + c).collect();
        let wanted = Some(&mut grad_input[..]);
        engine.backward(&problem.params, 2, &grad_output, wanted, &mut grad_params, &mut workspace).unwrap();
    }
    assert_eq!(grad_input, expected_input);
    let twice: Vec<_> = expected.iter().map(|gradient| 1.0 + 2.0 * gradient).collect();
    assert!(relative_error(&grad_params, &twice) < 1e-14);
    // Without the input's gradient, the parameters' is the same.
    let mut without = vec![0.0; problem.params.len()];
    let grad_output: Vec<_> = output.iter().zip(&problem.coefficients).map(|(y, c)| y + c).collect();
    engine.backward(&problem.params, 2, &grad_output, None, &mut without, &mut workspace).unwrap();
    assert_eq!(without, expected);
}
