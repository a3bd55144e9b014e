//! The continuous Fourier convolution on flat slices.

use cfconv_fft::{Complex, Real};
use cfconv_mlp::{KernelMlp, ParameterSegment, Positions};

use super::direct_conv::add_plane_sums;
use super::exact_growth::resize_exact;
use super::kernel_application::{ApplicationWorkspace, KernelApplication};
use super::plan::EnginePlan;
use super::step_undo::StepUndo;
use super::{Domain, PaddingMode};
use crate::config::{Application, CfConv2dConfig, EvaluationKernel, GradientScale, InitialFill};
use crate::error::{CoreError, Result, check_len};
use crate::kernel_state::{KernelState, ShadowGap};
use crate::output_scale::{HE_VARIANCE, variance_output_scale};
use crate::refresh_history::RefreshHistory;
use crate::sampler::{GapProfile, PositionSampler, SampledPositions, draw_stratified};
use crate::seed::{Purpose, StepSeed};

/// Positions evaluated at a time where Φ is only compared or averaged, not kept.
const TILE: usize = 1 << 14;

/// A continuous Fourier convolution in the engine's layout.
///
/// It owns the kernel network's structure, the sampler, the kernel state, the plans and what a backward pass
/// needs; the parameters (those of the network, then the bias) belong to the caller, as does the workspace,
/// which all layers of a network can share.
///
/// A training step is `begin_step`, then any number of pairs of `forward` and `backward`:
///
/// ```text
/// S ← sampler(seed);  K̃(u) ← K̃(u) + α(Φ_Θ(u) − K̃(u)) for u in S           begin_step
/// y[o] = crop(irfft2(Σ_i rfft2(pad(x[i]))·K̃[i, o])) + bias[o]              forward
/// dx[i] = irfft2(Σ_o conj(K̃[i, o])·rfft2(dy)[o])                           backward
/// dΘ   += Σ_{u in S} ∂Φ_Θ(u)/∂Θ · g(u)·dK(u);  dbias[o] += Σ dy[o]
/// ```
///
/// An evaluation is `begin_evaluation`, then any number of `forward`; it does not disturb the training
/// state. Parameter gradients accumulate, `output` and `grad_input` are overwritten.
///
/// A depthwise layer has `y[c] = crop(irfft2(rfft2(pad(x[c]))·K̃[c])) + bias[c]` in place of the sum.
///
/// # Shapes
/// `input` `[Cin, H, W, batch]`, `output` `[Cout, H, W, batch]`, both flat.
///
/// # Examples
/// ```
/// use cfconv_core::engine::{CfConv2dEngine, CfConvWorkspace};
/// use cfconv_core::{CfConv2dConfig, StepSeed};
///
/// let mut layer = CfConv2dEngine::<f32>::try_new(&CfConv2dConfig::new(2, 3, 8, 8))?;
/// let mut workspace = CfConvWorkspace::default();
/// let mut params = vec![0.0; layer.num_parameters()];
/// let mut grad_params = vec![0.0; layer.num_parameters()];
/// layer.initialize(StepSeed { run_seed: 1, layer: 0, step: 0 }, &mut params)?;
/// let batch = 4;
/// let input = vec![0.5; 2 * 8 * 8 * batch];
/// let mut output = vec![0.0; 3 * 8 * 8 * batch];
///
/// layer.begin_step(&params, StepSeed { run_seed: 1, layer: 0, step: 0 }, &mut workspace)?;
/// layer.forward(&params, batch, &input, &mut output, &mut workspace)?;
/// let grad_output = vec![1.0; output.len()];
/// layer.backward(&params, batch, &grad_output, None, &mut grad_params, &mut workspace)?;
/// // The last parameters are the bias: its gradient is the number of pixels.
/// assert_eq!(grad_params[grad_params.len() - 1], (8 * 8 * batch) as f32);
/// # Ok::<(), cfconv_core::CoreError>(())
/// ```
///
/// # Source
/// Layer: arXiv 2409.09875. Gradients: docs/derivations/cf-conv.md.
#[derive(Debug, Clone)]
pub struct CfConv2dEngine<T: Real> {
    config: CfConv2dConfig,
    plan: EnginePlan,
    mlp: KernelMlp<T>,
    sampler: PositionSampler,
    pub(super) positions: SampledPositions,
    pub(super) state: KernelState<T>,
    pub(super) history: RefreshHistory,
    pub(super) undo: StepUndo<T>,
    application: KernelApplication<T>,
    /// The kernel of an evaluation that does not use the state itself.
    evaluation_kernel: Vec<Complex<T>>,
    /// Output variance on white noise of unit variance that the initial scale is chosen for.
    initial_variance: f64,
    phase: Phase,
}

