//! The continuous Fourier convolution on the CUDA device.
//!
//! Kernel state, Φ, transforms and mixes are on the device. Positions are drawn on the host, by the same sampler as
//! on the CPU, and uploaded: both devices visit the same. What happens once or seldom (initialisation, kernels at other
//! sizes, ringing, shadow gaps) is the engine's of `cfconv-core`, on a copy of the state.

use std::fmt;

use cfconv_core::engine::{
    CfConv2dEngine, Domain, EnginePlan, PlannedMemory, PlannedWorkspace, TransferFunction, measure_gaps,
};
use cfconv_core::{
    CfConv2dConfig, CoreError, EvaluationKernel, GradientScale, KernelRinging, PositionSampler,
    RefreshHistory, SampledPositions, StepSeed,
};
use cfconv_fft::Complex;
use cfconv_mlp::{KernelMlp, ParameterSegment, Parameterization};

use super::{CfConv2d, CfConv2dOp, CfConv2dState, EvaluationWeights};
use crate::device::cuda::{
    Argument, Grid, KernelApplication, Launcher, Phi, PhiSchedule, Scratch, count, launch, part, part_mut,
    run_gradient_bytes,
};
use crate::device::{Buffer, IndexBuffer, Result, Span, SpanMut, check_len};
use crate::nn::verdict::VERDICT_LEN;

/// The layer.
pub struct CudaCfConv2d<L: Launcher> {
    device: L,
    config: CfConv2dConfig,
    /// Output variance between half spectra; `None` between images.
    gain: Option<f64>,
    plan: EnginePlan,
    phi: Phi<L>,
    sampler: PositionSampler,
    positions: SampledPositions,
    /// The positions on the device, unless every step visits all.
    uploaded: Option<IndexBuffer<L>>,
    /// Of the positions of the step; of every position.
    schedule: Option<PhiSchedule<L>>,
    full_schedule: Option<PhiSchedule<L>>,
    /// Complex numbers.
    state: Buffer<L>,
    history: RefreshHistory,
    keeps_undo: bool,
    /// The state at the positions before the step.
    undo: Option<Scratch<L>>,
    evaluation_kernel: Option<Scratch<L>>,
    application: KernelApplication<L>,
    phase: Phase,
}

impl<L: Launcher> fmt::Debug for CudaCfConv2d<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CudaCfConv2d").field("config", &self.config).field("phase", &self.phase).finish()
    }
}

/// What the last calls have prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Training,
    Forwarded { batch: usize },
    Evaluation { own_kernel: bool },
}

/// Operations take working memory while they run, from a pool of the device: there is nothing to share.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWorkspace;

impl<L: Launcher> CfConv2dOp for L {
    type CfConv2d = CudaCfConv2d<L>;
}

impl<L: Launcher> CudaCfConv2d<L> {
    fn with_gain(device: &L, config: &CfConv2dConfig, gain: Option<f64>) -> Result<Self> {
        // The engine checks the configuration.
        let engine = engine(config, gain)?;
        let plan = *engine.plan();
        let phi = Phi::new(device, KernelMlp::try_new(&config.mlp, plan.grid).map_err(CoreError::from)?)?;
        Ok(Self {
            application: KernelApplication::new(device, config, &plan)?,
            sampler: engine.sampler().clone(),
            state: device.alloc(2 * plan.grid.num_positions())?,
            device: device.clone(),
            config: config.clone(),
            gain,
            plan,
            phi,
            positions: SampledPositions::default(),
            uploaded: None,
            schedule: None,
            full_schedule: None,
            history: RefreshHistory::default(),
            keeps_undo: false,
            undo: None,
            evaluation_kernel: None,
            phase: Phase::Idle,
        })
    }

    fn network_len(&self) -> usize {
        self.phi.mlp().num_parameters()
    }

    fn bias_len(&self) -> usize {
        if self.config.bias { self.config.out_channels } else { 0 }
    }

