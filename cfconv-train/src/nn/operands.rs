//! What every operation reads and writes, and the one place where it is checked.

use dfdx::tensor::Storage;

use crate::device::{DeviceError, IndexBuffer, Memory, Result, Span, SpanMut, check_len};

/// The operands of a forward pass. An operation without parameters takes an empty span of them.
#[derive(Debug)]
pub struct Forward<'a, D: Memory> {
    /// Images in the batch.
    pub batch: usize,
    /// What the operation reads.
    pub input: Span<'a, D>,
    /// Parameters, weights before biases.
    pub params: Span<'a, D>,
    /// The result; overwritten.
    pub output: SpanMut<'a, D>,
}

/// The operands of a backward pass.
#[derive(Debug)]
pub struct Backward<'a, D: Memory> {
    /// Images in the batch.
    pub batch: usize,
    /// The input of the forward pass. It may be missing unless [`OpSizes::BACKWARD_READS_INPUT`].
    pub input: Option<Span<'a, D>>,
    /// Parameters, weights before biases.
    pub params: Span<'a, D>,
    /// Gradient of the output.
    pub grad_output: Span<'a, D>,
    /// Gradient of the input, if it is wanted; overwritten.
    pub grad_input: Option<SpanMut<'a, D>>,
    /// Gradients of the parameters, which are added to.
    pub grad_params: SpanMut<'a, D>,
}

/// Sizes of an operation with one input and one output.
pub trait OpSizes {
    /// Whether the backward pass reads the input of the forward pass. If so, the planner keeps the input in memory.
    const BACKWARD_READS_INPUT: bool;

    /// Checks that the operation supports these sizes; `op` is its name in messages.
    ///
    /// # Errors
    /// [`DeviceError::UnsupportedSize`] names the size.
    fn validate(&self, op: &'static str) -> Result<()>;

    /// Number of values in the input of a batch.
    fn input_len(&self, batch: usize) -> usize;

    /// Number of values in the output of a batch: as many as in the input, unless the operation says otherwise.
    fn output_len(&self, batch: usize) -> usize {
        self.input_len(batch)
    }

    /// Number of parameters.
    fn num_parameters(&self) -> usize {
        0
    }
}

impl<D: Memory> Forward<'_, D> {
    /// Checks the sizes and the length of every operand; `op` is the operation's name in messages.
    ///
    /// # Errors
    /// [`DeviceError::UnsupportedSize`] or [`DeviceError::LengthMismatch`] names the size or the operand.
    pub fn check<S: OpSizes>(&self, op: &'static str, sizes: &S) -> Result<()> {
        check_sizes(op, sizes, self.batch)?;
        self.input.expect_len(op, "input", sizes.input_len(self.batch))?;
        self.params.expect_len(op, "params", sizes.num_parameters())?;
        self.output.expect_len(op, "output", sizes.output_len(self.batch))
    }
}

impl<'a, D: Memory> Backward<'a, D> {
    /// Checks the sizes and the length of every operand; `op` is the operation's name in messages.
    ///
    /// # Errors
    /// As for [`Forward::check`]; [`DeviceError::MissingInput`] if the operation reads an input that is not there.
    pub fn check<S: OpSizes>(&self, op: &'static str, sizes: &S) -> Result<()> {
        check_sizes(op, sizes, self.batch)?;
        let input_len = sizes.input_len(self.batch);
        match &self.input {
            Some(input) => input.expect_len(op, "input", input_len)?,
            None if S::BACKWARD_READS_INPUT => return Err(DeviceError::MissingInput { op }),
            None => {}
        }
        self.params.expect_len(op, "params", sizes.num_parameters())?;
        self.grad_output.expect_len(op, "grad_output", sizes.output_len(self.batch))?;
        if let Some(grad_input) = &self.grad_input {
            grad_input.expect_len(op, "grad_input", input_len)?;
        }
        self.grad_params.expect_len(op, "grad_params", sizes.num_parameters())
    }

    /// The input, which [`check`](Self::check) has found.
    pub(crate) fn checked_input(&self) -> Span<'a, D> {
        self.input.expect("the operands were checked")
    }

    /// The linear map from the gradient of the output to that of the input, for an operation without parameters.
    /// `None` if nobody wants the gradient of the input.
    pub(crate) fn into_adjoint(self) -> Option<Forward<'a, D>> {
        let Self { batch, params, grad_output, grad_input, .. } = self;
        grad_input.map(|output| Forward { batch, input: grad_output, params, output })
    }
}

fn check_sizes(op: &'static str, sizes: &impl OpSizes, batch: usize) -> Result<()> {
    sizes.validate(op)?;
    expect_positive(op, &[("batch", batch)])
}

/// Refuses sizes of zero.
pub(crate) fn expect_positive(op: &'static str, sizes: &[(&'static str, usize)]) -> Result<()> {
    match sizes.iter().find(|(_, size)| *size == 0) {
        Some(&(name, got)) => Err(DeviceError::UnsupportedSize { op, name, expected: "at least 1", got }),
        None => Ok(()),
    }
}

/// Checks that there are at least `expected` indices.
pub(crate) fn expect_indices<D: Memory>(
    device: &D,
    op: &'static str,
    operand: &'static str,
    expected: usize,
    indices: &IndexBuffer<D>,
) -> Result<()> {
    check_len(op, operand, expected, Storage::<u32>::len(device, indices).min(expected))
}