/// What the last calls have prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Training,
    /// Training, and a forward pass of this batch is ready for its backward pass.
    Forwarded {
        batch: usize,
    },
    /// Evaluation with the state, or with `evaluation_kernel`.
    Evaluation {
        own_kernel: bool,
    },
}

/// Working memory of [`CfConv2dEngine`] that any number of layers can use in turn; it grows to the largest.
#[derive(Debug, Clone, Default)]
pub struct CfConvWorkspace<T> {
    application: ApplicationWorkspace<T>,
    /// Φ at the visited positions; later the gradient there.
    values: Vec<Complex<T>>,
}

impl<T: Real> CfConvWorkspace<T> {
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.application.bytes() + self.values.capacity() * size_of::<Complex<T>>()
    }
}

impl<T: Real> CfConv2dEngine<T> {
    /// Plans the layer. Its kernel state is zero until [`initialize`](Self::initialize) or
    /// [`load_state`](Self::load_state).
    ///
    /// # Errors
    /// As for [`CfConv2dConfig::validate`], and what the kernel network's configuration refuses.
    pub fn try_new(config: &CfConv2dConfig) -> Result<Self> {
        config.validate()?;
        Self::with_plan(config, EnginePlan::new(config), HE_VARIANCE)
    }

    /// Plans the layer's channel mix alone, between half spectra: a network that stays in the frequency domain
    /// from layer to layer.
    ///
    /// ```text
    /// Y[o] = Σ_i X[i]·K̃[i, o] + √(H·W)·bias[o]·δ          δ: 1 at the zero frequency
    /// dX[i] = Σ_o conj(K̃[i, o])·dY[o];   dK(u) = Σ_b conj(X[i])·dY[o];   dbias[o] = √(H·W)·Σ_b Re dY[o, 0, 0]
    /// ```
    ///
    /// Behind `rfft2` and before `irfft2`, both orthonormal, it is the layer with circular padding. The output
    /// scale is chosen so that the output variance on white noise is `initial_variance`.
    ///
    /// # Shapes
    /// `input` `[Cin, H, Wr, 2, batch]`, `output` `[Cout, H, Wr, 2, batch]`, both flat:
    /// [`Domain::Spectra`](super::Domain::Spectra).
    ///
    /// # Errors
    /// As for [`try_new`](Self::try_new); [`CoreError::InvalidSetting`] for `padding = zeros` and
    /// `application = direct`, which need images, and for an `initial_variance` that is not above 0.
    pub fn try_between_spectra(config: &CfConv2dConfig, initial_variance: f64) -> Result<Self> {
        config.validate()?;
        let refused = |setting, expected, got: &str| {
            Err(CoreError::InvalidSetting { setting, expected, got: got.to_owned() })
        };
        if config.padding != PaddingMode::Circular {
            return refused("padding", "circular between half spectra", "zeros");
        }
        if config.application == Application::Direct {
            return refused("application", "auto or fft between half spectra", "direct");
        }
        if !(initial_variance > 0.0 && initial_variance.is_finite()) {
            let got = initial_variance.to_string();
            return refused("initial_variance", "finite and above 0", &got);
        }
        Self::with_plan(config, EnginePlan::between_spectra(config), initial_variance)
    }

    fn with_plan(config: &CfConv2dConfig, plan: EnginePlan, initial_variance: f64) -> Result<Self> {
        let sampler = PositionSampler::try_new(&config.sampler, plan.grid)?;
        Ok(Self {
            mlp: KernelMlp::try_new(&config.mlp, plan.grid)?,
            positions: SampledPositions::default(),
            state: KernelState::try_new(plan.grid.num_positions(), config.ema_alpha)?,
            history: RefreshHistory::default(),
            undo: StepUndo::default(),
            application: plan.application()?,
            evaluation_kernel: Vec::new(),
            initial_variance,
            phase: Phase::Idle,
            config: config.clone(),
            plan,
            sampler,
        })
    }