    fn state_span(&self) -> Span<'_, L> {
        Span::new(&self.state, 0..2 * self.plan.grid.num_positions())
    }

    fn state_span_mut(&mut self) -> SpanMut<'_, L> {
        SpanMut::new(&mut self.state, 0..2 * self.plan.grid.num_positions())
    }

    /// The engine with this layer's state, on the host.
    fn engine(&self) -> Result<CfConv2dEngine<f32>> {
        let mut engine = engine(&self.config, self.gain)?;
        let values = self.device.to_host(self.state_span())?;
        let scale = f64::from(self.phi.mlp().output_scale());
        engine.load_state(bytemuck::cast_slice(&values), self.history.clone(), scale)?;
        Ok(engine)
    }

    /// Evaluates Φ at every position.
    fn evaluate_all(&mut self, params: Span<'_, L>, mut output: SpanMut<'_, L>) -> Result<()> {
        let network = part(params, 0..self.network_len());
        let population = self.plan.grid.num_positions();
        let schedule = match &self.full_schedule {
            Some(schedule) => schedule,
            None => self.full_schedule.insert(PhiSchedule::new(&self.device, &self.phi, None, population)?),
        };
        self.phi.evaluate(&self.device, network, None, schedule, output.reborrow())
    }

    /// Uploads the step's positions and plans their way through Φ.
    fn take_positions(&mut self) -> Result<()> {
        let Some(list) = self.positions.list() else {
            (self.uploaded, self.schedule) = (None, None);
            return Ok(());
        };
        let mut buffer = self.device.alloc_indices(list.len().max(1))?;
        self.device.upload_indices(list, &mut buffer)?;
        let population = self.plan.grid.num_positions();
        self.schedule = Some(PhiSchedule::new(&self.device, &self.phi, Some(list), population)?);
        self.uploaded = Some(buffer);
        Ok(())
    }

    fn record_undo(&mut self) -> Result<()> {
        self.undo = None;
        if self.keeps_undo {
            let mut values = Scratch::new(&self.device, 2 * self.positions.len())?;
            let entries = count(self.positions.len());
            launch!(
                &self.device,
                "gather_state",
                Grid::over(entries, L::THREADS),
                self.state_span(),
                Argument::indices(self.uploaded.as_ref()),
                values.all_mut(),
                entries
            )?;
            self.undo = Some(values);
        }
        Ok(())
    }

    /// Φ at the step's positions; refreshes the state there.
    fn refresh(&mut self, seed: StepSeed, params: Span<'_, L>) -> Result<()> {
        let device = self.device.clone();
        let network = part(params, 0..self.network_len());
        let mut phi = Scratch::new(&device, 2 * self.positions.len())?;
        match &self.schedule {
            Some(schedule) => {
                self.phi.evaluate(&device, network, self.uploaded.as_ref(), schedule, phi.all_mut())?;
            }
            None => self.evaluate_all(params, phi.all_mut())?,
        }
        let mut gap_profile = self.history.gap_profile();
        if self.sampler.measures_gaps(seed) {
            let state: Vec<f32> = device.to_host(self.state_span())?;
            let values: Vec<f32> = device.to_host(phi.all())?;
            let (state, values) = (bytemuck::cast_slice(&state), bytemuck::cast_slice(&values));
            gap_profile = measure_gaps::<f32>(&self.positions, state, values)?;
        }
        let (entries, alpha) = (count(self.positions.len()), self.config.ema_alpha as f32);
        let len = 2 * self.plan.grid.num_positions();
        launch!(
            &device,
            "refresh_state",
            Grid::over(entries, L::THREADS),
            SpanMut::new(&mut self.state, 0..len),
            phi.all(),
            Argument::indices(self.uploaded.as_ref()),
            entries,
            alpha
        )?;
        self.history.push(seed);
        self.history.follow(gap_profile);
        Ok(())
    }

    fn prepare_evaluation(&mut self, params: Span<'_, L>, kernel: EvaluationKernel) -> Result<()> {
        params.expect_len("CfConv2d::begin_evaluation", "params", self.num_parameters())?;
        let device = self.device.clone();
        let dense = kernel == EvaluationKernel::Dense;
        let own_kernel = dense || self.config.polish;
        self.evaluation_kernel = None;
        if own_kernel {
            let len = 2 * self.plan.grid.num_positions();
            let mut values = Scratch::new(&device, len)?;
            self.evaluate_all(params, values.all_mut())?;
            if !dense {
                let (grid, alpha) = (Grid::over(count(len), L::THREADS), self.config.ema_alpha as f32);
                launch!(&device, "polish", grid, self.state_span(), values.all_mut(), count(len), alpha)?;
            }
            self.evaluation_kernel = Some(values);
        }
        self.begin_evaluation_phase(own_kernel)
    }

    fn begin_evaluation_phase(&mut self, own_kernel: bool) -> Result<()> {
        self.phase = Phase::Evaluation { own_kernel };
        let values = match &self.evaluation_kernel {
            Some(values) if own_kernel => values.all(),
            _ => Span::new(&self.state, 0..2 * self.plan.grid.num_positions()),
        };
        self.application.prepare(&self.device, values)
    }

    /// The gradient of Φ from that of the kernel: factors by which unequal inclusion probabilities are made up for.
    fn inclusion_factors(&self) -> Vec<f32> {
        let factor = |position| (1.0 / self.sampler.inclusion_probability(position)) as f32;
        self.positions.iter().map(factor).collect()
    }
}

