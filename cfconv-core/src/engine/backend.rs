//! What the engine asks of a device: memory, and some primitives on it.

use std::borrow::Cow;
use std::ops::Range;

use cfconv_fft::{Complex, Real};
use cfconv_mlp::KernelMlp;

use crate::error::CoreError;
use crate::sampler::SampledPositions;

/// Results of a backend.
pub(super) type Outcome<B, T = ()> = Result<T, <B as EngineMemory>::Error>;

/// The memory in which a layer's operands, parameters and kernels lie. What a method cannot do is the device's error.
pub trait EngineMemory: Sized + Send {
    /// Numbers.
    type Real: Real;

    /// Part of a buffer of numbers that the engine reads: parameters, activations, gradients.
    type Slice<'a>: Copy;

    /// Part of such a buffer that it writes.
    type SliceMut<'a>;

    /// A list of complex numbers that the engine owns: kernel values, or their gradients. Empty by default.
    type Values: Default + Send;

    /// Errors of the device.
    type Error: std::error::Error + From<CoreError>;

    /// Number of values.
    fn len(slice: Self::Slice<'_>) -> usize;

    /// Number of values.
    fn len_mut(slice: &Self::SliceMut<'_>) -> usize;

    /// The values `range` of a slice.
    fn part<'a>(slice: Self::Slice<'a>, range: Range<usize>) -> Self::Slice<'a>;

    /// The values `range` of a slice that is written.
    fn part_mut<'a>(slice: &'a mut Self::SliceMut<'_>, range: Range<usize>) -> Self::SliceMut<'a>;

    /// Copies to the host; borrows where the memory is the host's.
    fn to_host<'a>(&self, slice: Self::Slice<'a>) -> Outcome<Self, Cow<'a, [Self::Real]>>;

    /// Copies from the host.
    fn upload(&self, host: &[Self::Real], target: Self::SliceMut<'_>) -> Outcome<Self>;

    /// [`to_host`](Self::to_host) for complex numbers.
    fn values_to_host<'a>(&self, values: &'a Self::Values) -> Outcome<Self, Cow<'a, [Complex<Self::Real>]>>;

    /// [`upload`](Self::upload) for complex numbers; both have the same length.
    fn upload_values(&self, host: &[Complex<Self::Real>], values: &mut Self::Values) -> Outcome<Self>;

    /// Makes room for exactly `len` complex numbers. What they are is open, but new memory is zero.
    fn resize(&self, values: &mut Self::Values, len: usize) -> Outcome<Self>;

    /// Says that scratch values are not needed until the next [`resize`](Self::resize). A device that shares its memory
    /// between operations frees them here; by default they stay.
    fn release(&self, _values: &mut Self::Values) {}

    /// Bytes that a list of complex numbers holds.
    fn values_bytes(values: &Self::Values) -> usize;
}

/// The primitives of a continuous Fourier convolution on a device.
///
/// [`Engine`](super::Engine) calls them in the right order with operands of the right lengths; a backend decides
/// nothing. `positions` are every one, or the list that was last given to [`set_positions`](Self::set_positions).
/// Values at positions lie in the order of the positions. A kernel has one value for each position of the grid. What a
/// method cannot do is the device's error.
pub trait EngineBackend: EngineMemory {
    /// Working memory of passes, which the layers of a network use in turn.
    type Workspace: Default + Send;

    /// The kernel network Φ on the host: its parameters' layout and its output scale.
    fn mlp(&self) -> &KernelMlp<Self::Real>;

    /// The kernel network Φ, whose output scale is to be changed.
    fn mlp_mut(&mut self) -> &mut KernelMlp<Self::Real>;

    /// Takes the positions of the next step. A device of its own copies them there.
    fn set_positions(&mut self, positions: &SampledPositions) -> Outcome<Self>;

    /// `output ← Φ` at the positions, for the parameters `network` of Φ.
    fn evaluate(
        &mut self,
        network: Self::Slice<'_>,
        positions: &SampledPositions,
        output: &mut Self::Values,
    ) -> Outcome<Self>;

    /// Adds to `grad_network` the gradient for the gradient `grads` of Φ at the positions.
    fn evaluate_vjp(
        &mut self,
        network: Self::Slice<'_>,
        positions: &SampledPositions,
        grads: &Self::Values,
        grad_network: Self::SliceMut<'_>,
    ) -> Outcome<Self>;

    /// `state(u) ← state(u) + α(phi(u) − state(u))` at the positions; exactly `phi(u)` for α = 1.
    fn blend(
        &self,
        state: &mut Self::Values,
        positions: &SampledPositions,
        phi: &Self::Values,
        ema_alpha: Self::Real,
    ) -> Outcome<Self>;

    /// `phi(u) ← state(u) + α(phi(u) − state(u))` at every position; leaves the state as it is.
    fn blend_into(
        &self,
        state: &Self::Values,
        phi: &mut Self::Values,
        ema_alpha: Self::Real,
    ) -> Outcome<Self>;

    /// `values(u) ← state(u)` at the positions.
    fn gather(
        &self,
        state: &Self::Values,
        positions: &SampledPositions,
        values: &mut Self::Values,
    ) -> Outcome<Self>;

    /// `state(u) ← values(u)` at the positions. With a `step_status`, only if its first value is not zero; the host
    /// need not know.
    fn scatter(
        &self,
        values: &Self::Values,
        positions: &SampledPositions,
        state: &mut Self::Values,
        step_status: Option<Self::Slice<'_>>,
    ) -> Outcome<Self>;

    /// Divides each value by its divisor.
    fn divide(&self, values: &mut Self::Values, divisors: impl Iterator<Item = f64>) -> Outcome<Self>;

    /// Takes the kernel that the following passes apply.
    fn prepare(&mut self, kernel: &Self::Values) -> Outcome<Self>;

    /// Computes the output of a batch; if `training`, keeps what [`backward`](Self::backward) needs.
    fn forward(
        &mut self,
        kernel: &Self::Values,
        batch: usize,
        input: Self::Slice<'_>,
        bias: Option<Self::Slice<'_>>,
        output: Self::SliceMut<'_>,
        training: bool,
        workspace: &mut Self::Workspace,
    ) -> Outcome<Self>;

    /// Computes `scale` times the gradient of the kernel at the positions, and the input's gradient; both are
    /// overwritten.
    fn backward(
        &mut self,
        kernel: &Self::Values,
        batch: usize,
        grad_output: Self::Slice<'_>,
        positions: &SampledPositions,
        scale: Self::Real,
        grads: &mut Self::Values,
        grad_input: Option<Self::SliceMut<'_>>,
        workspace: &mut Self::Workspace,
    ) -> Outcome<Self>;

    /// Adds the gradient of the bias.
    fn bias_gradient(
        &self,
        batch: usize,
        grad_output: Self::Slice<'_>,
        grad_bias: Self::SliceMut<'_>,
    ) -> Outcome<Self>;

    /// Bytes kept from a training forward pass for its backward pass.
    fn saved_bytes(&self) -> usize;

    /// Bytes of everything else that is kept between calls.
    fn scratch_bytes(&self) -> usize;

    /// Bytes of a workspace.
    fn workspace_bytes(workspace: &Self::Workspace) -> usize;
}