    /// The configuration.
    pub fn config(&self) -> &CfConv2dConfig {
        &self.config
    }

    /// How the layer is carried out: grid, padded sizes and form.
    pub fn plan(&self) -> &EnginePlan {
        &self.plan
    }

    /// The kernel network.
    pub fn mlp(&self) -> &KernelMlp<T> {
        &self.mlp
    }

    /// The sampler.
    pub fn sampler(&self) -> &PositionSampler {
        &self.sampler
    }

    /// The positions of the current step.
    pub fn positions(&self) -> &SampledPositions {
        &self.positions
    }

    /// The kernel state, on the grid of [`plan`](Self::plan).
    pub fn kernel_state(&self) -> &KernelState<T> {
        &self.state
    }

    /// Number of parameters: those of the kernel network, then `Cout` of the bias if there is one.
    pub fn num_parameters(&self) -> usize {
        self.mlp.num_parameters() + self.bias_len()
    }

    /// Names, shapes and places of the parameters.
    pub fn parameter_segments(&self) -> Vec<ParameterSegment> {
        let mut segments: Vec<_> = self
            .mlp
            .parameter_segments()
            .iter()
            .map(|segment| ParameterSegment { name: format!("mlp.{}", segment.name), ..segment.clone() })
            .collect();
        if self.config.bias {
            segments.push(ParameterSegment {
                name: "bias".to_owned(),
                shape: vec![self.config.out_channels],
                range: self.mlp.num_parameters()..self.num_parameters(),
            });
        }
        segments
    }

    /// Initialises the parameters and the kernel state.
    ///
    /// The network is initialised from `seed`, the bias is zero. Then the network's fixed output scale is
    /// chosen so that the layer's output variance on white noise is that of a He-initialised convolution (or the
    /// one given to [`try_between_spectra`](Self::try_between_spectra)), and the state is filled as configured. The history of refreshes is empty afterwards.
    ///
    /// # Errors
    /// [`CoreError::ShapeMismatch`] if `params` has the wrong length; [`CoreError::DegenerateKernel`] if the
    /// initial kernel is zero everywhere.
    pub fn initialize(&mut self, seed: StepSeed, params: &mut [T]) -> Result<()> {
        check_len("CfConv2dEngine::initialize", "params", self.num_parameters(), params.len())?;
        let (network, bias) = params.split_at_mut(self.mlp.num_parameters());
        self.mlp.initialize(&mut seed.rng(Purpose::InitializeParameters), network);
        bias.fill(T::zero());
        self.mlp.set_output_scale(T::one());
        self.mlp.evaluate(network, Positions::All, self.state.values_mut())?;
        let image = (self.config.height, self.config.width);
        let scale = variance_output_scale(
            &self.plan.grid,
            self.state.values(),
            self.config.out_channels,
            image,
            self.plan.zeros(),
            self.initial_variance,
        )?;
        self.mlp.set_output_scale(T::cast(scale));
        match self.config.initial_fill {
            InitialFill::Phi => self.mlp.evaluate(network, Positions::All, self.state.values_mut())?,
            InitialFill::Zeros => self.state.values_mut().fill(Complex::default()),
        }
        self.history = RefreshHistory::default();
        self.undo.forget();
        self.phase = Phase::Idle;
        Ok(())
    }

    /// Begins a training step: draws its positions, evaluates Φ there and refreshes the kernel state.
    ///
    /// # Errors
    /// [`CoreError::ShapeMismatch`] if `params` has the wrong length.
    pub fn begin_step(
        &mut self,
        params: &[T],
        seed: StepSeed,
        workspace: &mut CfConvWorkspace<T>,
    ) -> Result<()> {
        check_len("CfConv2dEngine::begin_step", "params", self.num_parameters(), params.len())?;
        let network = &params[..self.mlp.num_parameters()];
        self.evaluation_kernel = Vec::new();
        self.sampler.follow(self.history.gap_profile());
        self.sampler.sample_into(seed, &mut self.positions);
        self.undo.record(&self.positions, &self.state);
        let mut gap_profile = self.history.gap_profile();
        if self.positions.is_all() && self.config.ema_alpha == 1.0 {
            self.mlp.evaluate(network, Positions::All, self.state.values_mut())?;
        } else {
            resize_exact(&mut workspace.values, self.positions.len(), Complex::default());
            self.mlp.evaluate(network, self.positions.as_positions(), &mut workspace.values)?;
            if self.sampler.measures_gaps(seed) {
                gap_profile = GapProfile::measure(&self.positions, self.state.values(), &workspace.values);
            }
            self.state.refresh(&self.positions, &workspace.values)?;
        }
        self.history.push(seed);
        self.history.follow(gap_profile);
        self.application.prepare(self.state.values())?;
        self.phase = Phase::Training;
        Ok(())
    }