fn engine(config: &CfConv2dConfig, gain: Option<f64>) -> Result<CfConv2dEngine<f32>> {
    Ok(match gain {
        None => CfConv2dEngine::try_new(config)?,
        Some(gain) => CfConv2dEngine::try_between_spectra(config, gain)?,
    })
}

fn wrong_order(op: &'static str, needed: &'static str) -> crate::device::DeviceError {
    CoreError::WrongOrder { op, needed }.into()
}

impl<L: Launcher> CfConv2d for CudaCfConv2d<L> {
    type Device = L;
    type Workspace = NoWorkspace;

    fn try_new(device: &L, config: &CfConv2dConfig) -> Result<Self> {
        Self::with_gain(device, config, None)
    }

    fn try_new_mix(device: &L, config: &CfConv2dConfig, gain: f64) -> Result<Self> {
        Self::with_gain(device, config, Some(gain))
    }

    fn planned_memory(
        _device: &L,
        config: &CfConv2dConfig,
        domain: Domain,
        training_batch: usize,
        evaluation_batch: usize,
        dense_evaluation: bool,
    ) -> Result<PlannedMemory> {
        let plan = match domain {
            Domain::Images => EnginePlan::new(config),
            Domain::Spectra => EnginePlan::between_spectra(config),
        };
        planned_memory(config, &plan, training_batch, evaluation_batch, dense_evaluation)
    }

    fn num_parameters(&self) -> usize {
        self.network_len() + self.bias_len()
    }

    fn parameter_segments(&self) -> Vec<ParameterSegment> {
        let named = |segment: &ParameterSegment| ParameterSegment {
            name: format!("mlp.{}", segment.name),
            ..segment.clone()
        };
        let mut segments: Vec<_> = self.phi.mlp().parameter_segments().iter().map(named).collect();
        if self.config.bias {
            segments.push(ParameterSegment {
                name: "bias".to_owned(),
                shape: vec![self.config.out_channels],
                range: self.network_len()..self.num_parameters(),
            });
        }
        segments
    }

    fn initialize(&mut self, seed: StepSeed, params: SpanMut<'_, L>) -> Result<()> {
        params.expect_len("CfConv2d::initialize", "params", self.num_parameters())?;
        let mut engine = engine(&self.config, self.gain)?;
        let mut host = vec![0.0; params.len()];
        engine.initialize(seed, &mut host)?;
        self.device.upload(&host, params)?;
        let device = self.device.clone();
        device.upload(bytemuck::cast_slice(engine.kernel_state().values()), self.state_span_mut())?;
        self.phi.set_output_scale(engine.output_scale() as f32);
        self.history = RefreshHistory::default();
        self.undo = None;
        self.phase = Phase::Idle;
        Ok(())
    }

