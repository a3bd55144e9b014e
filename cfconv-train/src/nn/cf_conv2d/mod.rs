//! The continuous Fourier convolution on a device: the engine of `cfconv-core`, its operands in spans.

mod cpu_kernel;
mod cuda_kernel;

use std::ops::{Deref, DerefMut};

use cfconv_core::engine::{Engine, EngineBackend, EngineMemory, EnginePlan, EngineWorkspace, PlannedMemory};
use cfconv_core::{CoreError, RefreshHistory, StepSeed};

use super::{Backward, Forward};
use crate::device::{DeviceError, Memory, Result, Span, SpanMut, check_len};
use crate::nn::step_status::STEP_STATUS_LEN;

/// A device that has continuous Fourier convolutions.
pub trait CfConv2dOp: Memory {
    /// The engine's primitives on this device.
    type CfConvBackend: EngineBackend<Real = f32, Error: Into<DeviceError>>;

    /// Prepares what a layer needs besides its state.
    ///
    /// # Errors
    /// What the device reports.
    fn cf_conv2d_backend(&self, plan: &EnginePlan) -> Result<Self::CfConvBackend>;

    /// What a layer and the workspace grow to with batches of up to `training_batch` and `evaluation_batch` images,
    /// steps that can be rolled back and, if `dense_evaluation`, evaluations with [`KernelSource::Dense`].
    fn cf_conv2d_memory(
        &self,
        plan: &EnginePlan,
        training_batch: usize,
        evaluation_batch: usize,
        dense_evaluation: bool,
    ) -> PlannedMemory;

    /// A span as the backend reads it.
    fn operand(span: Span<'_, Self>) -> <Self::CfConvBackend as EngineMemory>::Slice<'_>;

    /// A span as the backend writes it.
    fn operand_mut(span: SpanMut<'_, Self>) -> <Self::CfConvBackend as EngineMemory>::SliceMut<'_>;
}

/// What a layer must remember besides its parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct CfConv2dState {
    /// K̃, real and imaginary parts in turn.
    pub values: Vec<f32>,
    /// The steps that have refreshed it: [`RefreshHistory::to_words`].
    pub history: Vec<u64>,
    /// The fixed factor of the kernel network's output.
    pub output_scale: f64,
}

/// Which kernel an evaluation convolves with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelSource {
    /// The configured one, from the kernel state and the parameters that filled it.
    Configured,
    /// Φ at every position: for parameters other than those that filled the kernel state, such as averages.
    Dense,
}

/// Working memory that all layers of a network use in turn.
pub type CfConv2dWorkspace<D> = EngineWorkspace<<D as CfConv2dOp>::CfConvBackend>;

/// A continuous Fourier convolution with its kernel state, working memory and what the backward pass needs.
///
/// This is the [`Engine`] of `cfconv-core` on a device of the trainer: what takes spans is here, everything else is the
/// engine's. Calls come in the order [`initialize`](Self::initialize) (or [`load_state`](Self::load_state)), then for
/// each step [`begin_step`](Self::begin_step), [`forward`](Self::forward), [`backward`](Self::backward); for an
/// evaluation [`begin_evaluation`](Self::begin_evaluation) and any number of forward passes.
///
/// # Shapes
/// Those of the plan: input `[Cin, H, W, B]`, output `[Cout, H, W, B]`, or half spectra; `params`: those of the kernel
/// network, then the bias.
///
/// # Errors
/// Those of the engine's methods of the same names.
pub struct CfConv2d<D: CfConv2dOp> {
    engine: Engine<D::CfConvBackend>,
}

impl<D: CfConv2dOp> CfConv2d<D> {
    /// Allocates a layer.
    ///
    /// # Errors
    /// If the device's memory is exhausted.
    pub fn try_new(device: &D, plan: &EnginePlan) -> Result<Self> {
        let engine = Engine::with_backend(plan.clone(), device.cf_conv2d_backend(plan)?);
        engine.map(|engine| Self { engine }).map_err(Into::into)
    }

    /// Initialises parameters, output scale and kernel state.
    pub fn initialize(&mut self, seed: StepSeed, params: SpanMut<'_, D>) -> Result<()> {
        self.engine.initialize(seed, D::operand_mut(params)).map_err(Into::into)
    }

    /// Draws the positions of a step, evaluates Φ there and refreshes the kernel state.
    pub fn begin_step(
        &mut self,
        seed: StepSeed,
        params: Span<'_, D>,
        workspace: &mut CfConv2dWorkspace<D>,
    ) -> Result<()> {
        self.engine.begin_step(D::operand(params), seed, workspace).map_err(Into::into)
    }