    /// Begins an evaluation with the configured kernel; the training state stays as it is.
    ///
    /// # Errors
    /// [`CoreError::ShapeMismatch`] if `params` has the wrong length.
    pub fn begin_evaluation(&mut self, params: &[T]) -> Result<()> {
        self.prepare_evaluation(params, self.config.evaluation_kernel)
    }

    /// Begins an evaluation with Φ at every position, whatever is configured: for parameters that did not fill
    /// the kernel state, such as averages over a run.
    ///
    /// # Errors
    /// [`CoreError::ShapeMismatch`] if `params` has the wrong length.
    pub fn begin_dense_evaluation(&mut self, params: &[T]) -> Result<()> {
        self.prepare_evaluation(params, EvaluationKernel::Dense)
    }

    fn prepare_evaluation(&mut self, params: &[T], kernel: EvaluationKernel) -> Result<()> {
        check_len("CfConv2dEngine::begin_evaluation", "params", self.num_parameters(), params.len())?;
        let network = &params[..self.mlp.num_parameters()];
        let dense = kernel == EvaluationKernel::Dense;
        let own_kernel = dense || self.config.polish;
        if own_kernel {
            let num_positions = self.plan.grid.num_positions();
            resize_exact(&mut self.evaluation_kernel, num_positions, Complex::default());
            self.mlp.evaluate(network, Positions::All, &mut self.evaluation_kernel)?;
            if !dense {
                self.state.polish_into(&mut self.evaluation_kernel)?;
            }
        } else {
            self.evaluation_kernel = Vec::new();
        }
        self.phase = Phase::Evaluation { own_kernel };
        let values = if own_kernel { &self.evaluation_kernel } else { self.state.values() };
        self.application.prepare(values)
    }

    /// The kernel of the current evaluation, on the layer's grid.
    pub(super) fn evaluation_values(&self) -> Option<&[Complex<T>]> {
        match self.phase {
            Phase::Evaluation { own_kernel: true } => Some(&self.evaluation_kernel),
            Phase::Evaluation { own_kernel: false } => Some(self.state.values()),
            _ => None,
        }
    }

    /// Begins an evaluation with these values on the layer's grid.
    pub(super) fn begin_evaluation_of(&mut self, values: Vec<Complex<T>>) -> Result<()> {
        debug_assert_eq!(values.len(), self.plan.grid.num_positions());
        self.evaluation_kernel = values;
        self.phase = Phase::Evaluation { own_kernel: true };
        self.application.prepare(&self.evaluation_kernel)
    }

    /// Computes the output of a batch; in a training step keeps what [`backward`](Self::backward) needs.
    ///
    /// # Errors
    /// [`CoreError::WrongOrder`] before the first step or evaluation; [`CoreError::ShapeMismatch`] if a
    /// slice has the wrong length.
    pub fn forward(
        &mut self,
        params: &[T],
        batch: usize,
        input: &[T],
        output: &mut [T],
        workspace: &mut CfConvWorkspace<T>,
    ) -> Result<()> {
        const OP: &str = "CfConv2dEngine::forward";
        let plane_len = self.plan.plane_len();
        check_batch(OP, batch)?;
        check_len(OP, "params", self.num_parameters(), params.len())?;
        check_len(OP, "input", self.config.in_channels * plane_len * batch, input.len())?;
        check_len(OP, "output", self.config.out_channels * plane_len * batch, output.len())?;
        let training = match self.phase {
            Phase::Idle => {
                return Err(CoreError::WrongOrder { op: OP, needed: "begin_step or begin_evaluation" });
            }
            Phase::Training | Phase::Forwarded { .. } => true,
            Phase::Evaluation { .. } => false,
        };
        let values = match self.phase {
            Phase::Evaluation { own_kernel: true } => &self.evaluation_kernel,
            _ => self.state.values(),
        };
        let bias = self.config.bias.then(|| &params[self.mlp.num_parameters()..]);
        self.application.forward(batch, input, values, bias, output, training, &mut workspace.application);
        if training {
            self.phase = Phase::Forwarded { batch };
        }
        Ok(())
    }