    fn begin_step(
        &mut self,
        seed: StepSeed,
        params: Span<'_, L>,
        _workspace: &mut NoWorkspace,
    ) -> Result<()> {
        params.expect_len("CfConv2d::begin_step", "params", self.num_parameters())?;
        self.evaluation_kernel = None;
        self.sampler.follow(self.history.gap_profile());
        self.sampler.sample_into(seed, &mut self.positions);
        self.take_positions()?;
        self.record_undo()?;
        self.refresh(seed, params)?;
        let len = 2 * self.plan.grid.num_positions();
        self.application.prepare(&self.device, Span::new(&self.state, 0..len))?;
        self.phase = Phase::Training;
        Ok(())
    }

    fn keep_undo(&mut self, kept: bool) {
        self.keeps_undo = kept;
        self.undo = None;
    }

    fn undo_step_if_failed(&mut self, verdict: Span<'_, L>) -> Result<()> {
        verdict.expect_len("CfConv2d::undo_step_if_failed", "verdict", VERDICT_LEN)?;
        let Some(values) = self.undo.take() else {
            return Err(wrong_order("CfConv2d::undo_step_if_failed", "keep_undo and begin_step"));
        };
        let entries = count(self.positions.len());
        let len = 2 * self.plan.grid.num_positions();
        launch!(
            &self.device,
            "restore_state",
            Grid::over(entries, L::THREADS),
            verdict,
            values.all(),
            Argument::indices(self.uploaded.as_ref()),
            SpanMut::new(&mut self.state, 0..len),
            entries
        )?;
        self.phase = Phase::Idle;
        Ok(())
    }

    fn forget_failed_steps(&mut self, steps: usize) {
        for _ in 0..steps {
            self.history.pop();
        }
    }

    fn begin_evaluation(&mut self, weights: EvaluationWeights, params: Span<'_, L>) -> Result<()> {
        let kernel = match weights {
            EvaluationWeights::Trained => self.config.evaluation_kernel,
            EvaluationWeights::Other => EvaluationKernel::Dense,
        };
        self.prepare_evaluation(params, kernel)
    }

    fn transfer_function(&self) -> Result<TransferFunction<f32>> {
        let own_kernel = match self.phase {
            Phase::Evaluation { own_kernel } => own_kernel,
            _ => return Err(wrong_order("CfConv2d::transfer_function", "begin_evaluation")),
        };
        // The values as the state of an engine that evaluates with its state.
        let values = match &self.evaluation_kernel {
            Some(values) if own_kernel => self.device.to_host(values.all())?,
            _ => self.device.to_host(self.state_span())?,
        };
        let config = CfConv2dConfig {
            evaluation_kernel: EvaluationKernel::State,
            polish: false,
            ..self.config.clone()
        };
        let mut engine = engine(&config, self.gain)?;
        engine.load_state(bytemuck::cast_slice(&values), RefreshHistory::default(), 1.0)?;
        engine.begin_evaluation(&vec![0.0; engine.num_parameters()])?;
        Ok(engine.transfer_function()?)
    }

    fn begin_transferred_evaluation(&mut self, function: &TransferFunction<f32>) -> Result<()> {
        // The engine checks that the function fits and resamples it; what it gives is this layer's evaluation kernel.
        let mut engine = engine(&self.config, self.gain)?;
        engine.begin_transferred_evaluation(function)?;
        let values = engine.transfer_function()?.values;
        let mut kernel = Scratch::new(&self.device, 2 * values.len())?;
        self.device.upload(bytemuck::cast_slice(&values), kernel.all_mut())?;
        self.evaluation_kernel = Some(kernel);
        self.begin_evaluation_phase(true)
    }

