//! What every kind of layer answers: [`LayerKind`] for its settings, [`LayerOp`] for what it computes.

use std::fmt::Debug;

use cfconv_core::StepSeed;
use cfconv_core::engine::PlannedWorkspace;

use super::context::{Context, LayerName};
use super::growth::Growth;
use super::param::Param;
use crate::device::{Device, DeviceError, SpanMut};
use crate::networks::error::NetworkError;
use crate::networks::shape::Shape;
use crate::nn::{Backward, CfConv2d, CfConv2dWorkspace, Forward};

/// The settings of a kind of layer: one table `[[network.layers]]`.
pub(crate) trait LayerKind {
    /// What such a layer computes. Kinds that differ only in their settings share an operation.
    type Op: LayerOp;

    /// Plans the layer for the values before it; the error says which setting or which input does not fit.
    fn plan(&self, at: &Context<'_>) -> Result<Planned<Self::Op>, NetworkError>;

    /// Changes the settings for images that have grown by `growth` before the layer. Returns the growth behind it, or
    /// an error for a layer that cannot take images of another size.
    fn resize(&mut self, _at: LayerName<'_>, growth: Growth) -> Result<Growth, NetworkError> {
        Ok(growth)
    }
}

/// The operation of a planned layer.
pub(crate) trait LayerOp: Clone + Debug + Send + Sized {
    /// What the layer keeps on a device from pass to pass: `()` for most.
    type State<D: Device>: Send;

    /// Whether the backward pass reads the layer's input again. The memory plan keeps the input only if it does.
    const BACKWARD_READS_INPUT: bool;

    /// Prepares the operation for batches of up to `max_batch` images.
    fn prepare<D: Device>(&self, device: &D, max_batch: usize) -> Result<Self::State<D>, DeviceError>;

    /// Computes the output.
    fn forward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Forward<'_, D>) -> Result<(), DeviceError>;

    /// Computes the gradient of the input, if it is wanted, and adds those of the parameters.
    fn backward<D: Device>(&self, pass: Pass<'_, Self, D>, io: Backward<'_, D>) -> Result<(), DeviceError>;

    /// Values of scratch that a pass over a batch needs.
    fn scratch_len(&self, _batch: usize) -> usize {
        0
    }

    /// What the layer grows to on a device, besides the buffers of the network.
    fn memory<D: Device>(&self, _device: &D, _batches: &PlannedBatches) -> Result<LayerMemory, DeviceError> {
        Ok(LayerMemory::default())
    }

    /// Bytes that the layer holds at present, besides the buffers of the network and kernel states.
    fn working_bytes<D: Device>(&self, _state: &Self::State<D>, _device: &D, _max_batch: usize) -> usize {
        0
    }

    /// The layer's continuous Fourier convolution, if it is one.
    fn cf_conv<'a, D: Device>(&self, _state: &'a Self::State<D>) -> Option<&'a CfConv2d<D>> {
        None
    }

    /// As [`cf_conv`](Self::cf_conv), to change it.
    fn cf_conv_mut<'a, D: Device>(&self, _state: &'a mut Self::State<D>) -> Option<&'a mut CfConv2d<D>> {
        None
    }
}

/// What a pass hands to a layer with the operation `Op` besides its operands.
pub(crate) type Pass<'a, Op, D> = PassWith<'a, &'a mut <Op as LayerOp>::State<D>, D>;

/// What a pass hands to a layer besides its operands. The network makes it without a state; the layer's is added where
/// its kind is known.
pub(crate) struct PassWith<'a, State, D: Device> {
    /// What the layer keeps from pass to pass.
    pub(crate) state: State,
    pub(crate) device: &'a D,
    pub(crate) training: bool,
    /// Names the layer's random stream in this step.
    pub(crate) seed: StepSeed,
    /// The layer's running statistics.
    pub(crate) running: SpanMut<'a, D>,
    /// Statistics of the batch in the same order, kept for the backward pass.
    pub(crate) saved: SpanMut<'a, D>,
    pub(crate) workspace: &'a mut CfConv2dWorkspace<D>,
    /// As many values as [`LayerOp::scratch_len`] asks for, of any content.
    pub(crate) scratch: SpanMut<'a, D>,
}

