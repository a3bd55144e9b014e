//! The continuous Fourier convolution as a state machine over a backend.

use std::borrow::Cow;

use cfconv_fft::{Complex, Real};
use cfconv_mlp::{KernelMlp, ParameterSegment, Positions};

use super::backend::{EngineBackend, Outcome};
use super::cpu_backend::CpuBackend;
use super::plan::EnginePlan;
use super::rollback::Rollback;
use crate::config::{CfConv2dConfig, EvaluationKernel, GradientScale, InitialFill};
use crate::error::{CoreError, Result, check_len};
use crate::output_scale::variance_output_scale;
use crate::refresh_history::RefreshHistory;
use crate::sampler::{GapProfile, PositionSampler, SampledPositions};
use crate::seed::{Purpose, StepSeed};

/// A continuous Fourier convolution in the engine's layout.
///
/// The engine owns what a layer remembers from call to call: the sampler, the kernel state, the steps that refreshed it,
/// and what its [backend](EngineBackend) has prepared. The parameters (those of the kernel network, then the bias) belong
/// to the caller, as does the workspace, which all layers of a network can share. [`CfConv2dEngine`] is the engine on the
/// processor.
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
/// An evaluation is `begin_evaluation`, then any number of `forward`; it leaves the training state as it is. Parameter
/// gradients accumulate, `output` and `grad_input` are overwritten.
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
pub struct Engine<B: EngineBackend> {
    plan: EnginePlan,
    pub(super) backend: B,
    sampler: PositionSampler,
    pub(super) positions: SampledPositions,
    pub(super) state: B::Values,
    pub(super) history: RefreshHistory,
    pub(super) rollback: Rollback<B::Values>,
    /// The kernel of an evaluation that does not use the state itself.
    evaluation_kernel: B::Values,
    phase: Phase,
}

/// The engine on the processor, with operands in slices of `T`.
pub type CfConv2dEngine<T> = Engine<CpuBackend<T>>;

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

/// Working memory of an [`Engine`] that any number of layers can use in turn; it grows to the largest.
#[derive(Debug, Clone)]
pub struct EngineWorkspace<B: EngineBackend> {
    backend: B::Workspace,
    /// Φ at the visited positions; later the gradient there.
    values: B::Values,
}

/// The workspace of [`CfConv2dEngine`].
pub type CfConvWorkspace<T> = EngineWorkspace<CpuBackend<T>>;

impl<B: EngineBackend> Default for EngineWorkspace<B> {
    fn default() -> Self {
        Self { backend: B::Workspace::default(), values: B::Values::default() }
    }
}

impl<B: EngineBackend> EngineWorkspace<B> {
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        B::workspace_bytes(&self.backend) + B::values_bytes(&self.values)
    }
}

impl<T: Real> CfConv2dEngine<T> {
    /// Plans the layer. Its kernel state is zero until [`initialize`](Self::initialize) or
    /// [`load_state`](Self::load_state).
    ///
    /// # Errors
    /// As for [`EnginePlan::try_new`].
    pub fn try_new(config: &CfConv2dConfig) -> Result<Self> {
        Self::on_cpu(EnginePlan::try_new(config)?)
    }

    /// Plans the layer's channel mix alone, between half spectra: see [`EnginePlan::try_between_spectra`].
    ///
    /// # Errors
    /// As for [`EnginePlan::try_between_spectra`].
    pub fn try_between_spectra(config: &CfConv2dConfig, initial_variance: f64) -> Result<Self> {
        Self::on_cpu(EnginePlan::try_between_spectra(config, initial_variance)?)
    }

    fn on_cpu(plan: EnginePlan) -> Result<Self> {
        let backend = CpuBackend::try_new(&plan)?;
        Self::with_backend(plan, backend)
    }

    /// The kernel state, on the grid of [`plan`](Self::plan).
    pub fn kernel_state(&self) -> &[Complex<T>] {
        &self.state
    }
}