    fn forward(
        &mut self,
        batch: usize,
        params: Span<'_, L>,
        input: Span<'_, L>,
        output: SpanMut<'_, L>,
        _workspace: &mut NoWorkspace,
    ) -> Result<()> {
        const OP: &str = "CfConv2d::forward";
        let plane = plane_len(&self.config, self.plan.domain) * batch;
        check_len(OP, "batch of at least one image", batch.max(1), batch)?;
        params.expect_len(OP, "params", self.num_parameters())?;
        input.expect_len(OP, "input", self.config.in_channels * plane)?;
        output.expect_len(OP, "output", self.config.out_channels * plane)?;
        let training = match self.phase {
            Phase::Idle => return Err(wrong_order(OP, "begin_step or begin_evaluation")),
            Phase::Training | Phase::Forwarded { .. } => true,
            Phase::Evaluation { .. } => false,
        };
        let values = match (self.phase, &self.evaluation_kernel) {
            (Phase::Evaluation { own_kernel: true }, Some(values)) => values.all(),
            _ => Span::new(&self.state, 0..2 * self.plan.grid.num_positions()),
        };
        let bias = self.config.bias.then(|| part(params, self.network_len()..params.len()));
        self.application.forward(&self.device, batch, input, values, bias, output, training)?;
        if training {
            self.phase = Phase::Forwarded { batch };
        }
        Ok(())
    }