impl<'a, D: Device> PassWith<'a, (), D> {
    /// The same with a layer's state.
    pub(crate) fn with<State>(self, state: State) -> PassWith<'a, State, D> {
        let Self { state: (), device, training, seed, running, saved, workspace, scratch } = self;
        PassWith { state, device, training, seed, running, saved, workspace, scratch }
    }
}

/// An operation with what it gives, learns and remembers, before it has its place in the network.
#[derive(Clone, Debug)]
pub(crate) struct Planned<Op> {
    pub(crate) op: Op,
    pub(crate) output: Shape,
    /// In the order in which the operation reads them.
    pub(crate) params: Vec<Param>,
    /// In the order in which the operation reads them.
    pub(crate) running: Vec<RunningBlock>,
    pub(crate) kernel: Option<PlannedKernel>,
    pub(crate) taps: Option<PlannedTaps>,
}

impl<Op> Planned<Op> {
    /// An operation that learns and remembers nothing.
    pub(crate) fn new(op: Op, output: Shape) -> Self {
        Self { op, output, params: Vec::new(), running: Vec::new(), kernel: None, taps: None }
    }

    /// The same with the operation as part of something.
    pub(crate) fn map<T>(self, wrap: impl FnOnce(Op) -> T) -> Planned<T> {
        let Self { op, output, params, running, kernel, taps } = self;
        Planned { op: wrap(op), output, params, running, kernel, taps }
    }
}

/// Running statistics of one sort.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RunningBlock {
    /// The name in checkpoints.
    pub(crate) name: &'static str,
    pub(crate) len: usize,
    /// The value before the first step.
    pub(crate) initial: f32,
}

/// The kernel of a layer whose kernel is a network of the frequency, with a state of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlannedKernel {
    /// Values of the kernel, and of its state.
    pub(crate) num_positions: usize,
    /// Whether each channel has a kernel of its own, and no other.
    pub(crate) depthwise: bool,
}

/// The weights of a convolution whose kernels are stored tap by tap: the first parameters of its layer,
/// `[Cout, Cin, k, k]`, or `[C, k, k]` of a depthwise one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlannedTaps {
    pub(crate) in_channels: usize,
    pub(crate) out_channels: usize,
    pub(crate) kernel_size: usize,
    /// Rows of the image.
    pub(crate) height: usize,
    /// Its columns.
    pub(crate) width: usize,
    /// Whether each channel has a kernel of its own, and no other.
    pub(crate) depthwise: bool,
}

/// The batches that memory is planned for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedBatches {
    /// Images of a training step.
    pub training: usize,
    /// Images of a step of evaluation.
    pub evaluation: usize,
    /// Whether weights other than the trained ones, such as averages, are evaluated: Φ at every position.
    pub other_weights: bool,
}

impl PlannedBatches {
    /// Images of the largest batch.
    pub(crate) fn largest(&self) -> usize {
        self.training.max(self.evaluation)
    }
}

/// Bytes that a layer grows to besides the buffers of the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LayerMemory {
    /// The kernel state, what rolling a step back needs of it, and the kernel of evaluations.
    pub(crate) kernel_states: usize,
    /// What is kept for the backward pass, and working memory.
    pub(crate) working: usize,
    /// What the layer needs of the memory that all CF-Conv layers use in turn.
    pub(crate) workspace: PlannedWorkspace,
}

impl LayerMemory {
    /// Memory of an operation without a kernel state.
    pub(crate) fn working(bytes: usize) -> Self {
        Self { working: bytes, ..Self::default() }
    }
}
