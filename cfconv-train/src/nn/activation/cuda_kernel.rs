//! Activations on the CUDA device.

use super::{Activation, ActivationOp};
use crate::device::cuda::{Grid, Launcher, count, launch};
use crate::device::{Result, Span};
use crate::nn::Forward;

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
    fn activation_kernel(&self, function: Activation, io: Forward<'_, Self>) -> Result<()> {
        let len = count(io.input.len());
        let grid = Grid::over(len, L::THREADS);
        launch!(self, "activation", grid, io.input, io.output, number(Some(function)), len)
    }

    fn activation_vjp_kernel(
        &self,
        function: Activation,
        input: Span<'_, Self>,
        io: Forward<'_, Self>,
    ) -> Result<()> {
        let len = count(input.len());
        let grid = Grid::over(len, L::THREADS);
        launch!(self, "activation_vjp", grid, input, io.input, io.output, number(Some(function)), len)
    }
}