    fn backward(
        &mut self,
        batch: usize,
        params: Span<'_, L>,
        grad_output: Span<'_, L>,
        grad_input: Option<SpanMut<'_, L>>,
        mut grad_params: SpanMut<'_, L>,
        _workspace: &mut NoWorkspace,
    ) -> Result<()> {
        const OP: &str = "CfConv2d::backward";
        match self.phase {
            Phase::Forwarded { batch: forwarded } => check_len(OP, "grad_output batch", forwarded, batch)?,
            _ => return Err(wrong_order(OP, "begin_step and forward")),
        }
        let plane = plane_len(&self.config, self.plan.domain) * batch;
        params.expect_len(OP, "params", self.num_parameters())?;
        grad_params.expect_len(OP, "grad_params", self.num_parameters())?;
        grad_output.expect_len(OP, "grad_output", self.config.out_channels * plane)?;
        if let Some(grad_input) = &grad_input {
            grad_input.expect_len(OP, "grad_input", self.config.in_channels * plane)?;
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
        let device = self.device.clone();
        let mut grads = Scratch::new(&device, 2 * self.positions.len())?;
        let values = Span::new(&self.state, 0..2 * self.plan.grid.num_positions());
        let positions = self.uploaded.as_ref();
        let target = grads.all_mut();
        let scale = constant as f32;
        self.application.backward(
            &device,
            batch,
            grad_output,
            values,
            positions,
            scale,
            target,
            grad_input,
        )?;
        if by_position {
            let factors = device.to_device(&self.inclusion_factors())?;
            let entries = self.positions.len();
            let factors = Span::new(&factors, 0..entries);
            let grid = Grid::over(count(2 * entries), L::THREADS);
            launch!(&device, "multiply_complex", grid, factors, grads.all_mut(), count(entries))?;
        }
        let network_len = self.network_len();
        let network = part(params, 0..network_len);
        let schedule = self.schedule.as_ref().or(self.full_schedule.as_ref());
        let schedule = schedule.expect("begin_step has planned the step's positions");
        let target = part_mut(&mut grad_params, 0..network_len);
        self.phi.evaluate_vjp(&device, network, positions, schedule, grads.all(), target)?;
        if self.config.bias {
            let end = grad_params.len();
            let grad_bias = part_mut(&mut grad_params, network_len..end);
            self.application.backward_bias(&device, batch, grad_output, grad_bias)?;
        }
        Ok(())
    }

    fn state(&self) -> Result<CfConv2dState> {
        Ok(CfConv2dState {
            values: self.device.to_host(self.state_span())?,
            history: self.history.to_words(),
            output_scale: f64::from(self.phi.mlp().output_scale()),
        })
    }

    fn load_state(&mut self, state: &CfConv2dState) -> Result<()> {
        const OP: &str = "CfConv2d::load_state";
        check_len(OP, "values", 2 * self.num_positions(), state.values.len())?;
        let Some(history) = RefreshHistory::from_words(&state.history) else {
            return Err(CoreError::InvalidSetting {
                setting: "history",
                expected: "the words of RefreshHistory::to_words",
                got: format!("{} words that are not", state.history.len()),
            }
            .into());
        };
        if !state.output_scale.is_finite() {
            return Err(CoreError::InvalidSetting {
                setting: "output_scale",
                expected: "a finite number",
                got: state.output_scale.to_string(),
            }
            .into());
        }
        let device = self.device.clone();
        device.upload(&state.values, self.state_span_mut())?;
        self.phi.set_output_scale(state.output_scale as f32);
        self.history = history;
        self.undo = None;
        self.phase = Phase::Idle;
        Ok(())
    }

    fn shadow_gap(&self, params: Span<'_, L>, positions: usize, seed: StepSeed) -> Result<f64> {
        Ok(self.engine()?.sampled_shadow_gap(&self.device.to_host(params)?, positions, seed)?)
    }

    fn ringing(&self, channel_pairs: usize) -> Result<KernelRinging> {
        Ok(self.engine()?.ringing(channel_pairs)?)
    }

    fn coverage(&self, steps: usize) -> f64 {
        self.sampler.clone().coverage(self.history.last(steps))
    }

    fn positions_per_step(&self) -> usize {
        self.sampler.max_positions()
    }

    fn num_positions(&self) -> usize {
        self.plan.grid.num_positions()
    }

    fn state_bytes(&self) -> usize {
        self.num_positions() * size_of::<Complex<f32>>()
    }

    fn working_bytes(&self) -> usize {
        let scratch = |values: &Option<Scratch<L>>| values.as_ref().map_or(0, Scratch::len);
        let floats = scratch(&self.undo) + scratch(&self.evaluation_kernel);
        self.application.bytes() + floats * size_of::<f32>() + self.positions.bytes()
    }

    fn workspace_bytes(_workspace: &NoWorkspace) -> usize {
        0
    }
}

/// Values of one channel of an image, or of its half spectrum.
fn plane_len(config: &CfConv2dConfig, domain: Domain) -> usize {
    match domain {
        Domain::Images => config.height * config.width,
        Domain::Spectra => config.height * (config.width / 2 + 1) * 2,
    }
}

/// What a layer takes: as on the CPU for what is kept, and the largest working memory of a pass, which a pool then keeps.
fn planned_memory(
    config: &CfConv2dConfig,
    plan: &EnginePlan,
    training_batch: usize,
    evaluation_batch: usize,
    dense_evaluation: bool,
) -> Result<PlannedMemory> {
    let complex = size_of::<Complex<f32>>();
    let mut memory = plan.memory::<f32>(config, training_batch, evaluation_batch, 1, dense_evaluation)?;
    let bins = plan.torus.0 * (plan.torus.1 / 2 + 1);
    let spectra = |channels: usize, batch: usize| channels * bins * batch * complex;
    let batch = training_batch.max(evaluation_batch);
    if memory.workspace.spectra > 0 || config.depthwise {
        memory.saved = spectra(config.in_channels, training_batch);
        // Mixed spectra and the columns of the inverse transform.
        memory.workspace.spectra = 3 * spectra(config.in_channels.max(config.out_channels), batch);
    }
    let networks = match config.mlp.parameterization {
        Parameterization::Hw => plan.grid.num_channel_pairs(),
        Parameterization::HwCin => plan.grid.out_channels,
        Parameterization::HwCinCout | Parameterization::SharedBasis => 1,
    };
    let parameters = config.mlp.num_parameters(plan.grid).map_err(CoreError::from)?;
    let runs = run_gradient_bytes(memory.workspace.values / complex, networks, parameters);
    // Φ or its gradient at the positions, with a list of them.
    let values = 2 * memory.workspace.values + runs;
    memory.workspace = PlannedWorkspace { values, ..memory.workspace };
    Ok(memory)
}