impl<B: EngineBackend> Engine<B> {
    /// Makes a layer of a plan and of a backend prepared for the same plan. The kernel state is zero until
    /// [`initialize`](Self::initialize) or [`load_state`](Self::load_state).
    ///
    /// # Errors
    /// If the device's memory is exhausted.
    pub fn with_backend(plan: EnginePlan, backend: B) -> Outcome<B, Self> {
        let mut state = B::Values::default();
        backend.resize(&mut state, plan.grid.num_positions())?;
        Ok(Self {
            backend,
            sampler: plan.sampler().clone(),
            positions: SampledPositions::default(),
            state,
            history: RefreshHistory::default(),
            rollback: Rollback::default(),
            evaluation_kernel: B::Values::default(),
            phase: Phase::Idle,
            plan,
        })
    }

    /// The configuration.
    pub fn config(&self) -> &CfConv2dConfig {
        self.plan.config()
    }

    /// How the layer is carried out: grid, padded sizes and algorithm.
    pub fn plan(&self) -> &EnginePlan {
        &self.plan
    }

    /// The kernel network.
    pub fn mlp(&self) -> &KernelMlp<B::Real> {
        self.backend.mlp()
    }

    /// The sampler.
    pub fn sampler(&self) -> &PositionSampler {
        &self.sampler
    }

    /// The positions of the current step.
    pub fn positions(&self) -> &SampledPositions {
        &self.positions
    }

    /// Number of parameters: those of the kernel network, then `Cout` of the bias if there is one.
    pub fn num_parameters(&self) -> usize {
        self.plan.num_parameters()
    }

    /// Names, shapes and places of the parameters.
    pub fn parameter_segments(&self) -> &[ParameterSegment] {
        self.plan.parameter_segments()
    }