    /// Ends a step: if `step_status`, as in [`StepStatusOp`](crate::nn::StepStatusOp), says that it failed, takes back
    /// what the last [`begin_step`](Self::begin_step) did to the kernel state, bit for bit. The host learns later that
    /// the step failed, and then calls [`Engine::drop_last_steps`].
    pub fn rollback_step_if_failed(&mut self, step_status: Span<'_, D>) -> Result<()> {
        step_status.expect_len("CfConv2d::rollback_step_if_failed", "step_status", STEP_STATUS_LEN)?;
        self.engine.rollback_step_if_failed(D::operand(step_status)).map_err(Into::into)
    }

    /// Prepares the kernel of an evaluation; the training state stays as it is.
    pub fn begin_evaluation(&mut self, kernel: KernelSource, params: Span<'_, D>) -> Result<()> {
        let params = D::operand(params);
        match kernel {
            KernelSource::Configured => self.engine.begin_evaluation(params),
            KernelSource::Dense => self.engine.begin_dense_evaluation(params),
        }
        .map_err(Into::into)
    }

    /// Computes the output.
    pub fn forward(&mut self, io: Forward<'_, D>, workspace: &mut CfConv2dWorkspace<D>) -> Result<()> {
        let Forward { batch, input, params, output } = io;
        let (input, params, output) = (D::operand(input), D::operand(params), D::operand_mut(output));
        self.engine.forward(params, batch, input, output, workspace).map_err(Into::into)
    }

    /// Computes the gradient of the input and adds those of the parameters. The input itself is not read: its spectrum
    /// was kept.
    pub fn backward(&mut self, io: Backward<'_, D>, workspace: &mut CfConv2dWorkspace<D>) -> Result<()> {
        let Backward { batch, params, grad_output, grad_input, grad_params, .. } = io;
        let (params, grad_output) = (D::operand(params), D::operand(grad_output));
        let (grad_input, grad_params) = (grad_input.map(D::operand_mut), D::operand_mut(grad_params));
        self.engine
            .backward(params, batch, grad_output, grad_input, grad_params, workspace)
            .map_err(Into::into)
    }

    /// ‖K̃ − Φ‖/‖Φ‖, estimated at `positions` positions; over all of them if there are no more.
    pub fn shadow_gap(&self, params: Span<'_, D>, positions: usize, seed: StepSeed) -> Result<f64> {
        self.engine.sampled_shadow_gap(D::operand(params), positions, seed).map_err(Into::into)
    }

    /// What a checkpoint must hold.
    ///
    /// # Errors
    /// What the device reports.
    pub fn state(&self) -> Result<CfConv2dState> {
        let values = self.engine.host_state().map_err(Into::<DeviceError>::into)?;
        Ok(CfConv2dState {
            values: bytemuck::cast_slice(&values).to_vec(),
            history: self.engine.refresh_history().to_words(),
            output_scale: self.engine.output_scale(),
        })
    }

    /// Restores what [`state`](Self::state) gave.
    ///
    /// # Errors
    /// If the state does not fit the layer.
    pub fn load_state(&mut self, state: &CfConv2dState) -> Result<()> {
        check_len("CfConv2d::load_state", "values", 2 * self.num_positions(), state.values.len())?;
        let history =
            RefreshHistory::from_words(&state.history).ok_or_else(|| CoreError::InvalidSetting {
                setting: "history",
                expected: "the words of RefreshHistory::to_words",
                got: format!("{} words that are not", state.history.len()),
            })?;
        let values = bytemuck::cast_slice(&state.values);
        self.engine.load_state(values, history, state.output_scale).map_err(Into::into)
    }

    /// The largest number of positions that a step visits.
    pub fn positions_per_step(&self) -> usize {
        self.engine.sampler().max_positions()
    }

    /// The number of positions of the kernel.
    pub fn num_positions(&self) -> usize {
        self.engine.plan().grid.num_positions()
    }

    /// Bytes of everything that the layer holds besides the kernel state; the workspace is not included.
    pub fn working_bytes(&self) -> usize {
        self.engine.saved_bytes() + self.engine.scratch_bytes()
    }
}

impl<D: CfConv2dOp> Deref for CfConv2d<D> {
    type Target = Engine<D::CfConvBackend>;

    fn deref(&self) -> &Self::Target {
        &self.engine
    }
}

impl<D: CfConv2dOp> DerefMut for CfConv2d<D> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.engine
    }
}
