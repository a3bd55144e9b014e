//! The continuous Fourier convolution as an object on a device.

mod cpu_kernel;
mod cuda_kernel;

use cfconv_core::engine::{Domain, PlannedMemory, TransferFunction};
use cfconv_core::{CfConv2dConfig, KernelRinging, StepSeed};
use cfconv_mlp::ParameterSegment;

use crate::device::{Memory, Result, Span, SpanMut};

/// A device that has continuous Fourier convolutions.
pub trait CfConv2dOp: Memory {
    /// The layer on this device.
    type CfConv2d: CfConv2d<Device = Self>;
}

/// What a layer must remember besides its parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct CfConv2dState {
    /// K̃, real and imaginary parts in turn.
    pub values: Vec<f32>,
    /// The steps that have refreshed it: [`RefreshHistory::to_words`](cfconv_core::RefreshHistory::to_words).
    pub history: Vec<u64>,
    /// The fixed factor of the kernel network's output.
    pub output_scale: f64,
}

/// Which kernel an evaluation convolves with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvaluationWeights {
    /// The one that the configuration names, from the parameters being trained and the kernel state.
    Trained,
    /// Φ at every position: for parameters other than those that filled the kernel state, such as averages.
    Other,
}

/// A continuous Fourier convolution with its kernel state, working memory and what the backward pass needs.
///
/// Calls come in the order [`initialize`](Self::initialize) (or [`load_state`](Self::load_state)), then for each
/// step [`begin_step`](Self::begin_step), [`forward`](Self::forward), [`backward`](Self::backward); for an
/// evaluation [`begin_evaluation`](Self::begin_evaluation) and any number of forward passes.
///
/// # Shapes
/// Input `[Cin, H, W, B]`, output `[Cout, H, W, B]`; `params`: those of the kernel network, then the bias.
pub trait CfConv2d: Sized + Send {
    /// Where the layer lives.
    type Device: Memory;

    /// Working memory that all layers of a network use in turn.
    type Workspace: Default + Send;

    /// Plans a layer.
    ///
    /// # Errors
    /// What the configuration does not allow.
    fn try_new(device: &Self::Device, config: &CfConv2dConfig) -> Result<Self>;

    /// Plans the channel mix of a layer alone, between half spectra: input `[Cin, H, Wr, 2, B]`, output
    /// `[Cout, H, Wr, 2, B]`, both orthonormal. At initialisation the output variance on white noise of unit variance
    /// is `gain`.
    ///
    /// # Errors
    /// What the configuration does not allow.
    fn try_new_mix(device: &Self::Device, config: &CfConv2dConfig, gain: f64) -> Result<Self>;

    /// What a layer, or its channel mix alone, and the workspace grow to, batches of up to `training_batch` and `evaluation_batch` images, steps
    /// that can be undone, and if `dense_evaluation` evaluations of [`EvaluationWeights::Other`] provided.
    ///
    /// # Errors
    /// What the configuration does not allow.
    fn planned_memory(
        device: &Self::Device,
        config: &CfConv2dConfig,
        domain: Domain,
        training_batch: usize,
        evaluation_batch: usize,
        dense_evaluation: bool,
    ) -> Result<PlannedMemory>;

    /// Number of parameters.
    fn num_parameters(&self) -> usize;

    /// Names, shapes and places of the parameters.
    fn parameter_segments(&self) -> Vec<ParameterSegment>;

    /// Initialises parameters, output scale and kernel state.
    ///
    /// # Errors
    /// What the layer reports.
    fn initialize(&mut self, seed: StepSeed, params: SpanMut<'_, Self::Device>) -> Result<()>;

    /// Draws the positions of a step, evaluates Φ there and refreshes the kernel state.
    ///
    /// # Errors
    /// What the layer reports.
    fn begin_step(
        &mut self,
        seed: StepSeed,
        params: Span<'_, Self::Device>,
        workspace: &mut Self::Workspace,
    ) -> Result<()>;

    /// Says whether steps are to be kept undoable: one more value for each position that a step visits.
    fn keep_undo(&mut self, kept: bool);

    /// Ends a step: if `verdict`, as in [`VerdictOp`](crate::nn::VerdictOp), is failed, takes back what the last
    /// [`begin_step`](Self::begin_step) did to the kernel state, bit for bit.
    ///
    /// # Errors
    /// If the step was not kept undoable.
    fn undo_step_if_failed(&mut self, verdict: Span<'_, Self::Device>) -> Result<()>;

    /// Takes the last `steps` steps, all undone, out of the layer's history: the host learns later than the device
    /// that they failed.
    fn forget_failed_steps(&mut self, steps: usize);

    /// Prepares the kernel of an evaluation; the training state stays as it is.
    ///
    /// # Errors
    /// What the layer reports.
    fn begin_evaluation(&mut self, weights: EvaluationWeights, params: Span<'_, Self::Device>) -> Result<()>;

    /// The kernel of the current evaluation as the factor of each frequency.
    ///
    /// # Errors
    /// If no evaluation has begun.
    fn transfer_function(&self) -> Result<TransferFunction<f32>>;

    /// Begins an evaluation with the kernel of a layer for images of another size.
    ///
    /// # Errors
    /// If it does not fit this layer.
    fn begin_transferred_evaluation(&mut self, function: &TransferFunction<f32>) -> Result<()>;

    /// Computes the output.
    ///
    /// # Errors
    /// What the layer reports.
    fn forward(
        &mut self,
        batch: usize,
        params: Span<'_, Self::Device>,
        input: Span<'_, Self::Device>,
        output: SpanMut<'_, Self::Device>,
        workspace: &mut Self::Workspace,
    ) -> Result<()>;

    /// Computes the gradient of the input and adds those of the parameters. The input itself is not needed: its
    /// spectrum was kept.
    ///
    /// # Errors
    /// What the layer reports.
    fn backward(
        &mut self,
        batch: usize,
        params: Span<'_, Self::Device>,
        grad_output: Span<'_, Self::Device>,
        grad_input: Option<SpanMut<'_, Self::Device>>,
        grad_params: SpanMut<'_, Self::Device>,
        workspace: &mut Self::Workspace,
    ) -> Result<()>;

    /// What a checkpoint must hold.
    ///
    /// # Errors
    /// What the device reports.
    fn state(&self) -> Result<CfConv2dState>;

    /// Restores what [`state`](Self::state) gave.
    ///
    /// # Errors
    /// If it does not fit the layer.
    fn load_state(&mut self, state: &CfConv2dState) -> Result<()>;

    /// ‖K̃ − Φ‖/‖Φ‖, estimated at `positions` positions; over all of them if there are no more.
    ///
    /// # Errors
    /// What the layer reports.
    fn shadow_gap(&self, params: Span<'_, Self::Device>, positions: usize, seed: StepSeed) -> Result<f64>;

    /// How much the kernel state rings, over at most `channel_pairs` channel pairs.
    ///
    /// # Errors
    /// What the layer reports.
    fn ringing(&self, channel_pairs: usize) -> Result<KernelRinging>;

    /// The share of positions refreshed in the last `steps` steps.
    fn coverage(&self, steps: usize) -> f64;

    /// The largest number of positions that a step visits.
    fn positions_per_step(&self) -> usize;

    /// The number of positions of the kernel.
    fn num_positions(&self) -> usize;

    /// Bytes of the kernel state.
    fn state_bytes(&self) -> usize;

    /// Bytes of everything else that the layer holds; the workspace not included.
    fn working_bytes(&self) -> usize;

    /// Bytes of a workspace.
    fn workspace_bytes(workspace: &Self::Workspace) -> usize;
}
