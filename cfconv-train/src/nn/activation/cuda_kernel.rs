//! Activations on the CUDA device.

use super::{Activation, ActivationOp};
use crate::device::cuda::{Grid, Launcher, count, launch};
use crate::device::{Result, Span, SpanMut};

/// The function's number in `kernels/elementwise.cu`; there is one for none.
pub(crate) fn number(function: Option<Activation>) -> u32 {
    match function {
        Some(Activation::Relu) => 0,
        Some(Activation::Gelu) => 1,
        Some(Activation::Silu) => 2,
        Some(Activation::Tanh) => 3,
        None => 4,
    }
}

impl<L: Launcher> ActivationOp for L {
    fn activation(
        &self,
        function: Activation,
        input: Span<'_, Self>,
        output: SpanMut<'_, Self>,
    ) -> Result<()> {
        output.expect_len("activation", "output", input.len())?;
        let len = count(input.len());
        launch!(self, "activation", Grid::over(len, L::THREADS), input, output, number(Some(function)), len)
    }

    fn activation_vjp(
        &self,
        function: Activation,
        input: Span<'_, Self>,
        grad_output: Span<'_, Self>,
        grad_input: SpanMut<'_, Self>,
    ) -> Result<()> {
        grad_output.expect_len("activation_vjp", "grad_output", input.len())?;
        grad_input.expect_len("activation_vjp", "grad_input", input.len())?;
        let len = count(input.len());
        let grid = Grid::over(len, L::THREADS);
        launch!(self, "activation_vjp", grid, input, grad_output, grad_input, number(Some(function)), len)
    }
}