    /// The kernel state on the host, on the grid of [`plan`](Self::plan): copied unless it is there.
    ///
    /// # Errors
    /// What the device reports.
    pub fn host_state(&self) -> Outcome<B, Cow<'_, [Complex<B::Real>]>> {
        self.backend.values_to_host(&self.state)
    }

    /// Number of parameters of the kernel network, which come before the bias.
    pub(super) fn network_len(&self) -> usize {
        self.mlp().num_parameters()
    }

    /// Every position of the kernel.
    fn every_position(&self) -> SampledPositions {
        SampledPositions::all(self.plan.grid.num_positions() as u32)
    }

    /// Initialises the parameters and the kernel state.
    ///
    /// The network is initialised from `seed`, the bias is zero. Then the network's fixed output scale is chosen so that
    /// the layer's output variance on white noise is the plan's: that of a He-initialised convolution, or the one given
    /// to [`EnginePlan::try_between_spectra`]. The state is filled as configured, and the history of refreshes is empty.
    ///
    /// # Errors
    /// [`CoreError::ShapeMismatch`] if `params` has the wrong length; [`CoreError::DegenerateKernel`] if the
    /// initial kernel is zero everywhere.
    pub fn initialize(&mut self, seed: StepSeed, params: B::SliceMut<'_>) -> Outcome<B> {
        check_len("CfConv2dEngine::initialize", "params", self.num_parameters(), B::len_mut(&params))?;
        // On the host, so that every device begins with the same bits.
        let mut host = vec![B::Real::cast(0.0); self.num_parameters()];
        let network = &mut host[..self.network_len()];
        let mut values = vec![Complex::default(); self.plan.grid.num_positions()];
        let mlp = self.backend.mlp_mut();
        mlp.initialize(&mut seed.rng(Purpose::InitializeParameters), network);
        mlp.set_output_scale(B::Real::cast(1.0));
        mlp.evaluate(network, Positions::All, &mut values).map_err(CoreError::from)?;
        let config = self.plan.config();
        let scale = variance_output_scale(
            &self.plan.grid,
            &values,
            config.out_channels,
            (config.height, config.width),
            self.plan.zeros(),
            self.plan.initial_variance(),
        )?;
        mlp.set_output_scale(B::Real::cast(scale));
        match config.initial_fill {
            InitialFill::Phi => {
                mlp.evaluate(network, Positions::All, &mut values).map_err(CoreError::from)?;
            }
            InitialFill::Zeros => values.fill(Complex::default()),
        }
        self.backend.upload(&host, params)?;
        self.backend.upload_values(&values, &mut self.state)?;
        self.forget(RefreshHistory::default());
        Ok(())
    }

    /// Begins a training step: draws its positions, evaluates Φ there and refreshes the kernel state.
    ///
    /// # Errors
    /// [`CoreError::ShapeMismatch`] if `params` has the wrong length.
    pub fn begin_step(
        &mut self,
        params: B::Slice<'_>,
        seed: StepSeed,
        workspace: &mut EngineWorkspace<B>,
    ) -> Outcome<B> {
        check_len("CfConv2dEngine::begin_step", "params", self.num_parameters(), B::len(params))?;
        let network = B::part(params, 0..self.network_len());
        self.evaluation_kernel = B::Values::default();
        self.sampler.set_gap_profile(self.history.gap_profile());
        self.sampler.sample_into(seed, &mut self.positions);
        let Self { backend, sampler, positions, state, .. } = self;
        backend.set_positions(positions)?;
        self.rollback.record(backend, state, positions)?;
        let ema_alpha = self.plan.config().ema_alpha;
        let mut gap_profile = self.history.gap_profile();
        if positions.is_all() && ema_alpha == 1.0 {
            backend.evaluate(network, positions, state)?;
        } else {
            let phi = &mut workspace.values;
            backend.resize(phi, positions.len())?;
            backend.evaluate(network, positions, phi)?;
            if sampler.measures_gaps(seed) {
                let (state, phi) = (backend.values_to_host(state)?, backend.values_to_host(phi)?);
                gap_profile = GapProfile::measure(positions, &state, &phi);
            }
            backend.blend(state, positions, phi, B::Real::cast(ema_alpha))?;
            backend.release(phi);
        }
        self.history.push(seed);
        self.history.set_gap_profile(gap_profile);
        backend.prepare(state)?;
        self.phase = Phase::Training;
        Ok(())
    }

    /// Begins an evaluation with the configured kernel; the training state stays as it is.
    ///
    /// # Errors
    /// [`CoreError::ShapeMismatch`] if `params` has the wrong length.
    pub fn begin_evaluation(&mut self, params: B::Slice<'_>) -> Outcome<B> {
        self.prepare_evaluation(params, self.config().evaluation_kernel)
    }

    /// Begins an evaluation with Φ at every position, whatever is configured: for parameters that did not fill
    /// the kernel state, such as averages over a run.
    ///
    /// # Errors
    /// [`CoreError::ShapeMismatch`] if `params` has the wrong length.
    pub fn begin_dense_evaluation(&mut self, params: B::Slice<'_>) -> Outcome<B> {
        self.prepare_evaluation(params, EvaluationKernel::Dense)
    }

    fn prepare_evaluation(&mut self, params: B::Slice<'_>, kernel: EvaluationKernel) -> Outcome<B> {
        check_len("CfConv2dEngine::begin_evaluation", "params", self.num_parameters(), B::len(params))?;
        let network = B::part(params, 0..self.network_len());
        let dense = kernel == EvaluationKernel::Dense;
        let own_kernel = dense || self.config().refresh_before_evaluation;
        if own_kernel {
            let positions = self.every_position();
            self.backend.resize(&mut self.evaluation_kernel, positions.len())?;
            self.backend.evaluate(network, &positions, &mut self.evaluation_kernel)?;
            if !dense {
                let ema_alpha = B::Real::cast(self.config().ema_alpha);
                self.backend.blend_into(&self.state, &mut self.evaluation_kernel, ema_alpha)?;
            }
        } else {
            self.evaluation_kernel = B::Values::default();
        }
        self.begin_prepared_evaluation(own_kernel)
    }

    fn begin_prepared_evaluation(&mut self, own_kernel: bool) -> Outcome<B> {
        self.phase = Phase::Evaluation { own_kernel };
        self.backend.prepare(if own_kernel { &self.evaluation_kernel } else { &self.state })
    }

    /// The kernel of the current evaluation, on the layer's grid.
    pub(super) fn kernel_of_evaluation(&self) -> Option<&B::Values> {
        match self.phase {
            Phase::Evaluation { own_kernel: true } => Some(&self.evaluation_kernel),
            Phase::Evaluation { own_kernel: false } => Some(&self.state),
            _ => None,
        }
    }

    /// Begins an evaluation with these values on the layer's grid.
    pub(super) fn begin_evaluation_of(&mut self, values: &[Complex<B::Real>]) -> Outcome<B> {
        debug_assert_eq!(values.len(), self.plan.grid.num_positions());
        self.backend.resize(&mut self.evaluation_kernel, values.len())?;
        self.backend.upload_values(values, &mut self.evaluation_kernel)?;
        self.begin_prepared_evaluation(true)
    }

    /// Computes the output of a batch; in a training step keeps what [`backward`](Self::backward) needs.
    ///
    /// # Errors
    /// [`CoreError::WrongOrder`] before the first step or evaluation; [`CoreError::ShapeMismatch`] if a
    /// slice has the wrong length.
    pub fn forward(
        &mut self,
        params: B::Slice<'_>,
        batch: usize,
        input: B::Slice<'_>,
        output: B::SliceMut<'_>,
        workspace: &mut EngineWorkspace<B>,
    ) -> Outcome<B> {
        const OP: &str = "CfConv2dEngine::forward";
        check_batch(OP, batch)?;
        check_len(OP, "params", self.num_parameters(), B::len(params))?;
        check_len(OP, "input", self.plan.input_len(batch), B::len(input))?;
        check_len(OP, "output", self.plan.output_len(batch), B::len_mut(&output))?;
        let (kernel, training) = match self.phase {
            Phase::Idle => {
                let needed = "begin_step or begin_evaluation";
                return Err(CoreError::WrongOrder { op: OP, needed }.into());
            }
            Phase::Training | Phase::Forwarded { .. } => (&self.state, true),
            Phase::Evaluation { own_kernel: false } => (&self.state, false),
            Phase::Evaluation { own_kernel: true } => (&self.evaluation_kernel, false),
        };
        let bias =
            self.plan.config().bias.then(|| B::part(params, self.network_len()..self.num_parameters()));
        self.backend.forward(kernel, batch, input, bias, output, training, &mut workspace.backend)?;
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
        params: B::Slice<'_>,
        batch: usize,
        grad_output: B::Slice<'_>,
        grad_input: Option<B::SliceMut<'_>>,
        mut grad_params: B::SliceMut<'_>,
        workspace: &mut EngineWorkspace<B>,
    ) -> Outcome<B> {
        const OP: &str = "CfConv2dEngine::backward";
        let (network, all) = (0..self.network_len(), self.num_parameters());
        check_len(OP, "params", all, B::len(params))?;
        check_len(OP, "grad_params", all, B::len_mut(&grad_params))?;
        match self.phase {
            Phase::Forwarded { batch: forwarded } => {
                check_len(OP, "grad_output batch", forwarded, batch)?;
            }
            _ => return Err(CoreError::WrongOrder { op: OP, needed: "begin_step and forward" }.into()),
        }
        check_len(OP, "grad_output", self.plan.output_len(batch), B::len(grad_output))?;
        if let Some(grad_input) = &grad_input {
            check_len(OP, "grad_input", self.plan.input_len(batch), B::len_mut(grad_input))?;
        }
        let (scale, by_position) = self.gradient_scale();
        let Self { backend, sampler, positions, state, .. } = self;
        let EngineWorkspace { backend: workspace, values } = workspace;
        backend.resize(values, positions.len())?;
        let scale = B::Real::cast(scale);
        backend.backward(state, batch, grad_output, positions, scale, values, grad_input, workspace)?;
        if by_position {
            let probability = |position| sampler.inclusion_probability(position);
            backend.divide(values, positions.iter().map(probability))?;
        }
        let grad_network = B::part_mut(&mut grad_params, network.clone());
        backend.evaluate_vjp(B::part(params, network.clone()), positions, values, grad_network)?;
        backend.release(values);
        if self.plan.config().bias {
            let grad_bias = B::part_mut(&mut grad_params, network.end..all);
            backend.bias_gradient(batch, grad_output, grad_bias)?;
        }
        Ok(())
    }

    /// The factor g of the kernel's gradient, and whether each gradient is divided by its inclusion probability too.
    fn gradient_scale(&self) -> (f64, bool) {
        let ema_alpha = self.config().ema_alpha;
        match self.config().gradient_scale {
            GradientScale::EmaAlpha => (ema_alpha, false),
            GradientScale::StraightThrough => (1.0, false),
            GradientScale::Unbiased => match self.sampler.constant_inclusion_probability() {
                Some(probability) => (ema_alpha / probability, false),
                None => (ema_alpha, true),
            },
        }
    }

    /// The share of positions that the last `steps` training steps refreshed; those steps are drawn again.
    pub fn coverage(&self, steps: usize) -> f64 {
        self.sampler.clone().coverage(self.history.last(steps))
    }

    /// The fixed factor of the network's output.
    pub fn output_scale(&self) -> f64 {
        self.mlp().output_scale().as_f64()
    }

    /// The steps that have refreshed the state.
    pub fn refresh_history(&self) -> &RefreshHistory {
        &self.history
    }

    /// Restores what [`host_state`](Self::host_state), [`refresh_history`](Self::refresh_history) and
    /// [`output_scale`](Self::output_scale) gave: what a checkpoint must hold besides the parameters.
    ///
    /// # Errors
    /// [`CoreError::ShapeMismatch`] if `values` has the wrong length; [`CoreError::InvalidSetting`] if
    /// `output_scale` is not finite.
    pub fn load_state(
        &mut self,
        values: &[Complex<B::Real>],
        history: RefreshHistory,
        output_scale: f64,
    ) -> Outcome<B> {
        check_len("CfConv2dEngine::load_state", "values", self.plan.grid.num_positions(), values.len())?;
        if !output_scale.is_finite() {
            return Err(CoreError::InvalidSetting {
                setting: "output_scale",
                expected: "a finite number",
                got: output_scale.to_string(),
            }
            .into());
        }
        self.backend.upload_values(values, &mut self.state)?;
        self.backend.mlp_mut().set_output_scale(B::Real::cast(output_scale));
        self.forget(history);
        Ok(())
    }

    /// Starts again from a state that the steps of `history` have filled.
    fn forget(&mut self, history: RefreshHistory) {
        self.history = history;
        self.rollback.forget();
        self.set_idle();
    }

    /// Whatever was prepared does not fit any more.
    pub(super) fn set_idle(&mut self) {
        self.phase = Phase::Idle;
    }

    /// Bytes of the kernel state.
    pub fn state_bytes(&self) -> usize {
        B::values_bytes(&self.state)
    }

    /// Bytes kept from a training forward pass for its backward pass.
    pub fn saved_bytes(&self) -> usize {
        self.backend.saved_bytes()
    }

    /// Bytes of everything else the layer keeps between calls; the workspace counts itself.
    pub fn scratch_bytes(&self) -> usize {
        self.backend.scratch_bytes()
            + B::values_bytes(&self.evaluation_kernel)
            + B::values_bytes(self.rollback.values())
            + self.positions.bytes()
            + self.sampler.scratch_bytes()
    }
}

fn check_batch(op: &'static str, batch: usize) -> Result<()> {
    if batch > 0 {
        return Ok(());
    }
    Err(CoreError::ShapeMismatch { op, operand: "batch", expected: vec![1], got: vec![0] })
}