    /// Computes the gradients of the last training forward pass from the gradient of its output.
    ///
    /// 1. `dK(u)` at the visited positions, and the input's gradient if wanted (overwritten);
    /// 2. times g(u), the configured gradient scale;
    /// 3. through Φ to its parameters, and the sum over pixels to the bias (both accumulate).
    ///
    /// # Errors
    /// [`CoreError::WrongOrder`] unless a training forward pass of the same batch came before, after the last
    /// `begin_step`; [`CoreError::ShapeMismatch`] if a slice has the wrong length.
    pub fn backward(
        &mut self,
        params: &[T],
        batch: usize,
        grad_output: &[T],
        grad_input: Option<&mut [T]>,
        grad_params: &mut [T],
        workspace: &mut CfConvWorkspace<T>,
    ) -> Result<()> {
        const OP: &str = "CfConv2dEngine::backward";
        let plane_len = self.plan.plane_len();
        check_len(OP, "params", self.num_parameters(), params.len())?;
        check_len(OP, "grad_params", self.num_parameters(), grad_params.len())?;
        match self.phase {
            Phase::Forwarded { batch: forwarded } => {
                check_len(OP, "grad_output batch", forwarded, batch)?;
            }
            _ => return Err(CoreError::WrongOrder { op: OP, needed: "begin_step and forward" }),
        }
        check_len(OP, "grad_output", self.config.out_channels * plane_len * batch, grad_output.len())?;
        if let Some(grad_input) = &grad_input {
            check_len(OP, "grad_input", self.config.in_channels * plane_len * batch, grad_input.len())?;
        }
        let alpha = self.config.ema_alpha;
        let (constant, by_position) = match self.config.gradient_scale {
            GradientScale::EmaAlpha => (alpha, false),
            GradientScale::StraightThrough => (1.0, false),
            GradientScale::Unbiased => match self.sampler.constant_inclusion_probability() {
                Some(probability) => (alpha / probability, false),
                None => (alpha, true),
            },
        };
        let (network, grad_network, grad_bias) = {
            let at = self.mlp.num_parameters();
            let (grad_network, grad_bias) = grad_params.split_at_mut(at);
            (&params[..at], grad_network, grad_bias)
        };
        let CfConvWorkspace { application, values } = workspace;
        resize_exact(values, self.positions.len(), Complex::default());
        self.application.backward(
            batch,
            grad_output,
            self.state.values(),
            self.positions.list(),
            T::cast(constant),
            values,
            grad_input,
            application,
        )?;
        if by_position {
            for (gradient, position) in values.iter_mut().zip(self.positions.iter()) {
                *gradient /= T::cast(self.sampler.inclusion_probability(position));
            }
        }
        self.mlp.evaluate_vjp(network, self.positions.as_positions(), values, grad_network)?;
        if self.config.bias {
            match self.plan.domain {
                Domain::Images => add_plane_sums(grad_output, plane_len * batch, grad_bias),
                Domain::Spectra => {
                    let pixels = T::cast((self.config.height * self.config.width) as f64);
                    for (grad, plane) in grad_bias.iter_mut().zip(grad_output.chunks(plane_len * batch)) {
                        *grad += pixels.sqrt() * plane[..batch].iter().copied().sum::<T>();
                    }
                }
            }
        }
        Ok(())
    }

    /// The shadow gap ‖K̃ − Φ‖/‖Φ‖ over every position; Φ is evaluated in tiles and not kept.
    ///
    /// # Errors
    /// [`CoreError::ShapeMismatch`] if `params` has the wrong length.
    pub fn shadow_gap(&self, params: &[T]) -> Result<f64> {
        let population = self.plan.grid.num_positions() as u32;
        self.gap_over(params, 0..population)
    }

