//! What every operation reads and writes, and the one place where it is checked.

use crate::device::{DeviceError, Memory, Result, Span, SpanMut};

/// The operands of a forward pass. An operation without parameters takes an empty span of them.
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
pub struct Backward<'a, D: Memory> {
    /// Images in the batch.
    pub batch: usize,
    /// The input of the forward pass, where [`OpSizes::BACKWARD_READS_INPUT`] says that it is read again.
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
    /// The operation's name in messages.
    const NAME: &'static str;

    /// Whether the backward pass reads the input of the forward pass. The planner keeps the input in memory where it
    /// does.
    const BACKWARD_READS_INPUT: bool;

    /// Checks that the operation supports these sizes.
    ///
    /// # Errors
    /// [`DeviceError::UnsupportedSize`] names the size.
    fn validate(&self) -> Result<()>;

    /// Values of the input of a batch.
    fn input_len(&self, batch: usize) -> usize;

    /// Values of the output of a batch.
    fn output_len(&self, batch: usize) -> usize;

    /// Number of parameters.
    fn num_parameters(&self) -> usize;
}

impl<'a, D: Memory> Forward<'a, D> {
    /// Checks sizes and the length of every operand.
    ///
    /// # Errors
    /// [`DeviceError::UnsupportedSize`] or [`DeviceError::LengthMismatch`] names the size or the operand.
    pub fn check<S: OpSizes>(&self, sizes: &S) -> Result<()> {
        sizes.validate()?;
        self.input.expect_len(S::NAME, "input", sizes.input_len(self.batch))?;
        self.params.expect_len(S::NAME, "params", sizes.num_parameters())?;
        self.output.expect_len(S::NAME, "output", sizes.output_len(self.batch))
    }
}

impl<'a, D: Memory> Backward<'a, D> {
    /// Checks sizes and the length of every operand.
    ///
    /// # Errors
    /// As for [`Forward::check`]; [`DeviceError::MissingInput`] if the operation reads an input that is not there.
    pub fn check<S: OpSizes>(&self, sizes: &S) -> Result<()> {
        sizes.validate()?;
        let input_len = sizes.input_len(self.batch);
        match &self.input {
            Some(input) => input.expect_len(S::NAME, "input", input_len)?,
            None if S::BACKWARD_READS_INPUT => return Err(DeviceError::MissingInput { op: S::NAME }),
            None => {}
        }
        self.params.expect_len(S::NAME, "params", sizes.num_parameters())?;
        self.grad_output.expect_len(S::NAME, "grad_output", sizes.output_len(self.batch))?;
        if let Some(grad_input) = &self.grad_input {
            grad_input.expect_len(S::NAME, "grad_input", input_len)?;
        }
        self.grad_params.expect_len(S::NAME, "grad_params", sizes.num_parameters())
    }
}