    /// An estimate of the [`shadow_gap`](Self::shadow_gap) from one position of each of `count` strata.
    ///
    /// # Errors
    /// As for [`shadow_gap`](Self::shadow_gap).
    pub fn sampled_shadow_gap(&self, params: &[T], count: usize, seed: StepSeed) -> Result<f64> {
        let population = self.plan.grid.num_positions();
        if count >= population {
            return self.shadow_gap(params);
        }
        let mut rng = seed.rng(Purpose::EstimateShadowGap);
        let positions = draw_stratified(&mut rng, population as u32, count.max(1) as u32);
        self.gap_over(params, positions.into_iter())
    }

    fn gap_over(&self, params: &[T], mut positions: impl Iterator<Item = u32>) -> Result<f64> {
        check_len("CfConv2dEngine::shadow_gap", "params", self.num_parameters(), params.len())?;
        let network = &params[..self.mlp.num_parameters()];
        let mut gap = ShadowGap::default();
        let (mut list, mut state) = (Vec::with_capacity(TILE), Vec::with_capacity(TILE));
        let mut phi = Vec::new();
        loop {
            list.clear();
            list.extend(positions.by_ref().take(TILE));
            if list.is_empty() {
                return Ok(gap.ratio());
            }
            phi.resize(list.len(), Complex::default());
            self.mlp.evaluate(network, Positions::List(&list), &mut phi)?;
            state.clear();
            state.extend(list.iter().map(|&position| self.state.values()[position as usize]));
            gap.add(&state, &phi);
        }
    }

    /// The share of positions that the last `steps` training steps refreshed; those steps are drawn again.
    pub fn coverage(&self, steps: usize) -> f64 {
        self.sampler.clone().coverage(self.history.last(steps))
    }

    /// The fixed factor of the network's output.
    pub fn output_scale(&self) -> f64 {
        self.mlp.output_scale().as_f64()
    }

    /// The steps that have refreshed the state.
    pub fn refresh_history(&self) -> &RefreshHistory {
        &self.history
    }

    /// Restores what [`kernel_state`](Self::kernel_state), [`refresh_history`](Self::refresh_history) and
    /// [`output_scale`](Self::output_scale) gave.
    ///
    /// # Errors
    /// [`CoreError::ShapeMismatch`] if `values` has the wrong length; [`CoreError::InvalidSetting`] if
    /// `output_scale` is not finite.
    pub fn load_state(
        &mut self,
        values: &[Complex<T>],
        history: RefreshHistory,
        output_scale: f64,
    ) -> Result<()> {
        check_len("CfConv2dEngine::load_state", "values", self.plan.grid.num_positions(), values.len())?;
        if !output_scale.is_finite() {
            return Err(CoreError::InvalidSetting {
                setting: "output_scale",
                expected: "a finite number",
                got: output_scale.to_string(),
            });
        }
        self.state.values_mut().copy_from_slice(values);
        self.history = history;
        self.mlp.set_output_scale(T::cast(output_scale));
        self.undo.forget();
        self.phase = Phase::Idle;
        Ok(())
    }

    /// Whatever was prepared no longer fits.
    pub(super) fn set_idle(&mut self) {
        self.phase = Phase::Idle;
    }

    /// Bytes of the kernel state.
    pub fn state_bytes(&self) -> usize {
        self.state.bytes()
    }

    /// Bytes kept from a training forward pass for its backward pass.
    pub fn saved_bytes(&self) -> usize {
        self.application.saved_bytes()
    }

    /// Bytes of everything else the layer keeps between calls; the workspace counts itself.
    pub fn scratch_bytes(&self) -> usize {
        self.application.scratch_bytes()
            + self.evaluation_kernel.capacity() * size_of::<Complex<T>>()
            + self.undo.bytes()
            + self.positions.bytes()
            + self.sampler.scratch_bytes()
    }

    fn bias_len(&self) -> usize {
        if self.config.bias { self.config.out_channels } else { 0 }
    }
}

fn check_batch(op: &'static str, batch: usize) -> Result<()> {
    if batch > 0 {
        return Ok(());
    }
    Err(CoreError::ShapeMismatch { op, operand: "batch", expected: vec![1], got: vec![0] })
}
